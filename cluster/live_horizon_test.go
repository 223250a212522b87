package cluster_test

import (
	"context"
	"testing"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/integration/pgcluster"
)

// The promise itself: when a standby's horizon has reached the time at which a
// commit was acknowledged, the standby shows it, while another session writes without a pause.
func TestHorizonShowsWhatWasWritten(t *testing.T) {
	pg := pgcluster.ForTest(t, pgcluster.Options{Standbys: 1})
	c := run(t, backendsOf(pg), checkSettings())
	within(t, c, patience, "roles", func(v *cluster.View) bool {
		return v.Primary == 0 && is(1, cluster.StateUp, cluster.RoleStandby)(v)
	})
	err := pg.Exec(t.Context(), 0, "postgres", "CREATE TABLE counter AS SELECT 0 AS n; CREATE TABLE noise (x text)")
	if err != nil {
		t.Fatal(err)
	}

	noise, stopNoise := context.WithCancel(t.Context())
	noiseEnded := make(chan struct{})
	go func() { // ended below
		defer close(noiseEnded)
		for noise.Err() == nil {
			// An error can only be the end: what it would hide, the check below does not need.
			_ = pg.Exec(noise, 0, "postgres", "INSERT INTO noise SELECT repeat('x', 500) FROM generate_series(1, 200)")
		}
	}()
	defer func() { stopNoise(); <-noiseEnded }()

	writer, err := pg.Connect(t.Context(), 0, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close(context.Background())
	reader, err := pg.Connect(t.Context(), 1, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close(context.Background())

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for n := 1; n <= 100; n++ {
		if _, err := writer.Exec(ctx, "UPDATE counter SET n = $1", n); err != nil {
			t.Fatal(err)
		}
		floor := cluster.Now()
		c.Refresh()
		if _, err := c.WaitFor(ctx, horizonReaches(1, floor)); err != nil {
			t.Fatalf("write %d: horizon %d did not reach %d: %+v", n, c.View().Nodes[1].Horizon, floor, c.View().Nodes)
		}
		var got int
		if err := reader.QueryRow(ctx, "SELECT n FROM counter").Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != n {
			t.Fatalf("the standby shows %d after %d was written and its horizon reached", got, n)
		}
	}
}
