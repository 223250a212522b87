package integration_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// TestReadsOwnWrites has sessions that write and read a row of their own while the
// standbys stop and resume applying what the primary sends. A session never reads
// less than it wrote, and never less than it read before.
func TestReadsOwnWrites(t *testing.T) {
	t.Parallel()
	const sessions, steps = 8, 150
	cluster := pgcluster.ForTest(t, pgcluster.Options{Standbys: 2})
	must(t, cluster.Exec(t.Context(), 0, "postgres", fmt.Sprintf(
		"CREATE TABLE counters (id int PRIMARY KEY, n int); INSERT INTO counters SELECT i, 0 FROM generate_series(0, %d) i", sessions)))
	must(t, cluster.WaitReplay(t.Context(), 0))
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Weights: []float64{0, 1, 1}})
	ctx, stop := context.WithCancel(t.Context())
	var pauses, work sync.WaitGroup
	pauses.Go(func() { pauseAndResume(ctx, t, cluster) })
	for id := range sessions {
		work.Go(func() { readsOwnWrites(t, server, id, steps) })
	}
	work.Wait()
	stop()
	pauses.Wait()
	f := &fixture{cluster: cluster, server: server}
	f.wantReadsOnStandbys(t, "counters", sessions)
}

// pauseAndResume lags one standby, then the other, until ctx ends.
func pauseAndResume(ctx context.Context, t *testing.T, cluster *pgcluster.Cluster) {
	for i := 0; ctx.Err() == nil; i++ {
		standby := 1 + i%2
		if err := cluster.PauseReplay(t.Context(), standby); err != nil {
			t.Error(err)
			return
		}
		if err := cluster.ResumeReplay(t.Context(), standby); err != nil {
			t.Error(err)
			return
		}
	}
}

// readsOwnWrites is one session: it counts its row up now and then, reads it often,
// and watches a row that another session counts.
func readsOwnWrites(t *testing.T, server *howdahtest.Server, id, steps int) {
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, server.DSN("postgres", "postgres"))
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing depends on it
	random := rand.New(rand.NewPCG(uint64(id), 1))
	written, seen := 0, 0
	for step := range steps {
		if random.IntN(3) == 0 {
			written++
			if _, err := conn.Exec(ctx, "UPDATE counters SET n = $1 WHERE id = $2", written, id); err != nil {
				t.Error(err)
				return
			}
		}
		var mine, theirs int
		err := conn.QueryRow(ctx, "SELECT a.n, b.n FROM counters a, counters b WHERE a.id = $1 AND b.id = $2", id, (id+1)%2).Scan(&mine, &theirs)
		if err != nil {
			t.Error(err)
			return
		}
		if mine != written {
			t.Errorf("session %d, step %d: reads %d, wrote %d", id, step, mine, written)
		}
		if theirs < seen {
			t.Errorf("session %d, step %d: reads %d of another's, had read %d", id, step, theirs, seen)
		}
		seen = theirs
	}
}

// TestLaggingStandby stops one standby for good: the sessions that read from it
// read their writes elsewhere, and nothing waits for it.
func TestLaggingStandby(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{Standbys: 2})
	must(t, cluster.Exec(t.Context(), 0, "postgres", "CREATE TABLE pets (id int)"))
	must(t, cluster.WaitReplay(t.Context(), 0))
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Weights: []float64{0, 1, 0}})
	writer, other := connect(t, server), connect(t, server)
	wantCount(t, writer, 0)
	wantCount(t, other, 0)
	must(t, cluster.PauseReplay(t.Context(), 1))
	for i := range 20 {
		_, err := writer.Exec(t.Context(), "INSERT INTO pets VALUES (1)")
		must(t, err)
		wantCount(t, writer, i+1)
	}
	// The other wrote nothing: the standby may serve it what it has, unless it has
	// seen the primary later than that.
	var stale int
	must(t, other.QueryRow(t.Context(), "SELECT count(*) FROM pets").Scan(&stale))
	if stale != 0 && stale != 20 {
		t.Errorf("a session that wrote nothing counts %d, want 0 as on the standby or 20 as on the primary", stale)
	}
	must(t, cluster.ResumeReplay(t.Context(), 1))
	must(t, cluster.WaitReplay(t.Context(), 0))
	wantCount(t, other, 20)
}
