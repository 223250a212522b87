package parser_test

import (
	"testing"

	"github.com/howdah/howdah/parser"
)

// TestTraceless: only what certainly leaves nothing behind is traceless. Whatever a user may have defined leaves something.
func TestTraceless(t *testing.T) {
	t.Parallel()
	env := envOf(t, "facts", `
		function app.f args=0 stable
		function app.whole args=1 row immutable
		function app.sets args=0 volatile: SELECT set_config('a.b', '1', false)
		function app.ruled args=0 volatile
		function app.lower args=1 immutable
		read_only app.ruled
		read_only upper
		view app.v: SELECT app.sets()
		table app.secret policies: SELECT (app.f() = 1)
		foreign app.elsewhere
		operator app.<+> function=app.f#0
		domain app.d base=text: SELECT (app.f() = 1)
	`)
	doubts := *env
	doubts.Doubtful = map[string]bool{"t": true}
	for _, c := range []struct {
		sql  string
		want bool
	}{
		{"SELECT 1", true},
		{"SELECT abalance FROM pgbench_accounts WHERE aid = 1", true},
		{"SELECT now(), random(), length(a || b) FROM t JOIN u ON t.id = u.id WHERE a LIKE 'x%' ORDER BY 1", true},
		{"SELECT count(*)::bigint FROM pg_catalog.pg_class", true},
		{"BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT a FROM t; COMMIT", true},
		{"SAVEPOINT a; ROLLBACK TO a; RELEASE a; ROLLBACK", true},
		{"WITH w AS (SELECT 1) SELECT * FROM w", true},

		{"", false},
		{"SELECT nextval('s')", false},
		{"SELECT currval('s')", false},
		{"SELECT lastval()", false},
		{"SELECT setseed(0.5)", false},
		{"SELECT set_config('work_mem', '1MB', false)", false},
		{"SELECT set_config('work_mem', '1MB', true)", false},
		{"SELECT pg_catalog.set_config($1, $2, $3)", false},
		{"SELECT pg_advisory_lock(1)", false},
		{"SELECT pg_try_advisory_lock(1)", false},
		{"SELECT pg_advisory_unlock_all()", false},
		{"SELECT query_to_xml('SET a.b = 1', true, true, '')", false},
		{"SELECT pg_notify('a', 'b')", false},
		{"SELECT a FROM t FOR UPDATE", false},
		{"SELECT a INTO u FROM t", false},
		{"SELECT a INTO TEMP u FROM t", false},
		{"INSERT INTO t VALUES (1)", false},
		{"UPDATE t SET a = 1", false},
		{"WITH w AS (INSERT INTO t VALUES (1) RETURNING a) SELECT * FROM w", false},
		{"SET work_mem = '1MB'", false},
		{"SET LOCAL work_mem = '1MB'", false},
		{"RESET ALL", false},
		{"DISCARD ALL", false},
		{"PREPARE p AS SELECT 1", false},
		{"EXECUTE p", false},
		{"DEALLOCATE p", false},
		{"DECLARE c CURSOR FOR SELECT 1", false},
		{"DECLARE c CURSOR WITH HOLD FOR SELECT 1", false},
		{"FETCH c", false},
		{"LISTEN a", false},
		{"UNLISTEN *", false},
		{"CREATE TEMP TABLE x (a int)", false},
		{"LOAD 'auto_explain'", false},
		{"DO $$ BEGIN END $$", false},
		{"CALL p()", false},
		{"PREPARE TRANSACTION 'x'", false},
		{"EXPLAIN ANALYZE SELECT app.f()", false},
		{"COPY t TO STDOUT", false},
		{"SHOW work_mem", false},
		{"SELECT 1; SET work_mem = '1MB'", false},
		{"nonsense", false},

		{"SELECT f()", false},
		{"SELECT app.sets()", false},
		{"SELECT other.f()", false},
		{"SELECT unknown(1)", false},
		{"SELECT ruled()", false},
		{"SELECT upper('x')", false},
		{"SELECT lower('x')", false},
		{"SELECT t.whole FROM t", false},
		{"SELECT * FROM v", false},
		{"SELECT * FROM nowhere.v", false},
		{"SELECT * FROM secret", false},
		{"SELECT * FROM elsewhere", false},
		{"SELECT 1 WHERE a <+> b", false},
		{"SELECT 'x'::d", false},
		{"SELECT d('x')", false},
	} {
		v := parser.Classify(c.sql)
		if got := parser.Resolve(v, env).Traceless; got != c.want {
			t.Errorf("%s: %v, want %v", c.sql, got, c.want)
		}
		for name, unknowing := range map[string]*parser.Env{
			"no knowledge": parser.NewEnv(parser.Env{}),
			"waiting":      parser.NewEnv(parser.Env{Waiting: true}),
		} {
			if v.Traceless || parser.Resolve(v, unknowing).Traceless {
				t.Errorf("%s: traceless with %s", c.sql, name)
			}
		}
	}
	if v := parser.Classify("SELECT a FROM t"); parser.Resolve(v, parser.NewEnv(doubts)).Traceless {
		t.Error("a doubtful name is traceless")
	}
	implicit := envOf(t, "facts", `
		function app.f args=1 immutable
		cast app.x function=app.f#1 implicit
	`)
	if v := parser.Classify("SELECT a FROM t"); parser.Resolve(v, implicit).Traceless {
		t.Error("traceless although a cast of a user's may happen")
	}
}
