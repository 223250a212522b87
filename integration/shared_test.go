package integration_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// What programs and drivers do works as well where sessions share connections: poolMode
// goes by the tests' names.
func TestPgxShared(t *testing.T)                     { TestPgx(t) }
func TestPgxListensShared(t *testing.T)              { TestPgxListens(t) }
func TestLibPqShared(t *testing.T)                   { TestLibPq(t) }
func TestLibPqListensShared(t *testing.T)            { TestLibPqListens(t) }
func TestDriversOfOtherLanguagesShared(t *testing.T) { TestDriversOfOtherLanguages(t) }
func TestPgbenchShared(t *testing.T)                 { TestPgbench(t) }
func TestTemporaryTablesShared(t *testing.T)         { TestTemporaryTables(t) }
func TestSessionsAreApartShared(t *testing.T)        { TestSessionsAreApart(t) }

// newShared is a fixture where at most connections server connections to a node serve all.
func newShared(t *testing.T, connections int, settings map[string]any) *fixture {
	t.Helper()
	cluster := pgcluster.ForTest(t, pgcluster.Options{Standbys: 2})
	all := map[string]any{"pool.mode": "transaction", "pool.max_per_node": connections}
	for key, value := range settings {
		all[key] = value
	}
	f := &fixture{cluster: cluster}
	f.server = howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Weights: []float64{0, 1, 1}, Settings: all})
	f.port = f.server.Port
	return f
}

// TestManyOnFewConnections has many sessions, each with settings and prepared statements
// of its own, share four connections to each server.
func TestManyOnFewConnections(t *testing.T) {
	t.Parallel()
	const connections, sessions, rounds = 4, 40, 60
	f := newShared(t, connections, nil)
	f.exec(t, "CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL); INSERT INTO counters SELECT i, 0 FROM generate_series(1, 40) i")
	for i := 1; i <= 3; i++ {
		f.exec(t, fmt.Sprintf("CREATE SCHEMA s%d; CREATE TABLE s%d.here (name text); INSERT INTO s%d.here VALUES ('s%d')", i, i, i, i))
	}
	g, ctx := errgroup.WithContext(t.Context())
	for i := 1; i <= sessions; i++ {
		g.Go(func() error { return manyOnFew(ctx, f.dsn(), i, rounds) })
	}
	g.Go(func() error { return countConnections(ctx, f, connections) })
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if sum := f.counter(t, 0, "SELECT sum(n) FROM counters"); sum != sessions*rounds {
		t.Errorf("%d increments, want %d", sum, sessions*rounds)
	}
}

// countConnections looks, for a while, whether there are more connections to a server
// than are allowed; four more are howdah's own.
func countConnections(ctx context.Context, f *fixture, limit int) error {
	over := 0
	for range 20 {
		for node := range 3 {
			v, err := f.cluster.Value(ctx, node, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' "+
				"AND application_name <> 'pgcluster' AND application_name NOT LIKE 'howdah%'")
			if err != nil {
				return err
			}
			var n int
			if _, err := fmt.Sscan(v, &n); err != nil {
				return err
			}
			if n <= limit {
				continue
			}
			if over++; over > 5 { // a backend may take its time to end
				return fmt.Errorf("node %d has %s connections, want at most %d", node, v, limit)
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil
}

func manyOnFew(ctx context.Context, dsn string, number, rounds int) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background()) //nolint:errcheck // it has done its work
	schema, zone := fmt.Sprintf("s%d", number%3+1), []string{"Asia/Tokyo", "Europe/Paris", "America/Lima"}[number%3]
	for _, sql := range []string{"SET search_path = " + schema + ", public", "SET timezone = '" + zone + "'", fmt.Sprintf("SET my.number = %d", number)} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	for range rounds {
		var got, where, mine string
		if err := conn.QueryRow(ctx, "SELECT name, current_setting('timezone'), current_setting('my.number') FROM here").Scan(&got, &where, &mine); err != nil {
			return fmt.Errorf("session %d: %w", number, err)
		}
		if got != schema || where != zone || mine != fmt.Sprint(number) {
			return fmt.Errorf("session %d of %s in %s is taken for %s of %s in %s", number, schema, zone, mine, got, where)
		}
		if err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			var n int
			if err := tx.QueryRow(ctx, "SELECT n FROM counters WHERE id = $1 FOR UPDATE", number).Scan(&n); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "UPDATE counters SET n = $2 WHERE id = $1", number, n+1)
			return err
		}); err != nil {
			return fmt.Errorf("session %d: %w", number, err)
		}
		if rand.IntN(4) == 0 { // a literal in the text: statements without end
			var n int
			want := rand.IntN(10_000)
			if err := conn.QueryRow(ctx, fmt.Sprintf("SELECT %d", want)).Scan(&n); err != nil || n != want {
				return fmt.Errorf("session %d: %d for %d, %w", number, n, want, err)
			}
		}
	}
	return nil
}

// TestSharedKeeps: what a session has on its connection stays with it while others work.
func TestSharedKeeps(t *testing.T) {
	t.Parallel()
	f := newShared(t, 3, map[string]any{"pool.wait_timeout": "1s"})
	ctx := t.Context()
	open := func() *pgx.Conn {
		conn, err := pgx.Connect(ctx, f.dsn("default_query_exec_mode=simple_protocol"))
		must(t, err)
		t.Cleanup(func() { conn.Close(context.Background()) })
		return conn
	}
	others := []*pgx.Conn{open(), open(), open()}
	disturb := func() {
		t.Helper()
		for _, o := range others {
			_, err := o.Exec(ctx, "SELECT txid_current()")
			must(t, err)
		}
	}
	value := func(c *pgx.Conn, sql string) (v string) {
		t.Helper()
		must(t, c.QueryRow(ctx, sql).Scan(&v))
		return v
	}
	for _, tc := range []struct{ name, make, ask, want, end string }{
		{"temporary table", "CREATE TEMP TABLE mine AS SELECT 7 AS n", "SELECT n::text FROM mine", "7", "DROP TABLE mine"},
		{"advisory lock", "SELECT pg_advisory_lock(7)", "SELECT pg_advisory_unlock(7)::text", "true", "SELECT 1"},
		{"cursor", "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 8::text; COMMIT", "FETCH c", "8", "CLOSE c"},
		{"prepared", "PREPARE p AS SELECT 9::text", "EXECUTE p", "9", "DEALLOCATE p"},
		{"opaque setting", "SELECT set_config('my.opaque', (SELECT 'x'), false)", "SELECT current_setting('my.opaque')", "x", "DISCARD ALL"},
	} {
		c := open()
		_, err := c.Exec(ctx, tc.make)
		must(t, err)
		disturb()
		if got := value(c, tc.ask); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
		// With the three that are left nothing is kept any more, so that each may have its own.
		_, err = c.Exec(ctx, tc.end)
		must(t, err)
		for _, o := range append([]*pgx.Conn{c}, others[:2]...) {
			_, err := o.Exec(ctx, "BEGIN; SELECT txid_current()")
			if err != nil {
				t.Errorf("after %s (%s) a connection is missing: %v", tc.name, tc.end, err)
			}
		}
		for _, o := range append([]*pgx.Conn{c}, others[:2]...) {
			_, err := o.Exec(ctx, "ROLLBACK")
			must(t, err)
		}
	}
}

// TestSharedSequences: lastval() is the session's own or none, never another's.
func TestSharedSequences(t *testing.T) {
	t.Parallel()
	f := newShared(t, 10, nil)
	f.exec(t, "CREATE TABLE numbered (id serial, who int)")
	ctx := t.Context()
	var asked, none int
	conns := make([]*pgx.Conn, 8)
	for i := range conns {
		var err error
		conns[i], err = pgx.Connect(ctx, f.dsn())
		must(t, err)
		defer conns[i].Close(ctx) //nolint:errcheck // the test is over
	}
	for range 300 {
		i := rand.IntN(len(conns))
		var id, last int
		must(t, conns[i].QueryRow(ctx, "INSERT INTO numbered (who) VALUES ($1) RETURNING id", i).Scan(&id))
		if j := rand.IntN(len(conns)); j != i {
			_, err := conns[j].Exec(ctx, "INSERT INTO numbered (who) VALUES ($1)", j)
			if sqlState(err) == "53300" {
				t.Fatal(err)
			}
			must(t, err)
		}
		asked++
		switch err := conns[i].QueryRow(ctx, "SELECT lastval()").Scan(&last); {
		case sqlState(err) == "55000":
			none++
		case err != nil:
			t.Fatal(err)
		case last != id:
			t.Fatalf("lastval() is %d after %d", last, id)
		}
	}
	if none > 10 {
		t.Errorf("%d of %d times there was no value", none, asked)
	}
}

// TestStatementMode refuses blocks, and goes on.
func TestStatementMode(t *testing.T) {
	t.Parallel()
	f := newShared(t, 2, map[string]any{"pool.mode": "statement"})
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, f.dsn())
	must(t, err)
	defer conn.Close(ctx) //nolint:errcheck // the test is over
	for _, sql := range []string{"BEGIN", "START TRANSACTION", "SELECT 1; BEGIN; SELECT 2"} {
		if _, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); sqlState(err) != "0A000" {
			t.Errorf("%s: got %v", sql, err)
		}
	}
	if _, err := conn.Begin(ctx); sqlState(err) != "0A000" {
		t.Errorf("got %v", err)
	}
	_, err = conn.Exec(ctx, "SELECT 1")
	must(t, err)
}

// Clients of different names share a connection, and each has its own name, also after it has reset its settings.
func TestApplicationNames(t *testing.T) {
	t.Parallel()
	for mode, settings := range map[string]map[string]any{
		"shared":       {"pool.mode": "transaction", "pool.max_per_user": 1},
		"with address": {"pool.mode": "transaction", "pool.max_per_user": 1, "pool.application_name_add_host": true},
		"session":      {"pool.application_name_add_host": true},
		"server pids":  {"pool.application_name_add_host": true, "pool.backend_pids": "server"},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			cluster := pgcluster.ForTest(t, pgcluster.Options{})
			server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: settings})
			names := map[string]*pgx.Conn{}
			for _, name := range []string{"a", "it's b"} {
				config, err := pgx.ParseConfig(server.DSN("postgres", "postgres"))
				must(t, err)
				config.RuntimeParams["application_name"] = name
				config.DefaultQueryExecMode = pgx.QueryExecModeExec // DISCARD ALL ends prepared statements
				conn, err := pgx.ConnectConfig(t.Context(), config)
				must(t, err)
				defer conn.Close(t.Context())
				if told := conn.PgConn().ParameterStatus("application_name"); !strings.HasPrefix(told, name) {
					t.Errorf("at its login %q was told %q", name, told)
				}
				var pid uint32
				must(t, conn.QueryRow(t.Context(), "SELECT pg_backend_pid()").Scan(&pid))
				if own := conn.PgConn().PID(); (own == pid) != (mode == "server pids") {
					t.Errorf("the process id is %d, the client was told %d", pid, own)
				}
				names[name] = conn
			}
			for _, before := range []string{"SELECT 1", "SET application_name = 'other'; RESET application_name", "RESET ALL", "DISCARD ALL", "BEGIN; RESET ALL; COMMIT"} {
				for name, conn := range names {
					if strings.Contains(before, ";") {
						_, err := conn.PgConn().Exec(t.Context(), before).ReadAll()
						must(t, err)
					} else if _, err := conn.Exec(t.Context(), before); err != nil {
						t.Fatal(err)
					}
					var shown, known string
					must(t, conn.QueryRow(t.Context(), "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()").Scan(&shown))
					must(t, conn.QueryRow(t.Context(), "SHOW application_name").Scan(&known))
					want := name
					if mode != "shared" {
						want += " - 127.0.0.1:"
					}
					told := conn.PgConn().ParameterStatus("application_name")
					if known != shown || told != shown || !strings.HasPrefix(shown, want) || mode == "shared" && shown != want {
						t.Errorf("after %s: pg_stat_activity has %q, SHOW says %q, ParameterStatus %q, want %q", before, shown, known, told, want)
					}
				}
			}
		})
	}
}
