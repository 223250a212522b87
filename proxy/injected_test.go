package proxy_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/wire"
)

// parseFails answers the Parse of text by an error, as a server would: up to the
// Sync all else is ignored.
func parseFails(text, code string) func(*fakeConn, byte, []byte) answer {
	return func(c *fakeConn, typ byte, body []byte) answer {
		if typ == wire.Parse && bytes.Contains(body, []byte("\x00"+text)) {
			c.failed = true
			c.Write(append(c.out, failure("ERROR", code)...))
			c.out = c.out[:0]
			return done
		}
		return pass
	}
}

// The BEGIN that howdah sends with a block's first statement fails: the statement must not run outside of it.
func TestInjectedBeginFails(t *testing.T) {
	for name, request := range map[string][]byte{
		"simple": wire.AppendQuery(nil, "INSERT INTO x DEFAULT VALUES"),
		"flush": join(wire.AppendMessage(nil, wire.Parse, "\x00INSERT INTO x DEFAULT VALUES\x00\x00\x00"), wire.AppendMessage(nil, wire.Bind, "\x00\x00\x00\x00\x00\x00\x00\x00"),
			wire.AppendMessage(nil, wire.Flush), wire.AppendMessage(nil, wire.Sync)),
		"extended": join(wire.AppendMessage(nil, wire.Parse, "\x00INSERT INTO x DEFAULT VALUES\x00\x00\x00"), wire.AppendMessage(nil, wire.Bind, "\x00\x00\x00\x00\x00\x00\x00\x00"),
			wire.AppendMessage(nil, wire.Execute, "\x00\x00\x00\x00\x00"), wire.AppendMessage(nil, wire.Sync)),
	} {
		t.Run(name, func(t *testing.T) {
			primary := newFake(t, "primary", false)
			h := start(t, nil, primary)
			c := connectAs(t, h.addr, "u")
			begin := parseFails("BEGIN", "53200")
			var mu sync.Mutex
			ran := 0
			primary.scripted(func(c *fakeConn, typ byte, body []byte) answer {
				if !c.failed && (typ == wire.Query || typ == wire.Execute) && c.status != wire.TxOpen {
					mu.Lock()
					ran++
					mu.Unlock()
				}
				return begin(c, typ, body)
			})
			if got := c.query("BEGIN"); got != "C(BEGIN) Z(T)" {
				t.Fatal(got)
			}
			c.send(request)
			if got := c.answer(); got != "E(ERROR 53200) Z(E)" {
				t.Errorf("got %s", got)
			}
			if got := c.query("INSERT INTO x DEFAULT VALUES"); got != "E(ERROR 25P02) Z(E)" {
				t.Errorf("in the failed block: %s", got)
			}
			mu.Lock()
			if ran > 0 {
				t.Error("the statement ran outside of the block")
			}
			mu.Unlock()
			primary.scripted(nil)
			for _, round := range [][2]string{{"COMMIT", "C(ROLLBACK) Z(I)"}, {"BEGIN", "C(BEGIN) Z(T)"}, {"INSERT INTO x DEFAULT VALUES", "C(INSERT) Z(T)"}, {"COMMIT", "C(COMMIT) Z(I)"}} {
				if got := c.query(round[0]); got != round[1] {
					t.Errorf("%s: %s", round[0], got)
				}
			}
			c.Close()
			h.settled(t, 0)
			if got := connectAs(t, h.addr, "u").query("INSERT INTO y DEFAULT VALUES"); got != "C(INSERT) Z(I)" {
				t.Errorf("another session: %s", got)
			}
		})
	}
}

// A read node on which the session's settings cannot be made is not read from.
func TestReplayFailsOnReadNode(t *testing.T) {
	for name, reply := range map[string][]byte{
		"error":   join(failure("ERROR", "22023"), idle),
		"fatal":   failure("FATAL", "57P01"),
		"garbage": []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
			h := start(t, nil, primary, standby)
			c := connectAs(t, h.addr, "u")
			if got := c.query("SET a.b = 1"); got != "C(SET) Z(I)" {
				t.Fatal(got)
			}
			standby.scripted(on("SET a.b", reply, name != "error"))
			if got := c.query("SELECT x"); got != "T D(primary) C(SELECT 1) Z(I)" {
				t.Errorf("got %s", got)
			}
			standby.scripted(nil)
			c.Close()
			h.settled(t, 1)
			if got := connectAs(t, h.addr, "u").query("SELECT y"); got != "T D(standby) C(SELECT 1) Z(I)" {
				t.Errorf("another session: %s", got)
			}
		})
	}
}

// Settings that a read node refused for a reason of its own (a conflict with replay, say) are not there afterwards,
// though the statement behind them ran: whoever gets the connection next makes them again.
func TestReplayRefusedOnReadNode(t *testing.T) {
	for _, mode := range []string{configs.PoolSession, configs.PoolTransaction} {
		t.Run(mode, func(t *testing.T) {
			primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
			h := start(t, func(c *configs.Config) { c.Pool.Mode = mode }, primary, standby)
			c := connectAs(t, h.addr, "u")
			if got := c.query("SET a.b = 1"); got != "C(SET) Z(I)" {
				t.Fatal(got)
			}
			standby.scripted(on("SET a.b", join(failure("ERROR", "40001"), idle), false))
			if got := c.query("SELECT x"); got != "T D(primary) C(SELECT 1) Z(I)" {
				t.Errorf("got %s", got)
			}
			var made atomic.Bool
			standby.scripted(func(_ *fakeConn, typ byte, body []byte) answer {
				if typ == wire.Query && bytes.HasPrefix(body, []byte("SET a.b")) {
					made.Store(true)
				}
				return pass
			})
			if got := c.query("SELECT y"); got != "T D(standby) C(SELECT 1) Z(I)" || !made.Load() {
				t.Errorf("got %s; the settings were made there: %v", got, made.Load())
			}
		})
	}
}

// Settings that cannot be made again on a new primary connection: the
// statement must not run without them.
func TestReplayFailsOnPrimary(t *testing.T) {
	primary := newFake(t, "primary", false)
	h := start(t, nil, primary)
	c := connectAs(t, h.addr, "u")
	c.query("SET a.b = 1")
	primary.scripted(on("INSERT", nil, true))
	if got := c.query("INSERT INTO x DEFAULT VALUES"); got != "E(ERROR 08007) Z(I)" {
		t.Fatal(got)
	}
	primary.scripted(on("SET a.b", join(failure("ERROR", "22023"), idle), false))
	got := c.query("INSERT INTO x DEFAULT VALUES")
	if !strings.HasPrefix(got, "E(") || strings.Contains(got, "C(INSERT)") {
		t.Errorf("got %s", got)
	}
	primary.scripted(nil)
	c.Close()
	h.settled(t, 0)
	if got := connectAs(t, h.addr, "u").query("INSERT INTO y DEFAULT VALUES"); got != "C(INSERT) Z(I)" {
		t.Errorf("another session: %s", got)
	}
}

func TestReplayComesFirst(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, nil, primary, standby)
	c := connectAs(t, h.addr, "u")
	var mu sync.Mutex
	var seen []string
	standby.scripted(func(c *fakeConn, typ byte, body []byte) answer {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, string(typ)+string(bytes.Trim(body, "\x00")))
		return pass
	})
	c.query("SET a.b = 1")
	c.query("SET a.c = 2")
	for range 2 {
		if got := c.query("SELECT x"); got != "T D(standby) C(SELECT 1) Z(I)" {
			t.Fatal(got)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(seen, " | "); got != "QSET a.b = 1;SET a.c = 2; | QSELECT x | QSELECT x" {
		t.Errorf("the standby got %s", got)
	}
}

// What a server may do at the login of the first client.
func TestServerFailsAtLogin(t *testing.T) {
	for _, tc := range []struct {
		name  string
		login []byte // nil: as usual
		own   []byte // the answer to howdah's question about defaults
		want  string // what the client's login begins with
	}{
		{"refused", failure("FATAL", "3D000"), nil, "R E(FATAL 3D000) EOF"},
		{"refused without a code", wire.AppendMessage(nil, wire.ErrorResponse), nil, "R E( ) EOF"},
		{"unknown authentication", wire.AppendMessage(nil, wire.Authentication, "\x00\x00\x00\x63"), nil, "E(FATAL"},
		{"no row", nil, join(columns1, selected, idle), "E(FATAL"},
		{"one column", nil, join(columns1, row1, selected, idle), "E(FATAL"},
		{"null columns", nil, join(wire.AppendMessage(nil, wire.DataRow, "\x00\x02\xff\xff\xff\xff\xff\xff\xff\xff"), selected, idle), ""},
		{"malformed row", nil, join(wire.AppendMessage(nil, wire.DataRow, "\x00\x02\x00"), selected, idle), "E(FATAL"},
		{"error", nil, join(failure("ERROR", "42883"), idle), "R E("},
		{"garbage", nil, []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), "E(FATAL"},
		{"end", nil, []byte{}, "E(FATAL"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			primary := newFake(t, "primary", false)
			h := start(t, nil, primary)
			if tc.login != nil {
				login := func(c *fakeConn) answer { c.Write(tc.login); return hangUp }
				primary.logins.Store(&login)
			} else {
				primary.own.Store(true)
				primary.scripted(func(c *fakeConn, typ byte, body []byte) answer {
					if !bytes.HasPrefix(body, []byte("SELECT pg_catalog.current_setting")) {
						return pass
					}
					if len(tc.own) == 0 {
						return hangUp
					}
					c.Write(tc.own)
					return done
				})
			}
			c := dial(t, h.addr)
			c.send(startupPacket("user", "u", "database", "d"))
			if got := c.answer(); !strings.HasPrefix(got, tc.want) {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			c.Close()
			primary.logins.Store(nil)
			primary.own.Store(false)
			primary.scripted(nil)
			h.settled(t, 0)
			if got := connectAs(t, h.addr, "u").query("INSERT INTO y DEFAULT VALUES"); got != "C(INSERT) Z(I)" {
				t.Errorf("another session: %s", got)
			}
		})
	}
}

// Of many clients that log in at once one asks the server; a failure is not shared.
func TestLoginsAskOnce(t *testing.T) {
	primary := newFake(t, "primary", false)
	h := start(t, nil, primary)
	var logins sync.WaitGroup
	for range 30 {
		logins.Go(func() {
			c := dial(t, h.addr)
			c.send(startupPacket("user", "u", "database", "d"))
			if got := c.answer(); !strings.HasSuffix(got, "Z(I)") {
				t.Errorf("login: %s", got)
			}
		})
	}
	logins.Wait()
	if n := primary.opened.Load(); n != 1 {
		t.Errorf("%d logins at the server for 30 clients, want 1", n)
	}
	refuse := func(c *fakeConn) answer { c.Write(failure("FATAL", "28P01")); return hangUp }
	primary.logins.Store(&refuse)
	for range 10 {
		logins.Go(func() {
			c := dial(t, h.addr)
			c.send(startupPacket("user", "v", "database", "d"))
			if got := c.answer(); got != "R E(FATAL 28P01) EOF" {
				t.Errorf("login: %s", got)
			}
		})
	}
	logins.Wait()
	if n := primary.opened.Load(); n != 11 {
		t.Errorf("%d logins at the server, want one for each of the 10 that failed", n-1)
	}
}

// The refusal of a new connection, asked for to find out whether the server is alive, may be anything.
func TestServerRefusesWithoutACode(t *testing.T) {
	primary := newFake(t, "primary", false)
	h := start(t, nil, primary)
	c := connectAs(t, h.addr, "u")
	c.query("SELECT 1")
	refuse := func(c *fakeConn) answer { c.Write(wire.AppendMessage(nil, wire.ErrorResponse)); return hangUp }
	primary.logins.Store(&refuse)
	primary.scripted(on("INSERT", failure("FATAL", "57P01"), true))
	if got := c.query("INSERT INTO x DEFAULT VALUES"); !strings.HasPrefix(got, "E(") {
		t.Errorf("got %s", got)
	}
}

// A server that dies while the session is idle costs nothing but a connection.
func TestServerLeavesAnIdleSession(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, nil, primary, standby)
	c := connectAs(t, h.addr, "u")
	for range 3 {
		if got := c.query("SELECT 1"); got != "T D(standby) C(SELECT 1) Z(I)" {
			t.Errorf("read: %s", got)
		}
		if got := c.query("SET a.b = 1"); !strings.HasSuffix(got, "C(SET) Z(I)") {
			t.Errorf("set: %s", got)
		}
		time.Sleep(110 * time.Millisecond) // from then on connections are looked at before they are used
		standby.cutSessions()
		primary.cutSessions()
	}
	if got := c.query("INSERT INTO x DEFAULT VALUES"); got != "C(INSERT) Z(I)" {
		t.Errorf("after all: %s", got)
	}
}

// A new connection breaks off at the statement that is made on it before the client's unit is sent: that has run nowhere, and runs elsewhere.
func TestServerLeavesBeforeTheUnit(t *testing.T) {
	for name, tc := range map[string]struct {
		text, want string
		often      int64 // so many connections break off
		words      []byte
	}{
		"read":              {"SELECT x", "2 D(primary) C(SELECT 1) Z(I)", 1, failure("FATAL", "57P01")},
		"read, no word":     {"SELECT x", "2 D(primary) C(SELECT 1) Z(I)", 1, nil},
		"write":             {"INSERT INTO x DEFAULT VALUES RETURNING y", "2 C(INSERT) Z(I)", 3, failure("FATAL", "57P01")},
		"write, no word":    {"INSERT INTO x DEFAULT VALUES RETURNING y", "2 C(INSERT) Z(I)", 3, nil},
		"write, never ends": {"INSERT INTO x DEFAULT VALUES RETURNING y", "E(ERROR 40001) Z(I)", 1 << 30, nil},
	} {
		t.Run(name, func(t *testing.T) {
			primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
			h := start(t, nil, primary, standby)
			c := connectAs(t, h.addr, "u")
			c.send(join(wire.AppendMessage(nil, wire.Parse, "s\x00", tc.text, "\x00\x00\x00"), wire.AppendMessage(nil, wire.Describe, "Ss\x00"), wire.AppendMessage(nil, wire.Sync)))
			if got := c.answer(); got != "1 t T Z(I)" {
				t.Fatal(got)
			}
			time.Sleep(10 * time.Millisecond) // the connection is looked at before its next use
			standby.cutSessions()
			primary.cutSessions()
			node := standby
			if !strings.HasPrefix(tc.text, "SELECT") {
				node = primary
			}
			var broken atomic.Int64
			node.scripted(func(c *fakeConn, typ byte, body []byte) answer {
				if typ != wire.Parse || broken.Add(1) > tc.often {
					return pass
				}
				c.Write(tc.words)
				return hangUp
			})
			c.send(join(wire.AppendMessage(nil, wire.Bind, "\x00s\x00\x00\x00\x00\x00\x00\x00"), wire.AppendMessage(nil, wire.Execute, "\x00\x00\x00\x00\x00"), wire.AppendMessage(nil, wire.Sync)))
			if got := c.answer(); got != tc.want {
				t.Errorf("got %s", got)
			}
			if broken.Load() < min(tc.often, 2) {
				t.Errorf("%d connections broke off", broken.Load())
			}
			node.scripted(nil)
			if got := c.query("INSERT INTO x DEFAULT VALUES"); got != "C(INSERT) Z(I)" {
				t.Errorf("afterwards: %s", got)
			}
		})
	}
}

// A client that has more than it may hold in memory is served all the same.
func TestLongMessages(t *testing.T) {
	primary := newFake(t, "primary", false)
	h := start(t, func(c *configs.Config) { c.Limits.MaxBuffered = 8 << 10 }, primary)
	c := connectAs(t, h.addr, "u")
	for _, size := range []int{8<<10 - 20, 8 << 10, 8<<10 + 1, 100_000, 5 << 20} {
		sql := "SELECT '" + strings.Repeat("x", size) + "'"
		if got := c.query(sql); got != "T D(primary) C(SELECT 1) Z(I)" {
			t.Errorf("query of %d bytes: %s", size, got)
		}
		c.send(join(wire.AppendMessage(nil, wire.Parse, "\x00", sql, "\x00\x00\x00"), wire.AppendMessage(nil, wire.Bind, "\x00\x00\x00\x00\x00\x00\x00\x00"),
			wire.AppendMessage(nil, wire.Execute, "\x00\x00\x00\x00\x00"), wire.AppendMessage(nil, wire.Sync)))
		if got := c.answer(); got != "1 2 D(primary) C(SELECT 1) Z(I)" {
			t.Errorf("Parse of %d bytes: %s", size, got)
		}
	}
}

// A client that goes away with its last request leaves nothing behind, even
// if both arrive at once.
func TestClientEndsWithItsLastQuery(t *testing.T) {
	primary := newFake(t, "primary", false)
	h := start(t, nil, primary)
	for range 20 {
		c := connectAs(t, h.addr, "u")
		c.send(wire.AppendQuery(nil, "SELECT 1"))
		c.Close()
	}
	h.settled(t, 0)
	end := dial(t, h.addr) // half-closed: it can see the session's end
	end.send(startupPacket("user", "u", "database", "d"))
	end.answer()
	end.send(wire.AppendQuery(nil, "SELECT 1"))
	end.nc.(interface{ CloseWrite() error }).CloseWrite()
	if got := end.answer() + " " + end.answer(); got != "T D(primary) C(SELECT 1) Z(I) EOF" {
		t.Errorf("got %s", got)
	}
}

// A standby is started anew and takes connections before it is probed again: as long as only what it was before is known,
// nothing is read from it. It may show less than it did.
func TestRestartedStandbyIsProbedBeforeItIsRead(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, func(c *configs.Config) { c.ReplicationCheck.Timeout = patience }, primary, standby)
	c := connectAs(t, h.addr, "u")
	if got := c.query("SELECT x"); got != "T D(standby) C(SELECT 1) Z(I)" {
		t.Fatalf("before: %s", got)
	}
	gate := make(chan struct{})
	standby.probes.Store(&gate)
	standby.cut()
	for range 3 {
		if got := c.query("SELECT x"); got != "T D(primary) C(SELECT 1) Z(I)" {
			t.Errorf("before it is probed: %s", got)
		}
	}
	if n := h.cluster.View().Nodes[1]; n.State != cluster.StateUp {
		t.Errorf("it is %v: a session reads elsewhere for that reason alone", n.State)
	}
	close(gate)
	for deadline := time.Now().Add(patience); c.query("SELECT x") != "T D(standby) C(SELECT 1) Z(I)"; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is not read again")
		}
	}
}

// A standby hangs in a login until it is known to be lost: the read goes elsewhere then, and not when timeouts.connect has passed.
func TestLoginToLostStandbyIsBrokenOff(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, func(c *configs.Config) { c.Timeouts.Connect = 10 * patience }, primary, standby)
	hangs, over := make(chan struct{}, 1), make(chan struct{})
	defer close(over)
	login := func(*fakeConn) answer {
		hangs <- struct{}{}
		<-over
		return hangUp
	}
	c := connectAs(t, h.addr, "u")
	standby.logins.Store(&login)
	c.send(wire.AppendQuery(nil, "SELECT x"))
	<-hangs
	standby.l.Close()
	standby.cutProbes()
	h.cluster.Report(1, errors.New("a test"))
	if got := c.answer(); got != "T D(primary) C(SELECT 1) Z(I)" {
		t.Errorf("got %s", got)
	}
}

// A session that leaves a standby that does not answer does not wait until its connection is reset.
func TestLeavingASilentStandbyTakesNoTime(t *testing.T) {
	standbys := map[string]*fake{"a": newFake(t, "a", true), "b": newFake(t, "b", true)}
	h := start(t, func(c *configs.Config) {
		c.ReplicationCheck.Timeout, c.ReplicationCheck.Silences = 50*time.Millisecond, 1000
	}, newFake(t, "primary", false), standbys["a"], standbys["b"])
	c := connectAs(t, h.addr, "u")
	read := c.query("SELECT x")
	silent, other, id := standbys["a"], "b", cluster.NodeID(1)
	if strings.Contains(read, "D(b)") {
		silent, other, id = standbys["b"], "a", 2
	}
	gate, over := make(chan struct{}), make(chan struct{})
	defer close(over)
	defer close(gate)
	silent.own.Store(true)
	silent.scripted(func(*fakeConn, byte, []byte) answer {
		<-over
		return hangUp
	})
	silent.probes.Store(&gate)
	silent.cutProbes()
	h.cluster.Report(id, errors.New("a test"))
	for deadline := time.Now().Add(patience); h.cluster.View().Nodes[id].State != cluster.StateSuspect; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it is %+v", h.cluster.View().Nodes[id])
		}
	}
	began := time.Now()
	if got := c.query("SELECT x"); got != "T D("+other+") C(SELECT 1) Z(I)" {
		t.Errorf("after %s got %s", read, got)
	}
	if took := time.Since(began); took > patience/2 {
		t.Errorf("it took %v", took)
	}
}
