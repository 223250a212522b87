package vip_test

import (
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/vip"
)

// Another host has the address: it is said who, and the address is taken nevertheless.
func TestConflictFast(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "a", "b", "c")
	a, b, c := n.hosts["a"], n.hosts["b"], n.hosts["c"]
	b.ip("addr", "add", vip4+"/24", "dev", "eth0")
	b.ip("addr", "add", vip6+"/64", "dev", "eth0", "nodad")
	for _, addr := range addresses {
		within(t, patience, "the neighbour knows the stranger", func() bool { c.reach(addr); return c.neighbour(addr) == b.mac })
	}
	p := a.startHolder(netlinkVIP())
	p.hold(time.Second, "")
	for _, addr := range addresses {
		found := false
		within(t, patience, "a conflict over "+addr, func() bool {
			for _, e := range p.State().Events {
				found = found || e.Kind == vip.EventConflict && e.Address.String() == addr && strings.Contains(e.Reason, b.mac)
			}
			return found
		})
		within(t, 3*time.Second, "the neighbour believes the holder", func() bool { return c.neighbour(addr) == a.mac })
	}
	if s := p.State().Addresses[0]; s.Claims == 0 || s.Claimant != b.mac {
		t.Errorf("%d claims, by %q", s.Claims, s.Claimant)
	}
}

// Two hosts hold the address (what a watchdog prevents): each hears the other, defends
// itself, and knows whether it is a member of the cluster.
func TestTwoHolders(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "a", "b")
	a, b := n.hosts["a"], n.hosts["b"]
	within(t, patience, "a knows b", func() bool { a.reach("10.77.0.2"); return a.neighbour("10.77.0.2") == b.mac })
	first, second := a.startHolder(netlinkVIP()), b.startHolder(netlinkVIP())
	first.hold(time.Second, "peer 10.77.0.2")
	second.hold(time.Second, "")
	first.waitEvent(vip.EventStaleHolder, "10.77.0.2 ("+b.mac+") still answers")
	second.waitEvent(vip.EventConflict, a.mac+", no member of the cluster")
}

// Strict: the address is not taken while another host answers for it.
func TestConflictStrict(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "a", "b")
	a, b := n.hosts["a"], n.hosts["b"]
	b.ip("addr", "add", vip4+"/24", "dev", "eth0")
	b.ip("addr", "add", vip6+"/64", "dev", "eth0", "nodad")
	p := a.startHolder(netlinkVIP("takeover: strict"))
	p.say("hold 1s released")
	p.waitEvent(vip.EventConflict, b.mac)
	started := time.Now()
	for time.Since(started) < time.Second {
		if a.has(vip4) || a.has(vip6) {
			t.Fatal("it was taken while another host had it")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if s := p.State().Addresses; s[0].State != vip.Probing || s[1].State != vip.Probing {
		t.Errorf("states %s and %s", s[0].State, s[1].State)
	}
	b.ip("addr", "del", vip4+"/24", "dev", "eth0")
	b.ip("addr", "del", vip6+"/64", "dev", "eth0")
	took := within(t, patience, "it is taken", func() bool { return p.State().Held && a.has(vip4) && a.has(vip6) })
	t.Logf("taken %s after the other host gave it up", took)
}

// Strict, and nobody says that the former holder released it: the kernel's lifetime is
// waited for, as that host may be frozen and not answer.
func TestStrictWaits(t *testing.T) {
	t.Parallel()
	a := newNetwork(t, "a").hosts["a"]
	p := a.startHolder(netlinkVIP("takeover: strict"))
	started := time.Now()
	p.say("hold 1s")
	within(t, patience, "it is taken", func() bool { return a.has(vip4) })
	if took := time.Since(started); took < 2*time.Second {
		t.Errorf("taken after %s, before the former holder's lifetime of 2s", took)
	}
}
