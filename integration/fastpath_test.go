package integration_test

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/howdah/howdah/integration/howdahtest"
)

// reader is a session that reads the same again and again, so that its reads need not be planned, and one that looks on.
type reader struct {
	t         *testing.T
	f         *fixture
	conn, eye *pgx.Conn
}

func newReader(t *testing.T, f *fixture) *reader {
	t.Helper()
	r := &reader{t: t, f: f}
	for _, c := range []**pgx.Conn{&r.conn, &r.eye} {
		var err error
		*c, err = pgx.Connect(t.Context(), f.dsn("default_query_exec_mode=simple_protocol"))
		must(t, err)
		t.Cleanup(func() { (*c).Close(context.Background()) })
	}
	return r
}

// rows asks howdah for a table of text.
func (r *reader) rows(sql string) [][]string {
	r.t.Helper()
	results, err := r.eye.PgConn().Exec(r.t.Context(), sql).ReadAll()
	must(r.t, err)
	var all [][]string
	for _, row := range results[0].Rows {
		var texts []string
		for _, v := range row {
			texts = append(texts, string(v))
		}
		all = append(all, texts)
	}
	return all
}

// stat is one of howdah's counters.
func (r *reader) stat(name string) int {
	r.t.Helper()
	for _, row := range r.rows("SHOW howdah.stats") {
		if row[0] == name {
			n, err := strconv.Atoi(row[1])
			must(r.t, err)
			return n
		}
	}
	r.t.Fatalf("there is no counter %s", name)
	return 0
}

// selects is how many SELECTs the primary has completed.
func (r *reader) selects() int {
	r.t.Helper()
	results, err := r.eye.PgConn().Exec(r.t.Context(), "SHOW pool_backend_stats").ReadAll()
	must(r.t, err)
	for i, column := range results[0].FieldDescriptions {
		if column.Name == "select_cnt" {
			n, err := strconv.Atoi(string(results[0].Rows[0][i]))
			must(r.t, err)
			return n
		}
	}
	r.t.Fatal("there is no column select_cnt")
	return 0
}

func (r *reader) read(sql string) {
	r.t.Helper()
	_, err := r.conn.Exec(r.t.Context(), sql)
	must(r.t, err)
}

// goFast reads until reads are not planned any more.
func (r *reader) goFast(sql string) {
	r.t.Helper()
	eventually(r.t, "a read that is not planned", func() error {
		before := r.stat("fast_reads")
		for range 20 {
			r.read(sql)
		}
		if r.stat("fast_reads") < before+5 {
			return fmt.Errorf("%d before, %d after 20 reads", before, r.stat("fast_reads"))
		}
		return nil
	})
}

// wantOn fails unless the next read runs where it should, at the first try.
func (r *reader) wantOn(primary bool, sql, why string) {
	r.t.Helper()
	selects, healed := r.selects(), r.stat("healed_read_only")+r.stat("healed_missing_object")+r.stat("healed_not_on_standby")
	r.read(sql)
	if got := r.selects() > selects; got != primary {
		r.t.Errorf("%s: the read was on the primary: %t", why, got)
	}
	if now := r.stat("healed_read_only") + r.stat("healed_missing_object") + r.stat("healed_not_on_standby"); now != healed {
		r.t.Errorf("%s: the read was tried on a standby first", why)
	}
}

// comesBack waits until reads are a standby's again, when it has shown what the session has seen on the primary.
func (r *reader) comesBack(sql string) {
	r.t.Helper()
	eventually(r.t, "a read on a standby", func() error {
		before := r.selects()
		if r.read(sql); r.selects() > before {
			return fmt.Errorf("the primary served it")
		}
		return nil
	})
}

// TestFastReadsLookAgain: what changes without a unit of the session's own counts for its next read, though that is not planned.
func TestFastReadsLookAgain(t *testing.T) {
	t.Parallel()
	fastReadsLookAgain(t, newFixture(t))
}

// TestFastReadsLookAgainShared is the same where each read borrows a connection.
func TestFastReadsLookAgainShared(t *testing.T) {
	t.Parallel()
	fastReadsLookAgain(t, newFixture(t))
}

func fastReadsLookAgain(t *testing.T, f *fixture) {
	t.Helper()
	f.readings(t)
	f.exec(t, `CREATE FUNCTION counts(i int) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM readings WHERE id <= i';
		CREATE TABLE counted (i int)`)
	r := newReader(t, f)

	t.Run("definition", func(t *testing.T) {
		r.t = t
		const sql = "SELECT counts(%d)"
		r.goFast(fmt.Sprintf(sql, 7))
		r.wantOn(false, fmt.Sprintf(sql, 8), "before")
		_, err := r.eye.Exec(t.Context(), `CREATE OR REPLACE FUNCTION counts(i int) RETURNS bigint LANGUAGE sql VOLATILE
			AS 'INSERT INTO counted VALUES (i); SELECT count(*) FROM counted'`)
		must(t, err)
		r.wantOn(true, fmt.Sprintf(sql, 9), "after the function writes")
		if got := f.value(t, 0, "SELECT string_agg(i::text, ',') FROM counted"); got != "9" {
			t.Errorf("counted %s, want 9 alone", got)
		}
	})
	const sql = "SELECT name FROM readings WHERE id = %d"
	t.Run("cancel", func(t *testing.T) {
		r.t = t
		const sql = "SELECT name, pg_sleep(%d / 1000) FROM readings WHERE id = 1"
		r.goFast(fmt.Sprintf(sql, 1))
		over := make(chan error)
		go func() {
			_, err := r.conn.Exec(context.Background(), fmt.Sprintf(sql, 600_000))
			over <- err
		}()
		var err error
		for waiting := true; waiting; {
			must(t, r.conn.PgConn().CancelRequest(t.Context()))
			select {
			case err = <-over:
				waiting = false
			case <-time.After(pollEvery):
			}
		}
		if e, ok := err.(*pgconn.PgError); !ok || e.Code != "57014" {
			t.Errorf("a canceled read ends with %v", err)
		}
		r.read(fmt.Sprintf(sql, 1))
	})
	t.Run("block", func(t *testing.T) {
		r.t = t
		r.goFast(fmt.Sprintf(sql, 1))
		r.read("BEGIN ISOLATION LEVEL SERIALIZABLE")
		r.wantOn(true, fmt.Sprintf(sql, 2), "in a block that needs the primary")
		r.read("COMMIT")
		r.comesBack(fmt.Sprintf(sql, 3))
	})
	t.Run("settings", func(t *testing.T) {
		r.t = t
		r.goFast(fmt.Sprintf(sql, 1))
		r.wantOn(false, fmt.Sprintf(sql, 2), "before")
		f.reloadBalance(t, "off")
		r.wantOn(true, fmt.Sprintf(sql, 3), "after routing.balance was turned off")
		f.reloadBalance(t, "session")
		r.comesBack(fmt.Sprintf(sql, 4))
	})
}

// TestPreparedReadsGoFastShared: so do reads of statements that programs prepared by name, and keep, where each borrows one of two connections.
func TestPreparedReadsGoFastShared(t *testing.T) {
	t.Parallel()
	f := newShared(t, 2, nil)
	f.readings(t)
	if out, err := f.command(t.Context(), "pgbench", "-i", "-s", "1", "-q").CombinedOutput(); err != nil {
		t.Fatalf("pgbench -i: %v\n%s", err, out)
	}
	must(t, f.cluster.WaitReplay(t.Context(), 0))
	r := newReader(t, f)
	const clients, transactions = 16, 300
	before := r.stat("fast_reads")
	f.pgbench(t, "-n", "-c", fmt.Sprint(clients), "-j", "2", "-t", fmt.Sprint(transactions), "-M", "prepared", "-b", "select-only")
	if n := r.stat("fast_reads") - before; n < clients*transactions/2 {
		t.Errorf("%d of pgbench's %d reads went the fast way", n, clients*transactions)
	}
	var conns []*pgx.Conn
	for range 4 {
		conn, err := pgx.Connect(t.Context(), f.dsn("default_query_exec_mode=cache_statement"))
		must(t, err)
		t.Cleanup(func() { conn.Close(context.Background()) })
		conns = append(conns, conn)
	}
	const rounds = 100
	before = r.stat("fast_reads")
	for i := range rounds {
		for j, conn := range conns {
			var name string
			id := i*len(conns) + j + 1
			must(t, conn.QueryRow(t.Context(), "SELECT name FROM readings WHERE id = $1", id).Scan(&name))
			if want := fmt.Sprintf("reading %d", id); name != want {
				t.Fatalf("got %q, want %q", name, want)
			}
			if i%10 == 9 {
				err := conn.QueryRow(t.Context(), "SELECT name FROM readings WHERE id = 1 / ($1 - 1)", 1).Scan(&name)
				if e, ok := err.(*pgconn.PgError); !ok || e.Code != "22012" {
					t.Fatalf("a read that divides by zero ends with %v", err)
				}
			}
		}
	}
	if n := r.stat("fast_reads") - before; n < rounds*len(conns)/2 {
		t.Errorf("%d of %d reads by pgx went the fast way", n, rounds*len(conns))
	}
}

// reloadBalance has howdah take another routing.balance.
func (f *fixture) reloadBalance(t *testing.T, balance string) {
	t.Helper()
	settings := map[string]any{"routing.balance": balance}
	maps.Copy(settings, poolMode(t))
	before := strings.Count(f.server.Log(), "msg=reloaded")
	must(t, f.server.Reload(howdahtest.Options{Cluster: f.cluster, Weights: []float64{0, 1, 1}, Settings: settings}))
	eventually(t, "a reload", func() error {
		if strings.Count(f.server.Log(), "msg=reloaded") == before {
			return fmt.Errorf("the log does not say so")
		}
		return nil
	})
}
