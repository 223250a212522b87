package core

import (
	"errors"
	"fmt"
	"slices"
)

// fail notes the first broken invariant; the schedule ends with it.
func (w *world) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("after %s: %s", w.now, fmt.Sprintf(format, args...))
		w.logf("BROKEN: %v", w.err)
	}
}

// check holds what must be true at every moment, after an event of member m. Whatever is
// allowed to a member ends by itself as time goes by, so nothing can break between events.
func (w *world) check(m *simMember) {
	w.checkLeases()
	w.checkWrites(m)
}

// At most one member believes, by its own clock, that it may act; and at most one has the
// address. A stopped member believes what it did before; a killed one may still have the address.
func (w *world) checkLeases() {
	var leases, addresses []MemberID
	for _, m := range w.members {
		now := m.clock()
		if m.alive && m.machine.lease.state == LeaseHolding && m.machine.MayAct(now) && !w.pair.split {
			leases = append(leases, m.id)
		}
		if m.address.Want && now < m.address.Until {
			addresses = append(addresses, m.id)
		}
	}
	if len(leases) > 1 {
		w.fail("%v hold valid leases at the same time", leases)
	}
	if len(addresses) > 1 && !w.mayBothHave() {
		w.fail("%v have the address at the same time", addresses)
	}
}

// No member writes to a node that is not the committed primary, nor to the old one once the
// failover from it is barred. The truth is ahead of what members know.
func (w *world) checkWrites(m *simMember) {
	if !m.alive {
		return
	}
	p := m.machine.Permission(m.clock())
	if !p.Writes || w.pair.split && w.mayStillWrite(m, p) {
		return
	}
	// Until it hears of the failover's first step a member goes on; then it stops by and by.
	if f := w.truth.Failover; f.Phase == PhaseBarred || f.Phase == PhaseChosen {
		if m.machine.stopped != f.ID || p.Target.Node != f.From || m.state.Failover.ID == f.ID {
			w.fail("%s would write to %s while failover %d is %s", m.id, p.Target.Node, f.ID, f.Phase)
		}
	} else if p.Target.Node != w.truth.Primary.Node {
		w.fail("%s would write to %s, and the primary is %s", m.id, p.Target.Node, w.truth.Primary.Node)
	}
}

// commit notes that the entry at index is committed. All members commit the same.
func (w *world) commit(m *simMember, index int, e simEntry) {
	if w.pair.split && (w.pair.forced || len(m.pair.generations) == 0) {
		return // one of two truths, or one that was left behind
	}
	if index <= len(w.committed) {
		if got := w.committed[index-1]; got.term != e.term || string(got.text) != string(e.text) {
			w.fail("entry %d is committed twice: %s and %s", index, got.text, e.text)
		}
		return
	}
	w.committed = append(w.committed, e)
	if e.text == nil {
		return
	}
	before := w.truth
	next, err := Builtin().Apply(before, uint64(index), e.text)
	if err != nil {
		if !errors.Is(err, ErrRefused) {
			w.fail("apply: %v", err)
		}
		return
	}
	w.truth = next
	w.logf("committed %d: %s", index, e.text)
	w.progress(before, next)
	for _, m := range w.members {
		w.checkWrites(m)
	}
}

// progress holds what must be true of the committed history.
func (w *world) progress(before, after *State) {
	from, to := before.Failover.Phase, after.Failover.Phase
	switch {
	case after.Epoch < before.Epoch || after.Epoch > before.Epoch+1:
		w.fail("epoch %d follows %d", after.Epoch, before.Epoch)
	case after.Epoch != before.Epoch && len(w.promoted) > 0 && from != PhaseChosen && after.Primary.Node != before.Primary.Node:
		w.fail("the primary changed in phase %s", from)
	}
	switch {
	case from == PhaseNone && to == PhaseBegun:
		w.totals.begun++
		w.begun = w.now
		if before.Intents.Paused && !after.Failover.Planned {
			w.fail("a failover began while everything automatic is paused")
		}
		if !after.Failover.Planned && hasUp(after.Failover.Votes) {
			w.fail("a failover began against a veto: %v", after.Failover.Votes)
		}
	case to == PhaseNone && after.Epoch != before.Epoch && from == PhaseChosen:
		w.totals.committed++
		w.changed = w.now
		if after.Primary.Node != before.Failover.Candidate {
			w.fail("%s is the primary, and the candidate was %s", after.Primary.Node, before.Failover.Candidate)
		}
	case to == PhaseNone && from != PhaseNone:
		w.totals.aborted++
	case to == PhaseChosen:
		w.totals.attempts++
	}
}

// same holds that members which applied as much have the same state.
func (w *world) same(index int, s *State) {
	if w.pair.split {
		return
	}
	text, err := s.Encode()
	if err != nil {
		w.fail("encode: %v", err)
	}
	if old, ok := w.texts[uint64(index)]; !ok {
		w.texts[uint64(index)] = string(text)
	} else if old != string(text) {
		w.fail("two states after entry %d:\n%s\n%s", index, old, text)
	}
}

// proposed holds that a failover is begun by a member with a lease, after a poll that truly
// was as it must be. The votes are counted here from what was delivered, and in another way.
func (w *world) proposed(m *simMember, c Command) {
	if f := m.state.Failover; c.Kind == KindChoose && f.Phase == PhaseBarred && !f.Planned {
		w.checkPoll(m, "chooses a candidate")
	}
	if c.Kind == KindBar {
		w.checkStopped(m)
	}
	if c.Kind != KindBegin {
		return
	}
	if !m.machine.MayAct(m.clock()) {
		w.fail("%s begins a failover without a lease", m.id)
	}
	var b BeginBody
	if err := strict(c.Body, &b); err != nil {
		w.fail("%v", err)
	}
	if !b.Planned {
		w.checkPoll(m, "begins a failover")
		// A member that was started since does not know when the last one was.
		if ago := w.now - w.changed; w.changed > m.user.began && float64(ago) < float64(w.timing.Cooldown)*(1-w.timing.Drift) {
			w.fail("%s begins a failover %s after the last one", m.id, ago)
		}
	}
}

// checkStopped holds that nothing sent earlier is still on its way to the old primary: from the
// leader that says so, and in a pair from the other one, which needs no grant to write. Of
// others the grant has run out, or they have said that they stopped.
func (w *world) checkStopped(leader *simMember) {
	f := w.truth.Failover
	if w.pair.split {
		return // what became of the other one was decided before
	}
	for _, m := range w.members {
		if m.alive && (m == leader || len(w.members) == 2) && m.user.stopped != f.ID && m.user.began < w.begun {
			w.fail("%s bars failover %d and %s has not stopped to write", leader.id, f.ID, m.id)
		}
	}
}

func (w *world) checkPoll(m *simMember, what string) {
	p := m.user.poll
	if p == nil || p.ID>>24 != m.machine.lease.term {
		w.fail("%s %s without a poll of this term", m.id, what)
		return
	}
	answered, down := map[MemberID]bool{}, 0
	for _, v := range p.votes {
		answered[v.From] = true
		if v.Sight == SeesDown {
			down++
		}
	}
	switch {
	case hasUp(p.votes):
		w.fail("%s %s although a member sees the primary alive: %v", m.id, what, p.votes)
	case 2*len(answered) <= len(m.ids):
		w.fail("%s %s after %d of %d answers", m.id, what, len(answered), len(m.ids))
	case down == 0:
		w.fail("%s %s that nobody observed", m.id, what)
	}
}

// issued holds what must be true when a candidate is told to become the primary: a lease, all
// others barred, and never two candidates for one attempt.
func (w *world) issued(m *simMember, f Failover) {
	if w.pair.forced {
		return
	}
	key := fmt.Sprintf("epoch %d attempt %d", m.state.Epoch, f.Attempt)
	if old, ok := w.promoted[key]; ok && old != f.Candidate {
		w.fail("%s: both %s and %s are promoted", key, old, f.Candidate)
	}
	w.promoted[key] = f.Candidate
	if !m.machine.MayAct(m.clock()) {
		w.fail("%s promotes %s without a lease", m.id, f.Candidate)
	}
	if t := w.truth.Failover; t.ID != f.ID || t.Phase != PhaseChosen {
		w.fail("%s promotes %s for failover %d, and %d is %s", m.id, f.Candidate, f.ID, t.ID, t.Phase)
	}
	for _, p := range w.members {
		if may := p.machine.Permission(p.clock()); p.alive && may.Writes && !(w.pair.split && w.mayStillWrite(p, may)) {
			w.fail("%s is promoted while %s may write", f.Candidate, p.id)
		}
	}
}

// recovered holds that the cluster works again: one member leads and has the address, all
// may write to one primary, and no failover is stuck.
func (w *world) recovered() error {
	if w.pair.split {
		return w.recoveredAlone()
	}
	var owners []MemberID
	for _, m := range w.members {
		if m.address.Want && m.clock() < m.address.Until {
			owners = append(owners, m.id)
		}
		if p := m.machine.Permission(m.clock()); !p.Writes && m.state.Members[m.id].Role == RoleProxy {
			return fmt.Errorf("long after all faults ended %s still cannot write: %s", m.id, p.Reason)
		}
	}
	if len(owners) != 1 || !slices.Contains(w.members[0].ids, owners[0]) {
		return fmt.Errorf("long after all faults ended %v have the address", owners)
	}
	if w.truth.Failover.Phase != PhaseNone {
		return fmt.Errorf("a failover is stuck in phase %s", w.truth.Failover.Phase)
	}
	return nil
}
