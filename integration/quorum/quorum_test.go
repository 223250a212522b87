package quorum

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// promised is how soon another member has the address in the profile lan. The binary under test
// has the race detector in it and the machine is shared, so the tests allow some more.
const (
	promised = 1500 * time.Millisecond
	slack    = 1500 * time.Millisecond
)

// taken waits until the address answers at another host, and holds that old does not have it then.
func (n *network) taken(old *host, began time.Time, what string) *host {
	n.t.Helper()
	var owner *host
	n.eventually(func() string {
		for _, h := range n.others(old) {
			if h.has() {
				owner = h
				if err := n.answers(); err != nil {
					return fmt.Sprintf("the address does not answer at %s after %s: %v", h.name, what, err)
				}
				return ""
			}
		}
		return "nobody took the address after " + what
	})
	took := time.Since(began)
	if old.has() {
		n.t.Errorf("%s still has the address after %s took it", old.name, owner.name)
	}
	n.t.Logf("%s: %s answers at the address after %s", what, owner.name, took.Round(time.Millisecond))
	if took > promised+slack {
		n.t.Errorf("%s: it took %s, promised are %s", what, took, promised)
	}
	return owner
}

// A leader that is killed, again and again; whoever comes back does not get the address back.
func TestLeaderIsKilled(t *testing.T) {
	n := newNetwork(t, "p1", "p2", "p3")
	owner := n.startAll()
	n.neverTwo()
	// Nobody notices that a follower goes.
	follower, term := n.others(owner)[0], owner.answer().Term
	follower.kill()
	during(t, time.Second, func() string {
		if s := owner.status(); s != nil && (s.Term != term || !s.Address) {
			return fmt.Sprintf("the leader goes with a follower: %+v", s)
		}
		return ""
	})
	follower.start()
	n.ready()
	for range 3 {
		began := time.Now()
		owner.kill()
		next := n.taken(owner, began, "kill -9 of the leader")
		owner.start()
		if n.ready() != next {
			t.Error("the address went back")
		}
		owner = next
	}
	// One that stops in order hands over sooner than an election would take.
	began := time.Now()
	owner.signal(syscall.SIGTERM)
	n.taken(owner, began, "SIGTERM of the leader")
}

// A leader that is stopped for a while, and goes on as if nothing had been.
func TestLeaderIsStopped(t *testing.T) {
	n := newNetwork(t, "p1", "p2", "p3")
	old := n.startAll()
	n.neverTwo()
	began := time.Now()
	old.signal(syscall.SIGSTOP)
	next := n.taken(old, began, "SIGSTOP of the leader")
	old.signal(syscall.SIGCONT)
	n.eventually(func() string {
		switch s := old.status(); {
		case s == nil:
			return "it does not answer again"
		case s.Address:
			t.Fatal("it has the address again")
		case string(s.Leader) != next.name:
			return "it does not follow the new leader"
		}
		return ""
	})
}

// A leader that is cut off, in all ways, gives the address up before another one has
// it, and is a follower when it is back.
func TestLeaderIsCutOff(t *testing.T) {
	n := newNetwork(t, "p1", "p2", "p3")
	owner := n.startAll()
	n.neverTwo()
	for _, cut := range []struct {
		name       string
		break_     func(h *host)
		everything func(h *host)
	}{
		{"its interface loses the carrier", (*host).unplug, (*host).plug},
		{"cable out behind the switch", (*host).cut, (*host).mend},
		{"it hears nothing", (*host).deafen, (*host).heal},
		{"nobody hears it", (*host).mute, (*host).heal},
	} {
		began := time.Now()
		cut.break_(owner)
		next := n.taken(owner, began, cut.name)
		for range 20 { // it stays so
			if owner.owns() {
				t.Fatalf("%s: %s has the address again", cut.name, owner.name)
			}
			time.Sleep(10 * time.Millisecond)
		}
		cut.everything(owner)
		if n.ready() != next {
			t.Errorf("%s: the address went back", cut.name)
		}
		owner = next
	}
}

// A minority holds nothing, whoever leads it; all killed and started together are one cluster again.
func TestMinorityAndRestart(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "p1", "p2", "p3")
	owner := n.startAll()
	n.neverTwo()
	for _, h := range n.others(owner) {
		h.unplug()
	}
	n.eventually(func() string {
		if owner.owns() {
			return "a leader without followers keeps the address"
		}
		return ""
	})
	for _, h := range n.hosts {
		if h.owns() {
			t.Errorf("%s has the address alone", h.name)
		}
	}
	for _, h := range n.others(owner) {
		h.plug()
	}
	n.ready()
	for _, h := range n.hosts {
		h.kill()
	}
	n.startAll()
}

// Two that do not hear each other, with a third that both hear, do not fight.
func TestPartialCut(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "p1", "p2", "p3")
	owner := n.startAll()
	others := n.others(owner)
	others[0].lose(others[1])
	others[1].lose(others[0])
	term := owner.answer().Term
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if s := owner.answer(); s.Term != term || !s.Address {
			t.Fatalf("the leader changed although all hear it: %+v", s)
		}
	}
}

// Two hosts and a witness: either may go, and the witness never has the address.
func TestPairAndWitness(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "p1", "p2", "w1")
	owner := n.startAll()
	n.neverTwo()
	witness := n.hosts[2]
	witness.kill()
	for range 50 {
		if s := owner.answer(); !s.Address {
			t.Fatal("the owner lost the address with the witness")
		}
		time.Sleep(20 * time.Millisecond)
	}
	witness.start()
	n.ready()
	began := time.Now()
	owner.kill()
	if next := n.taken(owner, began, "kill -9 of the leader of a pair"); next.witness {
		t.Error("the witness has the address")
	}
	owner.start()
	n.ready()
}

// A member that starts before its address is there waits for it.
func TestStartBeforeTheNetwork(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "p1", "p2", "p3")
	late := n.hosts[2]
	n.ip("-n", late.ns, "addr", "del", late.address+"/24", "dev", "eth0")
	for _, h := range n.hosts {
		h.start()
	}
	n.eventually(func() string {
		if late.log.String() == "" {
			return "it says nothing"
		}
		return ""
	})
	n.ip("-n", late.ns, "addr", "add", late.address+"/24", "dev", "eth0")
	n.ready()
}
