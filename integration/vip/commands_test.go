package vip_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/howdah/howdah/vip"
)

// commandsVIP is a section of the mode commands for one address.
func commandsVIP(more ...string) string {
	return "mode: commands\naddresses: [" + vip4 + "]\ninterface: eth0\ncommands:\n  " + strings.Join(more, "\n  ")
}

const (
	upCommand   = "up: [ip, addr, add, $_IP_$/24, dev, eth0, label, \"eth0:0\"]"
	downCommand = "down: ip addr del $_IP_$/24 dev eth0"
)

// Pgpool-II's way, and its guardian: the commands do what netlink does.
func TestCommands(t *testing.T) {
	t.Parallel()
	a := newNetwork(t, "a").hosts["a"]
	said := filepath.Join(t.TempDir(), "said")
	a.ip("addr", "add", vip4+"/24", "dev", "eth0") // left by a former howdah
	p := a.startHolder(commandsVIP(upCommand, downCommand,
		"announce: echo $_IP_$ $HOWDAH_VIP_ADDRESS $HOWDAH_VIP_PREFIX_LENGTH $HOWDAH_VIP_INTERFACE $HOWDAH_VIP_EPOCH >> "+said))
	within(t, patience, "the leftover is gone", func() bool { return !a.has(vip4) })
	p.hold(time.Second, "")
	if got := a.address(vip4); got == nil || got.Label != "eth0:0" {
		t.Fatalf("the address is %v", got)
	}
	within(t, patience, "it is announced", func() bool {
		data, _ := os.ReadFile(said)
		return strings.HasPrefix(string(data), "10.77.0.100 10.77.0.100 32 eth0 1\n")
	})
	a.ip("addr", "del", vip4+"/24", "dev", "eth0")
	within(t, patience, "it is put back", func() bool { return a.has(vip4) && p.State().Addresses[0].Restored == 1 && p.State().Held })
	p.say("release")
	within(t, patience, "it is released", func() bool { return !a.has(vip4) && p.State().Gone })

	p.hold(time.Minute, "")
	p.signal(syscall.SIGKILL)
	took := within(t, patience, "the guardian runs the down command", func() bool { return !a.has(vip4) })
	t.Logf("gone %s after kill -9", took)
}

// A command that hangs is killed with all that it started, and run again.
func TestCommandHangs(t *testing.T) {
	t.Parallel()
	a := newNetwork(t, "a").hosts["a"]
	dir := t.TempDir()
	p := a.startHolder(commandsVIP("up: \"sleep 600 & echo $! >> "+dir+"/pids; echo is hanging; wait\"", downCommand, "timeout: 1500ms"))
	p.say("hold 1s")
	p.waitEvent(vip.EventFailed, "killed after 1.5s: is hanging")
	if s := p.State(); s.Held {
		t.Error("it counts as held")
	}
	within(t, patience, "it is tried again, and then the host is unfit", func() bool { return !p.State().Fit })
	p.say("not")
	within(t, patience, "what was started is gone", func() bool {
		data, err := os.ReadFile(dir + "/pids")
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range strings.Fields(string(data)) {
			pid, err := strconv.Atoi(word)
			if err != nil {
				t.Fatal(err)
			}
			if alive(pid) {
				return false
			}
		}
		return true
	})
}

// alive says whether a process runs: one that ended and that nobody waited for does not.
func alive(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// The lease ends while the up command runs: it is broken off.
func TestCommandBrokenOff(t *testing.T) {
	t.Parallel()
	a := newNetwork(t, "a").hosts["a"]
	p := a.startHolder(commandsVIP("up: sleep 60 && ip addr add $_IP_$/24 dev eth0", downCommand))
	p.say("once 2s") // a busy machine has begun by then
	seen := false
	took := within(t, patience, "it is begun and given up", func() bool {
		s := p.State()
		seen = seen || s.Addresses[0].State == vip.Adding
		return seen && s.Addresses[0].State == vip.Absent && s.Gone
	})
	t.Logf("broken off within %s", took)
	if a.has(vip4) {
		t.Error("it is there")
	}
}

// Commands that fail are told with what they printed, and tried again.
func TestCommandsFail(t *testing.T) {
	t.Parallel()
	a := newNetwork(t, "a").hosts["a"]
	dir := t.TempDir()
	p := a.startHolder(commandsVIP(
		"up: if [ -e "+dir+"/up ]; then ip addr add $_IP_$/24 dev eth0; else echo no permission >&2; exit 3; fi",
		"down: if [ -e "+dir+"/down ]; then ip addr del $_IP_$/24 dev eth0; else echo cannot; exit 4; fi"))
	p.say("hold 1s")
	p.waitEvent(vip.EventFailed, "add failed: /bin/sh: exit status 3: no permission")
	touch(t, dir+"/up")
	within(t, patience, "it is held", func() bool { return p.State().Held && a.has(vip4) })
	p.say("not")
	p.waitEvent(vip.EventFailed, "remove failed: /bin/sh: exit status 4: cannot")
	if s := p.State(); s.Gone {
		t.Error("it counts as gone")
	}
	touch(t, dir+"/down")
	within(t, patience, "it is gone", func() bool { return p.State().Gone && !a.has(vip4) })
}

// A program that is not there, and one that succeeds without doing anything.
func TestCommandsThatDoNothing(t *testing.T) {
	t.Parallel()
	a := newNetwork(t, "a").hosts["a"]
	p := a.startHolder(commandsVIP("up: [/nowhere/up]", "down: [/nowhere/down]"))
	p.say("hold 1s")
	p.waitEvent(vip.EventFailed, "start /nowhere/up")
	q := newNetwork(t, "a").hosts["a"].startHolder(commandsVIP("up: [\"true\"]", "down: [\"true\"]"))
	q.say("hold 1s")
	q.waitEvent(vip.EventFailed, "the address is on no interface")
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

// A hook is told up and down, down at the start and when howdah was killed, too.
func TestHook(t *testing.T) {
	t.Parallel()
	a := newNetwork(t, "a").hosts["a"]
	dir := t.TempDir()
	script := "#!/bin/sh\necho \"$@\" $HOWDAH_VIP_EPOCH >> " + dir + "/calls\n"
	if err := os.WriteFile(dir+"/hook", []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	calls := func(want string) func() bool {
		return func() bool {
			data, _ := os.ReadFile(dir + "/calls")
			return strings.ReplaceAll(string(data), "\n", ", ") == want
		}
	}
	p := a.startHolder("mode: hook\naddresses: [" + vip4 + "]\ninterface: eth0\nhook: {command: [" + dir + "/hook, shop]}")
	so := "shop down 10.77.0.100/32 eth0 0, "
	within(t, patience, so, calls(so))
	p.hold(time.Minute, "")
	so += "shop up 10.77.0.100/32 eth0 1, "
	within(t, patience, so, calls(so))
	p.signal(syscall.SIGKILL)
	so += "shop down 10.77.0.100/32 eth0 1, "
	within(t, patience, so, calls(so))
}

// Mode none: who would hold the address holds nothing, and says that it does.
func TestNone(t *testing.T) {
	t.Parallel()
	a := newNetwork(t, "a").hosts["a"]
	p := a.startHolder("mode: none")
	p.hold(time.Second, "")
	if s := p.State(); s.Process != 0 || !s.Fit {
		t.Errorf("guardian %d, fit %v", s.Process, s.Fit)
	}
	p.say("release")
	within(t, patience, "it is released", func() bool { s := p.State(); return s.Gone && !s.Held })
}
