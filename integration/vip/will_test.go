package vip_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// noteWill is this test's executor: the will names a file, which gets what the guardian's host had of the address at that moment, and
// whether howdah was still there.
func noteWill(_ context.Context, will []byte, _ *slog.Logger) error {
	has := "no address"
	list, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return err
	}
	for _, a := range list {
		if s := a.IP.String(); s == vip4 || s == vip6 {
			has = "the address"
		}
	}
	return os.WriteFile(string(will), fmt.Appendf(nil, "%s, parent %d", has, os.Getppid()), 0o600)
}

// howdah dies with a will: its guardian executes it, after the address is gone and howdah is dead.
func TestWill(t *testing.T) {
	t.Parallel()
	a := newNetwork(t, "a").hosts["a"]
	p := a.startHolder(netlinkVIP("lifetime: 1min"))
	first, last := filepath.Join(t.TempDir(), "will"), filepath.Join(t.TempDir(), "will")
	p.say("will %s", first)
	p.hold(time.Minute, "")
	p.say("will %s", last) // it reaches the guardian with the next order
	order := p.State().Order
	p.say("hold 1m")
	within(t, patience, "the guardian has another order", func() bool { return p.State().Order > order })
	parent := p.cmd.Process.Pid
	p.signal(syscall.SIGKILL)
	var noted string
	within(t, patience, "the will is executed", func() bool {
		text, err := os.ReadFile(last)
		noted = string(text)
		return err == nil && noted != ""
	})
	if !strings.HasPrefix(noted, "no address") || strings.HasSuffix(noted, fmt.Sprintf("parent %d", parent)) {
		t.Errorf("the will was executed with %s (howdah was %d)", noted, parent)
	}
	if _, err := os.Stat(first); err == nil {
		t.Error("the former will was executed, too")
	}
}

// A will is for the death of a holder alone: not for an end in order, nor for who holds nothing, nor for who hangs.
func TestWillIsNotExecuted(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(p *holder){
		"stopped": func(p *holder) { p.signal(syscall.SIGTERM) },
		"given up": func(p *holder) {
			p.say("not")
			within(p.t, patience, "it is given up", func() bool { return p.State().Gone })
			p.signal(syscall.SIGKILL)
		},
		"taken back": func(p *holder) {
			p.say("will ")
			order := p.State().Order
			p.say("hold 1m")
			within(p.t, patience, "the guardian has another order", func() bool { return p.State().Order > order })
			p.signal(syscall.SIGKILL)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newNetwork(t, "a").hosts["a"]
			p := a.startHolder(netlinkVIP("lifetime: 1min"))
			will := filepath.Join(t.TempDir(), "will")
			p.say("will %s", will)
			p.hold(time.Minute, "")
			guardian := p.State().Process
			end(p)
			within(t, patience, "the guardian ends", func() bool { return syscall.Kill(guardian, 0) != nil })
			if _, err := os.Stat(will); err == nil {
				t.Error("the will was executed")
			}
		})
	}
}

// Who hangs is not dead: its guardian takes the address off and says nothing.
func TestWillOfTheFrozen(t *testing.T) {
	t.Parallel()
	a := newNetwork(t, "a").hosts["a"]
	p := a.startHolder(netlinkVIP("lifetime: 1min"))
	will := filepath.Join(t.TempDir(), "will")
	p.say("will %s", will)
	p.hold(400*time.Millisecond, "")
	p.signal(syscall.SIGSTOP)
	within(t, soon, "the guardian removes it", gone(a))
	time.Sleep(time.Second) // what must not happen needs a time in which it does not
	if _, err := os.Stat(will); err == nil {
		t.Error("the will was executed")
	}
	p.signal(syscall.SIGCONT)
	within(t, patience, "it is held again", func() bool { return p.State().Held })
}
