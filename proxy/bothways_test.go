package proxy_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/wire"
)

var endOfCycle = wire.AppendMessage(nil, wire.Sync)

// asked are the messages that FuzzBothWays has a client send: reads in all forms and what may come between them.
var asked = [][]byte{
	wire.AppendQuery(nil, "SELECT x"),
	wire.AppendMessage(nil, wire.Parse, "\x00SELECT x\x00\x00\x00"),
	wire.AppendMessage(nil, wire.Bind, "\x00\x00\x00\x00\x00\x00\x00\x00"),
	wire.AppendMessage(nil, wire.Describe, "P\x00"),
	wire.AppendMessage(nil, wire.Execute, "\x00\x00\x00\x00\x00"),
	endOfCycle,
	wire.AppendMessage(nil, wire.Parse, "p\x00SELECT x\x00\x00\x00"),
	wire.AppendMessage(nil, wire.Bind, "\x00p\x00\x00\x00\x00\x00\x00\x00"),
	wire.AppendMessage(nil, wire.Describe, "Sp\x00"),
	wire.AppendMessage(nil, wire.Close, "Sp\x00"),
	wire.AppendQuery(nil, "SELECT z"),
	wire.AppendQuery(nil, "INSERT INTO x DEFAULT VALUES"),
	wire.AppendMessage(nil, wire.Parse, "\x00INSERT INTO x DEFAULT VALUES\x00\x00\x00"),
	wire.AppendMessage(nil, wire.Parse, "p\x00INSERT INTO x DEFAULT VALUES\x00\x00\x00"),
	wire.AppendMessage(nil, wire.Parse, "\x00SELECT z\x00\x00\x00"),
	wire.AppendQuery(nil, "BEGIN"),
	wire.AppendQuery(nil, "COMMIT"),
	wire.AppendQuery(nil, "ROLLBACK"),
	wire.AppendQuery(nil, "SET work_mem TO 1000"),
	wire.AppendQuery(nil, "DISCARD ALL"),
	wire.AppendQuery(nil, "DEALLOCATE p"),
	wire.AppendQuery(nil, "SELECT x; SELECT z"),
	wire.AppendQuery(nil, "/* a word */ SELECT x"),
	wire.AppendQuery(nil, "/*NO LOAD BALANCE*/ SELECT x"),
	wire.AppendQuery(nil, "SELECT x FOR UPDATE"),
	wire.AppendQuery(nil, ""),
	wire.AppendMessage(nil, wire.Bind, "q\x00\x00\x00\x00\x00\x00\x00\x00"),
	wire.AppendMessage(nil, wire.Execute, "q\x00\x00\x00\x00\x00"),
	wire.AppendMessage(nil, wire.Execute, "\x00\x00\x00\x00\x01"),
	wire.AppendMessage(nil, wire.Describe, "S\x00"),
	wire.AppendMessage(nil, wire.Close, "P\x00"),
	wire.AppendMessage(nil, wire.Close, "S\x00"),
	wire.AppendMessage(nil, wire.Flush),
	wire.AppendMessage(nil, wire.CopyData, "x"),
	wire.AppendMessage(nil, wire.CopyDone),
	wire.AppendMessage(nil, wire.FunctionCall, "\x00\x00\x00\x01"),
	wire.AppendMessage(nil, wire.Bind),
	wire.AppendMessage(nil, wire.Parse, "\x00SELECT x\x00"),
	wire.AppendMessage(nil, wire.Bind, "\x00k\x00\x00\x00\x00\x00\x00\x00"), // take prepares k
	wire.AppendMessage(nil, wire.Describe, "Sk\x00"),
	wire.AppendMessage(nil, wire.Close, "Sk\x00"),
	wire.AppendMessage(nil, wire.Parse, "k\x00SELECT x\x00\x00\x00"),
}

// answered are the messages of the first answer. None begins a COPY FROM STDIN, in which both sides speak, and what the client gets
// at a sudden end is chance.
var answered = [][]byte{
	idle,
	columns1,
	row1,
	selected,
	wire.AppendMessage(nil, wire.ParseComplete),
	wire.AppendMessage(nil, wire.BindComplete),
	inserted,
	failure("ERROR", "22012"),
	failure("ERROR", "25006"), // read-only transaction: a read runs again on the primary
	failure("ERROR", "40001"),
	failure("ERROR", "26000"),
	failure("FATAL", "57P01"),
	notice,
	notify,
	status("TimeZone", "UTC"),
	wire.AppendReady(nil, wire.TxOpen),
	wire.AppendReady(nil, wire.TxFailed),
	wire.AppendMessage(nil, wire.NoData),
	wire.AppendMessage(nil, wire.ParameterDescription, "\x00\x00"),
	wire.AppendMessage(nil, wire.CloseComplete),
	wire.AppendMessage(nil, wire.EmptyQueryResponse),
	wire.AppendMessage(nil, wire.PortalSuspended),
	wire.AppendMessage(nil, wire.CommandComplete, "SELECT 0\x00"),
	wire.AppendMessage(nil, wire.CopyOutResponse, "\x00\x00\x00"),
	wire.AppendMessage(nil, wire.CopyData, "x"),
	wire.AppendMessage(nil, wire.CopyDone),
	appendRow(nil, strings.Repeat("x", 100_000)), // more than is read at once, and no more than sockets hold
	row1[:len(row1)-1],
	long(wire.DataRow, 1000),
	{wire.DataRow, 0, 0, 0, 3},
	wire.AppendError(nil, "ERROR", &wire.Error{Code: "0A000", Message: "cached plan must not change result type", Routine: "RevalidateCachedQuery"}),
	appendColumns(nil, 2),
}

// chosen are messages as the bytes of a fuzzed input choose them.
func chosen(from [][]byte, by []byte) (b []byte) {
	for _, i := range by {
		b = append(b, from[int(i)%len(from)]...)
	}
	return b
}

// FuzzBothWays has a session read, and then its client send messages, of which the servers' answer to the first exchange is
// of any kind too: whether the reads were planned or not, and encrypted or not, the client gets the same, byte by byte.
func FuzzBothWays(f *testing.F) {
	whole := []byte{1, 2, 3, 0} // of a SELECT as a Query
	for _, in := range [][]byte{{0}, {0, 0}, {11}, {0, 15, 0, 16}, {18, 0}, {22}, {24}} {
		f.Add(in, whole, false)
	}
	for _, out := range [][]byte{{1, 2, 7, 0}, {8, 0}, {9, 0}, {12, 1, 2, 3, 0}, {1, 2, 3, 15}, {14, 1, 2, 3, 0}, {13, 1, 2, 3, 0}, {1, 26, 3, 0},
		{1, 2, 27}, {1, 2, 11}, {1, 2, 3, 0, 1, 2, 3, 0}, {20, 0}, {23, 24, 25, 3, 0}, {}} {
		f.Add([]byte{0}, out, false)
		f.Add([]byte{0, 0}, out, true)
	}
	f.Add([]byte{1, 2, 3, 4, 5}, []byte{4, 5, 1, 2, 3, 0}, false)
	f.Add([]byte{1, 2, 4, 5, 2, 4, 5}, []byte{4, 5, 2, 3, 0}, true)
	f.Add([]byte{1, 2, 4, 5, 1, 2, 4, 5}, []byte{4, 7, 0}, false)
	f.Add([]byte{1, 2, 4, 5, 12, 2, 4, 5}, []byte{7, 0}, true)
	f.Add([]byte{2, 4, 5, 2, 4, 5}, []byte{5, 2, 3, 0}, false)
	f.Add([]byte{6, 5, 7, 4, 5, 7, 4, 5, 9, 7, 4, 5}, []byte{4, 0}, true)
	const bind, close = 38, 40 // of the statement that is prepared before
	for _, out := range [][]byte{{5, 1, 2, 3, 0}, {5, 2, 3, 0}, {7, 0}, {8, 0}, {10, 0}, {30, 0}, {5, 30, 0}, {5, 31, 2, 3, 0}, {12, 5, 1, 2, 3, 0},
		{5, 1, 2, 7, 0}, {5, 1, 26, 3, 0}, {5, 1, 2}, {5, 11}, {4, 5, 1, 2, 3, 0}, {}} {
		f.Add([]byte{bind, 3, 4, 5, bind, 3, 4, 5}, out, true)
		f.Add([]byte{bind, 4, 5, bind, 3, 4, 5, close, 5, bind, 4, 5}, out, true)
		f.Add([]byte{bind, 4, 5}, out, false)
	}
	var ways [2][3]*way
	for i, mode := range []string{configs.PoolSession, configs.PoolTransaction} {
		// Who logs decisions must take them.
		ways[i] = [...]*way{newWay(f, mode, "debug", false), newWay(f, mode, "info", false), newWay(f, mode, "info", true)}
	}
	f.Fuzz(func(t *testing.T, in, out []byte, shared bool) {
		if len(in) > 30 || len(out) > 30 {
			return // found by less
		}
		requests, answer := chosen(asked, in), chosen(answered, out)
		w := ways[bit(shared)]
		planned, wholePlanned := w[0].take(t, requests, answer, false)
		for _, fast := range w[1:] { // each takes all: shared connections remember
			got, whole := fast.take(t, requests, answer, true)
			if whole && wholePlanned && !bytes.Equal(got, planned) {
				t.Errorf("the client sends %s\nthe server   %s\nnot planned: %s (encrypted: %v)\nplanned:     %s",
					inShort(requests), inShort(answer), inShort(got), fast.secure, inShort(planned))
			}
		}
	})
}

// way is howdah in front of servers.
type way struct {
	h      *harness
	fakes  [2]*fake
	secure bool
	takes  int
}

func newWay(t testing.TB, mode, level string, secure bool) *way {
	w := &way{fakes: [2]*fake{newFake(t, "primary", false), newFake(t, "standby", true)}, secure: secure}
	w.h = start(t, func(c *configs.Config) {
		if secure {
			encrypt(t, c, w.fakes[:]...)
		}
		c.Pool.Mode, c.Log.Level, c.Routing.LessonTTL, c.Limits.MaxBuffered = mode, level, 0, 64<<10
	}, w.fakes[:]...)
	return w
}

// take returns all that a client gets for its requests, and for a read and a write behind them; whole is false if the end of its
// connection took some of it away.
func (w *way) take(t *testing.T, requests, answer []byte, fast bool) (got []byte, whole bool) {
	c := dial(t, w.h.addr)
	defer c.Close()
	if w.secure {
		c.secure()
	}
	c.login("u")
	if fast {
		c.goFast("SELECT w")
	} else {
		c.query("SELECT w")
		c.query("SELECT w")
	}
	w.takes++
	c.prepare("k", fmt.Sprintf("SELECT k%d", w.takes)) // shared connections know nothing of it, true or false
	for range 2 {
		if got := c.execute("k"); got != isRun {
			t.Fatalf("a prepared read: %s", got)
		}
	}
	var scripts [2]once
	for i, f := range w.fakes {
		scripts[i] = once{out: answer, hung: make(chan struct{})}
		f.scripted(scripts[i].answer)
		defer f.scripted(nil)
	}
	got, err := c.converse(append(exchanges(requests), wire.AppendQuery(nil, "SELECT y"), wire.AppendQuery(nil, "INSERT INTO y DEFAULT VALUES")), func() {
		for i := range scripts {
			scripts[i].settle()
		}
	})
	if err != nil && !isReset(err) {
		t.Fatalf("the session does not end: %v\nthe client sends %s\nthe server   %s\nand it gets   %s", err, inShort(requests), inShort(answer), inShort(got))
	}
	w.h.settled(t, 0)
	w.h.settled(t, 1)
	if log := w.h.log.String(); strings.Contains(log, "panic=") {
		t.Fatal(log)
	}
	return got, err == nil
}

// converse sends the client's exchanges one after another, as what goes the fast way must be alone, and ends the session. It returns
// all that the client gets. Between two exchanges it calls between.
func (c *client) converse(exchanges [][]byte, between func()) (got []byte, err error) {
	for i := 0; i < len(exchanges) && err == nil; i++ {
		c.Write(exchanges[i]) // howdah may have hung up
		for typ := byte(0); err == nil && typ != wire.ReadyForQuery; {
			var msg []byte
			typ, msg, err = c.Next(1 << 20)
			got = append(got, msg...)
		}
		between()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || err != nil && isReset(err) {
		return got, err
	}
	c.Write(wire.AppendMessage(nil, wire.Terminate)) // also behind what is no message
	rest, err := c.readAll()
	return append(got, rest...), err
}

// exchanges divides whole messages into what ends with a ReadyForQuery each. A Query in a cycle that fails would have no answer: cycles
// are ended before it.
func exchanges(b []byte) (all [][]byte) {
	var open []byte
	for len(b) > 0 {
		typ, size, _ := wire.Header(b)
		msg := b[:size]
		b = b[size:]
		switch typ {
		case wire.Query, wire.FunctionCall:
			if len(open) > 0 {
				all = append(all, append(open, endOfCycle...))
			}
			all, open = append(all, msg), nil
		case wire.Sync:
			all, open = append(all, append(open, msg...)), nil
		default:
			open = append(open, msg...)
		}
	}
	if len(open) > 0 {
		all = append(all, append(open, endOfCycle...))
	}
	return all
}

// once is a script that gives the first exchange an answer, and hangs up behind one for whose end the client would wait.
type once struct {
	out     []byte
	over    atomic.Bool
	hung    chan struct{} // closed when it has hung up
	settled bool
}

func (o *once) answer(c *fakeConn, typ byte, _ []byte) answer {
	switch {
	case o.over.Load():
		return pass
	case typ == wire.Query || typ == wire.Sync || typ == wire.Flush || typ == wire.FunctionCall:
		o.over.Store(true)
		c.Write(o.out)
		if !isOneAnswer(o.out) {
			c.Close()
			close(o.hung)
			return hangUp
		}
	}
	return done
}

// settle waits until howdah looks at a connection that was hung up before it uses it: whether it would notice earlier is chance.
func (o *once) settle() {
	if !o.settled && o.over.Load() && !isOneAnswer(o.out) {
		<-o.hung
		time.Sleep(6 * time.Millisecond) // more than checkEvery
		o.settled = true
	}
}

// isOneAnswer is whether b is messages of which the last, and no other, is ReadyForQuery.
func isOneAnswer(b []byte) bool {
	for len(b) >= wire.HeaderSize {
		typ, size, err := wire.Header(b)
		if err != nil || size > len(b) {
			return false
		}
		if b = b[size:]; typ == wire.ReadyForQuery {
			return len(b) == 0
		}
	}
	return false
}

// inShort is messages as text, equal ones next to each other once.
func inShort(b []byte) string {
	var out []string
	times := 1
	add := func(text string) {
		if n := len(out); n > 0 && strings.HasPrefix(out[n-1], text) {
			times++
			out[n-1] = fmt.Sprintf("%s*%d", text, times)
			return
		}
		times = 1
		out = append(out, text)
	}
	for len(b) >= wire.HeaderSize {
		typ, size, err := wire.Header(b)
		if err != nil || size > len(b) {
			break
		}
		add(fmt.Sprintf("%c(%.60q)", typ, b[wire.HeaderSize:size]))
		b = b[size:]
	}
	if len(b) > 0 {
		add(fmt.Sprintf("%.20q", b))
	}
	return strings.Join(out, " ")
}
