package main

import (
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/howdah/howdah/integration/pgcluster"
)

// startShell runs a shell script as our own user.
func startShell(t *testing.T, script string) *process {
	t.Helper()
	// The kernel would kill the child with the thread that started it.
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	p, err := startProcess(account{}, "shell", filepath.Join(t.TempDir(), "log"), syscall.SIGTERM, syscall.SIGKILL,
		"/bin/sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	return p
}

func TestStopEndsTheWholeGroup(t *testing.T) {
	// The shell's child outlives the shell, unless the group is ended.
	p := startShell(t, "sleep 600 & wait")
	group := p.pid()
	p.stop()
	p.stop() // may be called again
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		if errors.Is(syscall.Kill(-group, 0), syscall.ESRCH) {
			return
		}
		runtime.Gosched()
	}
	t.Error("a child of the stopped process lives on")
}

func TestWaitListeningTellsWhyAProgramEnded(t *testing.T) {
	port, err := pgcluster.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	p := startShell(t, "echo 'FATAL: no such setting' >&2; exit 3")
	err = p.waitListening(t.Context(), port)
	if err == nil || !strings.Contains(err.Error(), "no such setting") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v, want the program's own words and its exit status", err)
	}
}
