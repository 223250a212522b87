package vip_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/howdah/howdah/vip"
)

// Bounds of these tests. What is promised is faster; two busy processors must be
// allowed for.
const (
	soon = 2 * time.Second
	// kernelBound is vip.lifetime (2 s), the kernel's lateness, and that.
	kernelBound = 2*time.Second + 300*time.Millisecond + soon
)

func gone(h *host) func() bool {
	return func() bool { return !h.has(vip4) && !h.has(vip6) }
}

// howdah is killed: its guardian takes the address off, long before the lease ends.
func TestKilled(t *testing.T) {
	t.Parallel()
	a := newNetwork(t, "a").hosts["a"]
	p := a.startHolder(netlinkVIP("lifetime: 1min"))
	p.hold(time.Minute, "")
	guardian := p.State().Process
	p.signal(syscall.SIGKILL)
	took := within(t, soon, "the guardian removes it", gone(a))
	t.Logf("gone %s after kill -9", took)
	within(t, patience, "the guardian ends", func() bool { return syscall.Kill(guardian, 0) != nil })
}

// howdah hangs: the guardian takes the address off when the lease ends, and howdah, when
// it goes on, does not have it.
func TestFrozen(t *testing.T) {
	t.Parallel()
	a := newNetwork(t, "a").hosts["a"]
	p := a.startHolder(netlinkVIP("lifetime: 1min"))
	const lease = 400 * time.Millisecond
	p.hold(lease, "")
	p.signal(syscall.SIGSTOP)
	took := within(t, lease+soon, "the guardian removes it", gone(a))
	t.Logf("gone %s after SIGSTOP, with a lease of %s", took, lease)
	p.signal(syscall.SIGCONT)
	p.waitEvent(vip.EventReleased, "the lease ended and was not renewed")
	// This holder asks for it again, as a howdah would whose lease is good again.
	within(t, patience, "it is held again", func() bool { return p.State().Held && a.has(vip4) })
}

// Without a guardian a frozen howdah loses the address by the kernel alone.
func TestFrozenWithoutGuardian(t *testing.T) {
	t.Parallel()
	a := newNetwork(t, "a").hosts["a"]
	p := a.startHolder(netlinkVIP("guardian: off"))
	p.hold(400*time.Millisecond, "")
	p.signal(syscall.SIGSTOP)
	took := within(t, kernelBound, "the kernel removes it", gone(a))
	t.Logf("gone %s after SIGSTOP", took)
}

// howdah and the guardian die together: the kernel lets the address expire.
func TestBothKilled(t *testing.T) {
	t.Parallel()
	a := newNetwork(t, "a").hosts["a"]
	p := a.startHolder(netlinkVIP())
	p.hold(time.Minute, "")
	p.signalGuardian(syscall.SIGSTOP) // first, or it would act
	p.signal(syscall.SIGKILL)
	p.signalGuardian(syscall.SIGKILL)
	took := within(t, kernelBound, "the kernel removes it", gone(a))
	t.Logf("gone %s after kill -9 of both", took)
}

// Both are frozen, as with their host: the address goes; when they go on after the lease,
// it does not come back.
func TestBothFrozen(t *testing.T) {
	t.Parallel()
	a := newNetwork(t, "a").hosts["a"]
	p := a.startHolder(netlinkVIP("lifetime: 4s"))
	p.say("once 3s")
	within(t, patience, "it is held", func() bool { return a.has(vip4) && a.has(vip6) && p.State().Held })
	p.signalGuardian(syscall.SIGSTOP)
	p.signal(syscall.SIGSTOP)
	took := within(t, kernelBound+2*time.Second, "the kernel removes it", gone(a))
	t.Logf("gone %s after SIGSTOP of both", took)
	p.signalGuardian(syscall.SIGCONT)
	p.signal(syscall.SIGCONT)
	p.waitEvent(vip.EventReleased, "ended") // the lease, or the lifetime: which of the two it notices first is open
	if !gone(a)() {
		t.Error("it came back without a lease")
	}
}

// The guardian dies: another takes its place, and the address is never away.
func TestGuardianKilled(t *testing.T) {
	t.Parallel()
	a := newNetwork(t, "a").hosts["a"]
	p := a.startHolder(netlinkVIP())
	p.hold(10*time.Second, "")
	before := p.signalGuardian(syscall.SIGKILL)
	within(t, patience, "there is another guardian", func() bool {
		if !a.has(vip4) || !a.has(vip6) {
			t.Fatal("the address was away")
		}
		s := p.State()
		return s.Process != 0 && s.Process != before && s.Held && s.Guardians == 2
	})
	p.waitEvent(vip.EventAcquired, "it is here already")
}

// The guardian hangs: it is killed, and another takes its place.
func TestGuardianFrozen(t *testing.T) {
	t.Parallel()
	a := newNetwork(t, "a").hosts["a"]
	p := a.startHolder(netlinkVIP())
	p.hold(time.Second, "")
	before := p.signalGuardian(syscall.SIGSTOP)
	within(t, patience, "there is another guardian", func() bool {
		s := p.State()
		return s.Process != 0 && s.Process != before && s.Held && a.has(vip4)
	})
	if err := syscall.Kill(before, 0); err == nil {
		t.Error("the frozen one still exists")
	}
}

// Signals that service managers and terminals send do not end a guardian.
func TestGuardianStays(t *testing.T) {
	t.Parallel()
	a := newNetwork(t, "a").hosts["a"]
	p := a.startHolder(netlinkVIP())
	p.hold(10*time.Second, "")
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGUSR1, syscall.SIGTSTP} {
		p.signalGuardian(s)
	}
	before := p.State()
	p.say("hold 5s")
	within(t, patience, "it answers", func() bool { return p.State().Order > before.Order })
	if s := p.State(); s.Process != before.Process || !s.Held {
		t.Errorf("guardian %d, then %d, held %v", before.Process, s.Process, s.Held)
	}
	// When howdah stops, it goes: the address first.
	p.signal(syscall.SIGTERM)
	within(t, soon, "the address is released", gone(a))
	p.waitEvent(vip.EventReleased, "howdah stops")
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatal("howdah does not end")
	}
	if syscall.Kill(before.Process, 0) == nil {
		t.Error("the guardian is still there")
	}
}
