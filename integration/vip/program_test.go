package vip_test

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/howdah/howdah/integration/howdahtest"
)

// The built howdah, as an operator tries it: up holds, kill -9 takes the address off, down
// removes what is left.
func TestProgram(t *testing.T) {
	t.Parallel()
	a := newNetwork(t, "a").hosts["a"]
	config := configFile(t, netlinkVIP())
	up := a.command(howdahtest.Bin(t), "vip", "up", "-c", config)
	log := &logBuffer{}
	up.Stdout, up.Stderr = log, log
	start := func() {
		t.Helper()
		if err := up.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = up.Process.Kill() })
		within(t, patience, "the address is there", func() bool { return a.has(vip4) && a.has(vip6) })
	}
	start()
	if err := up.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := up.Wait(); err != nil {
		t.Fatalf("howdah vip up: %v\n%s", err, log)
	}
	if a.has(vip4) || a.has(vip6) {
		t.Error("it is there after the end")
	}
	if out := log.String(); !strings.Contains(out, prefix(vip4)+" is held") || !strings.Contains(out, prefix(vip6)+" is absent") {
		t.Errorf("it said\n%s", out)
	}

	up = exec.Command(up.Path, up.Args[1:]...)
	start()
	_ = up.Process.Kill()
	within(t, soon, "kill -9 takes it off", gone(a))

	a.ip("addr", "add", prefix(vip4), "dev", "eth0", "label", "eth0:vip")
	a.ip("addr", "add", prefix(vip6), "dev", "lo", "nodad")
	out, err := a.command(howdahtest.Bin(t), "vip", "down", "-c", config).CombinedOutput()
	if err != nil || !strings.Contains(string(out), prefix(vip4)+" is not here") || !strings.Contains(string(out), prefix(vip6)+" stays") {
		t.Errorf("howdah vip down: %v\n%s", err, out)
	}
	if a.has(vip4) || !a.has(vip6) {
		t.Errorf("the leftover is there: %v; somebody else's is there: %v", a.has(vip4), a.has(vip6))
	}
}

// Without the capabilities it is said which are needed, and nothing is held.
func TestWithoutCapabilities(t *testing.T) {
	t.Parallel()
	a := newNetwork(t, "a").hosts["a"]
	up := a.command("setpriv", "--bounding-set=-net_admin,-net_raw", "--inh-caps=-net_admin,-net_raw",
		howdahtest.Bin(t), "vip", "up", "-c", configFile(t, netlinkVIP()))
	log := &logBuffer{}
	up.Stdout, up.Stderr = log, log
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = up.Process.Signal(syscall.SIGINT)
		ended := make(chan error, 1)
		go func() { ended <- up.Wait() }()
		select {
		case <-ended:
		case <-time.After(patience):
			t.Error("it does not end")
			_ = up.Process.Kill()
		}
	}()
	defer func() {
		if t.Failed() {
			t.Log(log)
		}
	}()
	within(t, patience, "it says what it needs", func() bool {
		return strings.Contains(log.String(), "howdah needs the capabilities CAP_NET_ADMIN and CAP_NET_RAW")
	})
	if a.has(vip4) {
		t.Error("it is there")
	}
}
