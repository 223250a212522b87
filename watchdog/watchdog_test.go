package watchdog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/watchdog/core"
)

// Three members elect one, and another takes over within the promised time when it is gone.
func TestOneOwner(t *testing.T) {
	t.Parallel()
	q := newQuorum(t, "p1", "p2", "p3")
	first := q.ready()
	s := first.w.Status()
	if s.Leader != first.w.self || len(s.Voters) != 3 || s.Lease != "holding" || !s.Address {
		t.Errorf("got %+v", s)
	}
	first.end()
	second := q.owner()
	if second == first {
		t.Fatal("the member that ended still has the address")
	}
}

// A primary is recorded and failed over: no consent against one who sees it, consent without,
// then choose and commit; all go by the new one.
func TestFailover(t *testing.T) {
	t.Parallel()
	q := newQuorum(t, "p1", "p2", "p3")
	leader := q.leads(func(m *member) error { return m.w.Record(core.Primary{Node: "d1", System: "7", Timeline: 1}, "found") })
	for _, m := range q.members {
		m.see("d1", core.SeesDown)
		eventually(t, func() string {
			if p := m.w.Permission(); !p.Writes || p.Target.Node != "d1" {
				return m.cfg.Name + " may not write: " + p.Reason
			}
			return ""
		})
	}
	other := q.members[0]
	if other == leader {
		other = q.members[1]
	}
	other.see("d1", core.SeesUp)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var refusal *Refusal
	if _, err := leader.w.Consent(ctx, "d1", "it does not answer", false); !errors.As(err, &refusal) || !strings.Contains(err.Error(), "seen alive by "+other.cfg.Name) {
		t.Fatalf("got %v, want a veto of %s", err, other.cfg.Name)
	}
	if _, err := other.w.Consent(ctx, "d1", "it does not answer", false); !errors.As(err, &refusal) || !strings.Contains(err.Error(), "holds no lease") {
		t.Errorf("got %v from a member that does not lead", err)
	}
	other.see("d1", core.SeesDown)
	f, err := leader.w.Consent(ctx, "d1", "it does not answer", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range q.members {
		if p := m.w.Permission(); p.Writes {
			t.Errorf("%s may write during the failover: %s", m.cfg.Name, p.Reason)
		}
		if m.stopped.Load() != 1 {
			t.Errorf("%s was told %d times to stop its writes", m.cfg.Name, m.stopped.Load())
		}
	}
	if f, err = leader.w.Choose(f, "d2", "it has most"); err != nil || !leader.w.MayAct() {
		t.Fatal(err)
	}
	if err := leader.w.Commit(f, core.Primary{Node: "d2", System: "7", Timeline: 2}); err != nil {
		t.Fatal(err)
	}
	for _, m := range q.members {
		eventually(t, func() string {
			if p := m.w.Permission(); !p.Writes || p.Target.Node != "d2" || p.Epoch != 2 {
				return fmt.Sprintf("%s: %+v", m.cfg.Name, p)
			}
			return ""
		})
	}
	if _, err := leader.w.Consent(ctx, "d2", "it does not answer", false); !errors.As(err, &refusal) || !strings.Contains(err.Error(), "must pass between two") {
		t.Errorf("got %v right after a failover", err)
	}
}

// A leader that ends in the middle of a failover leaves it to the next one, which goes on.
func TestFailoverIsResumed(t *testing.T) {
	t.Parallel()
	q := newQuorum(t, "p1", "p2", "p3")
	leader := q.leads(func(m *member) error { return m.w.Record(core.Primary{Node: "d1"}, "found") })
	for _, m := range q.members {
		m.see("d1", core.SeesDown)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	f, err := leader.w.Consent(ctx, "d1", "it does not answer", false)
	if err != nil {
		t.Fatal(err)
	}
	if f, err = leader.w.Choose(f, "d2", "it has most"); err != nil {
		t.Fatal(err)
	}
	leader.end()
	next := q.owner()
	select {
	case got := <-next.resumed:
		if got.ID != f.ID || got.Phase != core.PhaseChosen || got.Candidate != "d2" {
			t.Errorf("got %+v, want %+v", got, f)
		}
		if err := next.w.Commit(got, core.Primary{Node: "d2"}); err != nil {
			t.Error(err)
		}
	case <-ctx.Done():
		t.Fatal("the next leader was not told")
	}
}

// All are stopped and started: the state is as it was. A member whose directory is lost
// comes back under another name and gets its vote again.
func TestRestartAndLostDirectory(t *testing.T) {
	t.Parallel()
	q := newQuorum(t, "p1", "p2", "p3")
	q.leads(func(m *member) error { return m.w.Record(core.Primary{Node: "d1", Timeline: 4}, "found") })
	for _, m := range q.members {
		m.end()
	}
	for i := range q.members {
		q.restart(i)
	}
	owner := q.ready()
	if got := owner.w.State().Primary; got.Node != "d1" || got.Timeline != 4 {
		t.Errorf("got %+v after a restart", got)
	}
	lost := 0
	for q.members[lost] == owner {
		lost++
	}
	before := q.members[lost].w.identity.Server
	q.members[lost].end()
	if err := os.RemoveAll(q.members[lost].cfg.DataDir); err != nil {
		t.Fatal(err)
	}
	q.restart(lost)
	eventually(t, func() string {
		m := q.members[lost]
		select {
		case <-m.w.started:
		default:
			return "it does not run"
		}
		all, voter, err := owner.w.serversOf(m.w.self)
		if err != nil || voter != m.w.identity.Server || len(all) != 1 || voter == before {
			return fmt.Sprintf("servers of %s: %v, votes %s (it was %s): %v", m.w.self, all, voter, before, err)
		}
		return ""
	})
	if got := q.members[lost].w.State().Primary.Node; got != "d1" {
		t.Errorf("it goes by primary %q", got)
	}
}

// Handing over takes no election timeout; the old leader has given the address up before.
func TestHandover(t *testing.T) {
	t.Parallel()
	q := newQuorum(t, "p1", "p2", "p3")
	var to *member
	first := q.leads(func(leader *member) error {
		if to = q.members[0]; to == leader {
			to = q.members[1]
		}
		_, err := Ask(context.Background(), leader.cfg.DataDir, Order{Yield: to.w.self})
		return err
	})
	eventually(t, func() string {
		if first.Held() || !to.Held() {
			return "the address has not moved"
		}
		return ""
	})
	if _, err := Ask(context.Background(), first.cfg.DataDir, Order{Yield: to.w.self}); err == nil {
		t.Error("a member that does not lead gave leadership away")
	}
	eventually(t, func() string {
		s, err := Ask(context.Background(), first.cfg.DataDir, Order{})
		if err != nil || s.Leader != to.w.self || len(s.Members) != 3 {
			return fmt.Sprintf("got %+v, %v", s, err)
		}
		return ""
	})
}

// A leader whose own data path hangs loses the address to one that works.
func TestHungLeaderLosesTheAddress(t *testing.T) {
	t.Parallel()
	q := newQuorum(t, "p1", "p2", "p3")
	first := q.ready()
	first.hang.Store(true)
	eventually(t, func() string {
		if first.Held() {
			return "it still has the address"
		}
		return ""
	})
	if second := q.owner(); second == first {
		t.Error("it has the address again")
	}
}

// A leader whose disk fails steps aside, and its process lives on. When the disk works
// again, it takes part again.
func TestLeaderWithoutDiskStepsAside(t *testing.T) {
	t.Parallel()
	q := newQuorum(t, "p1", "p2", "p3")
	first := q.ready()
	var broken = make(chan struct{})
	full := func(access func() error) error {
		select {
		case <-broken:
			return access()
		default:
			return errors.New("no space left on device")
		}
	}
	first.w.store.access.Store(&full)
	eventually(t, func() string { // on a busy machine it may be the third one by now
		if err := q.successor(first).w.Record(core.Primary{Node: "d1"}, "found"); err != nil {
			return err.Error()
		}
		return ""
	})
	if first.w.Permission().Writes {
		t.Error("it may write")
	}
	close(broken)
	eventually(t, func() string {
		if p := first.w.Permission(); !p.Writes || p.Target.Node != "d1" {
			return "it does not take part again: " + p.Reason
		}
		return ""
	})
}

// A witness votes and never has the address; with it one of two is enough.
func TestPairWithWitness(t *testing.T) {
	t.Parallel()
	q := newQuorum(t, "p1", "p2", "w1")
	first := q.ready()
	if first.w.self == "w1" {
		t.Fatal("the witness has the address")
	}
	first.end()
	if second := q.owner(); second.w.self == "w1" || second == first {
		t.Errorf("%s has the address", second.w.self)
	}
}

// Members of another cluster, or without a certificate of this one, are not heard.
func TestStrangersAreRefused(t *testing.T) {
	t.Parallel()
	q := newQuorum(t, "p1")
	m := q.owner()
	other := t.TempDir()
	if err := Keygen(other, "shop", []string{"p1"}); err != nil {
		t.Fatal(err)
	}
	k, err := loadKeys(other+"/p1", "p1", "shop")
	if err != nil {
		t.Fatal(err)
	}
	p, err := listen("127.0.0.1:0", "shop", "p1", k, m.w.log)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	address, _ := m.w.addressOf("p1")
	if conn, err := p.dial(context.Background(), rpcProtocol("shop"), "p1", address); err == nil {
		conn.Close()
		t.Error("a certificate of another authority was accepted")
	}
	mine, err := listen("127.0.0.1:0", "shop", "p1", m.w.keys, m.w.log)
	if err != nil {
		t.Fatal(err)
	}
	defer mine.close()
	if conn, err := mine.dial(context.Background(), rpcProtocol("mall"), "p1", address); err == nil {
		conn.Close()
		t.Error("a member of another cluster was accepted")
	}
	if _, err := loadKeys(q.dir+"/keys/p1", "p2", "shop"); err == nil {
		t.Error("the keys of p1 were taken for those of p2")
	}
}

// A disk that hangs does not keep a leader in place, whose heartbeats do not touch it. Its raft does not hear who leads then; still it
// finds out, and its clients may write.
func TestLeaderWithHungDiskStepsAside(t *testing.T) {
	t.Parallel()
	q := newQuorum(t, "p1", "p2", "p3")
	first := q.leads(func(m *member) error { return m.w.Record(core.Primary{Node: "d1"}, "found") })
	broken := make(chan struct{})
	defer close(broken)
	hang := func(access func() error) error { <-broken; return access() }
	first.w.store.access.Store(&hang)
	q.successor(first)
	eventually(t, func() string { // on a busy machine it may be the third one by now
		if s := first.w.Status(); s.Leader != q.successor(first).w.self || !first.w.Permission().Writes {
			return fmt.Sprintf("it takes %s for the leader, and writes: %v (%s)", s.Leader, s.Writes, s.Reason)
		}
		return ""
	})
}

// A follower that cannot store a term takes no part. Raft alone would end the process.
func TestFollowerWithoutDiskLivesOn(t *testing.T) {
	t.Parallel()
	q := newQuorum(t, "p1", "p2", "p3")
	leader := q.ready()
	sick := q.members[0]
	if sick == leader {
		sick = q.members[1]
	}
	broken := make(chan struct{})
	full := func(access func() error) error {
		select {
		case <-broken:
			return access()
		default:
			return errors.New("no space left on device")
		}
	}
	sick.w.store.access.Store(&full)
	leader.stop(nil) // its successor begins a term, which the sick one cannot store
	<-leader.done
	eventually(t, func() string {
		if sick.w.store.healthy() {
			return "it has stored nothing yet"
		}
		return ""
	})
	if sick.w.Status().Member != sick.w.self {
		t.Error("it does not answer")
	}
	close(broken)
	q.owner()
}

// What a newer version says makes a member step aside; it does not guess, and keeps the log.
func TestUnknownCommand(t *testing.T) {
	t.Parallel()
	q := newQuorum(t, "p1", "p2", "p3")
	leader := q.ready()
	if err := leader.w.raft().Apply([]byte(`{"kind":"node.note","epoch":0}`), proposeTimeout).Error(); err != nil {
		t.Fatal(err)
	}
	for _, m := range q.members {
		eventually(t, func() string {
			if m.w.fsm.isBehind() == nil || m.Held() {
				return m.cfg.Name + " goes on as if nothing had been"
			}
			return ""
		})
		if _, err := m.w.fsm.Snapshot(); !errors.Is(err, core.ErrUnknownCommand) {
			t.Errorf("got %v for a snapshot", err)
		}
		if m.w.Permission().Writes {
			t.Errorf("%s lets clients write", m.cfg.Name)
		}
	}
}
