package integration_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// nameSchema is what TestNames* use. Whatever writes does so at its every use, so
// that a standby would refuse it.
const nameSchema = `
CREATE SCHEMA app; CREATE SCHEMA other;
CREATE TABLE t (a int, b int); INSERT INTO t VALUES (1, 2);
CREATE SEQUENCE seq;
CREATE TABLE audit (a int);
CREATE FUNCTION reader(int) RETURNS int LANGUAGE plpgsql STABLE AS 'begin return (select count(*) from t) + $1; end';
CREATE FUNCTION writer(int) RETURNS int LANGUAGE plpgsql AS 'begin insert into audit values ($1); return $1; end';
CREATE FUNCTION sql_reader() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM t';
CREATE FUNCTION sql_writer() RETURNS bigint LANGUAGE sql AS 'SELECT nextval(''seq'')';
CREATE FUNCTION sql_atomic(x int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT a FROM t; SELECT x + 1; END;
CREATE FUNCTION sql_returns() RETURNS int LANGUAGE sql RETURN public.writer(1);
CREATE FUNCTION over(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION over(int, int) RETURNS int LANGUAGE plpgsql AS 'begin insert into audit values ($1); return $2; end';
CREATE FUNCTION app.pathed() RETURNS int LANGUAGE plpgsql AS 'begin insert into public.audit values (1); return 1; end';
CREATE FUNCTION other.pathed() RETURNS int LANGUAGE sql AS 'SELECT 2';
CREATE FUNCTION app.lower(int) RETURNS text LANGUAGE plpgsql AS 'begin insert into public.audit values (1); return $1; end';
CREATE AGGREGATE sum_up(int) (sfunc = over, stype = int);
CREATE VIEW plain AS SELECT a FROM t;
CREATE VIEW moving AS SELECT nextval('seq') AS n;
CREATE VIEW nested AS SELECT m.n FROM moving m JOIN t ON true;
CREATE UNLOGGED TABLE fast (a int);
CREATE VIEW of_fast AS SELECT a FROM fast;
CREATE TABLE parts (a int) PARTITION BY LIST (a);
CREATE TABLE part_plain PARTITION OF parts FOR VALUES IN (1);
CREATE UNLOGGED TABLE part_fast PARTITION OF parts FOR VALUES IN (2);
CREATE OPERATOR <+> (function = over, leftarg = int, rightarg = int);
CREATE FUNCTION plus(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
CREATE OPERATOR <-+> (function = plus, leftarg = int, rightarg = int);
CREATE TYPE coin AS (cents int);
CREATE FUNCTION to_coin(int) RETURNS coin LANGUAGE plpgsql AS 'declare c coin; begin insert into audit values ($1); c.cents := $1; return c; end';
CREATE CAST (int AS coin) WITH FUNCTION to_coin(int);
CREATE DOMAIN checked AS int CHECK (VALUE > 0);
CREATE DOMAIN logged AS int CHECK (writer(VALUE) > 0);
CREATE TABLE guarded (a int); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON guarded FOR SELECT USING (writer(a) > 0);
CREATE TABLE owned (a int, owner name); ALTER TABLE owned ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON owned USING (owner = current_user);
CREATE FUNCTION total(t) RETURNS int LANGUAGE plpgsql AS 'begin insert into audit values ($1.a); return $1.a; end';
CREATE FUNCTION allowed() RETURNS int LANGUAGE plpgsql AS 'begin return 1; end';
CREATE ROLE bob LOGIN; ALTER ROLE bob SET search_path = other, public;
GRANT ALL ON ALL TABLES IN SCHEMA public TO bob; GRANT USAGE ON SCHEMA app, other TO PUBLIC;
CREATE FUNCTION with_default(x bigint DEFAULT nextval('seq')) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT x';
CREATE SCHEMA secret; CREATE FUNCTION secret.pathed() RETURNS int LANGUAGE sql AS 'SELECT 3';
`

// namesFixture is a howdah with a debug log, in front of a cluster that has nameSchema.
type namesFixture struct {
	*testing.T
	cluster *pgcluster.Cluster
	server  *howdahtest.Server
}

// forVersion writes the bodies of SQL's standard, which are of PostgreSQL 14, as older servers know them.
func forVersion(schema string, major int) string {
	if major >= 14 {
		return schema
	}
	return strings.NewReplacer("BEGIN ATOMIC SELECT a FROM t; SELECT x + 1; END;", "AS 'SELECT a FROM t; SELECT x + 1';",
		"RETURN public.writer(1);", "AS 'SELECT public.writer(1)';").Replace(schema)
}

func newNames(t *testing.T, settings map[string]any) *namesFixture {
	t.Helper()
	cluster := pgcluster.ForTest(t, pgcluster.Options{Standbys: 1})
	major, err := cluster.Major(t.Context())
	must(t, err)
	must(t, cluster.Exec(t.Context(), 0, "postgres", forVersion(nameSchema, major)))
	must(t, cluster.WaitReplay(t.Context(), 0))
	all := map[string]any{"log.level": "debug", "routing.functions.read_only": []string{"allowed"}}
	for key, value := range settings {
		all[key] = value
	}
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Weights: []float64{0, 1}, Settings: all})
	eventually(t, "howdah to know the standby", func() error {
		if !strings.Contains(server.Log(), `node=node1 from=waiting to="up standby"`) {
			return errors.New("it does not")
		}
		return nil
	})
	return &namesFixture{T: t, cluster: cluster, server: server}
}

func (f *namesFixture) connect(user string, words ...string) *pgx.Conn {
	f.Helper()
	conn, err := pgx.Connect(f.Context(), f.server.DSN(user, "postgres", append([]string{"default_query_exec_mode=simple_protocol"}, words...)...))
	must(f.T, err)
	f.Cleanup(func() { conn.Close(f.Context()) }) //nolint:errcheck // may be closed by the test
	return conn
}

// run runs sql and returns howdah's words about it: the reason and detail of the decision.
func (f *namesFixture) run(conn *pgx.Conn, sql string) (reason, detail string) {
	f.Helper()
	from := len(f.server.Log())
	if _, err := conn.Exec(f.Context(), sql); err != nil {
		f.Errorf("%s: %v", sql, err)
	}
	mine := fmt.Sprintf("session=%d ", conn.PgConn().PID())
	for line := range strings.Lines(f.server.Log()[from:]) {
		switch {
		case !strings.Contains(line, mine):
		case strings.Contains(line, "a standby refused"):
			f.Errorf("%s: a standby refused it: %s", sql, line)
		case strings.Contains(line, "msg=routed"):
			_, rest, _ := strings.Cut(line, "reason=")
			reason, detail, _ = strings.Cut(rest, " detail=")
			reason = strings.Trim(reason, `"`)
			detail = strings.Trim(strings.TrimSpace(detail), `"`)
		}
	}
	return reason, detail
}

// wantRead runs what a standby may answer: only the horizon may send it to the primary.
func (f *namesFixture) wantRead(conn *pgx.Conn, sql string) {
	f.Helper()
	switch reason, detail := f.run(conn, sql); reason {
	case "kept", "drawn", "horizon":
	default:
		f.Errorf("%s: routed as %q (%s), want a read", sql, reason, detail)
	}
}

// wantPrimary runs what the primary must answer, for the reason that detail begins with.
func (f *namesFixture) wantPrimary(conn *pgx.Conn, sql, detail string) {
	f.Helper()
	reason, got := f.run(conn, sql)
	if reason != "write" && reason != "session state" && reason != "unknown" && reason != "pinned" || !strings.HasPrefix(got, detail) {
		f.Errorf("%s: routed as %q (%s), want the primary because of %s", sql, reason, got, detail)
	}
}

// eventuallyRead waits until knowledge is there again.
func (f *namesFixture) eventuallyRead(conn *pgx.Conn, sql string) {
	f.Helper()
	eventually(f.T, sql+" to be a read", func() error {
		if reason, detail := f.run(conn, sql); reason != "kept" && reason != "drawn" && reason != "horizon" {
			return fmt.Errorf("routed as %q (%s)", reason, detail)
		}
		return nil
	})
}

// TestNames: what names mean in a database decides where a statement goes.
func TestNames(t *testing.T) {
	t.Parallel()
	f := newNames(t, nil)
	conn := f.connect("postgres")
	for _, sql := range []string{
		"SELECT reader(1)", "SELECT public.reader(2) FROM t", "SELECT sql_reader()", "SELECT sql_atomic(1)",
		"SELECT over(1)", "SELECT sum(a), lower('X') FROM t", "SELECT * FROM plain", "SELECT 1 <-+> 2",
		"SELECT 1::checked", "SELECT * FROM owned", "SELECT t.a FROM t", "SELECT allowed()", "SELECT other.pathed()",
		"COPY (SELECT reader(1)) TO STDOUT", "SELECT * FROM part_plain", "WITH fast AS (SELECT 1) TABLE fast",
	} {
		f.wantRead(conn, sql)
	}
	for sql, why := range map[string]string{
		"SELECT writer(1)":                  "function public.writer: INSERT",
		"SELECT * FROM sql_writer()":        "function public.sql_writer: function nextval",
		"SELECT sql_returns()":              "function public.sql_returns: INSERT",
		"SELECT over(1, 2)":                 "function public.over: INSERT",
		"SELECT sum_up(a) FROM t":           "function public.sum_up: INSERT",
		"SELECT app.lower(1)":               "function app.lower: INSERT",
		"SELECT app.pathed()":               "function app.pathed: INSERT",
		"SELECT * FROM moving":              "view public.moving: function nextval",
		"SELECT n FROM nested":              "view public.nested: function nextval",
		"SELECT * FROM fast":                "unlogged table public.fast",
		"COPY fast TO STDOUT":               "unlogged table public.fast",
		"SELECT * FROM of_fast":             "view public.of_fast: unlogged table public.fast",
		"SELECT * FROM parts":               "table public.parts: unlogged table public.part_fast",
		"SELECT * FROM seq":                 "sequence public.seq",
		"SELECT 1 <+> 2":                    "operator public.<+>: INSERT",
		"SELECT 1::coin":                    "cast to public.coin: INSERT",
		"SELECT 2::logged":                  "type public.logged: INSERT",
		"SELECT * FROM guarded":             "row-level security of public.guarded: INSERT",
		"SELECT with_default()":             "function public.with_default: function nextval",
		"SELECT t.total FROM t":             "function public.total: INSERT",
		"EXPLAIN ANALYZE SELECT writer(2)":  "EXPLAIN of function public.writer: INSERT",
		"COPY (SELECT writer(3)) TO STDOUT": "function public.writer: INSERT",
	} {
		f.wantPrimary(f.connect("postgres"), sql, why)
	}
}

// TestNamesBySearchPath: the same text means another thing in another session.
func TestNamesBySearchPath(t *testing.T) {
	t.Parallel()
	f := newNames(t, nil)
	const sql = "SELECT pathed()"
	appFirst, otherFirst, bob := f.connect("postgres"), f.connect("postgres"), f.connect("bob")
	f.run(appFirst, "SET search_path = app, other, public")
	f.run(otherFirst, `SET search_path TO "other", APP`)
	for range 3 { // the sessions share the cached verdict
		f.wantPrimary(appFirst, sql, "function app.pathed: INSERT")
		f.wantRead(otherFirst, sql)
		f.wantRead(bob, sql) // by ALTER ROLE
	}
	f.run(bob, "SET search_path = secret, app") // the first he may not look into
	f.wantPrimary(bob, sql, "function app.pathed: INSERT")
	f.run(bob, "RESET search_path")
	f.wantPrimary(appFirst, "SELECT lower(1)", "function app.lower: INSERT")
	f.wantPrimary(appFirst, "SELECT lower('X')", "function app.lower: INSERT") // it might mean either
	f.wantRead(bob, "SELECT lower('X')")
	f.run(appFirst, "RESET search_path")
	f.wantRead(appFirst, "SELECT lower('X')")
	startup := f.connect("postgres", "options='-c search_path=app'")
	f.wantPrimary(startup, sql, "function app.pathed: INSERT")
	f.run(startup, "SELECT set_config('search_path', 'other', false)")
	f.wantRead(startup, sql)
	f.run(startup, "BEGIN")
	f.run(startup, "SET LOCAL search_path = app")
	f.wantPrimary(startup, sql, "function app.pathed: INSERT")
	f.run(startup, "COMMIT")
	f.wantRead(startup, sql)
	f.run(startup, "BEGIN")
	f.run(startup, "SET LOCAL search_path = app")
	f.run(startup, "SET LOCAL search_path TO DEFAULT")
	f.wantPrimary(startup, sql, "function app.pathed: INSERT")
	f.run(startup, "ROLLBACK")
	f.run(startup, "BEGIN")
	f.run(startup, "SET search_path = app")
	f.run(startup, "ROLLBACK")
	f.wantRead(startup, sql)
	f.run(startup, "DISCARD ALL")
	f.wantPrimary(startup, sql, "function app.pathed: INSERT")
}

// TestNamesChange: a definition that changes in one session is seen by the others at once.
func TestNamesChange(t *testing.T) {
	t.Parallel()
	f := newNames(t, nil)
	changer, other := f.connect("postgres"), f.connect("postgres")
	const replace = "CREATE OR REPLACE FUNCTION changing() RETURNS int LANGUAGE plpgsql %s AS 'begin %s return 1; end'"
	toReader := fmt.Sprintf(replace, "STABLE", "")
	toWriter := fmt.Sprintf(replace, "VOLATILE", "insert into audit values (1);")
	f.run(changer, toReader)
	for range 5 {
		f.eventuallyRead(other, "SELECT changing()")
		f.run(changer, toWriter)
		f.wantPrimary(other, "SELECT changing()", "") // a standby's refusal would be an error here
		f.run(changer, "BEGIN")
		f.run(changer, toReader)
		f.run(changer, "ROLLBACK")
		f.wantPrimary(other, "SELECT changing()", "")
		f.run(changer, "BEGIN; "+toReader+"; COMMIT")
	}
	// The same through the extended protocol, which commits at its Sync.
	f.eventuallyRead(other, "SELECT changing()")
	_, err := changer.Exec(t.Context(), toWriter, pgx.QueryExecModeDescribeExec)
	must(t, err)
	f.wantPrimary(other, "SELECT changing()", "")
	f.run(changer, toReader)
	f.eventuallyRead(other, "SELECT changing()")
	f.run(changer, "CREATE OR REPLACE VIEW plain AS SELECT nextval('seq')::int AS a")
	f.wantPrimary(other, "SELECT * FROM plain", "")
	f.run(changer, "ALTER TABLE t SET UNLOGGED")
	f.wantPrimary(other, "SELECT * FROM t", "")
	f.run(changer, "ALTER TABLE t SET LOGGED")
	f.eventuallyRead(other, "SELECT * FROM t")
	f.run(changer, "DO $$ begin execute 'alter table t set unlogged'; end $$")
	f.wantPrimary(other, "SELECT * FROM t", "")
}

// TestNamesByDefinition: what a definition tells needs no reading of the catalogs, and no more than it tells is believed.
func TestNamesByDefinition(t *testing.T) {
	t.Parallel()
	f := newNames(t, nil)
	changer, other, third := f.connect("postgres"), f.connect("postgres"), f.connect("postgres")
	f.wantRead(other, "SELECT * FROM t")
	for i := range 20 { // often, so that some come while the catalogs are read
		f.run(changer, fmt.Sprintf("CREATE FUNCTION told%d(int) RETURNS int LANGUAGE plpgsql AS 'begin return $1; end'", i))
		f.wantRead(other, fmt.Sprintf("SELECT told%d(1)", i))
		f.run(changer, fmt.Sprintf("CREATE VIEW shown%d AS SELECT told%[1]d(a) FROM t", i))
		f.wantRead(other, fmt.Sprintf("SELECT * FROM shown%d", i))
		f.run(changer, fmt.Sprintf("CREATE OR REPLACE FUNCTION told%d(int) RETURNS int LANGUAGE plpgsql AS 'begin insert into audit values (1); return $1; end'", i))
		// Who runs what is in doubt knows nothing any more until that is settled; so this is a session of its own.
		f.wantPrimary(third, fmt.Sprintf("SELECT told%d(1)", i), "")
		f.wantPrimary(third, fmt.Sprintf("SELECT * FROM shown%d", i), "")
	}
}

// TestNamesOfRemadeDatabase: of a database that was dropped and made again nothing is known by what its forerunner had.
func TestNamesOfRemadeDatabase(t *testing.T) {
	t.Parallel()
	f := newNames(t, nil)
	admin := f.connect("postgres")
	connect := func() *pgx.Conn {
		conn, err := pgx.Connect(t.Context(), f.server.DSN("postgres", "again", "default_query_exec_mode=simple_protocol"))
		must(t, err)
		return conn
	}
	f.run(admin, "CREATE DATABASE again")
	conn := connect()
	f.run(conn, "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'begin return 1; end'")
	f.eventuallyRead(conn, "SELECT f()")
	must(t, conn.Close(t.Context()))
	f.run(admin, "DROP DATABASE again WITH (FORCE)")
	f.run(admin, "CREATE DATABASE remade")
	must(t, f.cluster.Exec(t.Context(), 0, "remade", "CREATE TABLE t (a int); CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'begin insert into t values (1); return 1; end'"))
	f.run(admin, "ALTER DATABASE remade RENAME TO again")
	must(t, f.cluster.WaitReplay(t.Context(), 0))
	conn = connect()
	defer conn.Close(context.Background()) //nolint:errcheck // the server ends anyway
	f.wantPrimary(conn, "SELECT f()", "")
}

// TestNamesChangeElsewhere: howdah looks now and then whether something has changed.
func TestNamesChangeElsewhere(t *testing.T) {
	t.Parallel()
	f := newNames(t, map[string]any{"catalog.ttl": "200ms"})
	conn := f.connect("postgres")
	f.wantRead(conn, "SELECT reader(1)")
	must(t, f.cluster.Exec(t.Context(), 0, "postgres", "CREATE OR REPLACE FUNCTION reader(int) RETURNS int LANGUAGE plpgsql AS 'begin execute format(''select 1''); return 1; end'"))
	eventually(t, "reader to be a writer", func() error {
		if reason, detail := f.run(conn, "SELECT reader(1)"); reason != "write" {
			return fmt.Errorf("routed as %q (%s)", reason, detail)
		}
		return nil
	})
}

// TestNamesUnknown: what cannot be read is not guessed, and said once.
func TestNamesUnknown(t *testing.T) {
	t.Parallel()
	f := newNames(t, map[string]any{"catalog.size": 2000, "catalog.ttl": "100ms"})
	conn := f.connect("postgres")
	f.wantRead(conn, "SELECT * FROM t")
	f.wantPrimary(conn, "SELECT reader(1)", "function reader")
	f.wantRead(conn, "SELECT allowed()")
	if n := strings.Count(f.server.Log(), "raise catalog.size"); n != 1 {
		t.Errorf("howdah says %d times that the catalog is too large", n)
	}
	must(t, f.server.Reload(howdahtest.Options{Cluster: f.cluster, Weights: []float64{0, 1},
		Settings: map[string]any{"log.level": "debug", "routing.functions.write": []string{"sql_reader"}, "routing.primary_patterns": []string{"from t where a = 7"}}}))
	f.eventuallyRead(conn, "SELECT reader(1)")
	f.wantPrimary(conn, "SELECT sql_reader()", "function sql_reader is in routing.functions.write")
	f.wantPrimary(conn, "SELECT * FROM t WHERE a = 7", "routing.primary_patterns")
	f.wantRead(conn, "SELECT * FROM t WHERE a = 8")
}

// TestNamesOnLaggingStandby: a definition that a standby does not have yet is not used there.
func TestNamesOnLaggingStandby(t *testing.T) {
	t.Parallel()
	f := newNames(t, nil)
	changer, reader := f.connect("postgres"), f.connect("postgres")
	f.run(changer, "CREATE VIEW place AS SELECT pg_is_in_recovery() AS standby")
	must(t, f.cluster.WaitReplay(t.Context(), 0))
	eventually(t, "what the view does is known", func() error {
		if reason, detail := f.run(reader, "SELECT standby FROM place"); detail != "view public.place: function pg_is_in_recovery" {
			return fmt.Errorf("routed as %q (%s)", reason, detail)
		}
		return nil
	})
	must(t, f.cluster.PauseReplay(t.Context(), 1))
	f.run(changer, "CREATE OR REPLACE VIEW place AS SELECT false AS standby")
	check := func(conn *pgx.Conn) {
		var standby bool
		must(t, conn.QueryRow(t.Context(), "SELECT standby FROM place").Scan(&standby))
		if standby {
			t.Error("a standby answered by the old definition")
		}
	}
	for range 10 {
		fresh := f.connect("postgres") // it has written and seen nothing
		check(fresh)
		check(reader)
		must(t, fresh.Close(t.Context()))
	}
	f.eventuallyRead(reader, "SELECT standby FROM place") // on the primary, for its horizon
	must(t, f.cluster.ResumeReplay(t.Context(), 1))
	eventually(t, "the standby to serve it", func() error {
		if reason, _ := f.run(reader, "SELECT standby FROM place"); reason != "kept" && reason != "drawn" {
			return fmt.Errorf("routed as %q", reason)
		}
		return nil
	})
}

// TestNewDefaults: a session that begins after ALTER ROLE or ALTER DATABASE has changed
// search_path has the new one, and howdah knows it, though it pools connections from before.
func TestNewDefaults(t *testing.T) {
	t.Parallel()
	f := newNames(t, nil)
	must(t, f.cluster.Exec(t.Context(), 0, "postgres", "CREATE TABLE app.seq (last int); CREATE TABLE other.moving (n int); INSERT INTO other.moving VALUES (7)"))
	before := f.connect("postgres")
	f.wantPrimary(before, "SELECT * FROM moving", "view public.moving")
	for _, sql := range []string{"ALTER ROLE postgres SET search_path = other", "ALTER ROLE postgres RESET search_path", "BEGIN; ALTER DATABASE postgres SET search_path = other; COMMIT"} {
		must(t, f.connect("postgres").Close(t.Context())) // leaves a connection in the pool
		_, err := before.Exec(t.Context(), sql)
		must(t, err)
		after := f.connect("postgres")
		if strings.Contains(sql, "RESET") {
			f.wantPrimary(after, "SELECT * FROM moving", "view public.moving")
			continue
		}
		f.wantRead(after, "SELECT * FROM moving")
		if got := ask(t, after, "SELECT n FROM moving"); got != 7 {
			t.Errorf("after %s the new session reads %d", sql, got)
		}
	}
}
