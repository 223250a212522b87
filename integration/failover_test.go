package integration_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// writers insert numbers, each its own, in autocommit. What was acknowledged is kept.
type writers struct {
	t       *testing.T
	running sync.WaitGroup
	stop    chan struct{}
	next    atomic.Int64
	mu      sync.Mutex
	acked   []int64
	failed  map[string]int // by SQLSTATE
	last    time.Time      // of an acknowledgement
	pause   time.Duration  // the longest between two
}

func startWriters(t *testing.T, server *howdahtest.Server, count int) *writers {
	t.Helper()
	w := &writers{t: t, stop: make(chan struct{}), failed: map[string]int{}, last: time.Now()}
	for range count {
		conn := connect(t, server)
		w.running.Go(func() { w.write(conn) }) // ends with end
	}
	return w
}

func (w *writers) write(conn *pgx.Conn) {
	for {
		select {
		case <-w.stop:
			return
		default:
		}
		id := w.next.Add(1)
		ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
		_, err := conn.Exec(ctx, "INSERT INTO pets VALUES ($1)", id)
		cancel()
		w.mu.Lock()
		if err == nil {
			w.acked = append(w.acked, id)
			w.pause = max(w.pause, time.Since(w.last))
			w.last = time.Now()
		} else {
			w.failed[sqlState(err)]++
		}
		w.mu.Unlock()
		if conn.IsClosed() {
			w.t.Errorf("a session was closed: %v", err)
			return
		}
	}
}

// count is how many writes were acknowledged.
func (w *writers) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acked)
}

// more waits until so many more writes are acknowledged.
func (w *writers) more(n int) {
	w.t.Helper()
	from := w.count()
	eventually(w.t, fmt.Sprintf("%d more writes", n), func() error {
		if got := w.count() - from; got < n {
			return fmt.Errorf("only %d", got)
		}
		return nil
	})
}

// end stops the writers and looks whether node i has all that was acknowledged.
func (w *writers) end(cluster *pgcluster.Cluster, i int) {
	w.t.Helper()
	close(w.stop)
	w.running.Wait()
	got, err := cluster.Value(w.t.Context(), i, "postgres", "SELECT coalesce(string_agg(id::text, ','), '') FROM pets")
	must(w.t, err)
	have := map[string]bool{}
	for id := range strings.SplitSeq(got, ",") {
		have[id] = true
	}
	for _, id := range w.acked {
		if !have[fmt.Sprint(id)] {
			w.t.Errorf("write %d was acknowledged and is lost", id)
		}
	}
	w.t.Logf("%d writes acknowledged, failed by SQLSTATE %v, longest pause %v", len(w.acked), w.failed, w.pause)
}

// failoverFixture is a cluster with synchronous standbys and a howdah that promotes by itself.
func failoverFixture(t *testing.T, settings map[string]any) (*pgcluster.Cluster, *howdahtest.Server) {
	t.Helper()
	cluster := pgcluster.ForTest(t, pgcluster.Options{Standbys: 2, SyncRemoteApply: true})
	must(t, cluster.Exec(t.Context(), 0, "postgres", "CREATE TABLE pets (id bigint)"))
	options := howdahtest.Options{Cluster: cluster, Weights: []float64{0, 1, 1}, Settings: map[string]any{"failover.mode": "native"}}
	for key, value := range settings {
		options.Settings[key] = value
	}
	return cluster, howdahtest.Start(t, options)
}

// The primary is killed under writers: they pause, none is disconnected, nothing acknowledged is lost.
func TestFailoverUnderWriters(t *testing.T) {
	t.Parallel()
	cluster, server := failoverFixture(t, nil)
	w := startWriters(t, server, 4)
	w.more(50)
	must(t, cluster.Kill(0))
	w.more(50)
	i := newPrimary(t, cluster, 1, 2)
	w.end(cluster, i)
	if w.pause > 10*time.Second { // 2 s or so; the machine may be busy
		t.Errorf("the writers paused for %v", w.pause)
	}
	other := 3 - i
	eventually(t, "the other standby to follow", func() error {
		got, err := cluster.Value(t.Context(), other, "postgres", fmt.Sprintf("SELECT count(*) >= %d FROM pets", len(w.acked)))
		if err != nil || got != "true" {
			return fmt.Errorf("%q, %v", got, err)
		}
		return nil
	})
}

// The primary hangs: who waits for its answer is told, and goes on with the new one. When it goes on
// itself it is a false primary.
func TestFailoverOfHungPrimary(t *testing.T) {
	t.Parallel()
	cluster, server := failoverFixture(t, map[string]any{"replication_check.timeout": "300ms"})
	w := startWriters(t, server, 4)
	w.more(50)
	must(t, cluster.Hang(0))
	t.Cleanup(func() { must(t, cluster.Unhang(0)) })
	w.more(50)
	i := newPrimary(t, cluster, 1, 2)
	must(t, cluster.Unhang(0))
	w.more(50)
	w.end(cluster, i)
}

// failover_command promotes, with Pgpool-II's placeholders, in the shell.
func TestFailoverByCommand(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{Standbys: 1})
	must(t, cluster.Exec(t.Context(), 0, "postgres", "CREATE TABLE pets (id bigint)"))
	must(t, cluster.WaitReplay(t.Context(), 0))
	psql := cluster.Program("psql") + " -XAtq -U postgres -d postgres"
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Weights: []float64{0, 1}, Settings: map[string]any{
		"failover.mode": "command", "failover.confirm": "200ms",
		"failover.command": psql + ` -h %H -p %r -c "SELECT pg_promote(true)" && echo promoted %m after %P was lost at %N:%S`,
	}})
	conn := connect(t, server)
	_, err := conn.Exec(t.Context(), "INSERT INTO pets VALUES (1)")
	must(t, err)
	must(t, cluster.WaitReplay(t.Context(), 0))
	must(t, cluster.Kill(0))
	must(t, cluster.WaitGone(t.Context(), 0))
	_, err = conn.Exec(t.Context(), "INSERT INTO pets VALUES (2)")
	must(t, err)
	if got, err := cluster.Value(t.Context(), 1, "postgres", "SELECT string_agg(id::text, ',' ORDER BY id) FROM pets"); err != nil || got != "1,2" {
		t.Errorf("the new primary has %q (%v)", got, err)
	}
	eventually(t, "the command's output in the log", func() error {
		if want := fmt.Sprintf("promoted 1 after 0 was lost at 127.0.0.1:%d", cluster.Port(0)); !strings.Contains(server.Log(), want) {
			return fmt.Errorf("no %q in the log", want)
		}
		return nil
	})
}

// newPrimary is which of the nodes has left recovery.
func newPrimary(t *testing.T, cluster *pgcluster.Cluster, nodes ...int) int {
	t.Helper()
	for _, i := range nodes {
		if got, err := cluster.Value(t.Context(), i, "postgres", "SELECT pg_is_in_recovery()"); err == nil && got == "false" {
			return i
		}
	}
	t.Fatal("no standby was promoted")
	return 0
}
