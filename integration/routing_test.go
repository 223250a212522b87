package integration_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// newRouting is a fixture with settings of routing; reads go to both standbys, which the
// tests' tables have reached.
func newRouting(t *testing.T, setup string, weights []float64, settings map[string]any) *fixture {
	t.Helper()
	f := &fixture{cluster: pgcluster.ForTest(t, pgcluster.Options{Standbys: 2})}
	f.exec(t, setup)
	f.server = howdahtest.Start(t, howdahtest.Options{Cluster: f.cluster, Weights: weights, Settings: settings})
	f.port = f.server.Port
	for i := 1; i <= 2; i++ {
		waitForLog(t, f.server, fmt.Sprintf(`node=node%d from=waiting to="up standby"`, i))
	}
	return f
}

func ask(t *testing.T, conn interface {
	QueryRow(context.Context, string, ...any) pgx.Row
}, sql string) int {
	t.Helper()
	var n int
	must(t, conn.QueryRow(t.Context(), sql).Scan(&n))
	return n
}

func run(t *testing.T, conn interface {
	Exec(context.Context, string, ...any) (pgconn.CommandTag, error)
}, sql string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql)
	must(t, err)
}

// TestOthersWritesAreSeen has a session read what another one wrote a moment ago,
// alone and in a block, while the standbys do not apply anything.
func TestOthersWritesAreSeen(t *testing.T) {
	t.Parallel()
	f := newRouting(t, `CREATE TABLE pets (n int); INSERT INTO pets VALUES (0); CREATE VIEW animals AS SELECT n FROM pets;
		CREATE TABLE rocks AS SELECT 0 AS n`,
		[]float64{0, 1, 1}, map[string]any{"routing.consistency": "cluster"})
	writer, reader, geologist := connect(t, f.server), connect(t, f.server), connect(t, f.server)
	f.readUntilOnStandbys(t, "SELECT n FROM pets", "pets")
	ask(t, geologist, "SELECT n FROM rocks")
	rocks := f.scans(t, 1, "rocks") + f.scans(t, 2, "rocks")
	for _, standby := range []int{1, 2} {
		must(t, f.cluster.PauseReplay(t.Context(), standby))
	}
	for i := 1; i <= 100; i++ {
		if i%2 == 0 {
			run(t, writer, fmt.Sprintf("UPDATE pets SET n = %d", i))
		} else {
			tx, err := writer.Begin(t.Context())
			must(t, err)
			run(t, tx, fmt.Sprintf("UPDATE pets SET n = %d", i))
			if got := ask(t, reader, "SELECT n FROM pets"); got != i-1 {
				t.Errorf("before COMMIT of %d another session reads %d", i, got)
			}
			must(t, tx.Commit(t.Context()))
		}
		for _, relation := range []string{"pets", "animals"} {
			if got := ask(t, reader, "SELECT n FROM "+relation); got != i {
				t.Fatalf("a session reads %d from %s, another has written %d", got, relation, i)
			}
		}
		ask(t, geologist, "SELECT n FROM rocks") // nobody writes them
	}
	must(t, geologist.Close(t.Context()))
	for _, standby := range []int{1, 2} {
		must(t, f.cluster.ResumeReplay(t.Context(), standby))
	}
	must(t, f.cluster.WaitReplay(t.Context(), 0))
	eventually(t, "reads on standbys of what nobody wrote", func() error {
		if away := f.scans(t, 1, "rocks") + f.scans(t, 2, "rocks") - rocks; away < 90 {
			return fmt.Errorf("%d of 100", away)
		}
		return nil
	})
	// When nobody writes any more, standbys serve again.
	f.readUntilOnStandbys(t, "SELECT n FROM pets", "pets")
}

// TestHiddenWritesAreSeen has a session read relations that another one's statements
// do not name and write all the same.
func TestHiddenWritesAreSeen(t *testing.T) {
	t.Parallel()
	f := newRouting(t, `CREATE TABLE owners (id int PRIMARY KEY); CREATE TABLE audits (n int); CREATE TABLE parents (id int PRIMARY KEY);
		CREATE TABLE children (id int REFERENCES parents ON DELETE CASCADE);
		INSERT INTO parents SELECT i FROM generate_series(1, 20) i; INSERT INTO children SELECT i FROM generate_series(1, 20) i;
		CREATE TABLE months (n int) PARTITION BY RANGE (n); CREATE TABLE january PARTITION OF months FOR VALUES FROM (0) TO (100);
		CREATE TABLE late (n int); CREATE TABLE rocks AS SELECT 0 AS n;
		CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO audits VALUES (1); RETURN NULL; END$$;
		CREATE TRIGGER audit AFTER INSERT ON owners FOR EACH ROW EXECUTE FUNCTION audit();
		CREATE VIEW masters AS SELECT id FROM owners`,
		[]float64{0, 1, 1}, map[string]any{"routing.consistency": "cluster"})
	writer, reader := connect(t, f.server), connect(t, f.server)
	f.readUntilOnStandbys(t, "SELECT n FROM rocks", "rocks")
	for _, standby := range []int{1, 2} {
		must(t, f.cluster.PauseReplay(t.Context(), standby))
	}
	for i := 1; i <= 20; i++ {
		for _, step := range []struct {
			write, read string
			want        int
		}{
			{fmt.Sprintf("INSERT INTO owners VALUES (%d)", i), "SELECT count(*) FROM audits", 2*i - 1},
			{fmt.Sprintf("INSERT INTO masters VALUES (%d)", 100+i), "SELECT count(*) FROM owners", 2 * i},
			{fmt.Sprintf("DELETE FROM parents WHERE id = %d", i), "SELECT count(*) FROM children", 20 - i},
			{fmt.Sprintf("INSERT INTO months VALUES (%d)", i), "SELECT count(*) FROM january", i},
		} {
			run(t, writer, step.write)
			if got := ask(t, reader, step.read); got != step.want {
				t.Fatalf("after %s another session's %s gives %d, want %d", step.write, step.read, got, step.want)
			}
		}
	}
	// A definition changes: what was plain is not any more.
	run(t, writer, "INSERT INTO late VALUES (1)")
	run(t, writer, "CREATE TRIGGER late AFTER INSERT ON late FOR EACH ROW EXECUTE FUNCTION audit()")
	run(t, writer, "INSERT INTO late VALUES (2)")
	if got := ask(t, reader, "SELECT count(*) FROM audits"); got != 41 {
		t.Errorf("%d audits, want 41", got)
	}
	for _, standby := range []int{1, 2} {
		must(t, f.cluster.ResumeReplay(t.Context(), standby))
	}
}

// readUntilOnStandbys has new sessions run the read until the standbys' statistics
// show it: servers publish statistics late, but at the end of a connection.
func (f *fixture) readUntilOnStandbys(t *testing.T, sql, table string) {
	t.Helper()
	before := f.scans(t, 1, table) + f.scans(t, 2, table)
	eventually(t, "a read of "+table+" on a standby", func() error {
		conn, err := pgx.Connect(t.Context(), f.dsn())
		if err != nil {
			return err
		}
		defer conn.Close(t.Context()) //nolint:errcheck // nothing depends on it
		var n int
		for range 5 {
			if err := conn.QueryRow(t.Context(), sql).Scan(&n); err != nil {
				return err
			}
		}
		if f.scans(t, 1, table)+f.scans(t, 2, table) == before {
			return errors.New("none yet")
		}
		return nil
	})
}

// TestLagLimits keeps reads off a standby that is too far behind, for as long as it is.
func TestLagLimits(t *testing.T) {
	t.Parallel()
	f := newRouting(t, "CREATE TABLE pets (n int); INSERT INTO pets VALUES (0); CREATE TABLE noise (x text)",
		[]float64{0, 1, 0}, map[string]any{"routing.consistency": "none", "replication_check.max_lag_bytes": "100kB"})
	reader := connect(t, f.server)
	f.readUntilOnStandbys(t, "SELECT n FROM pets", "pets")
	ask(t, reader, "SELECT n FROM pets") // it keeps node1
	must(t, f.cluster.PauseReplay(t.Context(), 1))
	must(t, f.cluster.Exec(t.Context(), 0, "postgres", "UPDATE pets SET n = 1; INSERT INTO noise SELECT repeat('x', 1000) FROM generate_series(1, 1000)"))
	waitForLog(t, f.server, "over replication_check.max_lag_bytes")
	for range 20 {
		if got := ask(t, reader, "SELECT n FROM pets"); got != 1 {
			t.Fatalf("a read over the limit of lag shows %d, want 1 as on the primary", got)
		}
	}
	must(t, f.cluster.ResumeReplay(t.Context(), 1))
	waitForLog(t, f.server, "node is within the limits of lag again")
	f.readUntilOnStandbys(t, "SELECT n FROM pets", "pets")
}

// TestPreferLowerLag moves the reads to the standby that keeps up.
func TestPreferLowerLag(t *testing.T) {
	t.Parallel()
	f := newRouting(t, "CREATE TABLE pets (n int); INSERT INTO pets VALUES (0)", []float64{0, 1, 1}, map[string]any{
		"routing.consistency": "none", "replication_check.max_lag": "200ms", "replication_check.prefer_lower_lag": true})
	reader := connect(t, f.server)
	ask(t, reader, "SELECT n FROM pets")
	must(t, f.cluster.PauseReplay(t.Context(), 1))
	must(t, f.cluster.Exec(t.Context(), 0, "postgres", "UPDATE pets SET n = 1"))
	waitForLog(t, f.server, "over replication_check.max_lag")
	before := f.scans(t, 0, "pets")
	for range 20 {
		if got := ask(t, reader, "SELECT n FROM pets"); got != 1 {
			t.Fatalf("a read shows %d, want 1 as on the standby that keeps up", got)
		}
	}
	must(t, f.server.Stop())
	if here := f.scans(t, 0, "pets") - before; here > 0 {
		t.Errorf("%d reads ran on the primary, want 0: a standby keeps up", here)
	}
	must(t, f.cluster.ResumeReplay(t.Context(), 1))
}

func waitForLog(t *testing.T, server *howdahtest.Server, word string) {
	t.Helper()
	eventually(t, "log "+word, func() error {
		if !strings.Contains(server.Log(), word) {
			return errors.New("not logged yet")
		}
		return nil
	})
}

// TestDMLAdaptive reads in a block that wrote: what it wrote on the primary, its own
// changes included, and the rest on a standby. The block ends as one.
func TestDMLAdaptive(t *testing.T) {
	t.Parallel()
	f := newRouting(t, `CREATE TABLE pets (n int); CREATE TABLE rocks AS SELECT i AS n FROM generate_series(1, 5) i;
		CREATE TABLE counts (n int); INSERT INTO counts VALUES (0);
		CREATE FUNCTION count_up() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN UPDATE counts SET n = n + 1; RETURN NULL; END$$;
		CREATE TRIGGER count_up AFTER INSERT ON pets FOR EACH ROW EXECUTE FUNCTION count_up()`,
		[]float64{0, 1, 1}, map[string]any{"routing.consistency": "none", "routing.after_write": "dml_adaptive",
			"routing.dml_dependencies": []string{"pets:counts"}})
	conn := connect(t, f.server)
	standbyScans := f.scans(t, 1, "rocks") + f.scans(t, 2, "rocks")
	written := 0
	for i, end := range []string{"COMMIT", "ROLLBACK", "COMMIT AND CHAIN", "COMMIT", "fail", "COMMIT"} {
		if i != 3 { // the chained block is open
			run(t, conn, "BEGIN")
		}
		run(t, conn, "INSERT INTO pets VALUES (1)")
		for range 3 {
			if got := ask(t, conn, "SELECT count(*) FROM rocks"); got != 5 {
				t.Errorf("block %d: %d rocks, want 5", i, got)
			}
			if got := ask(t, conn, "SELECT count(*) FROM pets"); got != written+1 {
				t.Errorf("block %d: %d pets, want %d and its own", i, got, written)
			}
			if got := ask(t, conn, "SELECT n FROM counts"); got != written+1 {
				t.Errorf("block %d: the trigger counted %d, want %d", i, got, written+1)
			}
		}
		if end == "fail" {
			var n int
			if err := conn.QueryRow(t.Context(), "SELECT 1 / (n - n) FROM rocks").Scan(&n); code(err) != "22012" {
				t.Errorf("division by zero on a standby: %v", err)
			}
			if _, err := conn.Exec(t.Context(), "INSERT INTO pets VALUES (2)"); code(err) != "25P02" {
				t.Errorf("a write in a block that failed on a standby: %v", err)
			}
			end = "COMMIT" // says ROLLBACK
		} else if end != "ROLLBACK" {
			written++
		}
		run(t, conn, end)
		if got := f.counter(t, 0, "SELECT count(*) FROM pets"); got != written {
			t.Fatalf("after %s of block %d the primary has %d pets, want %d", end, i, got, written)
		}
	}
	must(t, f.server.Stop())
	if away := f.scans(t, 1, "rocks") + f.scans(t, 2, "rocks") - standbyScans; away < 15 {
		t.Errorf("%d reads of what no block wrote ran on standbys, want at least 15", away)
	}
}

func code(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// TestBlockIsLostWithItsPrimary kills the primary under a block that wrote there and
// reads on a standby: what it wrote must not vanish silently.
func TestBlockIsLostWithItsPrimary(t *testing.T) {
	t.Parallel()
	f := newRouting(t, "CREATE TABLE pets (n int); CREATE TABLE rocks AS SELECT 1 AS n",
		[]float64{0, 1, 1}, map[string]any{"routing.consistency": "none", "routing.after_write": "dml_adaptive"})
	conn := connect(t, f.server)
	run(t, conn, "BEGIN")
	run(t, conn, "INSERT INTO pets VALUES (1)")
	ask(t, conn, "SELECT n FROM rocks")
	must(t, f.cluster.Kill(0))
	must(t, f.cluster.WaitGone(t.Context(), 0))
	_, err := conn.Exec(t.Context(), "INSERT INTO pets VALUES (2)")
	if code(err) != "40001" {
		t.Errorf("a write in a block whose first write was lost: %v, want SQLSTATE 40001", err)
	}
	must(t, f.cluster.StartNode(t.Context(), 0))
	run(t, conn, "ROLLBACK")
	if got := f.counter(t, 0, "SELECT count(*) FROM pets"); got != 0 {
		t.Errorf("%d pets, want 0", got)
	}
	run(t, conn, "INSERT INTO pets VALUES (3)")
}

// TestWeightZero connects no session to a standby of weight 0, whatever happens.
func TestWeightZero(t *testing.T) {
	t.Parallel()
	for _, choice := range []string{"weight", "least_connections", "fastest"} {
		t.Run(choice, func(t *testing.T) {
			f := newRouting(t, "CREATE TABLE pets (n int); INSERT INTO pets VALUES (1)",
				[]float64{0, 1, 0}, map[string]any{"routing.choice": choice, "routing.balance": "statement"})
			read := func() {
				conn, err := pgx.Connect(t.Context(), f.dsn())
				must(t, err)
				defer conn.Close(t.Context()) //nolint:errcheck // nothing depends on it
				for range 10 {
					ask(t, conn, "SELECT n FROM pets")
				}
			}
			for range 5 {
				read()
			}
			must(t, f.cluster.StopNode(1)) // the only node for reads
			for range 5 {
				read()
			}
			if got := f.value(t, 2, `SELECT coalesce(string_agg(application_name || ' ' || query, '; '), '') FROM pg_stat_activity
				WHERE backend_type = 'client backend' AND application_name NOT IN ('howdah probe', 'pgcluster')`); got != "" {
				t.Errorf("a standby of weight 0 has connections: %s", got)
			}
		})
	}
}

// TestStickiness counts on how many standbys a session's reads run.
func TestStickiness(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		balance string
		nodes   int
	}{{"session", 1}, {"transaction", 2}, {"statement", 2}} {
		t.Run(test.balance, func(t *testing.T) {
			f := newRouting(t, "CREATE TABLE pets (n int); INSERT INTO pets VALUES (1)",
				[]float64{0, 1, 1}, map[string]any{"routing.balance": test.balance, "routing.consistency": "none"})
			conn := connect(t, f.server)
			for range 20 {
				ask(t, conn, "SELECT n FROM pets")
				run(t, conn, "BEGIN")
				ask(t, conn, "SELECT n FROM pets")
				ask(t, conn, "SELECT n FROM pets")
				run(t, conn, "COMMIT")
			}
			must(t, f.server.Stop())
			nodes, total := 0, 0
			for i := 1; i <= 2; i++ {
				n := f.scans(t, i, "pets")
				total += n
				if n > 0 {
					nodes++
				}
			}
			if nodes != test.nodes || total != 60 {
				t.Errorf("%d reads ran on %d standbys, want 60 on %d", total, nodes, test.nodes)
			}
		})
	}
}
