package proxy

import (
	"testing"
	"time"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/parser"
)

// howdah.route follows transactions and savepoints like any other setting.
func TestRouteFollowsStatements(t *testing.T) {
	for _, tc := range []struct {
		name string
		sql  []string
		want string // what SHOW shows; with "L:" if it is SET LOCAL's
	}{
		{"nothing", nil, "auto"},
		{"set", []string{"SET howdah.route = 'primary'"}, "primary"},
		{"set again", []string{"SET howdah.route = 'primary'", "SET howdah.route = 'read'"}, "read"},
		{"failed", []string{"!SET howdah.route = 'primary'"}, "auto"},
		{"reset", []string{"SET howdah.route = 'primary'", "RESET howdah.route"}, "auto"},
		{"default", []string{"SET howdah.route = 'primary'", "SET howdah.route TO DEFAULT"}, "auto"},
		{"reset all", []string{"SET howdah.route = 'primary'", "RESET ALL"}, "auto"},
		{"discard all", []string{"SET howdah.route = 'primary'", "DISCARD ALL"}, "auto"},
		{"discard plans", []string{"SET howdah.route = 'primary'", "DISCARD PLANS"}, "primary"},
		{"set_config", []string{"SELECT set_config('howdah.route', 'node:a', false)"}, "node:a"},
		{"local outside of a block", []string{"SET LOCAL howdah.route = 'primary'"}, "auto"},
		{"local", []string{"BEGIN", "SET LOCAL howdah.route = 'primary'"}, "L:primary"},
		{"local set_config", []string{"BEGIN", "SELECT set_config('howdah.route', 'read', true)"}, "L:read"},
		{"local ends", []string{"BEGIN", "SET LOCAL howdah.route = 'primary'", "COMMIT"}, "auto"},
		{"local over set", []string{"SET howdah.route = 'read'", "BEGIN", "SET LOCAL howdah.route = 'primary'"}, "L:primary"},
		{"local over set ends", []string{"SET howdah.route = 'read'", "BEGIN", "SET LOCAL howdah.route = 'primary'", "COMMIT"}, "read"},
		{"set in a block is at once", []string{"BEGIN", "SET howdah.route = 'primary'"}, "primary"},
		{"set after local", []string{"BEGIN", "SET LOCAL howdah.route = 'primary'", "SET howdah.route = 'read'"}, "read"},
		{"set after local stays", []string{"BEGIN", "SET LOCAL howdah.route = 'primary'", "SET howdah.route = 'read'", "COMMIT"}, "read"},
		{"local after set", []string{"BEGIN", "SET howdah.route = 'read'", "SET LOCAL howdah.route = 'primary'", "COMMIT"}, "read"},
		{"local default", []string{"SET howdah.route = 'read'", "BEGIN", "SET LOCAL howdah.route TO DEFAULT"}, "L:auto"},
		{"rolled back", []string{"SET howdah.route = 'read'", "BEGIN", "SET howdah.route = 'primary'", "ROLLBACK"}, "read"},
		{"failed block", []string{"BEGIN", "SET howdah.route = 'primary'", "!SELECT 1/0", "COMMIT"}, "auto"},
		{"savepoint", []string{"BEGIN", "SET LOCAL howdah.route = 'read'", "SAVEPOINT s", "SET LOCAL howdah.route = 'primary'"}, "L:primary"},
		{"savepoint rolled back", []string{"BEGIN", "SET LOCAL howdah.route = 'read'", "SAVEPOINT s", "SET LOCAL howdah.route = 'primary'", "ROLLBACK TO s"}, "L:read"},
		{"savepoint released", []string{"BEGIN", "SAVEPOINT s", "SET howdah.route = 'primary'", "RELEASE s", "COMMIT"}, "primary"},
		{"reset all in a block", []string{"SET howdah.route = 'read'", "BEGIN", "SET LOCAL howdah.route = 'primary'", "RESET ALL"}, "auto"},
		{"reset all rolled back", []string{"SET howdah.route = 'read'", "BEGIN", "RESET ALL", "ROLLBACK"}, "read"},
		{"with others in one text", []string{"SET howdah.route = 'primary'; SET a.b = 1"}, "primary"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newLedger()
			for _, sql := range tc.sql {
				g.run(t, sql)
			}
			got := g.route()
			if g.in.Session.RouteLocal.Route != parser.RouteNone {
				got = "L:" + got
			}
			if got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if g.state.has(routeSetting) {
				t.Error("servers would get it")
			}
		})
	}
}

func TestStartupOptions(t *testing.T) {
	for _, tc := range []struct{ in, out, route string }{
		{"", "", ""},
		{"-c work_mem=1MB", "-c work_mem=1MB", ""},
		{"-c howdah.route=primary", "", "primary"},
		{"-chowdah.route=read", "", "read"},
		{"--howdah.route=node:a", "", "node:a"},
		{" -c  work_mem=1MB -c HOWDAH.Route=primary --jit=off ", "-c work_mem=1MB --jit=off", "primary"},
		{`-c a.b=x\ y\\ -c howdah.other=1`, `-c a.b=x\ y\\`, ""},
		{`-c howdah.route=pri\mary`, "", "primary"},
		{"-c", "-c", ""},
		{`-c a.b=howdah.x`, `-c a.b=howdah.x`, ""},
		{`-c howdah.route=a\`, "", "a"},
	} {
		var req startupRequest
		out := req.takeOwn(tc.in)
		route := ""
		if req.route != nil {
			route = *req.route
		}
		if out != tc.out || route != tc.route {
			t.Errorf("%q: got %q and route %q, want %q and %q", tc.in, out, route, tc.out, tc.route)
		}
	}
}

func TestRedirects(t *testing.T) {
	all, err := NewRedirects([]configs.Redirect{
		{Match: "app", Pattern: "report.*", Node: "pg2", Ratio: 1},
		{Match: "database", Pattern: "a|b", Node: "primary", Ratio: 0.25},
		{Match: "user", Pattern: "u", Node: "standby", Ratio: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		user, database, app string
		draw                float64
		want                string
	}{
		{"u", "a", "Reporting", 0.9, "node:pg2"}, // the first that matches, in any case
		{"x", "a", "my report", 0.2, "primary"},  // whole names
		{"u", "a", "", 0.25, ""},                 // a draw that fails does not go on to the next
		{"u", "ab", "", 0, "read"},
		{"U", "c", "", 0.99, "read"},
		{"x", "c", "", 0, ""},
	} {
		if got := all.Choose(tc.user, tc.database, tc.app, tc.draw).String(); got != tc.want {
			t.Errorf("%+v: got %q", tc, got)
		}
	}
	if _, err := NewRedirects([]configs.Redirect{{Pattern: "("}}); err == nil {
		t.Error("a bad pattern is accepted")
	}
}

func TestLessons(t *testing.T) {
	var ls lessons
	const ttl = time.Minute
	key := func(i int) uint64 { return ls.key(uint64(i)*0x2545f4914f6cdd1d, 1) }
	if ls.count.Load() != 0 || ls.has(key(1), 0) {
		t.Fatal("there are lessons at first")
	}
	if !ls.learn(key(1), 1, 100, ttl) || ls.learn(key(1), 1, 200, ttl) {
		t.Error("what is new is not told from what is known")
	}
	if ls.count.Load() != 1 || !ls.has(key(1), 200) || ls.has(key(2), 200) || ls.has(ls.key(1, 2), 200) {
		t.Error("a lesson is not what it was learned for")
	}
	if ls.has(key(1), 200+int64(ttl)) {
		t.Error("a lesson does not end")
	}
	ls.expire(200 + int64(ttl))
	if ls.count.Load() != 0 {
		t.Errorf("%d lessons are left after their time", ls.count.Load())
	}
	for i := range 100_000 {
		ls.learn(ls.key(uint64(i)*0x9e3779b97f4a7c15, uint64(i%2)), uint64(i%2), int64(i), ttl)
		if !ls.has(ls.key(uint64(i)*0x9e3779b97f4a7c15, uint64(i%2)), int64(i)) {
			t.Fatalf("lesson %d is lost at once", i)
		}
	}
	if n := ls.count.Load(); n > lessonSlots || n < lessonSlots/2 {
		t.Errorf("%d lessons are kept of 100,000", n)
	}
	ls.forget(0)
	half := ls.count.Load()
	if ls.forget(0); half == 0 || half == lessonSlots || half != ls.count.Load() {
		t.Errorf("%d lessons of the other database are left", half)
	}
	ls.forget(1)
	if n := ls.count.Load(); n != 0 {
		t.Errorf("%d lessons of no database are left", n)
	}
}

func TestCures(t *testing.T) {
	for code, want := range map[string]string{
		"25006": "read_only teaches", "0A000": "not_on_standby teaches", "55000": "recovery_state teaches",
		"55006": "recovery_state", "55P03": "recovery_state", "40001": "recovery_conflict", "40P01": "recovery_conflict",
		"57P01": "server_trouble", "57P04": "server_trouble", "53300": "server_trouble", "XX000": "server_trouble",
		"42P01": "missing_object", "57014": "", "22012": "", "42601": "", "23505": "", "25P02": "", "": "",
	} {
		c := cureOf(code, "")
		got := cureNames[c]
		if c.teaches(code) {
			got += " teaches"
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", code, got, want)
		}
	}
	if cureOf("0A000", "RevalidateCachedQuery") != cureNone {
		t.Error("a changed result type is cured")
	}
	for c := cureNone + 1; c < cures; c++ {
		if cureNames[c] == "" {
			t.Errorf("cure %d has no name", c)
		}
	}
}

func TestUnitsMergeHints(t *testing.T) {
	g := newLedger()
	for _, tc := range []struct {
		sql       []string
		hint      string
		trustable bool
	}{
		{[]string{"/*howdah: route=read*/SELECT 1", "/*howdah: route=read*/SELECT f(1)"}, "read", true},
		{[]string{"/*howdah: route=read*/SELECT f(1)", "/*howdah: route=primary*/SELECT 1"}, "primary", true},
		{[]string{"/*howdah: route=read*/SELECT f(1)", "SELECT 1"}, "", true},
		{[]string{"/*howdah: route=node:a*/SELECT 1", "/*howdah: route=node:b*/SELECT 1"}, "", false},
		{[]string{"SELECT f(1)", "INSERT INTO t VALUES (1)"}, "", false},
		{[]string{"SELECT f(1)", "SELECT 1", "SELECT g(1)"}, "", true},
		{[]string{"INSERT INTO t VALUES (1)", "SELECT f(1)"}, "", false},
	} {
		g.unit.reset()
		for _, sql := range tc.sql {
			g.unit.add(g.srv.parser.Verdict([]byte(sql)))
		}
		if v := g.unit.verdict; v.Hint.String() != tc.hint || v.Trustable != tc.trustable || v.Fingerprint != 0 {
			t.Errorf("%q: hint %q, trustable %v, fingerprint %d", tc.sql, v.Hint, v.Trustable, v.Fingerprint)
		}
	}
}

func TestPasswordsAreNotAnnounced(t *testing.T) {
	if !mentionsPassword("ALTER ROLE u PassWord 'x'") || mentionsPassword("SELECT 1") {
		t.Error("passwords are not found")
	}
}
