package cluster_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/integration/pgcluster"
)

// describe asks a transaction, which must have written, for what Fate needs.
func describe(t *testing.T, tx *pgx.Conn, c *cluster.Cluster) cluster.Commit {
	t.Helper()
	var xid, lsn string
	var timeline int64
	err := tx.QueryRow(t.Context(), `SELECT x::text, l::text, ('x' || left(pg_walfile_name(l), 8))::bit(32)::bigint
		FROM (SELECT pg_current_xact_id_if_assigned() x, pg_logical_emit_message(true, 'howdah', '') l) s`).Scan(&xid, &lsn, &timeline)
	if err != nil {
		t.Fatal(err)
	}
	logged, err := cluster.ParseLSN(lsn)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseUint(xid, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return cluster.Commit{XID: n, Logged: logged, Timeline: uint32(timeline), Started: c.View().Nodes[0].Started}
}

func wantFate(t *testing.T, c *cluster.Cluster, what string, commit cluster.Commit, want cluster.Fate) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f, why, err := c.Fate(ctx, commit)
	if err != nil || f != want {
		t.Errorf("%s: %v (%s, %v), want %v", what, f, why, err, want)
	}
}

// What became of a transaction is said only where it is certain: also if the new primary has given its number to another one.
func TestFate(t *testing.T) {
	pg := pgcluster.ForTest(t, pgcluster.Options{Standbys: 2})
	f := failoverSettings()
	f.Mode = "none"
	c, _ := runFailover(t, pg, f, cluster.StateFile{})
	within(t, c, patience, "roles", standbysUp)
	ctx := t.Context()
	exec := func(i int, sql string) {
		t.Helper()
		if err := pg.Exec(ctx, i, "postgres", sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(0, "CREATE TABLE pets (id int)")
	tx, err := pg.Connect(ctx, 0, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	do := func(sql string) {
		t.Helper()
		if _, err := tx.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}

	do("BEGIN; INSERT INTO pets VALUES (1)")
	committed := describe(t, tx, c)
	if _, _, err := c.Fate(ctx, committed); err == nil {
		t.Error("a transaction that is in progress has a fate")
	}
	do("COMMIT")
	wantFate(t, c, "committed, on the same server", committed, cluster.FateCommitted)
	do("BEGIN; INSERT INTO pets VALUES (2)")
	rolledBack := describe(t, tx, c)
	do("ROLLBACK")
	wantFate(t, c, "rolled back, on the same server", rolledBack, cluster.FateAborted)

	if err := tx.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if err := pg.Kill(0); err != nil {
		t.Fatal(err)
	}
	if err := pg.WaitGone(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if err := pg.StartNode(ctx, 0); err != nil {
		t.Fatal(err)
	}
	within(t, c, patience, "the primary's next run", func(v *cluster.View) bool {
		return standbysUp(v) && v.Nodes[0].Started != "" && v.Nodes[0].Started != committed.Started
	})
	wantFate(t, c, "after a crash on the same timeline", committed, cluster.FateUnknown)

	if tx, err = pg.Connect(ctx, 0, "postgres"); err != nil {
		t.Fatal(err)
	}
	do("BEGIN; INSERT INTO pets VALUES (3)")
	committed = describe(t, tx, c)
	do("COMMIT")
	do("BEGIN; INSERT INTO pets VALUES (4)")
	rolledBack = describe(t, tx, c)
	do("ROLLBACK")
	if err := pg.WaitReplay(ctx, 0); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{1, 2} { // what follows is nowhere but on the primary
		exec(i, "ALTER SYSTEM SET primary_conninfo = 'host=/nowhere'")
		exec(i, "SELECT pg_reload_conf()")
		waitFor(t, pg, i, "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')")
	}
	do("BEGIN; INSERT INTO pets VALUES (5)")
	lost := describe(t, tx, c)
	do("COMMIT")
	if err := tx.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if err := pg.Kill(0); err != nil {
		t.Fatal(err)
	}
	if err := pg.Promote(ctx, 1); err != nil {
		t.Fatal(err)
	}
	within(t, c, patience, "the new primary", func(v *cluster.View) bool { return v.Primary == 1 })
	taken := "in the future"
	for end := time.Now().Add(patience); taken != "committed" && time.Now().Before(end); {
		exec(1, "SELECT pg_current_xact_id()")
		if got, err := pg.Value(ctx, 1, "postgres", fmt.Sprintf("SELECT pg_xact_status('%d')", lost.XID)); err == nil {
			taken = got
		}
	}
	if taken != "committed" {
		t.Fatalf("no other transaction got the lost one's number: it is %s", taken)
	}
	wantFate(t, c, "lost, and its number given to another", lost, cluster.FateAborted)
	wantFate(t, c, "committed before the failover", committed, cluster.FateCommitted)
	wantFate(t, c, "rolled back before the failover", rolledBack, cluster.FateAborted)
	foreign := committed
	foreign.Timeline = 7
	wantFate(t, c, "of a timeline that nobody knows", foreign, cluster.FateUnknown)
}
