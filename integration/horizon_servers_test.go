package integration_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// newCounters is a cluster with the table that rounds use.
func newCounters(t *testing.T, options pgcluster.Options) *pgcluster.Cluster {
	t.Helper()
	cluster := pgcluster.ForTest(t, options)
	must(t, cluster.Exec(t.Context(), 0, "postgres", `CREATE TABLE counters (id int PRIMARY KEY, n int) WITH (fillfactor = 10);
		INSERT INTO counters SELECT i, 0 FROM generate_series(0, 99) i`))
	must(t, cluster.WaitReplay(t.Context(), 0))
	return cluster
}

// TestCascadingStandby reads from a standby of a standby, which lags behind both.
func TestCascadingStandby(t *testing.T) {
	t.Parallel()
	cluster := newCounters(t, pgcluster.Options{Standbys: 2})
	must(t, cluster.Follow(t.Context(), 2, 1))
	eventually(t, "node 2 to stream from node 1", func() error {
		got, err := cluster.Value(t.Context(), 1, "postgres", "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")
		if err == nil && got != "1" {
			err = fmt.Errorf("%s standbys stream from it", got)
		}
		return err
	})
	delayReplay(t, cluster, 2, "30ms")
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Weights: []float64{0, 0, 1},
		Settings: map[string]any{"routing.consistency_wait": "200ms"}})
	waitForLog(t, server, `node=node2 from=waiting to="up standby"`)
	r := &rounds{cluster: cluster, server: server, sessions: 4, each: 100}
	if share := r.run(t); share < 0.2 {
		t.Errorf("%.0f %% of the reads ran on the standby's standby, want at least 20", 100*share)
	}
}

// TestClocksOfServers has servers whose clocks are days apart. Neither reading one's own
// writes nor the lag in time looks at them.
func TestClocksOfServers(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	cluster := newCounters(t, pgcluster.Options{Standbys: 2, Clocks: map[int]time.Duration{1: 3 * day, 2: -3 * day}})
	for i, off := range map[int]string{1: "now() > timestamptz '%s' + interval '2 days'", 2: "now() < timestamptz '%s' - interval '2 days'"} {
		if got, err := cluster.Value(t.Context(), i, "postgres", "SELECT "+fmt.Sprintf(off, time.Now().Format(time.RFC3339))); err != nil || got != "true" {
			t.Fatalf("the clock of node %d is not shifted: %q, %v", i, got, err)
		}
	}
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Weights: []float64{0, 1, 1},
		Settings: map[string]any{"routing.consistency_wait": "200ms", "replication_check.max_lag": "3s"}})
	for i := 1; i <= 2; i++ {
		waitForLog(t, server, fmt.Sprintf(`node=node%d from=waiting to="up standby"`, i))
	}
	r := &rounds{cluster: cluster, server: server, sessions: 4, each: 100}
	if share := r.run(t); share < 0.4 {
		t.Errorf("%.0f %% of the reads ran on standbys, want at least 40", 100*share)
	}
}

// TestIdlePrimary: a primary that writes nothing makes no standby lag, for however long.
func TestIdlePrimary(t *testing.T) {
	t.Parallel()
	const limit = 300 * time.Millisecond
	f := announced(t, map[string]any{"routing.consistency": "session", "replication_check.max_lag": limit.String()})
	c := f.told(t, pgx.QueryExecModeSimpleProtocol)
	run(t, c, "CREATE TABLE pets (n int)")
	run(t, c, "INSERT INTO pets VALUES (1)")
	eventually(t, "a read on a standby", func() error {
		if where := c.ran(t, "SELECT n FROM pets"); where != "standby" {
			return errors.New("it ran on " + where)
		}
		return nil
	})
	for start := time.Now(); time.Since(start) < 5*limit; time.Sleep(limit / 10) {
		if where := c.ran(t, "SELECT n FROM pets"); where != "standby" {
			t.Fatalf("%v after the last write a read ran on the %s", time.Since(start), where)
		}
	}
}

// TestPrimaryChanges stops the primary and promotes a standby while sessions write and
// read at once. None misses a write that was acknowledged to it, and none sees
// another's row go back.
func TestPrimaryChanges(t *testing.T) {
	t.Parallel()
	cluster := newCounters(t, pgcluster.Options{Standbys: 2})
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Weights: []float64{0, 1, 1},
		Settings: map[string]any{"routing.balance": "statement", "routing.consistency_wait": "100ms", "failover.hold": "30s"}})
	const sessions, each = 4, 50
	s := survivors{server: server, sessions: sessions}
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	for id := range sessions {
		work.Go(func() { s.session(ctx, t, id) })
	}
	advance := func(what string) {
		t.Helper()
		from := s.rounds.Load()
		eventually(t, what, func() error {
			if done := s.rounds.Load() - from; done < sessions*each {
				return fmt.Errorf("%d rounds", done)
			}
			return nil
		})
	}
	advance("rounds before the change")
	must(t, cluster.StopNode(0)) // the standbys get all of its log
	must(t, cluster.Promote(t.Context(), 1))
	advance("rounds on the new primary")
	must(t, cluster.Follow(t.Context(), 2, 1))
	advance("rounds with a standby of the new primary")
	away := (&rounds{cluster: cluster}).scans(t, 2)
	eventually(t, "reads on the standby of the new primary", func() error {
		if now := (&rounds{cluster: cluster}).scans(t, 2); now < away+sessions {
			return fmt.Errorf("%d scans, %d before", now, away)
		}
		return nil
	})
	stop()
	work.Wait()
	t.Logf("%d rounds, %d writes of unknown end", s.rounds.Load(), s.unknown.Load())
}

// survivors are sessions that write and read at once and live through the loss of a primary.
type survivors struct {
	server   *howdahtest.Server
	sessions int
	rounds   atomic.Int64
	unknown  atomic.Int64 // writes that were not acknowledged
}

// session counts its own row up until ctx ends. A write that ends with an error may
// take effect, or have taken it, until another is acknowledged.
func (s *survivors) session(ctx context.Context, t *testing.T, id int) {
	conn, err := pgx.Connect(t.Context(), s.server.DSN("postgres", "postgres", "default_query_exec_mode=simple_protocol"))
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close(t.Context()) //nolint:errcheck // nothing depends on it
	other := (id + 1) % s.sessions
	var least, most, theirs int // what the row may be, and what the other's was
	for ctx.Err() == nil {
		next := most + 1
		if _, err := conn.Exec(t.Context(), "UPDATE counters SET n = $1 WHERE id = $2", next, id); err == nil {
			least = next
		} else if e := (*pgconn.PgError)(nil); !errors.As(err, &e) || conn.IsClosed() {
			t.Errorf("session %d: the session is lost: %v", id, err)
			return
		} else {
			s.unknown.Add(1)
		}
		most = next
		mine, seen := s.read(t, conn, id), s.read(t, conn, other)
		if mine < least || mine > most {
			t.Errorf("session %d: reads %d, wrote %d to %d", id, mine, least, most)
		}
		if seen < theirs {
			t.Errorf("session %d: reads %d of another's, had read %d", id, seen, theirs)
		}
		least, theirs = max(least, mine), seen
		s.rounds.Add(1)
	}
}

func (s *survivors) read(t *testing.T, conn *pgx.Conn, id int) int {
	var n int
	if err := conn.QueryRow(t.Context(), "SELECT n FROM counters WHERE id = $1", id).Scan(&n); err != nil {
		t.Errorf("read of row %d: %v", id, err)
	}
	return n
}
