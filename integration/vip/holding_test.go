package vip_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/vip"
	"golang.org/x/sys/unix"
)

var addresses = []string{vip4, vip6}

// The address is there as the documentation says: its prefix, label, lifetime, and never a
// source of the host's own connections.
func TestHeldAddress(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "a")
	a := n.hosts["a"]
	p := a.startHolder(netlinkVIP())
	if a.has(vip4) || a.has(vip6) || !p.State().Fit || !p.State().Gone || p.State().Held {
		t.Fatalf("before anybody wanted it: %+v", p.State())
	}
	started := time.Now()
	p.say("hold 10s")
	within(t, patience, "the address is there", func() bool { return a.has(vip4) && a.has(vip6) })
	t.Logf("there %s after it was wanted", time.Since(started))
	within(t, patience, "the holder holds", func() bool { return p.State().Held })
	for _, addr := range addresses {
		got := a.address(addr)
		if got == nil {
			t.Fatalf("%s is not there", addr)
		}
		if got.IPNet.String() != prefix(addr) || got.ValidLft < 1 || got.ValidLft > 2 || got.PreferedLft != 0 {
			t.Errorf("%s: got %s, valid %d s, preferred %d s", addr, got.IPNet, got.ValidLft, got.PreferedLft)
		}
		if addr == vip4 && got.Label != "eth0:vip" {
			t.Errorf("label %q", got.Label)
		}
		if addr == vip6 && got.Flags&unix.IFA_F_TENTATIVE != 0 {
			t.Error("the IPv6 address cannot be used yet")
		}
	}
	for _, far := range []string{"10.77.0.9", "fd77::9"} {
		out, err := a.command("ip", "route", "get", far).CombinedOutput()
		if err != nil || strings.Contains(string(out), "src "+vip4) || strings.Contains(string(out), "src "+vip6) {
			t.Errorf("the source for %s: %s %v", far, out, err)
		}
	}
	// It stays past its lifetime, as long as the lease is renewed.
	until := time.Now().Add(2500 * time.Millisecond)
	for time.Now().Before(until) {
		if !a.has(vip4) || !a.has(vip6) {
			t.Fatal("it went although the lease was renewed")
		}
		time.Sleep(5 * time.Millisecond)
	}
	p.say("release")
	within(t, patience, "the address is released", func() bool { return !a.has(vip4) && !a.has(vip6) && p.State().Gone })
	p.waitEvent(vip.EventReleased, "told to release")
}

// A neighbour that knew the old holder's hardware address has the new one's at once.
func TestTakeoverIsSeenByNeighbours(t *testing.T) {
	t.Parallel()
	for _, guardian := range []string{"on", "off"} {
		t.Run("guardian "+guardian, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, "a", "b", "c")
			a, b, c := n.hosts["a"], n.hosts["b"], n.hosts["c"]
			first, second := a.startHolder(netlinkVIP("guardian: "+guardian)), b.startHolder(netlinkVIP("guardian: "+guardian))
			first.hold(time.Second, "")
			for _, addr := range addresses {
				within(t, patience, "the neighbour knows "+addr, func() bool { c.reach(addr); return c.neighbour(addr) == a.mac })
			}
			first.say("release")
			within(t, patience, "a has released", func() bool { return first.State().Gone && !first.State().Wanted })
			second.hold(time.Second, "released")
			// 1.1 s later at the latest: a kernel does not change an entry twice in a second.
			for _, addr := range addresses {
				within(t, 3*time.Second, "the neighbour has the new address of "+addr, func() bool { return c.neighbour(addr) == b.mac })
			}
		})
	}
}

// What is announced, and when, as heard on the wire.
func TestAnnouncements(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "a", "c")
	a, c := n.hosts["a"], n.hosts["c"]
	listener := c.startProgram("listener", "eth0")
	listener.expect("listening")
	p := a.startHolder(netlinkVIP("announce_interval: 500ms"))
	p.hold(10*time.Second, "")
	announced := []string{"arp 1 " + a.mac + " " + vip4, "arp 2 " + a.mac + " " + vip4, "nd 136 " + a.mac + " " + vip6}
	heard := map[string][]time.Time{}
	end := time.After(2 * patience)
	for len(heard[announced[0]]) < 10 || len(heard[announced[1]]) < 10 || len(heard[announced[2]]) < 10 {
		select {
		case l := <-listener.lines:
			heard[l] = append(heard[l], time.Now())
		case <-end:
			t.Fatalf("heard %v", heard)
		}
	}
	// At 0, 0.05, 0.2, 1.1, 2.2, 3.3 and 5 s; then 5.5, 6 and 6.5 s. A slow machine may be
	// late with any, and skips what is overdue; none is early.
	for _, l := range announced {
		if got := heard[l][9].Sub(heard[l][0]); got < 5*time.Second {
			t.Errorf("%s: ten times within %s", l, got)
		}
		if got := heard[l][2].Sub(heard[l][0]); got > 4*time.Second {
			t.Errorf("%s: three times took %s", l, got)
		}
	}
	// Before it is taken, it is asked for once without claiming it.
	for _, l := range []string{"arp 1 " + a.mac + " 0.0.0.0", "nd 135 " + a.mac + " " + vip6} {
		if got := len(heard[l]); got != 1 {
			t.Errorf("%s: %d times, want once", l, got)
		}
	}
}

// Somebody removes the address: it is back at once, announced again, and counted.
func TestRemovedByHand(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "a")
	a := n.hosts["a"]
	p := a.startHolder(netlinkVIP())
	p.hold(10*time.Second, "")
	for i, addr := range addresses {
		a.ip("addr", "del", prefix(addr), "dev", "eth0")
		took := within(t, soon, addr+" is back", func() bool { return a.has(addr) })
		t.Logf("%s was back after %s", addr, took)
		within(t, patience, "it is counted", func() bool { return p.State().Addresses[i].Restored == 1 && p.State().Held })
	}
	p.waitEvent(vip.EventRestored, "somebody removed it")
}

// What a former howdah left goes before anything else; what others made stays.
func TestLeftovers(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "a")
	a := n.hosts["a"]
	a.ip("addr", "add", prefix(vip4), "dev", "eth0", "label", "eth0:vip")
	a.ip("addr", "add", prefix(vip6), "dev", "eth0", "valid_lft", "1000", "preferred_lft", "0", "nodad")
	a.ip("addr", "add", "10.77.0.99/32", "dev", "eth0", "label", "eth0:vip") // another configuration's
	a.ip("addr", "add", "10.77.0.98/32", "dev", "eth0", "label", "eth0:x")
	a.ip("addr", "add", "10.77.0.97/32", "dev", "eth0")
	p := a.startHolder(netlinkVIP())
	within(t, patience, "leftovers are gone", func() bool { return !a.has(vip4) && !a.has(vip6) && !a.has("10.77.0.99") })
	p.waitEvent(vip.EventLeftover, "a former howdah left it")
	for _, others := range []string{"10.77.0.1", "10.77.0.98", "10.77.0.97", "fd77::1"} {
		if !a.has(others) {
			t.Errorf("%s is gone too", others)
		}
	}
}

// An address that somebody else put on the host is not touched: it is told of.
func TestForeignAddress(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "a")
	a := n.hosts["a"]
	a.ip("addr", "add", vip4+"/24", "dev", "eth0")
	a.ip("addr", "add", prefix(vip6), "dev", "lo", "nodad")
	p := a.startHolder(netlinkVIP())
	p.waitEvent(vip.EventBlocked, vip4+"/24 on eth0 was not put there by howdah")
	p.waitEvent(vip.EventBlocked, prefix(vip6)+" on lo was not put there by howdah")
	if s := p.State(); s.Fit || s.Held {
		t.Errorf("fit %v, held %v", s.Fit, s.Held)
	}
	p.say("hold 1s")
	a.ip("addr", "del", prefix(vip6), "dev", "lo")
	within(t, patience, "the other is held", func() bool { return p.State().Addresses[1].State == vip.Held })
	if got := a.address(vip4); got == nil || got.IPNet.String() != vip4+"/24" || got.Label == "eth0:vip" {
		t.Errorf("the foreign address is now %v", got)
	}
	a.ip("addr", "del", vip4+"/24", "dev", "eth0")
	within(t, patience, "all is held", func() bool { return p.State().Held })
}

// The interface appears late, goes down, comes back, and vanishes.
func TestInterface(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "a")
	a := n.hosts["a"]
	a.ip("link", "set", "eth0", "down")
	a.ip("link", "set", "eth0", "name", "old0")
	p := a.startHolder(netlinkVIP())
	p.say("hold 1s")
	p.waitEvent(vip.EventBlocked, "eth0 does not exist")
	a.ip("link", "set", "old0", "name", "eth0")
	p.waitEvent(vip.EventBlocked, "eth0 is down")
	if s := p.State(); s.Fit || !strings.Contains(s.Unfit, "is down") {
		t.Errorf("fit %v: %s", s.Fit, s.Unfit)
	}
	a.ip("link", "set", "eth0", "up")
	within(t, patience, "it is held", func() bool { return p.State().Held && a.has(vip4) && a.has(vip6) })
	a.ip("link", "set", "eth0", "down")
	within(t, patience, "it is blocked", func() bool { s := p.State(); return !s.Fit && !s.Held })
	within(t, kernelBound, "the kernel removes what is not renewed", func() bool { return !a.has(vip4) && !a.has(vip6) })
	a.ip("link", "set", "eth0", "up")
	within(t, patience, "it is held again", func() bool { return p.State().Held && a.has(vip4) && a.has(vip6) })
	a.ip("link", "del", "eth0")
	within(t, patience, "it is blocked", func() bool { return strings.Contains(p.State().Unfit, "does not exist") })
	n.plug(a)
	within(t, patience, "it is held on another interface of that name", func() bool { return p.State().Held && a.has(vip4) })
	if got := fmt.Sprint(p.State().Process); got == "0" {
		t.Error("there is no guardian")
	}
}
