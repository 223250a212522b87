package cluster_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/integration/pgcluster"
)

// failoverSettings are those of a quick native failover.
func failoverSettings() configs.Failover {
	f := configs.Default().Failover
	f.Mode, f.Confirm, f.Cooldown = "native", 200*time.Millisecond, 0
	return f
}

// runFailover starts a Cluster that may promote; it ends with the test, or by stop.
func runFailover(t *testing.T, pg *pgcluster.Cluster, f configs.Failover, arbiter cluster.Arbiter) (c *cluster.Cluster, stop func()) {
	t.Helper()
	c, err := cluster.New(backendsOf(pg), checkSettings(), slog.New(slog.NewTextHandler(testLog{t}, nil)))
	if err != nil {
		t.Fatal(err)
	}
	c.UseFailover(f, arbiter)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }() // ended by stop
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run did not end")
		}
	}
	t.Cleanup(stop)
	return c, stop
}

func standbysUp(v *cluster.View) bool {
	return v.Primary == 0 && is(1, cluster.StateUp, cluster.RoleStandby)(v) && is(2, cluster.StateUp, cluster.RoleStandby)(v)
}

// settled waits until no change is under way.
func settled(t *testing.T, c *cluster.Cluster) *cluster.Failover {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		f := c.Failover()
		if f.Record.Phase == cluster.PhaseWatch {
			return f
		}
		if time.Now().After(deadline) {
			t.Fatalf("still under way: %+v", *f)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// The primary is killed: the standby that has received most is promoted, the other one follows it, nobody
// else is touched, and the old one, when it comes back, is a false primary.
func TestNativeFailover(t *testing.T) {
	pg := pgcluster.ForTest(t, pgcluster.Options{Standbys: 2})
	path := filepath.Join(t.TempDir(), "state")
	c, stop := runFailover(t, pg, failoverSettings(), cluster.StateFile{Path: path})
	ctx := t.Context()
	within(t, c, patience, "roles", standbysUp)
	if err := pg.Exec(ctx, 0, "postgres", "CREATE TABLE pets (id int)"); err != nil {
		t.Fatal(err)
	}
	if err := pg.WaitReplay(ctx, 0); err != nil {
		t.Fatal(err)
	}
	// Node 1 lacks what node 2 gets.
	for _, sql := range []string{"ALTER SYSTEM SET primary_conninfo = 'host=/nowhere'", "SELECT pg_reload_conf()"} {
		if err := pg.Exec(ctx, 1, "postgres", sql); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, pg, 1, "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')")
	if err := pg.Exec(ctx, 0, "postgres", "INSERT INTO pets VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	lsn, err := pg.Value(ctx, 0, "postgres", "SELECT pg_current_wal_flush_lsn()")
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, pg, 2, fmt.Sprintf("SELECT pg_last_wal_replay_lsn() >= '%s'", lsn))

	start := time.Now()
	if err := pg.Kill(0); err != nil {
		t.Fatal(err)
	}
	v := within(t, c, 2*soon, "a new primary", func(v *cluster.View) bool { return v.Primary == 2 })
	t.Logf("kill to new primary: %v", time.Since(start))
	if v.Nodes[2].Timeline != 2 {
		t.Errorf("the new primary is on timeline %d", v.Nodes[2].Timeline)
	}
	f := settled(t, c)
	if r := f.Record; r.Primary != "pg2" || r.Timeline != 2 || r.Old != "pg0" || f.Last.Err != "" {
		t.Errorf("record %+v, outcome %+v", f.Record, f.Last)
	}
	waitFor(t, pg, 1, "SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming' AND received_tli = 2)")
	if err := pg.Exec(ctx, 2, "postgres", "INSERT INTO pets VALUES (2)"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, pg, 1, "SELECT count(*) = 2 FROM pets")

	if err := pg.StartNode(ctx, 0); err != nil {
		t.Fatal(err)
	}
	within(t, c, patience, "the old primary in quarantine", func(v *cluster.View) bool {
		return v.Primary == 2 && is(0, cluster.StateQuarantine, cluster.RolePrimary)(v)
	})
	// It stays there for a howdah that is started anew while the true primary is away.
	stop()
	if err := pg.Kill(2); err != nil {
		t.Fatal(err)
	}
	f2 := failoverSettings()
	f2.Mode = "none"
	c, _ = runFailover(t, pg, f2, cluster.StateFile{Path: path})
	v = within(t, c, patience, "what is left", func(v *cluster.View) bool {
		return v.Nodes[2].State == cluster.StateDown && v.Nodes[0].State == cluster.StateQuarantine && v.Nodes[1].State == cluster.StateUp
	})
	if v.Primary != cluster.NoNode {
		t.Errorf("node %d is the primary, though it was replaced", v.Primary)
	}
}

// waitFor asks node i until the answer is true.
func waitFor(t *testing.T, pg *pgcluster.Cluster, i int, sql string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		got, err := pg.Value(t.Context(), i, "postgres", sql)
		if err == nil && got == "true" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("node %d: %s: %q (%v)", i, sql, got, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
