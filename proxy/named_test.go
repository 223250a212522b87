package proxy_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/wire"
)

// prepares are the messages with which drivers make a named statement and learn its columns.
func prepares(name, sql string) []byte {
	b := wire.AppendMessage(nil, wire.Parse, name, "\x00", sql, "\x00\x00\x00")
	return wire.AppendMessage(wire.AppendMessage(b, wire.Describe, "S", name, "\x00"), wire.Sync)
}

// runs are the messages with which they run it.
func runs(name string) []byte {
	b := wire.AppendMessage(nil, wire.Bind, "\x00", name, "\x00\x00\x00\x00\x00\x00\x00")
	b = wire.AppendMessage(b, wire.Describe, "P\x00")
	b = wire.AppendMessage(b, wire.Execute, "\x00\x00\x00\x00\x00")
	return wire.AppendMessage(b, wire.Sync)
}

const (
	isPrepared = "1 t T Z(I)"
	isRun      = "2 T D(standby) C(SELECT 1) Z(I)"
)

func (c *client) prepare(name, sql string) {
	c.t.Helper()
	c.send(prepares(name, sql))
	if got := c.answer(); got != isPrepared {
		c.t.Fatalf("preparing %s: %s", name, got)
	}
}

func (c *client) execute(name string) string {
	c.t.Helper()
	c.send(runs(name))
	return c.answer()
}

// executeFast runs a statement until that goes the fast way.
func (c *client) executeFast(name string) {
	c.t.Helper()
	for before, end := c.fastReads(), time.Now().Add(patience); c.fastReads() < before+3; {
		if time.Now().After(end) {
			c.t.Fatal("no read went the fast way")
		}
		for range 5 {
			if got := c.execute(name); got != isRun {
				c.t.Fatalf("got %s, want %s", got, isRun)
			}
		}
	}
	c.execute(name) // what comes after the statistics is planned
}

// An answer that is not the usual one is understood as that to what was really sent, and told in the client's words.
func TestNamedReadsAnsweredOddly(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, func(c *configs.Config) { c.Pool.Mode, c.Routing.LessonTTL = configs.PoolTransaction, 0 }, primary, standby)
	c := connectAs(t, h.addr, "u")
	c.prepare("k", "SELECT x")
	fails := func(c *fakeConn, code, routine, text string) answer {
		c.failed = true
		c.Write(wire.AppendError(nil, "ERROR", &wire.Error{Code: code, Message: text, Routine: routine}))
		return done
	}
	for _, tc := range []struct {
		name, want string
		bound      func(c *fakeConn, name string) answer // to the next Bind
		parses     int64
	}{
		{"usual", isRun, func(*fakeConn, string) answer { return pass }, 0},
		{"notice", "N(NOTICE 00000) " + isRun, func(c *fakeConn, _ string) answer { c.Write(notice); return pass }, 0},
		{"error", "E(ERROR 22012) Z(I)", func(c *fakeConn, name string) answer {
			return fails(c, "22012", "", "division in prepared statement "+name)
		}, 0},
		{"gone", "E(ERROR 26000) Z(I)", func(c *fakeConn, name string) answer { delete(c.prepared, name); return pass }, 0},
		{"made again after it was gone", isRun, nil, 1},
		{"other columns", isRun, func(c *fakeConn, _ string) answer {
			return fails(c, "0A000", "RevalidateCachedQuery", "cached plan must not change result type")
		}, 1},
	} {
		for range 3 {
			if tc.bound != nil {
				c.executeFast("k")
			}
			var parses, binds atomic.Int64
			standby.scripted(func(c *fakeConn, typ byte, body []byte) answer {
				if typ == wire.Parse {
					parses.Add(1)
				}
				if typ != wire.Bind {
					return pass
				}
				_, rest, _ := wire.CString(body)
				name, _, _ := wire.CString(rest)
				if !strings.HasPrefix(string(name), "howdah_") {
					t.Errorf("%s: the server is asked for %q", tc.name, name)
				}
				if binds.Add(1) > 1 || tc.bound == nil {
					return pass
				}
				return tc.bound(c, string(name))
			})
			c.send(runs("k"))
			var got []string
			for typ := byte(0); typ != wire.ReadyForQuery; {
				var msg []byte
				var err error
				if typ, msg, err = c.Next(1 << 20); err != nil {
					t.Fatalf("%s: after %v: %v", tc.name, got, err)
				}
				if got = append(got, show(typ, msg[wire.HeaderSize:])); strings.Contains(string(msg), "howdah_") {
					t.Errorf("%s: the client is told %q", tc.name, msg)
				}
			}
			if got := strings.Join(got, " "); got != tc.want {
				t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
			}
			standby.scripted(nil)
			if n := parses.Load(); n != tc.parses {
				t.Errorf("%s: it was made %d times, want %d", tc.name, n, tc.parses)
			}
			if tc.name == "gone" || tc.bound == nil {
				break // to be made again in the next case
			}
		}
	}
}

// twoConnections are a standby's, of which one is kept from others.
type twoConnections struct {
	t       *testing.T
	h       *harness
	standby *fake
	holders [2]*client
}

// only lets do use the connection pid alone; script, if there is one, is the standby's meanwhile.
func (b *twoConnections) only(pid uint32, script func(c *fakeConn, typ byte, body []byte) answer, do func()) {
	b.t.Helper()
	var held atomic.Int64
	gates := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
	var holder [2]atomic.Pointer[client]
	byText := map[string]*client{"SELECT hold0": b.holders[0], "SELECT hold1": b.holders[1]}
	b.standby.scripted(func(c *fakeConn, typ byte, body []byte) answer {
		if text := strings.TrimSuffix(string(body), "\x00"); typ == wire.Query && byText[text] != nil {
			holder[c.pid-1].Store(byText[text])
			held.Add(1)
			<-gates[c.pid-1]
		} else if script != nil {
			return script(c, typ, body)
		}
		return pass
	})
	for text, holder := range byText {
		holder.send(wire.AppendQuery(nil, text))
	}
	await := func(what string, is func() bool) {
		b.t.Helper()
		for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				b.t.Fatal("never " + what)
			}
		}
	}
	await("held", func() bool { return held.Load() == 2 })
	close(gates[pid-1])
	holder[pid-1].Load().answer()
	await("free", func() bool { s := b.h.pool.Stats(1); return s.Open == 2 && s.Idle == 1 })
	do()
	close(gates[2-pid])
	holder[2-pid].Load().answer()
	b.standby.scripted(nil)
	b.h.settled(b.t, 1)
}

// A named read goes the fast way on connections that have its statement as the client knows it. On others it is made first, or refused.
func TestNamedReadsElsewhere(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, func(c *configs.Config) { c.Pool.Mode, c.Pool.MaxPerNode = configs.PoolTransaction, 2 }, primary, standby)
	b := &twoConnections{t: t, h: h, standby: standby}
	for i := range b.holders {
		b.holders[i] = connectAs(t, h.addr, "u")
	}
	c, d := connectAs(t, h.addr, "u"), connectAs(t, h.addr, "u")
	b.only(1, nil, func() {
		c.prepare("k", "SELECT x")
		c.executeFast("k")
	})
	b.only(2, nil, func() {
		c.executeFast("k") // after it was made
	})
	b.only(1, nil, func() {
		// Of its columns it is told when it runs it first: that is planned.
		c.send(wire.AppendMessage(wire.AppendMessage(nil, wire.Parse, "z\x00SELECT z\x00\x00\x00"), wire.Sync))
		c.answer()
		if got := c.execute("z"); got != isRun {
			t.Errorf("the first time: %s", got)
		}
	})
	two := func(c *fakeConn, typ byte, body []byte) answer {
		if typ != wire.Describe {
			return pass
		}
		c.out = appendColumns(c.out, 2)
		return done
	}
	b.only(2, two, func() { d.send(prepares("other", "SELECT z")); d.answer() })
	b.only(2, two, func() {
		if got, want := c.execute("z"), "E(ERROR 0A000) Z(I)"; got != want {
			t.Errorf("on a connection that has it with other columns: %s, want %s", got, want)
		}
	})
	b.only(1, nil, func() { c.execute("z") })
	b.only(2, nil, func() {
		if got := c.execute("z"); got != isRun {
			t.Errorf("when they are as before: %s", got)
		}
	})
}

// A read that waited for a connection, and gets one that has lost its statement to another session's, is served nonetheless.
func TestNamedReadsInTheQueue(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, func(c *configs.Config) {
		c.Pool.Mode, c.Pool.MaxPerNode, c.Pool.MaxPrepared = configs.PoolTransaction, 1, 1
	}, primary, standby)
	holder, c := connectAs(t, h.addr, "u"), connectAs(t, h.addr, "u")
	for i, loses := range []bool{false, true, true, false} {
		name := fmt.Sprint("k", i)
		c.prepare(name, "SELECT x")
		c.executeFast(name)
		asked, goOn := make(chan struct{}), make(chan struct{})
		standby.scripted(func(_ *fakeConn, typ byte, body []byte) answer {
			if typ == wire.Query && string(body) == "SELECT y\x00" || typ == wire.Parse && strings.Contains(string(body), "SELECT y") {
				close(asked)
				<-goOn
			}
			return pass
		})
		if loses {
			holder.send(prepares(name, "SELECT y"))
		} else {
			holder.send(wire.AppendQuery(nil, "SELECT y"))
		}
		<-asked
		c.send(runs(name))
		h.waits(t, 1)
		close(goOn)
		if got := c.answer(); got != isRun {
			t.Errorf("loses %t: got %s, want %s", loses, got, isRun)
		}
		if got := holder.answer(); strings.Contains(got, "E(") {
			t.Errorf("loses %t: who had the connection got %s", loses, got)
		}
		standby.scripted(nil)
	}
}

// Reads that go the fast way count as uses of their statements: the least recently used one gives way to a new one.
func TestNamedReadsAreUses(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, func(c *configs.Config) {
		c.Pool.Mode, c.Pool.MaxPrepared = configs.PoolTransaction, 2
	}, primary, standby)
	c := connectAs(t, h.addr, "u")
	c.prepare("k", "SELECT k")
	c.prepare("l", "SELECT l")
	c.executeFast("k")
	c.executeFast("l")
	for range 5 {
		c.execute("l")
		c.execute("k")
	}
	c.prepare("m", "SELECT m") // in l's place
	var parses atomic.Int64
	standby.scripted(func(_ *fakeConn, typ byte, _ []byte) answer {
		if typ == wire.Parse {
			parses.Add(1)
		}
		return pass
	})
	for _, made := range []struct {
		name string
		want int64
	}{{"k", 0}, {"m", 0}, {"l", 1}} {
		if got := c.execute(made.name); got != isRun || parses.Swap(0) != made.want {
			t.Errorf("%s: got %s, or it was made though it should be there, or there though it should have given way", made.name, got)
		}
	}
}
