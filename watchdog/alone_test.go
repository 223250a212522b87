package watchdog

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/watchdog/core"
)

// testLock is the lock that a primary would keep.
type testLock struct {
	mu     sync.Mutex
	broken bool // the primary does not answer
	holder *member
	active time.Time
}

// testTie is what a member under test decides by.
type testTie struct {
	q *quorum
	m *member

	mu                 sync.Mutex
	lacks, unconfirmed string
	peer               string
	fenced             int
	fails              error
}

func (t *testTie) Lock(_ context.Context, _ core.NodeID, want bool) (core.LockAnswer, error) {
	l := &t.q.lock
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.broken:
		return core.LockUnknown, errors.New("the primary is gone")
	case !want:
		if l.holder == t.m {
			l.holder = nil
		}
		return core.LockUnknown, nil
	case l.holder == nil || l.holder == t.m:
		l.holder, l.active = t.m, time.Now()
		return core.LockMine, nil
	case time.Since(l.active) > t.m.w.timing.LockStale():
		l.holder = nil
		return core.LockFree, nil
	}
	return core.LockTaken, nil
}

func (t *testTie) Successor(core.NodeID) (string, string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lacks, t.unconfirmed
}

func (t *testTie) Signs(context.Context, string) (string, string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.peer, ""
}

func (t *testTie) Fence(context.Context, core.MemberID, core.NodeID) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fenced++
	return t.fails
}

func (t *testTie) set(change func(t *testTie)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(t)
}

// lost has the test's pair record a primary, and then takes a member and the primary away. It returns the one that is left.
func (q *quorum) lost(lost int) *member {
	q.t.Helper()
	q.leads(func(m *member) error { return m.w.Record(core.Primary{Node: "d1", Timeline: 4}, "found") })
	left := q.members[1-lost]
	eventually(q.t, func() string {
		if left.w.State().Primary.Node != "d1" || *left.w.rules.Load() != "" {
			return "it does not know all yet"
		}
		return ""
	})
	q.lock.mu.Lock()
	q.lock.broken = true
	q.lock.mu.Unlock()
	q.members[lost].end()
	left.see("d1", core.SeesDown)
	return left
}

// decides waits until the member's last decision says something.
func (m *member) decides(what string) {
	m.t.Helper()
	eventually(m.t, func() string {
		all := m.w.decisions.list()
		for _, d := range all {
			if strings.Contains(d.Reason, what) {
				return ""
			}
		}
		return "nobody was told: " + what
	})
}

func (m *member) isAlone() string {
	if s := m.w.Standing(); !s.Leads || len(m.w.Status().Voters) != 1 || len(s.State.Members) != 1 || s.State.Primary.Node != "d1" || !s.Permission.Writes {
		return "it has not gone on alone: " + s.Permission.Reason
	}
	return ""
}

// One of two has lost the other one and the primary. It waits, says why, and decides nothing.
func TestOneOfTwoWaits(t *testing.T) {
	t.Parallel()
	q := newPair(t, configs.Pair{OnLoss: "wait", DatabaseLock: true, After: time.Second}, "p1", "p2")
	left := q.lost(0)
	left.decides("howdah watchdog shrink goes on alone")
	if s := left.w.Status(); len(s.Voters) != 2 || left.w.MayAct() {
		t.Errorf("got %+v", s)
	}
}

// It goes on alone after the other host was turned off, and not before. What was agreed on stays; it may fail over at once.
func TestOneOfTwoFencesTheOther(t *testing.T) {
	t.Parallel()
	q := newPair(t, configs.Pair{OnLoss: "fenced", DatabaseLock: true, After: 2 * time.Second}, "p1", "p2")
	for _, m := range q.members {
		m.tie.set(func(t *testTie) { t.fails = errors.New("the power switch does not answer") })
	}
	left := q.lost(0)
	left.decides("were not turned off: the power switch does not answer")
	if left.isAlone() == "" {
		t.Fatal("it went on alone although nothing was turned off")
	}
	left.tie.set(func(t *testTie) { t.fails = nil })
	eventually(t, left.isAlone)
	f, err := left.w.Consent(t.Context(), "d1", "it is dead", false)
	if err != nil {
		t.Fatalf("it cannot fail over alone: %v", err)
	}
	if f, err = left.w.Choose(f, "d2", "it is left"); err != nil {
		t.Fatal(err)
	}
	if err := left.w.Commit(f, core.Primary{Node: "d2", Timeline: 5}); err != nil {
		t.Fatal(err)
	}
	if owner := q.owner(); owner != left {
		t.Error("it does not have the address")
	}
	// The other one is turned on again, as it was: it does nothing, and says what to do.
	q.restart(0)
	back := q.members[0]
	eventually(t, func() string {
		select {
		case <-back.w.started:
		default:
			return "it does not run"
		}
		if p := back.w.Permission(); p.Writes || !strings.Contains(p.Reason, "remove its data directory") {
			return "it would write: " + p.Reason
		}
		return ""
	})
	if back.Held() || back.w.MayAct() {
		t.Error("the one that was left behind acts")
	}
}

// With synchronous replication it goes on alone only if the standby has all that was acknowledged.
func TestOneOfTwoKnowsOfAllCommits(t *testing.T) {
	t.Parallel()
	q := newPair(t, configs.Pair{OnLoss: "synchronous", DatabaseLock: true, After: 2 * time.Second}, "p1", "p2")
	for _, m := range q.members {
		m.tie.set(func(t *testTie) { t.unconfirmed = "d2 did not have to confirm commits" })
	}
	left := q.lost(0)
	left.decides("may have acknowledged what the standby lacks: d2 did not have to confirm commits")
	left.tie.set(func(t *testTie) { t.unconfirmed, t.lacks = "", "d2 does not answer" })
	left.decides("nobody can be promoted: d2 does not answer")
	left.tie.set(func(t *testTie) { t.lacks = "" })
	eventually(t, left.isAlone)
}

// Both were made to go on alone: the fork is never merged. Neither does anything any more, and both say why.
func TestForkIsNotMerged(t *testing.T) {
	t.Parallel()
	q := newPair(t, configs.Pair{OnLoss: "wait", DatabaseLock: true, After: time.Second}, "p1", "p2")
	q.leads(func(m *member) error { return m.w.Record(core.Primary{Node: "d1", Timeline: 4}, "found") })
	eventually(t, func() string {
		for _, m := range q.members {
			if m.w.State().Primary.Node != "d1" {
				return m.cfg.Name + " does not know all yet"
			}
		}
		return ""
	})
	for _, m := range q.members {
		m.end()
	}
	for _, m := range q.members {
		if err := Shrink(m.cfg, m.w.log); err != nil {
			t.Fatal(err)
		}
	}
	q.restart(0)
	eventually(t, q.members[0].isAlone)
	q.restart(1)
	eventually(t, func() string {
		for _, m := range q.members {
			select {
			case <-m.w.started:
			default:
				return "it does not run"
			}
			if p := m.w.Permission(); p.Writes || m.Held() || m.w.MayAct() || !strings.Contains(p.Reason, "both made to go on alone") {
				return m.cfg.Name + " goes on: " + p.Reason
			}
		}
		return ""
	})
	for _, m := range q.members {
		if s := m.w.Status(); len(s.Voters) != 1 {
			t.Errorf("%s has voters %v", m.cfg.Name, s.Voters)
		}
		if _, err := m.w.Consent(t.Context(), "d1", "it is dead", false); err == nil {
			t.Errorf("%s fails over", m.cfg.Name)
		}
	}
}

// Nobody leads, as one of two is gone. The other one has the address by the lock; it stays there when the lost one is back.
func TestAddressByTheLock(t *testing.T) {
	t.Parallel()
	q := newPair(t, configs.Pair{OnLoss: "wait", DatabaseLock: true, After: time.Second}, "p1", "p2")
	first := q.leads(func(m *member) error { return m.w.Record(core.Primary{Node: "d1", Timeline: 4}, "found") })
	i := 0
	if q.members[1] == first {
		i = 1
	}
	second := q.members[1-i]
	eventually(t, func() string {
		if second.w.State().Primary.Node != "d1" {
			return "it does not know all yet"
		}
		q.lock.mu.Lock()
		defer q.lock.mu.Unlock()
		if q.lock.holder != first {
			return "the leader has no lock"
		}
		return ""
	})
	second.end()
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if !first.Held() {
			t.Fatalf("the leader lost the address with the other member: %+v", first.w.Status())
		}
	}
	if s := first.w.Status(); s.Lease == "holding" || !strings.Contains(s.AddressReason, "lock of the address") || !s.Writes {
		t.Errorf("got %+v", s)
	}
	q.restart(1 - i)
	if q.ready() != first {
		t.Error("the address went away")
	}
	first.end()
	eventually(t, func() string {
		if !q.members[1-i].Held() {
			return "the other one does not take the address"
		}
		return ""
	})
}
