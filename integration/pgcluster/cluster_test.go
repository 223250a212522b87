package pgcluster_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/howdah/howdah/integration/pgcluster"
)

const pollEvery = 10 * time.Millisecond

func TestReadsFollowWrites(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := pgcluster.ForTest(t, pgcluster.Options{Standbys: 2, SyncRemoteApply: true})
	if err := c.Exec(ctx, 0, "postgres", "CREATE TABLE t (n int); INSERT INTO t VALUES (7)"); err != nil {
		t.Fatal(err)
	}
	for i := range c.Nodes() {
		if got := value(t, c, i, "SELECT n FROM t"); got != "7" {
			t.Errorf("node %d has %q, want 7", i, got)
		}
		if got, want := value(t, c, i, "SELECT pg_is_in_recovery()"), fmt.Sprint(i > 0); got != want {
			t.Errorf("node %d in recovery: %s, want %s", i, got, want)
		}
	}
}

func TestKillPromoteFollow(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := pgcluster.ForTest(t, pgcluster.Options{Standbys: 2})
	must(t, c.Kill(0))
	if _, err := c.Value(ctx, 0, "postgres", "SELECT 1"); err == nil {
		t.Error("a killed node answers")
	}
	must(t, c.Promote(ctx, 1))
	must(t, c.Follow(ctx, 2, 1))
	must(t, c.Exec(ctx, 1, "postgres", "CREATE TABLE after_promotion ()"))
	must(t, c.WaitReplay(ctx, 1))
	if got := value(t, c, 2, "SELECT to_regclass('after_promotion') IS NOT NULL"); got != "true" {
		t.Error("the other standby does not follow the new primary")
	}
	must(t, c.Restart(ctx, 2))
	must(t, c.WaitStreaming(ctx))
}

func TestPauseReplay(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := pgcluster.ForTest(t, pgcluster.Options{Standbys: 1})
	must(t, c.PauseReplay(ctx, 1))
	must(t, c.Exec(ctx, 0, "postgres", "CREATE TABLE late ()"))
	if got := value(t, c, 1, "SELECT to_regclass('late') IS NULL"); got != "true" {
		t.Error("a paused standby replays")
	}
	must(t, c.ResumeReplay(ctx, 1))
	must(t, c.WaitReplay(ctx, 0))
	if got := value(t, c, 1, "SELECT to_regclass('late') IS NULL"); got != "false" {
		t.Error("a resumed standby does not replay")
	}
}

func TestHBA(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := pgcluster.ForTest(t, pgcluster.Options{HBA: []string{"host all all 127.0.0.1/32 reject"}})
	if out, err := c.Psql(ctx, 0, "postgres", "-c", "SELECT 1"); err == nil || !strings.Contains(out, "pg_hba.conf rejects") {
		t.Errorf("rejected by pg_hba.conf, got %q, %v", out, err)
	}
	must(t, c.SetHBA(0, "host all all 127.0.0.1/32 trust"))
	must(t, c.ReloadNode(ctx, 0))
	for deadline := time.Now().Add(10 * time.Second); ; {
		out, err := c.Psql(ctx, 0, "postgres", "-Atc", "SELECT 1")
		if err == nil && out == "1\n" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("trusted by pg_hba.conf, got %q, %v", out, err)
		}
		time.Sleep(pollEvery)
	}
}

// TestCloseLeavesNothing closes after a crash, which leaves a shared memory
// segment behind unless somebody removes it.
func TestCloseLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "c")
	must(t, os.Chmod(filepath.Dir(filepath.Dir(dir)), 0o755))
	c, err := pgcluster.New(dir, pgcluster.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) }) // a second Close must be harmless
	must(t, c.Start(t.Context()))
	must(t, c.Kill(0))
	segment := sharedMemoryID(t, filepath.Join(dir, "node0", "postmaster.pid"))
	must(t, c.Close())
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("directory is still there: %v", err)
	}
	if all, err := os.ReadFile("/proc/sysvipc/shm"); err != nil || strings.Contains(string(all), " "+segment+" ") {
		t.Errorf("shared memory segment %s is still there (%v)", segment, err)
	}
}

// TestAbortLeavesNothing kills a process that made a cluster: this very test
// binary, started again as the maker.
func TestAbortLeavesNothing(t *testing.T) {
	if dir := os.Getenv("PGCLUSTER_TEST_MAKER"); dir != "" {
		runMaker(t, dir)
		return
	}
	t.Parallel()
	base, err := os.MkdirTemp("", "howdah-pg-abort-")
	must(t, err)
	must(t, os.Chmod(base, 0o755))
	t.Cleanup(func() { must(t, os.RemoveAll(base)) })
	dir := filepath.Join(base, "c")
	maker := exec.Command(os.Args[0], "-test.run=^TestAbortLeavesNothing$")
	maker.Env = append(os.Environ(), "PGCLUSTER_TEST_MAKER="+dir)
	out, err := maker.StdoutPipe()
	must(t, err)
	must(t, maker.Start())
	var pids []int
	for lines := bufio.NewScanner(out); len(pids) < 2 && lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "postmaster "); ok {
			pid, err := strconv.Atoi(text)
			must(t, err)
			pids = append(pids, pid)
		}
	}
	must(t, maker.Process.Kill())
	_ = maker.Wait() // it was killed
	if len(pids) != 2 {
		t.Fatalf("the maker started %d servers, want 2", len(pids))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for gone := false; !gone; {
		_, err := os.Stat(dir)
		gone = os.IsNotExist(err) && syscall.Kill(pids[0], 0) != nil && syscall.Kill(pids[1], 0) != nil
		if ctx.Err() != nil {
			t.Fatalf("servers %v or %s are still there", pids, dir)
		}
		time.Sleep(pollEvery)
	}
}

func runMaker(t *testing.T, dir string) {
	c, err := pgcluster.New(dir, pgcluster.Options{Standbys: 1})
	must(t, err)
	must(t, c.Start(t.Context()))
	for i := range c.Nodes() {
		fmt.Printf("postmaster %d\n", c.Pid(i))
	}
	select {} // until killed
}

func sharedMemoryID(t *testing.T, pidFile string) string {
	t.Helper()
	text, err := os.ReadFile(pidFile)
	must(t, err)
	lines := strings.Split(string(text), "\n")
	fields := strings.Fields(lines[6])
	if len(fields) != 2 {
		t.Fatalf("line 7 of postmaster.pid is %q", lines[6])
	}
	return fields[1]
}

func value(t *testing.T, c *pgcluster.Cluster, i int, sql string) string {
	t.Helper()
	got, err := c.Value(t.Context(), i, "postgres", sql)
	must(t, err)
	return got
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
