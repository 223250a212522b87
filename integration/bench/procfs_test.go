package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	// The name holds what would mislead a split at spaces.
	line := "812 (pg) S 1 (x) S 77 812 812 0 -1 4194560 1 2 3 4 500 600 12 34 20 0 1 0 99"
	got, err := parseStat(line)
	if err != nil {
		t.Fatal(err)
	}
	if want := (procStat{parent: 77, childCPU: 460 * time.Millisecond}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, bad := range []string{"", "1 (x) S 1", "1 (x) S a b c d e f g h i j k l m n o p"} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("%q was read without an error", bad)
		}
	}
}

func TestParseSchedstat(t *testing.T) {
	t.Parallel()
	got, err := parseSchedstat("149227 787603 2\n")
	if err != nil || got != 149227*time.Nanosecond {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "1 2", "x 1 2"} {
		if _, err := parseSchedstat(bad); err == nil {
			t.Errorf("%q was read without an error", bad)
		}
	}
}

func TestParseRSS(t *testing.T) {
	t.Parallel()
	got, err := parseRSS("Name:\thowdah\nVmHWM:\t   9000 kB\nVmRSS:\t   1234 kB\nThreads:\t3\n")
	if err != nil || got != 1234<<10 {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := parseRSS("Name:\tkthreadd\n"); err == nil {
		t.Error("a status without VmRSS was read without an error")
	}
}

// fakeProcess writes one process of a /proc tree: its parent, the time of its
// ended children in ticks, and nanoseconds for each thread.
func fakeProcess(t *testing.T, root string, pid, parent, ticks int, threads ...int) {
	t.Helper()
	dir := filepath.Join(root, fmt.Sprint(pid))
	stat := fmt.Sprintf("%d (a) S %d 0 0 0 0 0 0 0 0 0 0 0 0 %d 0 0 0", pid, parent, ticks)
	write(t, filepath.Join(dir, "stat"), stat)
	for i, ns := range threads {
		write(t, filepath.Join(dir, "task", fmt.Sprint(pid+i), "schedstat"), fmt.Sprintf("%d 0 0\n", ns))
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTreeCPU(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	fakeProcess(t, root, 1, 0, 900, 1_000_000_000) // not ours
	fakeProcess(t, root, 10, 1, 2, 5, 7)           // 2 ticks of ended children, two threads
	fakeProcess(t, root, 20, 10, 0, 100)           // child
	fakeProcess(t, root, 30, 20, 0, 1000)          // grandchild
	fakeProcess(t, root, 40, 1, 0, 50_000)         // a sibling
	write(t, filepath.Join(root, "self", "stat"), "no number")
	got, err := procfs{root: root}.treeCPU(10)
	if err != nil {
		t.Fatal(err)
	}
	if want := 20*time.Millisecond + 1112; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, err := (procfs{root: root}).treeCPU(99); err == nil {
		t.Error("a process that is gone has a CPU time")
	}
}

func TestTreeCPUWithoutSchedstat(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	fakeProcess(t, root, 10, 1, 0)
	write(t, filepath.Join(root, "10", "task", "10", "comm"), "a")
	_, err := procfs{root: root}.treeCPU(10)
	if err == nil || !strings.Contains(err.Error(), "CONFIG_SCHED_INFO") {
		t.Errorf("got %v, want an error that says what the kernel lacks", err)
	}
}

// The real kernel's accounts: this process has run for some time.
func TestOwnCPUGrows(t *testing.T) {
	t.Parallel()
	p := procfs{root: "/proc"}
	before, err := p.treeCPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		now, err := p.treeCPU(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if now > before+time.Millisecond {
			return
		}
	}
	t.Errorf("reading for 10 s cost no CPU time above %v", before)
}
