package integration_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// waitTimeout bounds what a test waits for; pollEvery is how often it looks.
const (
	waitTimeout = 30 * time.Second
	pollEvery   = 20 * time.Millisecond
)

func TestMain(m *testing.M) {
	if os.Getenv("HOWDAH_DIRECT") != "" {
		os.Exit(m.Run())
	}
	os.Exit(howdahtest.Main(m))
}

// fixture is a cluster of a primary and two standbys with a howdah in front. Reads
// go to the standbys only, so that a test may say where a statement ran.
type fixture struct {
	cluster *pgcluster.Cluster
	server  *howdahtest.Server // nil if HOWDAH_DIRECT is set
	port    int                // where clients connect
	sslmode string             // of PostgreSQL's programs; empty is their default
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	cluster := pgcluster.ForTest(t, pgcluster.Options{Standbys: 2})
	f := &fixture{cluster: cluster}
	if os.Getenv("HOWDAH_DIRECT") != "" {
		f.port = cluster.Port(0)
		return f
	}
	f.server = howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Weights: []float64{0, 1, 1}, Settings: poolMode(t)})
	f.port = f.server.Port
	return f
}

// poolMode is pool.mode for a test: transaction if its name says Shared, or if
// HOWDAH_POOL_MODE wants it for all.
func poolMode(t *testing.T) map[string]any {
	mode := os.Getenv("HOWDAH_POOL_MODE")
	if strings.Contains(t.Name(), "Shared") {
		mode = "transaction"
	}
	if mode == "" {
		return nil
	}
	return map[string]any{"pool.mode": mode}
}

func (f *fixture) dsn(words ...string) string {
	base := fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=postgres sslmode=disable", f.port)
	return strings.Join(append([]string{base}, words...), " ")
}

// address is where clients connect, as host:port.
func (f *fixture) address() string { return fmt.Sprintf("127.0.0.1:%d", f.port) }

// command is one of PostgreSQL's programs that connects to the fixture.
func (f *fixture) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, f.cluster.Program(program), args...)
	cmd.Env = append(os.Environ(), "PGHOST=127.0.0.1", fmt.Sprintf("PGPORT=%d", f.port),
		"PGUSER=postgres", "PGDATABASE=postgres", "PGCONNECT_TIMEOUT=20", "LC_ALL=C.UTF-8", "PSQLRC=/dev/null")
	if f.sslmode != "" {
		cmd.Env = append(cmd.Env, "PGSSLMODE="+f.sslmode)
	}
	return cmd
}

// exec runs sql on the primary, past howdah, and waits until the standbys have it.
func (f *fixture) exec(t *testing.T, sql string) {
	t.Helper()
	must(t, f.cluster.Exec(t.Context(), 0, "postgres", sql))
	must(t, f.cluster.WaitReplay(t.Context(), 0))
}

// value asks node i itself.
func (f *fixture) value(t *testing.T, i int, sql string) string {
	t.Helper()
	got, err := f.cluster.Value(t.Context(), i, "postgres", sql)
	must(t, err)
	return got
}

// counter asks node i for a number.
func (f *fixture) counter(t *testing.T, i int, sql string) int {
	t.Helper()
	var n int
	if _, err := fmt.Sscan(f.value(t, i, sql), &n); err != nil {
		t.Fatalf("node %d answers %q with no number: %v", i, sql, err)
	}
	return n
}

// scans is how often node i has scanned the table for reading, by any means.
func (f *fixture) scans(t *testing.T, i int, table string) int {
	t.Helper()
	return f.counter(t, i, fmt.Sprintf(
		"SELECT coalesce(sum(seq_scan + coalesce(idx_scan, 0)), 0) FROM pg_stat_user_tables WHERE relname = '%s'", table))
}

// readings is a table that nobody writes through howdah, so that a session that
// only reads it may be served by a standby at once.
func (f *fixture) readings(t *testing.T) {
	t.Helper()
	f.exec(t, `CREATE TABLE readings (id int PRIMARY KEY, name text);
		INSERT INTO readings SELECT i, 'reading ' || i FROM generate_series(1, 1000) i`)
}

// wantReadsOnStandbys fails unless the standbys, by their own statistics, have
// scanned the table at least count times since a test began. Servers publish
// statistics up to ten seconds late.
func (f *fixture) wantReadsOnStandbys(t *testing.T, table string, count int) {
	t.Helper()
	if f.server == nil {
		return
	}
	f.flushStatistics(t)
	eventually(t, fmt.Sprintf("%d scans of %s on the standbys", count, table), func() error {
		one, two := f.scans(t, 1, table), f.scans(t, 2, table)
		if one+two < count {
			return fmt.Errorf("only %d and %d; the primary had %d", one, two, f.scans(t, 0, table))
		}
		return nil
	})
}

// flushStatistics ends idle connections to the standbys where those would keep to themselves what they did last:
// servers before 15 publish at most twice a second, and an idle one not at all. howdah does without such connections.
func (f *fixture) flushStatistics(t *testing.T) {
	t.Helper()
	major, err := f.cluster.Major(t.Context())
	must(t, err)
	if major >= 15 {
		return
	}
	for i := 1; i < f.cluster.Nodes(); i++ {
		f.value(t, i, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE backend_type = 'client backend' AND state = 'idle' AND application_name <> 'pgcluster' AND application_name NOT LIKE 'howdah%'`)
	}
}

// eventually calls check until it returns nil.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(waitTimeout)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("wait for %s: %v", what, err)
		}
		time.Sleep(pollEvery)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
