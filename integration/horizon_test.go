package integration_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// rounds are write-then-read rounds of several sessions, while one standby lags and stops.
type rounds struct {
	cluster  *pgcluster.Cluster
	server   *howdahtest.Server
	sessions int
	each     int // rounds of one session
	pausing  int // the standby that stops now and then; 0 is none
	updates  atomic.Int64
}

// TestWriteThenRead has sessions write and read at once, 10,000 times in all, while
// one standby applies late and now and then not at all. No read misses the session's
// own write, and none goes back behind an earlier one. Reads go to standbys all the same.
func TestWriteThenRead(t *testing.T) {
	cluster := pgcluster.ForTest(t, pgcluster.Options{Standbys: 2})
	must(t, cluster.Exec(t.Context(), 0, "postgres", `CREATE TABLE counters (id int PRIMARY KEY, n int) WITH (fillfactor = 10);
		INSERT INTO counters SELECT i, 0 FROM generate_series(0, 99) i`))
	delayReplay(t, cluster, 2, "150ms")
	must(t, cluster.WaitReplay(t.Context(), 0))
	tests := []struct {
		name     string
		each     int
		settings map[string]any
		// share is how many of the reads must run on standbys. Each comes within a millisecond
		// of a write, so that without waiting few can.
		share float64
	}{
		{"session", 500, nil, 0.02},
		{"wait", 250, map[string]any{"routing.consistency_wait": "100ms"}, 0.4},
		{"statement", 250, map[string]any{"routing.balance": "statement", "routing.consistency_wait": "100ms"}, 0.3},
		{"cluster", 250, map[string]any{"routing.consistency": "cluster"}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Weights: []float64{0, 1, 1}, Settings: test.settings})
			r := &rounds{cluster: cluster, server: server, sessions: 8, each: test.each, pausing: 2}
			if share := r.run(t); share < test.share {
				t.Errorf("%.0f %% of the reads ran on standbys, want at least %.0f", 100*share, 100*test.share)
			}
		})
	}
}

// delayReplay has a standby apply every commit so much later than it happened.
func delayReplay(t *testing.T, cluster *pgcluster.Cluster, i int, delay string) {
	t.Helper()
	must(t, cluster.Exec(t.Context(), i, "postgres", "ALTER SYSTEM SET recovery_min_apply_delay = '"+delay+"'"))
	must(t, cluster.ReloadNode(t.Context(), i))
}

// run does all rounds and returns the share of their reads that standbys served.
func (r *rounds) run(t *testing.T) float64 {
	primary, standbys := r.scans(t, 0), r.scans(t, 1)+r.scans(t, 2)
	ctx, stop := context.WithCancel(t.Context())
	var lag, work sync.WaitGroup
	if r.pausing > 0 {
		lag.Go(func() { stopNowAndThen(ctx, t, r.cluster, r.pausing) })
	}
	start := time.Now()
	for id := range r.sessions {
		work.Go(func() { r.session(t, id) })
	}
	work.Wait()
	took := time.Since(start)
	stop()
	lag.Wait()
	must(t, r.server.Stop()) // its connections' statistics count when they are closed
	var share float64
	reads := 2 * r.sessions * r.each
	eventually(t, "the servers' statistics", func() error {
		away := r.scans(t, 1) + r.scans(t, 2) - standbys
		here := r.scans(t, 0) - primary - int(r.updates.Load())
		if away+here < reads {
			return fmt.Errorf("%d reads on the primary and %d on standbys are known, of %d", here, away, reads)
		}
		share = float64(away) / float64(away+here)
		return nil
	})
	t.Logf("%d rounds in %.1f s; %.1f %% of the reads ran on standbys", r.sessions*r.each, took.Seconds(), 100*share)
	return share
}

func (r *rounds) scans(t *testing.T, i int) int {
	t.Helper()
	f := &fixture{cluster: r.cluster}
	return f.scans(t, i, "counters")
}

// stopNowAndThen stops a standby's replay and resumes it until ctx ends.
func stopNowAndThen(ctx context.Context, t *testing.T, cluster *pgcluster.Cluster, standby int) {
	for ctx.Err() == nil {
		if err := cluster.PauseReplay(t.Context(), standby); err != nil {
			t.Error(err)
			return
		}
		select { // long enough for sessions to meet it
		case <-ctx.Done():
		case <-time.After(700 * time.Millisecond):
		}
		if err := cluster.ResumeReplay(t.Context(), standby); err != nil {
			t.Error(err)
			return
		}
	}
}

// session does its rounds: it counts its own row up and reads it, and watches the
// row of another.
func (r *rounds) session(t *testing.T, id int) {
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, r.server.DSN("postgres", "postgres"))
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing depends on it
	random := rand.New(rand.NewPCG(uint64(id), 2))
	other := (id + 1) % r.sessions
	var written, seen int
	if err := conn.QueryRow(ctx, "SELECT n FROM counters WHERE id = $1", id).Scan(&written); err != nil {
		t.Error(err)
		return
	}
	for step := range r.each {
		written++
		r.updates.Add(1)
		if err := write(ctx, conn, id, written, random.IntN(3) == 0); err != nil {
			t.Errorf("session %d, round %d: %v", id, step, err)
			return
		}
		var mine, theirs int
		for _, read := range []struct {
			id   int
			into *int
		}{{id, &mine}, {other, &theirs}} {
			if err := conn.QueryRow(ctx, "SELECT n FROM counters WHERE id = $1", read.id).Scan(read.into); err != nil {
				t.Errorf("session %d, round %d: %v", id, step, err)
				return
			}
		}
		if mine != written {
			t.Errorf("session %d, round %d: reads %d, wrote %d", id, step, mine, written)
		}
		if theirs < seen {
			t.Errorf("session %d, round %d: reads %d of another's, had read %d", id, step, theirs, seen)
		}
		seen = theirs
	}
}

// write counts the row to n, alone or in a block.
func write(ctx context.Context, conn *pgx.Conn, id, n int, block bool) error {
	const sql = "UPDATE counters SET n = $1 WHERE id = $2"
	if !block {
		_, err := conn.Exec(ctx, sql, n, id)
		return err
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, sql, n, id); err != nil {
		return err
	}
	return tx.Commit(ctx)
}
