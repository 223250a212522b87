package core

import "fmt"

// consent begins a poll, or refuses at once. Each refusal says what is in the way.
func (m *Machine) consent(e Consent) {
	switch {
	case !m.MayAct(m.now):
		m.refuse(e.Request, "this member holds no lease: "+m.lease.Why())
	case m.state.Failover.Phase != PhaseNone:
		m.refuse(e.Request, fmt.Sprintf("a failover from %s is under way (%s)", m.state.Failover.From, m.state.Failover.Phase))
	case m.poll != nil || m.pending != nil:
		m.refuse(e.Request, "another request is being decided")
	case e.Node != m.state.Primary.Node:
		m.refuse(e.Request, fmt.Sprintf("the recorded primary is %q, not %q", m.state.Primary.Node, e.Node))
	case e.Planned:
		m.begin(e.Request, BeginBody{From: e.Node, Reason: e.Reason, Planned: true})
	case m.state.Intents.Paused:
		m.refuse(e.Request, "everything automatic is paused")
	case m.cooling && m.now-m.changed < m.timing.Cooldown:
		m.refuse(e.Request, fmt.Sprintf("the last failover was %s ago; %s must pass between two", m.now-m.changed, m.timing.Cooldown))
	default:
		m.ask(e.Node)
		m.poll.request, m.poll.reason = e.Request, e.Reason
	}
}

func (m *Machine) ask(node NodeID) {
	m.polls++
	// The term makes it unlike any poll of another leader.
	m.poll = &poll{Poll: Poll{ID: m.lease.Term()<<24 | m.polls&(1<<24-1), Node: node, Epoch: m.state.Epoch},
		failover: m.state.Failover.ID, asked: m.now, votes: map[MemberID]Vote{}}
	m.do(AskPoll{m.poll.Poll})
}

// refuse answers a request; what the machine asked for itself has none.
func (m *Machine) refuse(request, why string) {
	if request != "" {
		m.do(Reply{Request: request, Reason: why})
	}
}

func (m *Machine) voted(e Voted) {
	if m.poll != nil && m.poll.ID == e.Poll && m.now-m.poll.asked < m.timing.Poll {
		if old, ok := m.poll.votes[e.Vote.From]; !ok || old.Sight != SeesUp { // a veto stays one
			m.poll.votes[e.Vote.From] = e.Vote
		}
	}
}

// settlePoll ends the poll when all who are known to be there have answered, or time is up.
func (m *Machine) settlePoll() {
	p := m.poll
	if p == nil {
		return
	}
	verdict, votes := p.tally(m.voters)
	expired := m.now-p.asked >= m.timing.Poll
	switch {
	case p.Epoch != m.state.Epoch || p.Node != m.state.Primary.Node || p.failover != m.state.Failover.ID || m.state.Intents.Paused:
		m.poll = nil
		m.refuse(p.request, "the state changed while the members were asked")
	case p.failover != 0:
		m.rechecked(p, verdict, expired)
	case verdict.Failed && (verdict.Final || expired || m.heardAll(p)):
		m.poll = nil
		m.begin(p.request, BeginBody{From: p.Node, Reason: p.reason + ": " + verdict.Reason, Votes: votes})
	case verdict.Final || expired:
		m.poll = nil
		m.refuse(p.request, verdict.Reason)
	}
}

// heardAll: everybody who acknowledged an append lately has answered. To wait for a member
// that is gone would cost time and bring nothing.
func (m *Machine) heardAll(p *poll) bool {
	acks := m.lease.Acks(m.now)
	for _, v := range m.voters {
		ago, heard := acks[v]
		if _, voted := p.votes[v]; !voted && (v == m.self || heard && ago < m.timing.Election) {
			return false
		}
	}
	return true
}

func (m *Machine) begin(request string, b BeginBody) {
	m.pending = &pending{request: request, since: m.now}
	delete(m.proposed, KindBegin)
	c := m.state.Make(KindBegin, b)
	c.Request = request
	m.propose(c)
}

// unproposed has a command proposed again soon, but not at once: who refuses it (raft does while leadership is given away) refuses
// the next one as fast, and the two would go round without end.
func (m *Machine) unproposed(e Unproposed) {
	if again, ok := m.proposed[e.Kind]; ok {
		m.proposed[e.Kind] = min(again, m.now+m.timing.Poll/10)
	}
	if p := m.pending; e.Kind == KindBegin && p != nil && p.failover == 0 {
		m.pending = nil
		m.refuse(p.request, "its beginning was not committed: "+e.Reason)
	}
}

// settleFailover brings a failover through its barrier, and has the user go on with one
// that was left behind. It is the same for the leader that began it and for a successor.
func (m *Machine) settleFailover() {
	f := m.state.Failover
	p := m.pending
	if p != nil && p.failover == 0 && f.Phase != PhaseNone {
		p.failover, m.checked = f.ID, f.ID
	}
	switch {
	case p != nil && p.failover != 0 && f.ID != p.failover:
		m.pending = nil
		m.refuse(p.request, "the failover was aborted")
	case f.Phase == PhaseBegun && len(m.barring()) == 0:
		m.propose(m.state.Make(KindBar, ReasonBody{"nobody writes to the old primary"}))
	case f.Phase != PhaseBarred && f.Phase != PhaseChosen:
	case f.Phase == PhaseBarred && !f.Planned && m.checked != f.ID:
		m.recheck(f)
	case p != nil:
		m.pending, m.resumed = nil, f.ID
		m.do(Reply{Request: p.request, Granted: true, Failover: f, Reason: f.Reason})
	case m.resumed != f.ID:
		m.resumed = f.ID
		m.do(Resume{f})
	}
}

// recheck asks again before a successor goes on: the beginning may have lain in a log for
// long, and the primary may live by now. Once a candidate was chosen it is too late for that.
func (m *Machine) recheck(f Failover) {
	if m.poll == nil && m.now >= m.again {
		m.again = m.now + m.timing.Poll
		m.ask(f.From)
	}
}

func (m *Machine) rechecked(p *poll, verdict Verdict, expired bool) {
	switch {
	case verdict.Failed && (verdict.Final || expired || m.heardAll(p)):
		m.poll, m.checked = nil, p.failover
	case verdict.Alive:
		m.poll = nil
		m.propose(m.state.Make(KindAbort, ReasonBody{"the primary is " + verdict.Reason}))
	case verdict.Final || expired:
		m.poll = nil
	}
}

// barring are the members that may still write to the old primary.
func (m *Machine) barring() []MemberID {
	f := m.state.Failover
	missing := m.grants.Missing(m.now, f.ID, m.others(), len(m.voters) <= 2)
	if m.stopped != f.ID {
		missing = append(missing, m.self)
	}
	return missing
}
