package integration_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// leavings asks for all that a session might have left to the next one.
const leavings = `SELECT concat_ws(' ',
	'prepared', (SELECT count(*) FROM pg_prepared_statements), 'cursors', (SELECT count(*) FROM pg_cursors),
	'channels', (SELECT count(*) FROM pg_listening_channels()),
	'locks', (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
	'temp', (SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND pg_table_is_visible(oid)),
	'settings', current_setting('work_mem'), coalesce(nullif(current_setting('my.x', true), ''), 'none'), current_role)`

// TestResets: a connection is reset after a session that may have left anything on it, however hidden, and after no other.
func TestResets(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{Settings: map[string]string{"log_statement": "all"}})
	f := &fixture{cluster: cluster}
	f.server = howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: map[string]any{"pool.max_per_node": 1}})
	f.port = f.server.Port
	must(t, cluster.Exec(t.Context(), 0, "postgres", `
		CREATE TABLE t AS SELECT i AS a, 'x' || i AS b FROM generate_series(1, 10) i;
		CREATE SEQUENCE s; CREATE ROLE other; CREATE TABLE serial (id serial, a int);
		CREATE FUNCTION sets() RETURNS int LANGUAGE plpgsql AS 'begin perform set_config(''my.x'', ''left'', false); return 1; end';
		CREATE FUNCTION promises() RETURNS int STABLE LANGUAGE plpgsql AS 'begin perform set_config(''my.x'', ''left'', false); return 1; end';
		CREATE FUNCTION hides() RETURNS int LANGUAGE plpgsql AS 'declare r int; begin execute ''select s'' || ''ets()'' into r; return r; end';
		CREATE FUNCTION locks() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1 FROM pg_advisory_lock(7)';
		CREATE FUNCTION less(int, int) RETURNS bool LANGUAGE plpgsql AS 'begin perform set_config(''my.x'', ''left'', false); return true; end';
		CREATE OPERATOR <<<< (FUNCTION = less, LEFTARG = int, RIGHTARG = int);
		CREATE VIEW v AS SELECT sets() AS a; CREATE VIEW p AS SELECT promises() AS a;
		CREATE DOMAIN d AS int CHECK (promises() = 1)`))
	simple := func(t *testing.T) *pgx.Conn {
		t.Helper()
		config, err := pgx.ParseConfig(f.dsn())
		must(t, err)
		config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
		conn, err := pgx.ConnectConfig(t.Context(), config)
		must(t, err)
		return conn
	}
	session := func(t *testing.T, statements ...string) {
		t.Helper()
		conn := simple(t)
		defer conn.Close(context.Background())
		for _, sql := range statements {
			_, _ = conn.Exec(t.Context(), sql) // some are meant to fail
		}
	}
	ask := func(t *testing.T, sql string) (got string, err error) {
		t.Helper()
		conn := simple(t)
		defer conn.Close(context.Background())
		err = conn.QueryRow(t.Context(), sql).Scan(&got)
		return got, err
	}
	// resets is how often a connection was reset so far. There is one connection: who gets it knows that the
	// session before is over, and its reset.
	resets := func(t *testing.T) int {
		t.Helper()
		session(t, "SELECT 1")
		session(t, "SELECT 1")
		return strings.Count(cluster.Log(0), "statement: DISCARD ALL")
	}
	session(t, "SELECT 1")
	clean, err := ask(t, leavings)
	must(t, err)
	for _, c := range []struct {
		name       string
		statements []string
		reset      bool
	}{
		{"a read", []string{"SELECT b FROM t WHERE a = 3"}, false},
		{"nothing", nil, false},
		{"a transaction that reads", []string{"BEGIN", "SELECT count(*), now() FROM t", "SAVEPOINT x", "SELECT a FROM t", "ROLLBACK TO x", "COMMIT"}, false},
		{"a transaction left open", []string{"BEGIN", "SELECT a FROM t"}, false},
		{"a read that fails", []string{"SELECT a / 0 FROM t", "BEGIN", "SELECT a / 0 FROM t"}, false},

		{"a setting", []string{"SET work_mem = '5MB'"}, true},
		{"a setting of a block that stays open", []string{"BEGIN", "SET LOCAL work_mem = '5MB'"}, true},
		{"set_config", []string{"SELECT set_config('my.x', 'left', false)"}, true},
		{"set_config among reads", []string{"SELECT a FROM t", "SELECT set_config('my.x', b, false) FROM t", "SELECT a FROM t"}, true},
		{"a function that sets", []string{"SELECT sets()"}, true},
		{"a function that promises to read", []string{"SELECT promises()"}, true},
		{"a function that executes a text", []string{"SELECT hides()"}, true},
		{"a view", []string{"SELECT * FROM v"}, true},
		{"a view of a promise", []string{"SELECT * FROM p"}, true},
		{"an operator", []string{"SELECT 1 FROM t WHERE a <<<< 2"}, true},
		{"a domain", []string{"SELECT a::d FROM t"}, true},
		{"a role", []string{"SET ROLE other"}, true},
		{"a lock", []string{"SELECT pg_advisory_lock(1)"}, true},
		{"a lock of a statement that fails", []string{"SELECT pg_advisory_lock(a), 1 / (a - 2) FROM t"}, true},
		{"a lock in a function", []string{"SELECT locks()"}, true},
		{"LISTEN", []string{"LISTEN x"}, true},
		{"PREPARE", []string{"PREPARE x AS SELECT 1"}, true},
		{"a cursor", []string{"DECLARE c CURSOR WITH HOLD FOR SELECT a FROM t"}, true},
		{"a value of a sequence", []string{"SELECT nextval('s')"}, true},
		{"a value by default", []string{"INSERT INTO serial (a) VALUES (1)"}, true},
		{"what is no SQL", []string{"SELEKT"}, true},
		{"a string of statements", []string{"SELECT 1; SET work_mem = '5MB'; SELECT a FROM t"}, true},
	} {
		before := resets(t)
		session(t, c.statements...)
		if n := resets(t) - before; n != 0 != c.reset {
			t.Errorf("%s: %d resets", c.name, n)
		}
		if got, err := ask(t, leavings); err != nil || got != clean {
			t.Errorf("%s leaves %s (%v)", c.name, got, err)
		}
		if got, err := ask(t, "SELECT lastval()"); err == nil {
			t.Errorf("%s leaves the value %s", c.name, got)
		}
	}

	t.Run("prepared", func(t *testing.T) {
		before := resets(t)
		conn, err := pgx.Connect(t.Context(), f.dsn())
		must(t, err)
		if _, err := conn.Prepare(t.Context(), "mine", "SELECT a FROM t"); err != nil {
			t.Error(err)
		}
		must(t, conn.Close(t.Context()))
		if n := resets(t) - before; n == 0 {
			t.Error("not reset")
		}
		if got, err := ask(t, leavings); err != nil || got != clean {
			t.Errorf("leaves %s (%v)", got, err)
		}
	})
	t.Run("unnamed", func(t *testing.T) {
		before := resets(t)
		config, err := pgx.ParseConfig(f.dsn())
		must(t, err)
		config.DefaultQueryExecMode = pgx.QueryExecModeExec
		conn, err := pgx.ConnectConfig(t.Context(), config)
		must(t, err)
		var b string
		must(t, conn.QueryRow(t.Context(), "SELECT b FROM t WHERE a = $1", 3).Scan(&b))
		must(t, conn.Close(t.Context()))
		if n := resets(t) - before; n != 0 {
			t.Errorf("%d resets", n)
		}
	})
}

// TestOwnResetQuery: any reset query but the default is sent after each session.
func TestOwnResetQuery(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{Settings: map[string]string{"log_statement": "all"}})
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: map[string]any{"pool.max_per_node": 1, "pool.reset_query": "DISCARD ALL; SELECT 'mine'"}})
	f := &fixture{cluster: cluster, server: server, port: server.Port}
	for range 3 {
		conn, err := pgx.Connect(t.Context(), f.dsn())
		must(t, err)
		_, err = conn.Exec(t.Context(), "SELECT 1")
		must(t, err)
		must(t, conn.Close(t.Context()))
	}
	if n := strings.Count(cluster.Log(0), "statement: DISCARD ALL; SELECT 'mine'"); n < 2 { // of the last one nobody waits
		t.Errorf("sent %d times after three sessions", n)
	}
}
