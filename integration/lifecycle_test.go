package integration_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// TestReload changes the rules for logins under a session with an open transaction.
func TestReload(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{Standbys: 1})
	options := howdahtest.Options{Cluster: cluster, Settings: map[string]any{}}
	server := howdahtest.Start(t, options)
	ctx := t.Context()
	conn := connect(t, server)
	tx, err := conn.Begin(ctx)
	must(t, err)
	_, err = tx.Exec(ctx, "CREATE TABLE pets (id int)")
	must(t, err)

	options.Settings["auth.hba"] = []string{"host all all 127.0.0.1/32 reject"}
	must(t, server.Reload(options))
	eventually(t, "the new rules", func() error {
		refused, err := pgx.Connect(ctx, server.DSN("postgres", "postgres"))
		if err == nil {
			return errors.Join(errors.New("a login succeeds"), refused.Close(ctx))
		}
		if code := sqlState(err); code != "28000" {
			t.Errorf("a rejected login ends with %q (%v), want 28000", code, err)
		}
		return nil
	})

	// An invalid file changes nothing, and the log says what is wrong with it.
	bad := options
	bad.Settings = map[string]any{"auth.hba": []string{"host all all 127.0.0.1/32 trust"}, "pool.max_waitres": 5}
	must(t, server.Reload(bad))
	eventually(t, "the log to name the fault", func() error {
		if !strings.Contains(server.Log(), "max_waitres") {
			return errors.New("it does not")
		}
		return nil
	})
	if _, err := pgx.Connect(ctx, server.DSN("postgres", "postgres")); sqlState(err) != "28000" {
		t.Errorf("after an invalid file a login ends with %v, want 28000 as before", err)
	}

	options.Settings["auth.hba"] = []string{"host all all 127.0.0.1/32 trust"}
	must(t, server.Reload(options))
	eventually(t, "the first rules again", func() error {
		again, err := pgx.Connect(ctx, server.DSN("postgres", "postgres"))
		if err != nil {
			return err
		}
		return again.Close(ctx)
	})
	_, err = tx.Exec(ctx, "INSERT INTO pets VALUES (1)")
	must(t, err)
	must(t, tx.Commit(ctx))
	wantCount(t, conn, 1)
}

// TestStopDrains lets a transaction end, tells the idle, and takes nobody new.
func TestStopDrains(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{})
	must(t, cluster.Exec(t.Context(), 0, "postgres", "CREATE TABLE pets (id int)"))
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster})
	ctx := t.Context()
	busy, idle := connect(t, server), connect(t, server)
	wantCount(t, idle, 0)
	tx, err := busy.Begin(ctx)
	must(t, err)
	_, err = tx.Exec(ctx, "INSERT INTO pets VALUES (1)")
	must(t, err)

	must(t, server.Signal(syscall.SIGTERM))
	eventually(t, "new clients to be refused", func() error {
		conn, err := net.DialTimeout("tcp4", server.Address(), time.Second)
		if err != nil {
			return nil
		}
		return errors.Join(errors.New("the port is open"), conn.Close())
	})
	_, err = tx.Exec(ctx, "INSERT INTO pets VALUES (2)")
	must(t, err)
	must(t, tx.Commit(ctx))
	if err := idle.Ping(ctx); sqlState(err) != "57P01" && !idle.IsClosed() {
		t.Errorf("an idle session ends with %v, want 57P01", err)
	}
	must(t, server.Wait())
	if got, err := cluster.Value(ctx, 0, "postgres", "SELECT count(*) FROM pets"); err != nil || got != "2" {
		t.Errorf("the drained transaction left %s rows (%v), want 2", got, err)
	}
}

// TestStopIsBounded stops though a session never ends its work.
func TestStopIsBounded(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{})
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: map[string]any{"timeouts.drain": "1s"}})
	ctx := t.Context()
	stuck := connect(t, server)
	_, err := stuck.Exec(ctx, "BEGIN; CREATE TABLE pets (id int)")
	must(t, err)
	running := connect(t, server)
	ended := make(chan error, 1)
	go func() { // ends when howdah does
		_, err := running.Exec(ctx, "SELECT pg_sleep(120) /* slow */")
		ended <- err
	}()
	eventually(t, "the statement to run", func() error {
		got, err := cluster.Value(ctx, 0, "postgres", "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%/* slow */' AND state = 'active')")
		if err != nil || got != "true" {
			return errors.Join(errors.New("it does not"), err)
		}
		return nil
	})
	began := time.Now()
	must(t, server.Stop())
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("stopping took %v with a drain of 1s", took)
	}
	if err := <-ended; err == nil {
		t.Error("a statement that was cut off succeeded")
	}
	eventually(t, "the servers to be rid of both sessions", func() error {
		got, err := cluster.Value(ctx, 0, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> 'pgcluster'")
		if err != nil || got != "0" {
			return errors.Join(errors.New(got+" are left"), err)
		}
		return nil
	})
}

// TestCheck lets the binary find all the faults of a file at once.
func TestCheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := filepath.Join(dir, "good.yml")
	must(t, os.WriteFile(good, []byte(`
listen: {addresses: [127.0.0.1], port: 9999}
backends:
  - {name: pg0, host: 127.0.0.1, port: 5500, weight: 1}
auth:
  hba: ["host all all 127.0.0.1/32 trust"]
`), 0o600))
	if out, err := exec.CommandContext(t.Context(), howdahtest.Bin(t), "check", "-c", good).CombinedOutput(); err != nil {
		t.Errorf("the smallest file: %v\n%s", err, out)
	}
	bad := filepath.Join(dir, "bad.yml")
	must(t, os.WriteFile(bad, []byte(`
listen: {adresses: [127.0.0.1], port: 99999}
backends:
  - {name: pg0, host: 127.0.0.1, port: 5500, weight: -1}
  - {name: pg0, host: 127.0.0.1, port: 5501}
routing: {balance: sometimes}
auth:
  hba: ["host all all 127.0.0.1/32 maybe"]
`), 0o600))
	for _, command := range []string{"check", "serve"} {
		out, err := exec.CommandContext(t.Context(), howdahtest.Bin(t), command, "-c", bad).CombinedOutput()
		if err == nil {
			t.Errorf("%s of a bad file succeeds", command)
		}
		for _, want := range []string{"adresses", "addresses", "99999", "weight", "pg0", "sometimes"} {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s of a bad file does not mention %q:\n%s", command, want, out)
			}
		}
	}
	if out, err := exec.CommandContext(t.Context(), howdahtest.Bin(t), "serve", "-c", filepath.Join(dir, "none.yml")).CombinedOutput(); err == nil || !strings.Contains(string(out), "none.yml") {
		t.Errorf("serve of no file: %v\n%s", err, out)
	}
}
