package chaos

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/howdah/howdah/integration/pgcluster"
)

// The primary's log has no room any more: it panics, cannot recover, and ends. That is a death like any other.
func TestPrimaryDiskFull(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Fatal("this test mounts a file system: run it as root")
	}
	r := newRigWith(t, pgcluster.Options{Standbys: 2, Settings: map[string]string{"synchronous_standby_names": anyOne, "wal_keep_size": "64MB"}},
		map[string]any{"failover.shutdown_grace": "30s", "failover.recovery_grace": "20s"})
	must(t, r.cluster.StopNode(0))
	disk, log := filepath.Join(r.cluster.Dir(), "disk"), filepath.Join(r.dataDir(0), "pg_wal")
	command(t, "mkdir", disk)
	command(t, "mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", disk)
	t.Cleanup(func() {
		r.cluster.Kill(0) //nolint:errcheck // it is dead already, if all went well
		command(t, "umount", "-l", disk)
	})
	command(t, "cp", "-a", log+"/.", disk)
	command(t, "chown", "--reference="+log, disk)
	command(t, "chmod", "700", disk)
	command(t, "rm", "-r", log)
	command(t, "ln", "-s", disk, log)
	r.start(0)
	r.load.more(50)

	r.load.allowed = "53100" // what the server itself says of its disk
	filler, err := os.Create(filepath.Join(disk, "filler"))
	must(t, err)
	if _, err := io.Copy(filler, zeros{}); err == nil {
		t.Fatal("the disk does not fill")
	}
	must(t, filler.Close())
	for range 10 { // what ends in the middle of a segment may come back to write to its end
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		err := r.cluster.Exec(ctx, 0, "postgres", "SET synchronous_commit = local; CREATE TABLE IF NOT EXISTS big (id int); INSERT INTO big SELECT generate_series(1, 1000000)")
		cancel()
		if err == nil {
			t.Log("there was room in the log still")
		}
		if all, err := r.nodes(); err == nil && all[0].Role != "primary" {
			break
		}
	}
	now := r.waitPrimary(0)
	r.load.more(100)
	r.load.end(r.cluster, now)
}

// zeros are as many as anybody reads.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// Somebody else promotes, as Patroni and repmgr do: howdah follows within a second, and what waited is written there.
func TestExternalPromotion(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]any{"failover.mode": "none"})
	must(t, r.cluster.StopNode(0))
	must(t, r.cluster.Promote(t.Context(), 1))
	promoted := time.Now()
	r.wait(1, "up primary")
	took := time.Since(promoted)
	t.Logf("followed %v after the promotion", took)
	if took > 3*time.Second { // a second, and some for a busy machine
		t.Errorf("the new primary was followed after %v", took)
	}
	must(t, r.cluster.Follow(t.Context(), 2, 1))
	r.wait(2, "up standby")
	r.load.more(100)
	must(t, r.cluster.Follow(t.Context(), 0, 1))
	r.start(0)
	r.wait(0, "up standby")
	r.load.end(r.cluster, 1)
}

// Statements that wait for a primary are bounded in number and in time.
func TestHeldStatementsAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]any{"failover.mode": "none", "failover.max_held": 12, "failover.hold": "10s"})
	close(r.load.stop)
	r.load.running.Wait()
	must(t, r.cluster.StopNode(0))
	r.wait(0, "down")
	ended := make(chan error, 20)
	var clients []client
	for range cap(ended) {
		c, err := open(t.Context(), r.server.DSN("postgres", "postgres"), 0)
		must(t, err)
		t.Cleanup(c.close)
		clients = append(clients, c)
	}
	for _, c := range clients {
		go func() { ended <- c.exec(t.Context(), "INSERT INTO tests VALUES (-1)") }() // ends with the hold
	}
	atOnce, held := 0, 0
	for range cap(ended) {
		var refused *pgconn.PgError
		switch err := <-ended; {
		case !errors.As(err, &refused) || refused.Code != "57P03":
			t.Errorf("a write without a primary ends with %v", err)
		case strings.Contains(refused.Detail, "failover.max_held"):
			atOnce++
		case strings.Contains(refused.Detail, "failover.hold"):
			held++
		}
	}
	if atOnce != 8 || held != 12 {
		t.Errorf("%d writes waited and %d did not; 12 may", held, atOnce)
	}
}
