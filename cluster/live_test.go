package cluster_test

import (
	"context"
	"log/slog"
	"math"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/integration/pgcluster"
)

// patience bounds every wait of these tests; it says nothing of how fast things are.
const patience = 20 * time.Second

// soon is for what is promised within a second: other packages are compiled and tested at the same time.
const soon = 4 * time.Second

func checkSettings() configs.ReplicationCheck {
	check := configs.Default().ReplicationCheck
	check.Interval = 50 * time.Millisecond
	return check
}

func backendsOf(pg *pgcluster.Cluster) []configs.Backend {
	var backends []configs.Backend
	for i := range pg.Nodes() {
		backends = append(backends, configs.Backend{Name: "pg" + string(rune('0'+i)), Host: "127.0.0.1", Port: pg.Port(i), Weight: 1, Priority: 100})
	}
	return backends
}

// run starts a Cluster that ends with the test.
func run(t *testing.T, backends []configs.Backend, check configs.ReplicationCheck) *cluster.Cluster {
	t.Helper()
	c, err := cluster.New(backends, check, slog.New(slog.NewTextHandler(testLog{t}, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }() // ended by the cleanup below
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run did not end")
		}
	})
	return c
}

type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// within waits for a view and fails if it takes longer than limit.
func within(t *testing.T, c *cluster.Cluster, limit time.Duration, what string, ok func(*cluster.View) bool) *cluster.View {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	start := time.Now()
	v, err := c.WaitFor(ctx, ok)
	if err != nil {
		t.Fatalf("%s: %v; last view %+v", what, err, *c.View())
	}
	if took := time.Since(start); took > limit {
		t.Errorf("%s took %v, want at most %v", what, took, limit)
	}
	return v
}

func is(id cluster.NodeID, state cluster.State, role cluster.Role) func(*cluster.View) bool {
	return func(v *cluster.View) bool { return v.Nodes[id].State == state && v.Nodes[id].Role == role }
}

func horizonReaches(id cluster.NodeID, floor int64) func(*cluster.View) bool {
	return func(v *cluster.View) bool { return v.Nodes[id].Horizon >= floor }
}

func TestFollowsServers(t *testing.T) {
	pg := pgcluster.ForTest(t, pgcluster.Options{Standbys: 2})
	c := run(t, backendsOf(pg), checkSettings())
	ctx := t.Context()

	v := within(t, c, patience, "roles", func(v *cluster.View) bool {
		return v.Primary == 0 && is(1, cluster.StateUp, cluster.RoleStandby)(v) && is(2, cluster.StateUp, cluster.RoleStandby)(v)
	})
	p := v.Nodes[0]
	if p.Horizon != math.MaxInt64 || p.Timeline != 1 || p.SystemID == "" || p.LSN == 0 || p.ServerVersion < 100000 || p.MaxConnections < 1 || p.MaxConnections >= 200 {
		t.Errorf("primary is known as %+v", p)
	}

	// An idle pair: the horizon passes any time that was, again and again.
	for range 3 {
		within(t, c, patience, "horizon of an idle standby", horizonReaches(1, cluster.Now()))
	}
	// A switch of segments leaves the insert position behind a long page header.
	for range 3 {
		if err := pg.Exec(ctx, 0, "postgres", "SELECT pg_switch_wal()"); err != nil {
			t.Fatal(err)
		}
		within(t, c, patience, "horizon after a segment switch", horizonReaches(1, cluster.Now()))
	}

	t.Run("paused replay", func(t *testing.T) {
		if err := pg.PauseReplay(ctx, 1); err != nil {
			t.Fatal(err)
		}
		if err := pg.Exec(ctx, 0, "postgres", "CREATE TABLE paused (x int)"); err != nil {
			t.Fatal(err)
		}
		written := cluster.Now()
		within(t, c, patience, "horizon of the other standby", horizonReaches(2, written))
		before := c.View().Nodes[0].LSN
		if err := pg.Exec(ctx, 0, "postgres", "INSERT INTO paused VALUES (1)"); err != nil {
			t.Fatal(err)
		}
		v := within(t, c, patience, "primary's position and a later horizon", func(v *cluster.View) bool {
			return v.Nodes[0].LSN > before && v.Nodes[2].Horizon > written+int64(300*time.Millisecond)
		})
		if h := v.Nodes[1].Horizon; h >= written {
			t.Errorf("horizon of the paused standby is %d, the write was acknowledged at %d", h, written)
		}
		if err := pg.ResumeReplay(ctx, 1); err != nil {
			t.Fatal(err)
		}
		within(t, c, patience, "horizon after resuming", horizonReaches(1, written))
	})

	t.Run("killed standby", func(t *testing.T) {
		if err := pg.Kill(2); err != nil {
			t.Fatal(err)
		}
		within(t, c, soon, "death of a standby", func(v *cluster.View) bool { return v.Nodes[2].State == cluster.StateDown })
		if err := pg.StartNode(ctx, 2); err != nil {
			t.Fatal(err)
		}
		within(t, c, soon, "return of a standby", is(2, cluster.StateUp, cluster.RoleStandby))
		within(t, c, patience, "horizon of a returned standby", horizonReaches(2, cluster.Now()))
	})

	t.Run("promotion", func(t *testing.T) {
		if err := pg.Kill(0); err != nil {
			t.Fatal(err)
		}
		within(t, c, soon, "death of the primary", func(v *cluster.View) bool { return v.Primary == cluster.NoNode })
		epoch := c.View().Epoch
		if err := pg.Promote(ctx, 1); err != nil {
			t.Fatal(err)
		}
		v := within(t, c, soon, "promoted primary", func(v *cluster.View) bool { return v.Primary == 1 })
		if v.Epoch <= epoch || v.Nodes[1].Timeline != 2 {
			t.Errorf("epoch %d -> %d, timeline %d", epoch, v.Epoch, v.Nodes[1].Timeline)
		}
		// The other standby is still on timeline 1: it has no horizon until it follows.
		promoted := cluster.Now()
		if err := pg.Follow(ctx, 2, 1); err != nil {
			t.Fatal(err)
		}
		within(t, c, patience, "horizon on the new timeline", horizonReaches(2, promoted))

		if err := pg.StartNode(ctx, 0); err != nil {
			t.Fatal(err)
		}
		v = within(t, c, patience, "old primary", func(v *cluster.View) bool {
			return v.Nodes[0].State == cluster.StateQuarantine && v.Nodes[0].Role == cluster.RolePrimary
		})
		if want := "false primary"; !strings.HasPrefix(v.Nodes[0].Reason, want) || v.Primary != 1 {
			t.Errorf("old primary: reason %q, want %s…; the primary is node %d", v.Nodes[0].Reason, want, v.Primary)
		}
		// While the new primary is away the old one is still false.
		if err := pg.Kill(1); err != nil {
			t.Fatal(err)
		}
		v = within(t, c, patience, "death of the new primary", func(v *cluster.View) bool { return v.Nodes[1].State == cluster.StateDown })
		if v.Primary != cluster.NoNode || v.Nodes[0].State != cluster.StateQuarantine {
			t.Errorf("primary is node %d, old primary is %v (%s)", v.Primary, v.Nodes[0].State, v.Nodes[0].Reason)
		}
	})
}

func TestRefreshIsPrompt(t *testing.T) {
	pg := pgcluster.ForTest(t, pgcluster.Options{Standbys: 1})
	check := checkSettings()
	check.Interval, check.IdleInterval = 10*time.Second, 10*time.Second // so that only the request can be the cause
	c := run(t, backendsOf(pg), check)
	within(t, c, patience, "roles", func(v *cluster.View) bool {
		return v.Primary == 0 && is(1, cluster.StateUp, cluster.RoleStandby)(v)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	start := time.Now()
	floor := cluster.Now()
	c.Refresh()
	if _, err := c.WaitFor(ctx, horizonReaches(1, floor)); err != nil {
		t.Fatalf("horizon not reached: %+v", c.View().Nodes)
	}
	t.Logf("took %v", time.Since(start))
}

func TestProbeRoles(t *testing.T) {
	pg := pgcluster.ForTest(t, pgcluster.Options{Standbys: 1, HBA: []string{
		"host all howdah_plain 127.0.0.1/32 trust",
		"host all howdah_secret 127.0.0.1/32 scram-sha-256",
	}})
	err := pg.Exec(t.Context(), 0, "postgres", `CREATE ROLE howdah_plain LOGIN; CREATE ROLE howdah_secret LOGIN PASSWORD 'it''s \ one'`)
	if err != nil {
		t.Fatal(err)
	}
	if err := pg.WaitReplay(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, user, password, database string
		reason                         string // of both nodes if they stay down
	}{
		{name: "no privileges", user: "howdah_plain", database: "postgres"},
		{name: "password", user: "howdah_secret", password: `it's \ one`, database: "postgres"},
		{name: "wrong password", user: "howdah_secret", password: "wrong", database: "postgres", reason: "replication_check.password"},
		{name: "not in pg_hba.conf", user: "stranger", database: "postgres", reason: "replication_check.user"},
		{name: "unknown database", user: "howdah_plain", database: "nowhere", reason: "replication_check.database"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			check := checkSettings()
			check.User, check.Password, check.Database = test.user, test.password, test.database
			c := run(t, backendsOf(pg), check)
			if test.reason == "" {
				within(t, c, patience, "roles", func(v *cluster.View) bool {
					return v.Primary == 0 && is(1, cluster.StateUp, cluster.RoleStandby)(v)
				})
				within(t, c, patience, "horizon", horizonReaches(1, cluster.Now()))
				return
			}
			v := within(t, c, patience, "verdict", func(v *cluster.View) bool {
				return v.Nodes[0].State == cluster.StateDown && v.Nodes[1].State == cluster.StateDown
			})
			for _, n := range v.Nodes {
				if !strings.Contains(n.Reason, test.reason) || test.password != "" && strings.Contains(n.Reason, test.password) {
					t.Errorf("reason of %s: %q, want one with %q", n.Name, n.Reason, test.reason)
				}
			}
		})
	}
}

// A host that takes connections and never answers is down after the probe's
// timeout, and delays nobody else.
func TestSilentNodeDelaysNobody(t *testing.T) {
	pg := pgcluster.ForTest(t, pgcluster.Options{})
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	check := checkSettings()
	check.Timeout = 2 * time.Second
	backends := append(backendsOf(pg), configs.Backend{Name: "silent", Host: "127.0.0.1", Port: silent.Addr().(*net.TCPAddr).Port, Weight: 1})
	c := run(t, backends, check)
	v := within(t, c, soon, "primary beside a silent node", func(v *cluster.View) bool { return v.Primary == 0 })
	if v.Nodes[1].State != cluster.StateWaiting {
		t.Errorf("silent node is %v before its probe timed out", v.Nodes[1].State)
	}
	v = within(t, c, patience, "verdict on the silent node", func(v *cluster.View) bool { return v.Nodes[1].State == cluster.StateDown })
	if v.Nodes[1].Reason != "no answer within 2s" || v.Primary != 0 {
		t.Errorf("silent node: %q; primary is node %d", v.Nodes[1].Reason, v.Primary)
	}
}

func TestReconfigure(t *testing.T) {
	pg := pgcluster.ForTest(t, pgcluster.Options{Standbys: 1})
	all := backendsOf(pg)
	c := run(t, all[:1], checkSettings())
	within(t, c, patience, "primary", func(v *cluster.View) bool { return v.Primary == 0 })

	if err := c.Reconfigure(nil, checkSettings()); err == nil {
		t.Error("no backends were accepted")
	}
	reweighted := []configs.Backend{all[1], all[0]}
	reweighted[1].Weight = 3
	if err := c.Reconfigure(reweighted, checkSettings()); err != nil {
		t.Fatal(err)
	}
	v := within(t, c, patience, "added standby", func(v *cluster.View) bool {
		return len(v.Nodes) == 2 && is(1, cluster.StateUp, cluster.RoleStandby)(v)
	})
	if v.Primary != 0 || v.Nodes[0].Weight != 3 || v.Nodes[0].Name != "pg0" {
		t.Errorf("after adding: primary %d, nodes %+v", v.Primary, v.Nodes)
	}
	if err := c.Reconfigure(all[:1], checkSettings()); err != nil {
		t.Fatal(err)
	}
	v = within(t, c, patience, "removed standby", func(v *cluster.View) bool { return v.Nodes[1].State == cluster.StateUnused })
	if n := v.Nodes[1]; n.Reason != "removed" || n.Weight != 0 || v.Primary != 0 {
		t.Errorf("after removing: primary %d, node %+v", v.Primary, n)
	}
	if err := c.Reconfigure(all, checkSettings()); err != nil {
		t.Fatal(err)
	}
	within(t, c, patience, "returned standby", is(1, cluster.StateUp, cluster.RoleStandby))
}

// A session's report finds a death at once, however rare the probes are.
func TestReport(t *testing.T) {
	pg := pgcluster.ForTest(t, pgcluster.Options{Standbys: 1})
	check := checkSettings()
	check.Interval = time.Hour
	c := run(t, backendsOf(pg), check)
	within(t, c, patience, "roles", func(v *cluster.View) bool {
		return v.Primary == 0 && is(1, cluster.StateUp, cluster.RoleStandby)(v)
	})
	if err := pg.Kill(1); err != nil {
		t.Fatal(err)
	}
	// The killed server's processes outlive it by a moment and may still answer the
	// first probe: sessions go on to report.
	reports := time.NewTicker(50 * time.Millisecond)
	defer reports.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for c.View().Nodes[1].State != cluster.StateDown {
		c.Report(1, net.ErrClosed)
		select {
		case <-reports.C:
		case <-ctx.Done():
			t.Fatalf("reported death: still %+v", c.View().Nodes[1])
		}
	}
}
