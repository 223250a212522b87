package integration_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// nodes is a cluster with a table and a howdah that holds statements for hold.
func nodes(t *testing.T, hold time.Duration) (*pgcluster.Cluster, howdahtest.Options) {
	t.Helper()
	cluster := pgcluster.ForTest(t, pgcluster.Options{Standbys: 2})
	must(t, cluster.Exec(t.Context(), 0, "postgres", "CREATE TABLE pets (id int); INSERT INTO pets VALUES (1)"))
	must(t, cluster.WaitReplay(t.Context(), 0))
	return cluster, howdahtest.Options{Cluster: cluster, Weights: []float64{0, 1, 1},
		Settings: map[string]any{"failover.hold": hold.String()}}
}

func connect(t *testing.T, server *howdahtest.Server) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.DSN("postgres", "postgres"))
	must(t, err)
	t.Cleanup(func() { conn.Close(t.Context()) }) //nolint:errcheck // may be closed by the test
	return conn
}

// wantCount reads through the connection.
func wantCount(t *testing.T, conn *pgx.Conn, want int) {
	t.Helper()
	var got int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pets").Scan(&got); err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("count is %d, want %d", got, want)
	}
}

// TestPrimaryDownAtStart serves reads, refuses writes with 57P03 after the hold,
// and serves them once the primary is there.
func TestPrimaryDownAtStart(t *testing.T) {
	t.Parallel()
	const hold = 500 * time.Millisecond
	cluster, options := nodes(t, hold)
	must(t, cluster.StopNode(0))
	server := howdahtest.Start(t, options)
	conn := connect(t, server)
	wantCount(t, conn, 1)
	began := time.Now()
	_, err := conn.Exec(t.Context(), "INSERT INTO pets VALUES (2)")
	if code := sqlState(err); code != "57P03" {
		t.Errorf("without a primary a write ends with %q (%v), want 57P03", code, err)
	}
	if took := time.Since(began); took < hold/2 || took > hold+10*time.Second {
		t.Errorf("the write was held for %v, want about %v", took, hold)
	}
	wantCount(t, conn, 1)
	must(t, cluster.StartNode(t.Context(), 0))
	eventually(t, "a write to succeed", func() error {
		_, err := conn.Exec(t.Context(), "INSERT INTO pets VALUES (2)")
		return err
	})
	wantCount(t, conn, 2)
}

// TestStandbyDownAtStart serves with what there is, and takes the rest in later.
func TestStandbyDownAtStart(t *testing.T) {
	t.Parallel()
	cluster, options := nodes(t, time.Second)
	must(t, cluster.StopNode(1))
	must(t, cluster.StopNode(2))
	server := howdahtest.Start(t, options)
	conn := connect(t, server)
	wantCount(t, conn, 1) // on the primary: its weight is 0, but there is none else
	_, err := conn.Exec(t.Context(), "INSERT INTO pets VALUES (2)")
	must(t, err)
	must(t, cluster.StartNode(t.Context(), 1))
	must(t, cluster.StartNode(t.Context(), 2))
	must(t, cluster.WaitReplay(t.Context(), 0))
	eventually(t, "a read on a standby", func() error {
		reader := connect(t, server)
		for range 10 {
			wantCount(t, reader, 2)
		}
		must(t, reader.Close(t.Context()))
		for i := 1; i <= 2; i++ {
			scans, err := cluster.Value(t.Context(), i, "postgres", "SELECT coalesce(sum(seq_scan), 0) > 0 FROM pg_stat_user_tables WHERE relname = 'pets'")
			if err == nil && scans == "true" {
				return nil
			}
		}
		return fmt.Errorf("neither standby has scanned the table")
	})
}

func TestEverythingDownAtStart(t *testing.T) {
	t.Parallel()
	cluster, options := nodes(t, 300*time.Millisecond)
	must(t, cluster.Stop())
	server := howdahtest.Start(t, options)
	_, err := pgx.Connect(t.Context(), server.DSN("postgres", "postgres"))
	if code := sqlState(err); code != "57P03" {
		t.Errorf("without any server a login ends with %q (%v), want 57P03", code, err)
	}
	must(t, cluster.Start(t.Context()))
	eventually(t, "a login to succeed", func() error {
		conn, err := pgx.Connect(t.Context(), server.DSN("postgres", "postgres"))
		if err != nil {
			return err
		}
		wantCount(t, conn, 1)
		return conn.Close(t.Context())
	})
}

// TestStandbyDies kills the standby that a session reads from, again and again: the
// session sees nothing of it.
func TestStandbyDies(t *testing.T) {
	t.Parallel()
	cluster, options := nodes(t, time.Second)
	server := howdahtest.Start(t, options)
	var conns []*pgx.Conn
	for range 6 { // on both standbys
		conn := connect(t, server)
		wantCount(t, conn, 1)
		conns = append(conns, conn)
	}
	for _, i := range []int{1, 2, 1} {
		must(t, cluster.Kill(i))
		for range 20 {
			for _, conn := range conns {
				wantCount(t, conn, 1)
			}
		}
		must(t, cluster.StartNode(t.Context(), i))
	}
}

// TestPrimaryDies keeps sessions connected while there is no primary: reads go on,
// a write that comes after the hold is refused, one within it waits for the new
// primary, and a transaction that was lost says so once.
func TestPrimaryDies(t *testing.T) {
	t.Parallel()
	cluster, options := nodes(t, 20*time.Second)
	server := howdahtest.Start(t, options)
	ctx := t.Context()
	writer, reader, lost := connect(t, server), connect(t, server), connect(t, server)
	_, err := writer.Exec(ctx, "INSERT INTO pets VALUES (2)")
	must(t, err)
	must(t, cluster.WaitReplay(ctx, 0))
	wantCount(t, reader, 2)
	tx, err := lost.Begin(ctx)
	must(t, err)
	_, err = tx.Exec(ctx, "INSERT INTO pets VALUES (1000)")
	must(t, err)
	// Else one standby may have more of the log than the other, and cannot follow it.
	must(t, cluster.Exec(ctx, 0, "postgres", "CHECKPOINT"))
	must(t, cluster.WaitReplay(ctx, 0))

	must(t, cluster.Kill(0))
	must(t, cluster.WaitGone(ctx, 0)) // what came before would be a write in flight
	wantCount(t, reader, 2)
	written := make(chan error, 1)
	go func() { // ends with the write
		_, err := writer.Exec(ctx, "INSERT INTO pets VALUES (3)")
		written <- err
	}()
	must(t, cluster.Promote(ctx, 1))
	must(t, cluster.Follow(ctx, 2, 1))
	select {
	case err := <-written:
		if err != nil {
			t.Errorf("a write that waited for the new primary ends with %v", err)
		}
	case <-time.After(waitTimeout):
		t.Error("a write waits for longer than the hold")
	}
	if _, err = tx.Exec(ctx, "SELECT 1"); err == nil {
		t.Error("a transaction outlived its primary")
	} else if code := sqlState(err); code == "" {
		t.Errorf("a lost transaction ends with %v, want an error with an SQLSTATE and a session that goes on", err)
	}
	if err := tx.Rollback(ctx); err != nil && !lost.IsClosed() {
		t.Logf("rolling back what was lost: %v", err)
	}
	if lost.IsClosed() {
		t.Error("the session was closed with its transaction")
	}
	eventually(t, "the new primary to have both rows and not the lost one", func() error {
		if got, err := cluster.Value(ctx, 1, "postgres", "SELECT string_agg(id::text, ',' ORDER BY id) FROM pets"); err != nil || got != "1,2,3" {
			return fmt.Errorf("it has %q (%v)", got, err)
		}
		return nil
	})
}
