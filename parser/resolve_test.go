package parser_test

import (
	"testing"

	"github.com/howdah/howdah/parser"
)

func rules(t testing.TB, readOnly, write, patterns []string) *parser.Rules {
	t.Helper()
	r, err := parser.NewRules(readOnly, write, patterns)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRules: what the operator says comes first, and nothing else is changed.
func TestRules(t *testing.T) {
	t.Parallel()
	r := rules(t, []string{"report_.*", "app.mine", "NEXTVAL"}, []string{"audit", "lower|upper", "report_reset"}, nil)
	env := parser.NewEnv(parser.Env{Rules: r})
	for _, c := range []struct {
		sql    string
		want   parser.Access
		reason string
	}{
		{"SELECT report_daily(1)", parser.AccessRead, ""},
		{"SELECT Report_Daily(1)", parser.AccessRead, ""},
		{"SELECT app.report_daily(1)", parser.AccessRead, ""},
		{"SELECT app.mine()", parser.AccessRead, ""},
		{"SELECT mine()", parser.AccessUnknown, "function mine"},
		{"SELECT other.mine()", parser.AccessUnknown, "function other.mine"},
		{"SELECT report_reset()", parser.AccessWrite, "function report_reset is in routing.functions.write"},
		{"SELECT nextval('s')", parser.AccessRead, ""},
		{"SELECT audit()", parser.AccessWrite, "function audit is in routing.functions.write"},
		{"SELECT lower('X')", parser.AccessWrite, "function lower is in routing.functions.write"},
		{"SELECT lowered('X')", parser.AccessUnknown, "function lowered"},
		{"SELECT initcap('X')", parser.AccessRead, ""},
		{"EXPLAIN SELECT audit()", parser.AccessWrite, "EXPLAIN of function audit is in routing.functions.write"},
		{"SELECT upper('x') FOR UPDATE", parser.AccessWrite, "FOR UPDATE"},
		{"SELECT report_daily(1), txid_current()", parser.AccessWrite, "function txid_current"},
		{"SELECT 1; SELECT audit(); SELECT 2", parser.AccessWrite, "function audit is in routing.functions.write"},
		{"COPY (SELECT report_daily(1)) TO STDOUT", parser.AccessRead, ""},
	} {
		v := parser.Resolve(parser.Classify(c.sql), env)
		if v.Access != c.want || v.Reason != c.reason {
			t.Errorf("%s: got %v (%s), want %v (%s)", c.sql, v.Access, v.Reason, c.want, c.reason)
		}
	}
}

func TestBadRules(t *testing.T) {
	t.Parallel()
	for _, lists := range [][3][]string{{{"a("}, nil, nil}, {nil, {"a)"}, nil}, {nil, nil, {"["}}} {
		if _, err := parser.NewRules(lists[0], lists[1], lists[2]); err == nil {
			t.Errorf("%q: no error", lists)
		}
	}
}

// TestPrimaryPatterns: the literal text counts, whatever the names mean.
func TestPrimaryPatterns(t *testing.T) {
	t.Parallel()
	r := rules(t, []string{"f"}, nil, []string{`tenant = '4[0-9]'`, `^\s*table`})
	env := parser.NewEnv(parser.Env{Rules: r})
	p := parser.New(parser.Options{})
	for range 3 { // the caches share a verdict among the texts
		for _, c := range []struct {
			sql  string
			want parser.Access
		}{
			{"SELECT f() FROM t WHERE TENANT = '42'", parser.AccessWrite},
			{"SELECT f() FROM t WHERE TENANT = '52'", parser.AccessRead},
			{"\n\nTABLE x", parser.AccessWrite},
			{"SELECT 1\nFROM t WHERE tenant = '49'", parser.AccessWrite},
			{"INSERT INTO t VALUES (1)", parser.AccessWrite},
		} {
			v := parser.Resolve(r.Judge(p.Verdict([]byte(c.sql)), []byte(c.sql)), env)
			if v.Access != c.want {
				t.Errorf("%s: got %v (%s), want %v", c.sql, v.Access, v.Reason, c.want)
			}
		}
	}
}

// TestResolveIsRemembered: the second answer is the first one, and free.
func TestResolveIsRemembered(t *testing.T) {
	v := parser.Classify("SELECT f(1), lower('x') FROM t WHERE a = 1")
	text := []byte("SELECT f(1), lower('x') FROM t WHERE a = 1")
	r := rules(t, []string{"f"}, nil, []string{"nothing", "lower"})
	var envs []*parser.Env
	for range 3 {
		envs = append(envs, parser.NewEnv(parser.Env{Rules: r}))
	}
	for _, env := range envs {
		first := parser.Resolve(v, env)
		if first == v || first.Access != parser.AccessRead || first.Statements[0].Kind != parser.KindSelect {
			t.Fatalf("got %+v", first)
		}
		if again := parser.Resolve(v, env); again != first {
			t.Error("resolved again")
		}
	}
	same := parser.Classify("SELECT a FROM t")
	if parser.Resolve(same, envs[0]) != same {
		t.Error("a verdict that nothing changes is not itself")
	}
	if raceDetector {
		return
	}
	if n := testing.AllocsPerRun(100, func() {
		for _, env := range envs {
			parser.Resolve(v, env)
			parser.Resolve(same, env)
			r.Judge(v, text)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestWaiting: while the catalogs are not known, only what no user can have
// defined is a read.
func TestWaiting(t *testing.T) {
	t.Parallel()
	env := parser.NewEnv(parser.Env{Waiting: true, Rules: rules(t, []string{"f"}, nil, nil)})
	for sql, want := range map[string]parser.Access{
		"SELECT 1":                     parser.AccessRead,
		"SELECT pg_catalog.lower('X')": parser.AccessRead,
		"SELECT lower('X')":            parser.AccessUnknown,
		"SELECT * FROM t":              parser.AccessUnknown,
		"SELECT f()":                   parser.AccessRead,
		"SELECT nextval('s')":          parser.AccessUnknown,
		"BEGIN":                        parser.AccessTransaction,
		"INSERT INTO t VALUES (1)":     parser.AccessWrite,
	} {
		if v := parser.Resolve(parser.Classify(sql), env); v.Access != want {
			t.Errorf("%s: got %v (%s), want %v", sql, v.Access, v.Reason, want)
		}
	}
}

func BenchmarkResolveKnown(b *testing.B) {
	v := parser.Classify("SELECT f(1), lower('x') FROM t WHERE a = 1")
	env := parser.NewEnv(parser.Env{Rules: rules(b, []string{"f"}, nil, nil)})
	b.ReportAllocs()
	for b.Loop() {
		parser.Resolve(v, env)
	}
}

func BenchmarkResolveNew(b *testing.B) {
	v := parser.Classify("SELECT f(1), lower('x') FROM t WHERE a = 1")
	r := rules(b, []string{"f"}, nil, nil)
	b.ReportAllocs()
	for b.Loop() {
		parser.Resolve(v, parser.NewEnv(parser.Env{Rules: r}))
	}
}
