package integration_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/launch"
	"github.com/howdah/howdah/integration/pgcluster"
)

// replicationHBA lets replication connections in.
var replicationHBA = []string{"local all all trust", "host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust", "local replication all trust"}

func replicationFixture(t *testing.T) *fixture {
	t.Helper()
	cluster := pgcluster.ForTest(t, pgcluster.Options{Standbys: 1, HBA: replicationHBA, Settings: map[string]string{"full_page_writes": "on"}})
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: map[string]any{"auth.hba": replicationHBA}})
	return &fixture{cluster: cluster, server: server, port: server.Port}
}

// tool runs one of the server's programs.
func (f *fixture) tool(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, f.cluster.Program(name), args...).CombinedOutput()
	return string(out), err
}

// A base backup is taken through howdah, of the primary and of the standby that is named; both are whole.
func TestBaseBackup(t *testing.T) {
	t.Parallel()
	f := replicationFixture(t)
	f.exec(t, "CREATE TABLE pets AS SELECT g, repeat('x', 1000) FROM generate_series(1, 20000) g")
	for _, tt := range []struct{ route, standby string }{{"primary", "f"}, {"node:node1", "t"}} {
		dir := filepath.Join(t.TempDir(), "copy")
		dsn := fmt.Sprintf("host=127.0.0.1 port=%d user=postgres options='-c howdah.route=%s'", f.port, tt.route)
		if out, err := f.tool(t, "pg_basebackup", "-d", dsn, "-D", dir, "-X", "stream", "-c", "fast"); err != nil {
			t.Fatalf("pg_basebackup from %s: %v\n%s", tt.route, err, out)
		}
		if out, err := f.tool(t, "pg_verifybackup", dir); err != nil {
			t.Errorf("the backup from %s: %v\n%s", tt.route, err, out)
		}
		label, err := os.ReadFile(filepath.Join(dir, "backup_label"))
		must(t, err)
		if want := map[string]string{"f": "BACKUP FROM: primary", "t": "BACKUP FROM: standby"}[tt.standby]; !strings.Contains(string(label), want) {
			t.Errorf("route %s: the label lacks %q:\n%s", tt.route, want, label)
		}
	}
	out, err := f.tool(t, "pg_basebackup", "-d", fmt.Sprintf("host=127.0.0.1 port=%d user=postgres options='-c howdah.route=node:none'", f.port), "-D", t.TempDir())
	if err == nil || !strings.Contains(out, "backend none is not available") && !strings.Contains(out, "took too long") {
		t.Errorf("from a node that is not there: %v\n%s", err, out)
	}
}

// Log is received through howdah, and the receiver goes on with the new primary after a failover.
func TestReceiveLog(t *testing.T) {
	t.Parallel()
	f := replicationFixture(t)
	dir := t.TempDir()
	receive := exec.Command(f.cluster.Program("pg_receivewal"), "-D", dir, "--synchronous",
		"-d", fmt.Sprintf("host=127.0.0.1 port=%d user=postgres application_name=receiver", f.port))
	receive.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said strings.Builder
	receive.Stderr = &said
	ended, err := launch.Start(receive, nil)
	must(t, err)
	defer func() { receive.Process.Kill(); <-ended }() //nolint:errcheck // it may have ended
	streaming := func(node int) error {
		n, err := f.cluster.Value(t.Context(), node, "postgres", "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'receiver' AND flush_lsn = pg_current_wal_flush_lsn()")
		if err == nil && n != "1" {
			err = errors.New(n + " receivers have all of the log")
		}
		return err
	}
	f.exec(t, "CREATE TABLE pets AS SELECT generate_series(1, 1000)")
	eventually(t, "the receiver to have the log", func() error { return streaming(0) })
	// A reload interrupts sessions that wait; not this one.
	must(t, f.server.Reload(howdahtest.Options{Cluster: f.cluster, Settings: map[string]any{"auth.hba": replicationHBA, "log.level": "debug"}}))
	f.exec(t, "INSERT INTO pets VALUES (1)")
	eventually(t, "the receiver to have the log after a reload", func() error { return streaming(0) })
	if s := said.String(); s != "" {
		t.Errorf("the receiver complains: %s", s)
	}
	must(t, f.cluster.WaitReplay(t.Context(), 0)) // else the receiver has what the new primary has not
	must(t, f.cluster.Kill(0))
	must(t, f.cluster.Promote(t.Context(), 1))
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("the receiver says: " + said.String())
		}
	})
	eventually(t, "the receiver to have the new primary's log", func() error { return streaming(1) })
}

// A subscription through howdah gets what is there and what is written later.
func TestSubscription(t *testing.T) {
	t.Parallel()
	f := replicationFixture(t)
	subscriber := pgcluster.ForTest(t, pgcluster.Options{})
	const table = "CREATE TABLE pets (id int PRIMARY KEY, name text)"
	f.exec(t, table+"; INSERT INTO pets SELECT g, 'early' FROM generate_series(1, 100) g; CREATE PUBLICATION pets FOR TABLE pets")
	must(t, subscriber.Exec(t.Context(), 0, "postgres", table))
	must(t, subscriber.Exec(t.Context(), 0, "postgres", fmt.Sprintf("CREATE SUBSCRIPTION pets CONNECTION 'host=127.0.0.1 port=%d user=postgres dbname=postgres' PUBLICATION pets", f.port)))
	counts := func(want string) func() error {
		return func() error {
			got, err := subscriber.Value(t.Context(), 0, "postgres", "SELECT count(*) FROM pets")
			if err == nil && got != want {
				err = fmt.Errorf("the subscriber has %s rows, want %s", got, want)
			}
			return err
		}
	}
	eventually(t, "the first rows to arrive", counts("100"))
	f.exec(t, "INSERT INTO pets SELECT g, 'late' FROM generate_series(101, 200) g")
	eventually(t, "later rows to arrive", counts("200"))
	must(t, subscriber.Exec(t.Context(), 0, "postgres", "DROP SUBSCRIPTION pets"))
	eventually(t, "the slot to be dropped", func() error {
		n, err := f.cluster.Value(t.Context(), 0, "postgres", "SELECT count(*) FROM pg_replication_slots")
		if err == nil && n != "0" {
			err = errors.New(n + " slots are left")
		}
		return err
	})
}

// What may not replicate is refused as by a server.
func TestReplicationRefused(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{})
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: map[string]any{"auth.hba": []string{"host all all 127.0.0.1/32 trust"}}})
	_, err := login(server.Address(), map[string]string{"user": "postgres", "replication": "true"})
	if err == nil || !strings.Contains(err.Error(), "no pg_hba.conf entry for replication connection") {
		t.Errorf("physical: %v", err)
	}
	r, err := login(server.Address(), map[string]string{"user": "postgres", "replication": "database", "database": "postgres"})
	must(t, err)
	must(t, errors.Join(r.query("IDENTIFY_SYSTEM"), r.until('D'), r.until('Z'), r.Close()))
}
