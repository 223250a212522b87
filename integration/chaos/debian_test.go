package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// A server that is one of Debian's clusters, with its settings beside the data directory, is made a standby by howdah's own
// script: once when it is down, and once more while it runs.
func TestRecoverOfADebianCluster(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Fatal("pg_createcluster makes a directory of the servers' user: run this test as root")
	}
	dir, err := os.MkdirTemp("/tmp", "debian")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) }) //nolint:errcheck // only litter is left
	must(t, os.Chmod(dir, 0o777))
	const version, name = "15", "recovered"
	root, data := filepath.Join(dir, "etc"), filepath.Join(dir, "data")
	must(t, os.Mkdir(root, 0o777))
	must(t, os.Chmod(root, 0o777))
	port, err := pgcluster.FreePort()
	must(t, err)
	debian := func(program string, args ...string) {
		t.Helper()
		cmd := exec.Command(program, args...)
		cmd.Env = append(os.Environ(), "PG_CLUSTER_CONF_ROOT="+root)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v: %s", program, args, err, out)
		}
	}
	debian("/usr/bin/pg_createcluster", "-d", data, "-l", filepath.Join(dir, "log"), "-p", fmt.Sprint(port), "--socketdir", dir, version, name, "--", "-A", "trust")
	settings := filepath.Join(root, version, name, "postgresql.conf")
	text, err := os.ReadFile(settings)
	must(t, err)
	// A standby must allow as much as its primary does.
	must(t, os.WriteFile(settings, append(text, "\nmax_connections = 200\nmax_wal_senders = 20\nwal_level = logical\nlisten_addresses = '127.0.0.1'\ndynamic_shared_memory_type = mmap\n"...), 0o644))

	cluster := pgcluster.ForTest(t, pgcluster.Options{})
	must(t, cluster.Exec(t.Context(), 0, "postgres", schema))
	r := &rig{t: t, cluster: cluster, socket: filepath.Join(dir, "s")}
	r.server = howdahtest.Start(t, howdahtest.Options{Settings: map[string]any{"admin.socket": r.socket,
		"backends":                []map[string]any{{"name": "node0", "host": "127.0.0.1", "port": cluster.Port(0)}, {"name": "debian", "host": "127.0.0.1", "port": port, "data_dir": data}},
		"failover.recovery_shell": append(asPostgres(), "/usr/bin/env", "PG_CLUSTER_CONF_ROOT="+root, "/bin/sh")}})
	r.wait(0, "up primary")
	t.Cleanup(func() {
		cmd := exec.Command("/usr/bin/pg_ctlcluster", version, name, "stop", "-m", "immediate")
		cmd.Env = append(os.Environ(), "PG_CLUSTER_CONF_ROOT="+root)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("stop the Debian cluster: %v: %s", err, out)
		}
	})
	for n := range 2 {
		if out, err := r.howdah("recover", "debian"); err != nil {
			t.Fatalf("recovery %d: %v: %s", n+1, err, out)
		}
		r.wait(1, "up standby")
		must(t, cluster.Exec(t.Context(), 0, "postgres", fmt.Sprintf("INSERT INTO inserts VALUES (%d)", n)))
		eventually(t, "what is written to arrive there", func() error {
			conn, err := pgx.Connect(t.Context(), fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=postgres sslmode=disable", port))
			if err != nil {
				return err
			}
			defer conn.Close(t.Context()) //nolint:errcheck // asked
			var got int
			if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM inserts").Scan(&got); err != nil || got != n+1 {
				return fmt.Errorf("it has %d writes (%v)", got, err)
			}
			return nil
		})
	}
}
