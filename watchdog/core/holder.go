package core

import (
	"fmt"
	"slices"
	"time"
)

// holder is the member that is believed to hold the lease: whom raft named last, or who answered since that it holds it. Raft alone
// does not know in time: while a member's disk hangs, its raft names the leader of before, be it this member itself.
type holder struct {
	id MemberID // "" if nobody is known
	// at is when it was last known: when raft named it, when the question was sent that it answered, or when this member held the
	// lease itself.
	at time.Duration
}

// asksPerRoute is how many times a route lease is asked for within its time, and
// asksRefused how many times when there is none: the leader may be about to be able to grant it.
const (
	asksPerRoute = 10
	asksRefused  = 30
)

// holderKept is the part of a route lease's time after which a holder that says nothing is looked for among all members. It leaves
// time to be granted another lease before the last one ends.
const holderKept = 3

// askRoute asks the holder of the lease for a route lease, or all other members if it is not known who that is. One that does not
// hold the lease grants nothing, so it is no danger to ask too many.
func (m *Machine) askRoute() {
	every, to := m.timing.Route/asksPerRoute, []MemberID{m.holder.id}
	switch lost := m.holder.id == "" || m.now-m.holder.at >= m.timing.Route/holderKept; {
	case lost:
		to = m.others()
	case m.holder.id == m.self:
		return
	case m.now >= m.route.Until || m.route.Epoch != m.state.Epoch:
		every = m.timing.Route / asksRefused
	}
	if m.now-m.asked < every {
		return
	}
	m.asked = m.now
	ask := RouteAsk{From: m.self, Epoch: m.state.Epoch, Applied: m.applied, Sent: m.now}
	if f := m.state.Failover; f.Phase != PhaseNone {
		ask.Failover, ask.Barred = f.ID, m.stopped == f.ID
	}
	for _, id := range to {
		m.do(AskRoute{id, ask})
	}
}

// routeReply takes an answer. That of a member which does not hold the lease says nothing, unless it was taken for the holder.
func (m *Machine) routeReply(e RouteReply) {
	m.hears(e.From, e.Answer.Sent)
	switch a := e.Answer; {
	case (a.Granted || a.Holder) && a.Sent >= m.holder.at:
		m.holder = holder{e.From, a.Sent}
	case a.Granted:
	case e.From != m.holder.id:
		return
	}
	m.route.Answered(e.Answer)
}

// answerRoute answers another member's request. Nobody but a member is granted anything: who is not, is not waited for in a failover.
func (m *Machine) answerRoute(a RouteAsk) {
	answer := RouteAnswer{Sent: a.Sent, Epoch: m.state.Epoch}
	switch {
	case !m.MayAct(m.now):
		answer.Reason = "this member holds no lease: " + m.lease.Why()
	case !slices.Contains(m.others(), a.From):
		answer.Reason = fmt.Sprintf("%s is no member", a.From)
	default:
		answer = m.grants.Answer(m.now, m.state, a)
	}
	answer.Holder = m.MayAct(m.now)
	m.do(ReplyRoute{a.From, answer})
}
