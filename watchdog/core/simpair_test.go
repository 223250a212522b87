package core

import (
	"fmt"
	"slices"
	"time"
)

// simPair is what the world knows of two members without a third.
type simPair struct {
	rules PairRules
	// split: a member went on alone, so that there are two truths. The world's is that of the first one that did. forced: an operator
	// had one do so, and promises nothing any more but that they stop when they meet.
	split, forced bool
	calm          time.Duration // when all faults ended
	both          time.Duration // until then both may have the address
	sync          NodeID        // without which no commit is acknowledged (PolicySynchronous)
}

// simLone is a member's part of it.
type simLone struct {
	generations []string // survives a crash
	from        time.Duration
	lock        WantLock
	asked       time.Duration
	met         bool
	// unseen is when the primary was out of reach last.
	unseen    time.Duration
	confirmed time.Duration // when the standby that has all commits was last seen
}

// simLock is the lock that a node keeps.
type simLock struct {
	holder *simMember
	life   int
	active time.Duration
}

func (w *world) usePair() {
	policies := []Policy{"", PolicyWait, PolicyFenced, PolicyFenced, PolicySynchronous, PolicyUnsafe}
	r := PairRules{Policy: policies[w.rng.IntN(len(policies))], Lock: w.rng.IntN(4) > 0, After: 3 * time.Second}
	if r.Policy == PolicyUnsafe {
		r.SelfFence = 1500 * time.Millisecond
	}
	w.pair.rules, w.pair.sync = r, w.nodes[1].id
	w.logf("two members, %+v", r)
}

// tickPair is what one of two does all the time.
func (m *simMember) tickPair() {
	w := m.w
	m.step(Contact{m.guard.Contact()})
	m.meet()
	if len(w.members) != 2 {
		return
	}
	if m.pair.lock.Want && m.clock()-m.pair.asked >= w.timing.Lock/4 {
		m.pair.asked = m.clock()
		m.askLock(m.pair.lock.Node, m.clock())
	}
	if !m.reaches(m.state.Primary.Node) {
		m.pair.unseen = w.now
	}
	if w.chance(0.2) {
		m.step(Evidence{m.evidence()})
	}
}

// askLock asks the node for the lock.
func (m *simMember) askLock(node NodeID, sent time.Duration) {
	w, d, life := m.w, m.w.node(node), m.life
	place := len(w.members) + slices.Index(w.nodes, d)
	w.send(m.place, place, func() {
		if !d.up {
			return
		}
		l, answer := &d.lock, LockTaken
		if l.holder != nil && !(l.holder.alive && l.holder.life == l.life) && !w.cut[l.holder.place][place] {
			l.holder = nil // its session ended with its process
		}
		switch {
		case l.holder == nil || l.holder == m && l.life == life:
			*l, answer = simLock{m, life, w.now}, LockMine
		case w.now-l.active > w.timing.LockStale():
			l.holder, answer = nil, LockFree // its session is ended
		}
		w.send(place, m.place, func() {
			m.when(life, func() {
				if m.address.Want && answer == LockMine {
					w.totals.byLock++
				}
				m.step(Locked{node, answer, sent})
			})
		})
	})
}

func (m *simMember) evidence() Loss {
	w, primary := m.w, m.state.Primary.Node
	l := Loss{Node: primary, Sight: SeesDown, Why: "probe", Successor: "none answers", Unconfirmed: "the synchronous standby does not answer"}
	if m.reaches(primary) {
		l.Sight = SeesUp
	}
	for _, d := range w.nodes {
		if d.id != primary && m.reaches(d.id) {
			l.Successor = ""
		}
	}
	if primary != w.pair.sync && m.reaches(w.pair.sync) && w.node(w.pair.sync).timeline == w.node(primary).timeline {
		l.Unconfirmed = ""
		m.pair.confirmed = w.now
	}
	m.others(func(p *simMember) {
		if p.alive && !w.cut[m.place][p.place] && !w.cut[p.place][m.place] {
			l.Peer = "it answers"
		}
	})
	return l
}

// mayPromote: with synchronous replication only what has all commits.
func (m *simMember) mayPromote(id NodeID) bool {
	return m.w.pair.rules.Policy != PolicySynchronous || len(m.pair.generations) == 0 || id == m.w.pair.sync
}

// fence has the other member and the node turned off, or not.
func (m *simMember) fence(a Fence) {
	w, life, failed := m.w, m.life, ""
	d := w.node(a.Node)
	if w.chance(0.2) {
		failed = "no answer"
	}
	w.at(w.now+time.Duration(w.rng.Int64N(int64(time.Second))), func() {
		if failed == "" {
			d.up, d.off = false, w.now+3*time.Second
			d.lock = simLock{}
			w.totals.fences++
			w.logf("%s and %s are turned off", a.Member, d.id)
			if p := m.peer(a.Member); p.alive {
				p.kill()
				p.address = SetAddress{}
			}
			w.at(d.off, func() {
				if p := m.peer(a.Member); !p.alive {
					p.start(0)
				}
			})
		}
		m.when(life, func() { m.step(Fenced{a.Node, failed}) })
	})
}

// goAlone makes the member the only one, as Shrink does.
func (m *simMember) goAlone() {
	w := m.w
	w.totals.alone++
	if w.pair.split {
		w.totals.forks++
		if r := w.pair.rules.Policy; !w.pair.forced && r != PolicyUnsafe && r != PolicySynchronous {
			w.fail("%s goes on alone, and the other one did already", m.id)
		}
		w.pair.forced = true
	}
	w.pair.split = true
	m.pair.generations = append(m.pair.generations, fmt.Sprintf("%s-%d", m.id, m.life))
	m.ids = []MemberID{m.id}
	m.follow("")
	m.step(Voters{m.ids})
	m.advanceTo(len(m.log))
	m.term++
	m.voted = m.id
	m.role, m.leader = simLeader, m.id
	m.match = make([]int, len(w.members))
	m.log = append(m.log, simEntry{m.term, nil})
	m.step(Won{m.term})
	m.advance()
	for id := range m.state.Members {
		if id != m.id {
			m.propose(m.state.Make(KindForget, IDBody{id}))
		}
	}
	m.advance()
}

// meet asks the other one for its generation.
func (m *simMember) meet() {
	if !m.w.pair.split || m.pair.met || !m.w.chance(0.2) {
		return
	}
	m.others(func(p *simMember) {
		m.w.send(m.place, p.place, func() {
			if !p.alive {
				return
			}
			theirs := slices.Clone(p.pair.generations)
			m.w.send(p.place, m.place, func() {
				if own := m.pair.generations; len(theirs) > 0 && !slices.Equal(own, theirs) && m.alive {
					m.pair.met = true
					m.step(Outdated{fmt.Sprintf("%v and %v", own, theirs)})
				}
			})
		})
	})
}

// checkAlone holds that what the policy asks for is truly there when a member goes on alone.
func (w *world) checkAlone(m *simMember) {
	d := w.node(m.state.Primary.Node)
	r := w.pair.rules
	if silent := m.clock() - m.pair.from; silent < r.After {
		w.fail("%s goes on alone %s after it heard the other one", m.id, silent)
	}
	// What it saw last counts for a while: the primary may have come back since.
	if ago := w.now - m.pair.unseen; m.reaches(d.id) && ago > w.timing.stretched(2*w.timing.Poll)+2*tick {
		w.fail("%s goes on alone, and sees the primary", m.id)
	}
	if r.Policy != PolicySynchronous && !m.machine.fitness.Gateway {
		w.fail("%s goes on alone, and seems to be the one that is cut off", m.id)
	}
	switch r.Policy {
	case PolicyUnsafe:
	case PolicyFenced:
		if p := m.peer(m.machine.other()); w.now >= d.off || p.alive {
			w.fail("%s goes on alone, and %s and %s were not turned off", m.id, p.id, d.id)
		}
	case PolicySynchronous:
		if d.id == w.pair.sync || w.now-m.pair.confirmed > 3*time.Second || m.pair.confirmed == 0 {
			w.fail("%s goes on alone without the standby that has all commits", m.id)
		}
	default:
		w.fail("%s goes on alone", m.id)
	}
}

// mayBothHave: two that cannot reach each other may both have the address, and so may they for a moment after that.
func (w *world) mayBothHave() bool {
	if len(w.members) != 2 || !w.pair.rules.Lock && !w.pair.split {
		return false
	}
	if w.pair.split {
		return w.pair.calm == 0 || w.now < w.pair.calm+4*time.Second
	}
	for _, m := range w.members {
		if m.address.Reason == stays { // neither the other one nor the primary is heard
			w.pair.both = w.now + 200*time.Millisecond
		}
	}
	return w.now < w.pair.both
}

// mayStillWrite: after a member went on alone, what the policy allows to the other one: nothing that is acknowledged may be lost.
func (w *world) mayStillWrite(m *simMember, p Permission) bool {
	if w.pair.forced || w.pair.rules.Policy == PolicyUnsafe {
		return !m.pair.met // it was warned
	}
	if len(m.pair.generations) > 0 {
		return false // the one truth is its own
	}
	d := w.node(p.Target.Node)
	switch w.pair.rules.Policy {
	case PolicySynchronous:
		return !m.pair.met && d.id != w.pair.sync // it acknowledges nothing
	}
	return false
}

// recoveredAlone holds that the one that went on works, and the one that was left behind does nothing; of two that both
// went on neither does.
func (w *world) recoveredAlone() error {
	both := true
	for _, m := range w.members {
		both = both && len(m.pair.generations) > 0
	}
	for _, m := range w.members {
		p, has := m.machine.Permission(m.clock()), m.address.Want && m.clock() < m.address.Until
		switch on := len(m.pair.generations) > 0; {
		case both || !on:
			if p.Writes || has || m.machine.MayAct(m.clock()) {
				return fmt.Errorf("%s was left behind, or is one of two, and does not stand back: %s", m.id, p.Reason)
			}
		case !p.Writes || !has:
			return fmt.Errorf("%s went on alone, and does not serve: %s; address: %s", m.id, p.Reason, m.address.Reason)
		}
	}
	return nil
}
