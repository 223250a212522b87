package proxy_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/wire"
)

// guard fails the test if a server sees howdah's own name.
func guard(t *testing.T, fakes ...*fake) *atomic.Int64 {
	var seen atomic.Int64
	for _, f := range fakes {
		f.scripted(func(_ *fakeConn, _ byte, body []byte) answer {
			if strings.Contains(strings.ToLower(string(body)), "howdah") {
				seen.Add(1)
			}
			return pass
		})
	}
	return &seen
}

func TestOwnStatements(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, nil, primary, standby)
	seen := guard(t, primary, standby)
	c := connectAs(t, h.addr, "u")
	const onPrimary, onStandby = "T D(primary) C(SELECT 1) Z(I)", "T D(standby) C(SELECT 1) Z(I)"
	for _, step := range []struct{ sql, want string }{
		{"SHOW howdah.route", "T D(auto) C(SHOW) Z(I)"},
		{"SELECT 1", onStandby},
		{"SET howdah.route = 'primary'", "C(SET) Z(I)"},
		{"SHOW howdah.route", "T D(primary) C(SHOW) Z(I)"},
		{"SELECT 1", onPrimary},
		{"SET howdah.route = 'nonsense'", "E(ERROR 22023) Z(I)"},
		{"SET howdah.route = 'node:nobody'", "E(ERROR 22023) Z(I)"},
		{"SET howdah.route = 1, 2", "E(ERROR 22023) Z(I)"},
		{"SET howdah.rout = 'read'", "E(ERROR 42704) Z(I)"},
		{"SHOW howdah.rout", "E(ERROR 42704) Z(I)"},
		{"SELECT 1", onPrimary},
		{"RESET howdah.route", "C(RESET) Z(I)"},
		{"SELECT 1", onStandby},
		{"SET LOCAL howdah.route = 'primary'", "N(WARNING 25P01) C(SET) Z(I)"},
		{"SELECT 1", onStandby},
		{"SELECT set_config('howdah.route', 'node:primary', false)", "T D(node:primary) C(SELECT 1) Z(I)"},
		{"SELECT 1", onPrimary},
		{"SET howdah.route TO DEFAULT", "C(SET) Z(I)"},
		{"BEGIN", "C(BEGIN) Z(T)"},
		{"SET LOCAL howdah.route = 'primary'", "C(SET) Z(T)"},
		{"SELECT 1", "T D(primary) C(SELECT 1) Z(T)"},
		{"COMMIT", "C(COMMIT) Z(I)"},
		{"SELECT 1", onStandby},
		{"BEGIN", "C(BEGIN) Z(T)"},
		{"SET howdah.route = 'x'", "E(ERROR 22023) Z(E)"},
		{"SHOW howdah.route", "E(ERROR 25P02) Z(E)"},
		{"ROLLBACK", "C(ROLLBACK) Z(I)"},
		{"BEGIN", "C(BEGIN) Z(T)"},
		{"SELECT 1", "T D(standby) C(SELECT 1) Z(T)"},
		{"SET howdah.route = 'x'", "E(ERROR 22023) Z(E)"},
		{"SELECT 1", "E(ERROR 25P02) Z(E)"},
		{"COMMIT", "C(ROLLBACK) Z(I)"},
		{"SELECT 1", onStandby},
		{"SELECT 1; SHOW howdah.route", "E(ERROR 0A000) Z(I)"},
		{"EXPLAIN (HOWDAH) SELECT 1; SELECT 1", "E(ERROR 0A000) Z(I)"},
	} {
		if got := c.query(step.sql); got != step.want {
			t.Errorf("%s\ngot  %s\nwant %s", step.sql, got, step.want)
		}
	}
	if n := seen.Load(); n > 0 {
		t.Errorf("servers saw howdah's statements %d times", n)
	}
	// Among others it goes along, and counts.
	if got := c.query("SET howdah.route = 'primary'; SET a.b = 1"); !strings.HasPrefix(got, "C(SET)") {
		t.Errorf("among others: %s", got)
	}
	if got := c.query("SHOW howdah.route"); !strings.HasPrefix(got, "T D(") {
		t.Errorf("afterwards: %s", got)
	}
}

// parse, bind, … are extended messages of the statement name, or of the unnamed one.
func parse(name, sql string) []byte {
	return wire.AppendMessage(nil, wire.Parse, name, "\x00", sql, "\x00\x00\x00")
}
func bind(name string) []byte {
	return wire.AppendMessage(nil, wire.Bind, "\x00", name, "\x00\x00\x00\x00\x00\x00\x00")
}

var (
	describePortal = wire.AppendMessage(nil, wire.Describe, "P\x00")
	execute        = wire.AppendMessage(nil, wire.Execute, "\x00\x00\x00\x00\x00")
	syncUp         = wire.AppendMessage(nil, wire.Sync)
)

func describeStatement(name string) []byte {
	return wire.AppendMessage(nil, wire.Describe, "S", name, "\x00")
}

func TestOwnStatementsExtended(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, nil, primary, standby)
	seen := guard(t, primary, standby)
	c := connectAs(t, h.addr, "u")
	for _, step := range []struct {
		name  string
		parts [][]byte
		want  string
	}{
		{"set", [][]byte{parse("", "SET howdah.route = 'primary'"), bind(""), describePortal, execute, syncUp}, "1 2 n C(SET) Z(I)"},
		{"read", [][]byte{parse("", "SELECT 1"), bind(""), execute, syncUp}, "1 2 D(primary) C(SELECT 1) Z(I)"},
		{"show", [][]byte{parse("", "SHOW howdah.route"), bind(""), describePortal, execute, syncUp}, "1 2 T D(primary) C(SHOW) Z(I)"},
		{"prepare", [][]byte{parse("s", "SHOW howdah.route"), describeStatement("s"), syncUp}, "1 t T Z(I)"},
		{"prepare again", [][]byte{parse("s", "SHOW howdah.route"), syncUp}, "E(ERROR 42P05) Z(I)"},
		{"execute", [][]byte{bind("s"), execute, syncUp}, "2 D(primary) C(SHOW) Z(I)"},
		{"prepare reset", [][]byte{parse("r", "RESET howdah.route"), describeStatement("r"), syncUp}, "1 t n Z(I)"},
		{"execute both", [][]byte{bind("r"), execute, bind("s"), execute, syncUp}, "2 C(RESET) 2 D(auto) C(SHOW) Z(I)"},
		{"close", [][]byte{wire.AppendMessage(nil, wire.Close, "Ss\x00"), syncUp}, "3 Z(I)"},
		{"read again", [][]byte{parse("", "SELECT 1"), bind(""), execute, syncUp}, "1 2 D(standby) C(SELECT 1) Z(I)"},
		{"bad value", [][]byte{parse("", "SET howdah.route = 'x'"), bind(""), execute, syncUp}, "E(ERROR 22023) Z(I)"},
		{"show with another", [][]byte{parse("", "SHOW howdah.route"), bind(""), execute, parse("", "SELECT 1"), bind(""), execute, syncUp}, "E(ERROR 0A000) Z(I)"},
		{"explain with a parameter", [][]byte{parse("e", "EXPLAIN (HOWDAH) SELECT $1, $2"), describeStatement("e"), syncUp}, "1 t T Z(I)"},
	} {
		c.send(join(step.parts...))
		if got := c.answer(); got != step.want {
			t.Errorf("%s\ngot  %s\nwant %s", step.name, got, step.want)
		}
	}
	if n := seen.Load(); n > 0 {
		t.Errorf("servers saw howdah's statements %d times", n)
	}
}

func TestExplainOwn(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, nil, primary, standby)
	seen := guard(t, primary, standby)
	c := connectAs(t, h.addr, "u")
	for _, step := range []struct {
		sql  string
		want []string
	}{
		{"EXPLAIN (HOWDAH) SELECT lower(name) FROM pets", []string{"Route: read", "Node: standby", "Rule: drawn", "Relation pets", "Function lower", "transaction: none", "not drawn yet", "C(EXPLAIN) Z(I)"}},
		{"EXPLAIN (HOWDAH) INSERT INTO pets VALUES (1)", []string{"Route: primary", "Node: primary", "Rule: write", "INSERT"}},
		{"EXPLAIN (HOWDAH) SELECT f(1)", []string{"Route: primary", "Rule: unknown", "function f"}},
		{"/* howdah: route=read */ EXPLAIN (HOWDAH) SELECT f(1)", []string{"Route: read", "Rule: hint", "comment"}},
		{"EXPLAIN (HOWDAH) /* howdah: route=primary */ SELECT 1", []string{"Route: primary", "Rule: hint"}},
		{"SELECT 1", nil},
		{"EXPLAIN (HOWDAH) SELECT 1", []string{"Rule: kept", "read node: standby"}},
		{"SET howdah.route = 'primary'", nil},
		{"EXPLAIN (HOWDAH) SELECT 1", []string{"Rule: hint", "SET howdah.route", "Session howdah.route: primary"}},
		{"BEGIN", nil},
		{"INSERT INTO x DEFAULT VALUES", nil},
		{"EXPLAIN (HOWDAH) SELECT 1", []string{"Rule: standing decision", "transaction: open (on primary, bound to the primary)", "Z(T)"}},
	} {
		got := c.query(step.sql)
		for _, want := range step.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s\ngot %s\nwant %s in it", step.sql, got, want)
			}
		}
	}
	c.send(wire.AppendQuery(nil, "EXPLAIN (HOWDAH, FORMAT JSON) SELECT 1"))
	for {
		typ, msg, err := c.Next(1 << 20)
		if err != nil {
			t.Fatal(err)
		}
		if typ == wire.DataRow && !strings.Contains(string(msg), `{"route":"primary","node":"primary",`) {
			t.Errorf("as JSON: %s", msg)
		}
		if typ == wire.ReadyForQuery {
			break
		}
	}
	if n := seen.Load(); n > 0 {
		t.Errorf("servers saw howdah's statements %d times", n)
	}
}

func TestStartupRoute(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, nil, primary, standby)
	connect := func(params ...string) *client {
		c := dial(t, h.addr)
		c.send(startupPacket(append([]string{"user", "u"}, params...)...))
		return c
	}
	const ready = "R S(client_encoding=UTF8) S(server_version=15.0) S(standard_conforming_strings=on) K Z(I)"
	for _, params := range [][]string{{"howdah.route", "primary"}, {"options", "-c howdah.route=primary"}} {
		c := connect(params...)
		if got := c.answer(); !strings.HasSuffix(got, "Z(I)") {
			t.Fatalf("%q: %s, not %s", params, got, ready)
		}
		for _, step := range []struct{ sql, want string }{
			{"SELECT 1", "T D(primary) C(SELECT 1) Z(I)"},
			{"SET howdah.route = 'auto'", "C(SET) Z(I)"},
			{"SELECT 1", "T D(standby) C(SELECT 1) Z(I)"},
			{"RESET howdah.route", "C(RESET) Z(I)"},
			{"SHOW howdah.route", "T D(primary) C(SHOW) Z(I)"},
		} {
			if got := c.query(step.sql); got != step.want {
				t.Errorf("%q: %s: got %s, want %s", params, step.sql, got, step.want)
			}
		}
		c.Close()
		// The pool's connections are the same as without it.
		if s := h.settled(t, 0); s.Open != 1 {
			t.Errorf("%q: %d connections to the primary", params, s.Open)
		}
	}
	if got := connect("howdah.route", "nonsense").answer(); got != "E(FATAL 22023) EOF" {
		t.Errorf("a bad value: %s", got)
	}
}

func TestRedirectAtLoginAndLater(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, func(c *configs.Config) {
		c.Routing.Redirect = []configs.Redirect{{Match: "user", Pattern: "writer", Node: "primary", Ratio: 1}, {Match: "app", Pattern: "live", Node: "primary", Ratio: 1}}
	}, primary, standby)
	w := connectAs(t, h.addr, "writer")
	if got := w.query("SELECT 1"); got != "T D(primary) C(SELECT 1) Z(I)" {
		t.Errorf("redirected user: %s", got)
	}
	c := connectAs(t, h.addr, "u")
	if got := c.query("SELECT 1"); got != "T D(standby) C(SELECT 1) Z(I)" {
		t.Errorf("other user: %s", got)
	}
	primary.scripted(on("SET application_name", join(status("application_name", "live"), wire.AppendMessage(nil, wire.CommandComplete, "SET\x00"), idle), false))
	c.query("SET application_name = 'live'")
	if got := c.query("SELECT 1"); got != "T D(primary) C(SELECT 1) Z(I)" {
		t.Errorf("after SET application_name: %s", got)
	}
}

func TestAnnouncements(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, func(c *configs.Config) { c.Log.NoticePerNodeStatement, c.Log.PerNodeStatement = true, true }, primary, standby)
	c := connectAs(t, h.addr, "u")
	notices := func(request []byte) []string {
		t.Helper()
		c.send(request)
		var all []string
		for {
			typ, msg, err := c.Next(1 << 20)
			if err != nil {
				t.Fatal(err)
			}
			if typ == wire.NoticeResponse {
				all = append(all, string(wire.ErrorField(msg[wire.HeaderSize:], 'M')))
			}
			if typ == wire.ReadyForQuery {
				return all
			}
		}
	}
	expect := func(got []string, node int, texts ...string) {
		t.Helper()
		if len(got) != len(texts) {
			t.Fatalf("got %q, want %q", got, texts)
		}
		for i, text := range texts {
			var n, pid int
			if _, err := fmt.Sscanf(got[i], "DB node id: %d backend pid: %d statement:", &n, &pid); err != nil || n != node || pid == 0 || !strings.HasSuffix(got[i], " statement: "+text) {
				t.Errorf("got %q, want node %d and %q (%v)", got[i], node, text, err)
			}
		}
	}
	expect(notices(wire.AppendQuery(nil, "SELECT 1")), 1, "SELECT 1")
	expect(notices(wire.AppendQuery(nil, "INSERT INTO x VALUES ('literal')")), 0, "INSERT INTO x VALUES ('literal')")
	expect(notices(extendedQuery("SELECT $1")), 1, "Parse: SELECT $1", "Bind: SELECT $1", "Execute: SELECT $1")
	expect(notices(wire.AppendQuery(nil, "ALTER ROLE u PASSWORD 'hush'")), 0, "ALTER ROLE u PASSWORD 'hush'")
	var tried atomic.Int64
	standby.scripted(refuses("25006", &tried))
	got := notices(wire.AppendQuery(nil, "SELECT * FROM refused"))
	if len(got) != 2 || !strings.HasPrefix(got[0], "DB node id: 1 ") || !strings.HasPrefix(got[1], "DB node id: 0 ") {
		t.Errorf("a healed read: %q", got)
	}
	log := h.log.String()
	if !strings.Contains(log, "statement: INSERT INTO x VALUES ('literal')") || !strings.Contains(log, "DB node id: 0 backend pid: ") || strings.Contains(log, "hush") {
		t.Errorf("the log says\n%s", log)
	}
}
