package cluster_test

import (
	"testing"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/integration/pgcluster"
)

// Which timeline a standby is on is known, too, when it receives from nobody: right after it was cut off, that decides whether it may be
// promoted.
func TestTimelineOfACutOffStandby(t *testing.T) {
	for name, row := range map[string]struct {
		begin func(t *testing.T, pg *pgcluster.Cluster)
		want  uint32
	}{
		"it has just followed a promoted one": {func(t *testing.T, pg *pgcluster.Cluster) {
			must(t, pg.StopNode(0), pg.WaitGone(t.Context(), 0), pg.Promote(t.Context(), 1), pg.Follow(t.Context(), 2, 1))
			waitFor(t, pg, 2, "SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming' AND received_tli = 2)")
		}, 2},
		"it was promoted by mistake, and rewound": {func(t *testing.T, pg *pgcluster.Cluster) {
			must(t, pg.Exec(t.Context(), 0, "postgres", "CREATE TABLE pets (id int)"), pg.WaitReplay(t.Context(), 0), pg.Promote(t.Context(), 2),
				pg.Exec(t.Context(), 0, "postgres", "INSERT INTO pets VALUES (1)"), pg.StopNode(2), pg.WaitGone(t.Context(), 2),
				pg.Rewind(t.Context(), 2, 0), pg.StartNode(t.Context(), 2))
			waitFor(t, pg, 2, "SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming' AND received_tli = 1)")
			left, err := pg.Value(t.Context(), 2, "postgres", "SELECT count(*) FROM pg_ls_waldir() WHERE name LIKE '00000002%'")
			t.Logf("pg_rewind has left %s files of timeline 2 (%v)", left, err)
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pg := pgcluster.ForTest(t, pgcluster.Options{Standbys: 2, Settings: map[string]string{"wal_log_hints": "on", "full_page_writes": "on"}})
			row.begin(t, pg)
			must(t, pg.Exec(t.Context(), 2, "postgres", "ALTER SYSTEM SET primary_conninfo = 'host=/nowhere'"), pg.ReloadNode(t.Context(), 2))
			waitFor(t, pg, 2, "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)")
			c := run(t, backendsOf(pg), checkSettings())
			v := within(t, c, patience, "the standby", func(v *cluster.View) bool { return v.Nodes[2].Timeline > 0 })
			if got := v.Nodes[2].Timeline; got != row.want {
				t.Errorf("it is on timeline %d, not %d", got, row.want)
			}
		})
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}
