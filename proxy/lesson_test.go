package proxy_test

import (
	"bytes"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/wire"
)

// refuses answers reads of the table by an error and counts them.
func refuses(code string, count *atomic.Int64) func(*fakeConn, byte, []byte) answer {
	return func(c *fakeConn, typ byte, body []byte) answer {
		switch {
		case typ == wire.Query && bytes.Contains(body, []byte("refused")):
			count.Add(1)
			c.Write(join(failure("ERROR", code), idle))
		case typ == wire.Parse && bytes.Contains(body, []byte("refused")):
			count.Add(1)
			c.failed = true
			c.Write(append(c.out, failure("ERROR", code)...))
			c.out = c.out[:0]
		default:
			return pass
		}
		return done
	}
}

func extendedQuery(sql string) []byte {
	return join(wire.AppendMessage(nil, wire.Parse, "\x00"+sql+"\x00\x00\x00"), wire.AppendMessage(nil, wire.Bind, "\x00\x00\x00\x00\x00\x00\x00\x00"),
		wire.AppendMessage(nil, wire.Execute, "\x00\x00\x00\x00\x00"), wire.AppendMessage(nil, wire.Sync))
}

// What a standby refuses once goes straight to the primary the next time, from
// any session of the database, until its definitions change.
func TestLessonIsLearned(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, nil, primary, standby)
	var tried atomic.Int64
	standby.scripted(refuses("25006", &tried))
	c, d := connectAs(t, h.addr, "u"), connectAs(t, h.addr, "u")
	step := func(c *client, sql, want string, tries int64) {
		t.Helper()
		tried.Store(0)
		if got := c.query(sql); got != want || tried.Load() != tries {
			t.Errorf("%s: %s after %d attempts on the standby, want %s after %d", sql, got, tried.Load(), want, tries)
		}
	}
	const onPrimary, onStandby = "T D(primary) C(SELECT 1) Z(I)", "T D(standby) C(SELECT 1) Z(I)"
	step(c, "SELECT * FROM refused WHERE id = 1", onPrimary, 1)
	step(c, "SELECT * FROM refused WHERE id = 2", onPrimary, 0)
	step(d, "SELECT * FROM refused  WHERE id = 3 -- again", onPrimary, 0)
	step(d, "SELECT * FROM other", onStandby, 0)
	step(d, "SELECT id FROM refused", onPrimary, 1)
	d.send(extendedQuery("SELECT id FROM refused"))
	if got := d.answer(); got != "1 2 D(primary) C(SELECT 1) Z(I)" || tried.Load() != 1 {
		t.Errorf("extended: %s after %d attempts", got, tried.Load())
	}
	if got := c.query("SHOW howdah.stats"); !strings.Contains(got, "D(healed_read_only\x00\x00\x00\x012)") || !strings.Contains(got, "D(lessons\x00\x00\x00\x012)") {
		t.Errorf("stats: %q", got)
	}
	got := c.query("EXPLAIN (HOWDAH) SELECT * FROM refused WHERE id = 9")
	if !strings.Contains(got, "Rule: learned") || !strings.Contains(got, "Route: primary") {
		t.Errorf("explained: %s", got)
	}
	if got := c.query("CREATE TABLE x ()"); got != "C(CREATE) Z(I)" {
		t.Error(got)
	}
	c.query("SELECT 1") // by its answer the books of the one before are closed
	step(d, "SELECT id FROM refused", onPrimary, 1)
	d.query("SELECT 1")
	// In another database nothing is known of it.
	e := dial(t, h.addr)
	e.send(startupPacket("user", "u", "database", "elsewhere"))
	e.answer()
	step(e, "SELECT id FROM refused", onPrimary, 1)
	e.query("SELECT 1")
	if log := h.log.String(); strings.Count(log, "goes to the primary from now on") != 4 || !strings.Contains(log, "sqlstate=25006") {
		t.Errorf("the log says:\n%s", log)
	}
}

func TestLessonsOff(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, func(c *configs.Config) { c.Routing.LessonTTL = 0 }, primary, standby)
	var tried atomic.Int64
	standby.scripted(refuses("0A000", &tried))
	c := connectAs(t, h.addr, "u")
	for range 3 {
		if got := c.query("SELECT * FROM refused"); got != "T D(primary) C(SELECT 1) Z(I)" {
			t.Error(got)
		}
	}
	if n := tried.Load(); n != 3 {
		t.Errorf("tried %d times on the standby, want 3", n)
	}
}

// Errors that say nothing of the statement, and statements that fail on the primary too, teach nothing.
func TestNoLesson(t *testing.T) {
	for _, code := range []string{"40001", "42P01", "XX000", "55006"} {
		primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
		h := start(t, nil, primary, standby)
		var tried atomic.Int64
		standby.scripted(refuses(code, &tried))
		c := connectAs(t, h.addr, "u")
		for range 2 {
			c.query("SELECT * FROM refused")
		}
		if n := tried.Load(); n != 2 {
			t.Errorf("%s: tried %d times on the standby, want 2", code, n)
		}
	}
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, nil, primary, standby)
	var tried, failed atomic.Int64
	standby.scripted(refuses("0A000", &tried))
	primary.scripted(refuses("0A000", &failed))
	c := connectAs(t, h.addr, "u")
	for range 2 {
		if got := c.query("SELECT * FROM refused"); got != "E(ERROR 0A000) Z(I)" {
			t.Error(got)
		}
	}
	if tried.Load() != 2 || failed.Load() != 2 {
		t.Errorf("tried %d times on the standby and %d on the primary, want 2 and 2", tried.Load(), failed.Load())
	}
}

// A conflict with replay is cured on another standby; if that has it too, on the primary.
func TestConflictMovesToAnotherStandby(t *testing.T) {
	primary, one, two := newFake(t, "primary", false), newFake(t, "one", true), newFake(t, "two", true)
	h := start(t, nil, primary, one, two)
	var tried atomic.Int64
	one.scripted(refuses("40001", &tried))
	c := connectAs(t, h.addr, "u")
	for range 4 { // its read node may be the other one at first
		if got := c.query("SELECT * FROM refused"); got != "T D(two) C(SELECT 1) Z(I)" {
			t.Error(got)
		}
	}
	two.scripted(refuses("40001", &tried))
	tried.Store(0)
	if got := c.query("SELECT * FROM refused"); got != "T D(primary) C(SELECT 1) Z(I)" || tried.Load() != 2 {
		t.Errorf("%s after %d attempts", got, tried.Load())
	}
	// In a block the other standby has another snapshot: the primary.
	c.query("BEGIN")
	tried.Store(0)
	if got := c.query("SELECT * FROM refused"); got != "T D(primary) C(SELECT 1) Z(T)" || tried.Load() != 1 {
		t.Errorf("in a block: %s after %d attempts", got, tried.Load())
	}
}

// Without a primary every standby is tried once, and then the client is told.
func TestNobodyCanServe(t *testing.T) {
	primary, one, two := newFake(t, "primary", false), newFake(t, "one", true), newFake(t, "two", true)
	h := start(t, func(c *configs.Config) {
		c.Failover.Hold = 100 * time.Millisecond
		c.ReplicationCheck.Interval = 20 * time.Millisecond
	}, primary, one, two)
	c := connectAs(t, h.addr, "u")
	if got := c.query("SELECT 1"); !strings.HasPrefix(got, "T D(") {
		t.Fatal(got)
	}
	primary.close()
	for deadline := time.Now().Add(patience); h.cluster.View().Primary >= 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	var tried atomic.Int64
	one.scripted(refuses("55000", &tried))
	two.scripted(refuses("55000", &tried))
	got := c.query("SELECT * FROM refused")
	if !strings.HasPrefix(got, "E(ERROR 5") || !strings.HasSuffix(got, "Z(I)") {
		t.Errorf("got %s", got)
	}
	if n := tried.Load(); n < 2 || n > 4 {
		t.Errorf("tried %d times", n)
	}
	two.scripted(nil)
	if got := c.query("SELECT * FROM refused"); got != "T D(two) C(SELECT 1) Z(I)" {
		t.Errorf("once a standby can serve it: %s", got)
	}
}

// A standby that does not let the session in yet is passed over.
func TestStandbyRefusesTheLogin(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, nil, primary, standby)
	refuse := func(c *fakeConn) answer {
		c.Write(failure("FATAL", "28000"))
		return hangUp
	}
	standby.logins.Store(&refuse)
	c := connectAs(t, h.addr, "u")
	if got := c.query("SELECT 1"); got != "T D(primary) C(SELECT 1) Z(I)" {
		t.Errorf("got %s", got)
	}
	standby.logins.Store(nil)
	if got := c.query("SELECT 1"); got != "T D(standby) C(SELECT 1) Z(I)" {
		t.Errorf("later: %s", got)
	}
}
