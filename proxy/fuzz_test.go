package proxy_test

import (
	"strings"
	"testing"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/wire"
)

// fuzzed sends a logged-in client's bytes and its end, and waits until the
// session is over. fast: reads came before them.
func fuzzed(t *testing.T, h *harness, in []byte, fast bool) {
	t.Helper()
	c := connectAs(t, h.addr, "u")
	if fast {
		c.query("SELECT x")
		c.query("SELECT x")
	}
	over := make(chan error)
	go func() {
		_, err := c.readAll()
		over <- err
	}()
	c.Write(append(in, wire.AppendMessage(nil, wire.Terminate)...)) // howdah may have hung up in the middle
	c.nc.(interface{ CloseWrite() error }).CloseWrite()
	if err := <-over; err != nil && !isReset(err) {
		t.Fatalf("the session does not end: %v", err)
	}
	h.settled(t, 0)
	if log := h.log.String(); strings.Contains(log, "panic=") {
		t.Fatal(log)
	}
}

// FuzzReadUnit gives a session bytes of any kind from its client, in front of
// a server that answers as servers do.
func FuzzReadUnit(f *testing.F) {
	query := wire.AppendQuery(nil, "SELECT 1")
	parse := wire.AppendMessage(nil, wire.Parse, "p\x00SELECT 1\x00\x00\x00")
	bind := wire.AppendMessage(nil, wire.Bind, "\x00p\x00\x00\x00\x00\x00\x00\x00")
	execute := wire.AppendMessage(nil, wire.Execute, "\x00\x00\x00\x00\x00")
	sync := wire.AppendMessage(nil, wire.Sync)
	f.Add(join(query, query))
	f.Add(join(parse, bind, execute, sync))
	f.Add(join(parse, parse, bind, wire.AppendMessage(nil, wire.Flush), execute, query))
	f.Add(join(parse, wire.AppendMessage(nil, wire.Close, "Sp\x00"), bind, execute, sync, sync))
	f.Add(join(wire.AppendQuery(nil, "BEGIN"), query, wire.AppendQuery(nil, "INSERT INTO x DEFAULT VALUES"), wire.AppendQuery(nil, "COMMIT")))
	f.Add(join(wire.AppendMessage(nil, wire.FunctionCall, "\x00\x00\x00\x01"), wire.AppendMessage(nil, wire.CopyData, "x"), query))
	f.Add(join(wire.AppendQuery(nil, "BEGIN"), parse, bind, wire.AppendMessage(nil, wire.Terminate)))
	f.Add([]byte{'Q', 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{'P', 0, 0, 0, 4, 'S', 0, 0, 0, 4})
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	// What goes the fast way, and what nearly does.
	unnamed := wire.AppendMessage(nil, wire.Parse, "\x00SELECT x\x00\x00\x00")
	bound := wire.AppendMessage(nil, wire.Bind, "\x00\x00\x00\x00\x00\x00\x00\x00")
	f.Add(join(unnamed, bound, wire.AppendMessage(nil, wire.Describe, "P\x00"), execute, sync))
	f.Add(join(bound, execute, sync))
	f.Add(join(wire.AppendMessage(nil, wire.Parse), bound, execute, sync))
	f.Add(join(wire.AppendMessage(nil, wire.Bind), execute, sync))
	f.Add(join(unnamed, wire.AppendMessage(nil, wire.Bind, "\x00"), execute, sync))
	f.Add(join(unnamed, sync))
	primary := newFake(f, "primary", false)
	h := start(f, func(c *configs.Config) { c.Limits.MaxBuffered, c.Backends[0].Weight = 8<<10, 1 }, primary)
	f.Fuzz(func(t *testing.T, in []byte) {
		fuzzed(t, h, in, false)
		fuzzed(t, h, in, true)
	})
}

// FuzzServerBytes gives a session bytes of any kind from its server: whatever
// they are, the session ends and its connection is not used again.
func FuzzServerBytes(f *testing.F) {
	f.Add(join(columns1, row1, selected, idle), false)
	f.Add(join(failure("ERROR", "25006"), idle), true)
	f.Add(join(columns1, row1, failure("FATAL", "57P01")), true)
	f.Add(join(notice, notify, status("a", "b"), columns1, selected, idle), true)
	f.Add(join(wire.AppendMessage(nil, wire.CopyInResponse, "\x00\x00\x00"), selected, idle), false)
	f.Add(join(wire.AppendMessage(nil, wire.CopyOutResponse, "\x00\x00\x00"), wire.AppendMessage(nil, wire.CopyData, "x"),
		wire.AppendMessage(nil, wire.CopyDone), selected, idle), true)
	f.Add(wire.AppendMessage(nil, wire.ReadyForQuery), false)
	f.Add(long(wire.DataRow, 1000), true)
	f.Add(long(wire.RowDescription, 1<<29), true)
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), true)
	primary, standby := newFake(f, "primary", false), newFake(f, "standby", true)
	h := start(f, func(c *configs.Config) { c.Routing.LessonTTL = 0 }, primary, standby) // each read is to come to the standby
	f.Fuzz(func(t *testing.T, out []byte, read bool) {
		// Where reads came before it, the read is not planned before it is sent.
		for _, fast := range []bool{false, true}[:1+bit(read)] {
			answeredBy(t, h, primary, standby, out, read, fast)
		}
	})
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func answeredBy(t *testing.T, h *harness, primary, standby *fake, out []byte, read, fast bool) {
	target, sql := primary, "INSERT INTO x DEFAULT VALUES"
	if read {
		target, sql = standby, "SELECT x"
	}
	c := connectAs(t, h.addr, "u")
	if fast {
		c.goFast(sql)
	}
	target.scripted(on("", out, true))
	c.send(wire.AppendMessage(wire.AppendQuery(nil, sql), wire.Terminate))
	if _, err := c.readAll(); err != nil && !isReset(err) {
		t.Fatalf("the session does not end: %v", err)
	}
	target.scripted(nil)
	h.settled(t, 0)
	h.settled(t, 1)
	if log := h.log.String(); strings.Contains(log, "panic=") {
		t.Fatal(log)
	}
	d := connectAs(t, h.addr, "u")
	if got := d.query("SELECT y"); got != "T D(standby) C(SELECT 1) Z(I)" {
		t.Errorf("another session's read: %s", got)
	}
	if got := d.query("INSERT INTO y DEFAULT VALUES"); !strings.HasSuffix(got, "C(INSERT) Z(I)") {
		t.Errorf("another session's write: %s", got)
	}
	d.Close()
}
