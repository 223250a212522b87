package core

import (
	"fmt"
	"slices"
	"time"
)

// simUser is what uses the watchdog at one member: it asks for failovers and carries them out.
type simUser struct {
	// job is the failover that this member carries out.
	job uint64
	// down is since when the primary is not seen.
	down time.Duration
	// chosen is when the candidate was, by the member's clock; attempt and candidate are what was promoted already.
	attempt   int
	candidate NodeID
	chosen    time.Duration
	poll      *simPoll
	// stopped is the failover for which the connections to the old primary were cut, and
	// began when this process was started, with none.
	stopped uint64
	began   time.Duration
}

// simPoll is what truly happened in a poll, beside what the machine makes of it.
type simPoll struct {
	Poll
	failover uint64
	votes    []Vote
}

func (m *simMember) request() string { return fmt.Sprintf("%s-%d-%d", m.id, m.life, m.asked) }

// reaches says whether a question to a node is answered.
func (m *simMember) reaches(id NodeID) bool {
	d := m.w.node(id)
	place := len(m.w.members) + slices.Index(m.w.nodes, d)
	return d.up && !m.w.cut[m.place][place] && !m.w.cut[place][m.place]
}

// sees says what this member sees of a node. Now and then it cannot tell.
func (m *simMember) sees(id NodeID) Sight {
	switch {
	case m.reaches(id):
		return SeesUp
	case m.w.chance(0.1):
		return SeesNothing
	}
	return SeesDown
}

// step lets the machine see an event, and does what it says.
func (m *simMember) step(e Event) {
	if !m.alive || m.w.err != nil {
		return
	}
	for _, a := range m.machine.Step(m.clock(), e) {
		m.act(a)
	}
	m.w.check(m)
}

func (m *simMember) act(a Action) {
	life := m.life
	switch a := a.(type) {
	case SetAddress:
		m.address = a
	case AskPoll:
		truth := &simPoll{Poll: a.Poll, failover: m.state.Failover.ID}
		m.user.poll = truth
		answer := func(p *simMember) Vote { return Vote{From: p.id, Sight: p.sees(a.Poll.Node), Reason: "probe"} }
		hear := func(v Vote) {
			if m.life == life {
				if p := m.machine.poll; p == nil || p.ID != a.Poll.ID {
					return // it was decided before this came; a node that is back by now is the user's to find
				}
				truth.votes = append(truth.votes, v)
				m.step(Voted{a.Poll.ID, v})
			}
		}
		m.w.at(m.w.now, func() { m.when(life, func() { hear(answer(m)) }) })
		m.others(func(p *simMember) {
			m.post(p, func() {
				v := answer(p)
				p.post(m, func() { hear(v) })
			})
		})
	case AskRoute:
		if p := m.peer(a.To); p != nil {
			m.post(p, func() { p.step(RouteRequest{a.Ask}) })
		}
	case ReplyRoute:
		if p := m.peer(a.To); p != nil {
			m.post(p, func() { p.step(RouteReply{m.id, a.Answer}) })
		}
	case Propose:
		m.w.proposed(m, a.Command)
		m.w.at(m.w.now, func() { m.when(life, func() { m.propose(a.Command) }) })
	case StopWrites:
		takes := 50 * time.Millisecond
		if m.w.chance(0.2) {
			takes = 3 * time.Second
		}
		m.w.at(m.w.now+time.Duration(m.w.rng.Int64N(int64(takes))), func() {
			m.when(life, func() {
				m.user.stopped = max(m.user.stopped, a.Failover)
				m.step(Stopped{a.Failover})
			})
		})
	case Transfer:
		m.transfer(a)
	case Reply:
		m.w.logf("%s: request %s: granted %v: %s", m.id, a.Request, a.Granted, a.Reason)
		if a.Granted {
			m.user.job, m.user.attempt = a.Failover.ID, 0
		} else if m.user.poll != nil && hasUp(m.user.poll.votes) {
			m.w.totals.vetoed++
		}
	case WantLock:
		m.pair.lock = a
	case Together:
		m.w.logf("%s does not go on alone: %s", m.id, a.Reason)
	case Fence:
		m.fence(a)
	case GoAlone:
		m.w.logf("%s goes on alone: %s", m.id, a.Reason)
		m.w.checkAlone(m)
		m.w.at(max(m.w.now, m.disk.until), func() { m.when(life, m.goAlone) }) // what it needs for that is on the disk
	case Resume:
		m.w.logf("%s goes on with failover %d (%s)", m.id, a.Failover.ID, a.Failover.Phase)
		m.user.job, m.user.attempt = a.Failover.ID, 0
	}
}

func hasUp(votes []Vote) bool {
	return slices.ContainsFunc(votes, func(v Vote) bool { return v.Sight == SeesUp })
}

// transfer tells all voters that the lease is over, and then the successor to campaign. Each
// message may be lost or late, as any.
func (m *simMember) transfer(a Transfer) {
	m.w.totals.yields++
	m.w.logf("%s yields term %d to %s: %s", m.id, a.Term, a.To, a.Reason)
	m.guard.Yielded(a.Term)
	m.others(func(p *simMember) {
		m.post(p, func() {
			p.guard.Yielded(a.Term)
			p.step(Yielded{m.id})
		})
	})
	if p := m.peer(a.To); p != nil && p != m && !m.disk.hangs(m.w.now) {
		m.post(p, func() {
			p.guard.Yielded(a.Term)
			p.step(Yielded{m.id})
			p.campaign(true)
		})
	}
	m.w.at(m.w.now+500*time.Millisecond, m.stepDown(m.life, a.Term))
}

// stepDown ends a leadership that nobody took over, once the disk lets raft notice that nobody answers.
func (m *simMember) stepDown(life int, term uint64) func() {
	return func() {
		m.when(life, func() {
			switch {
			case m.role != simLeader || m.term != term:
			case m.disk.hangs(m.w.now):
				m.w.at(max(m.disk.until, m.w.now+tick), m.stepDown(life, term))
			default:
				m.follow("")
			}
		})
	}
}

// use is the user's own loop at this member.
func (m *simMember) use() {
	u, s, now := &m.user, m.state, m.clock()
	primary := s.Primary.Node
	if m.sees(primary) != SeesDown {
		u.down = 0
	} else if u.down == 0 {
		u.down = now
	}
	if !m.machine.MayAct(now) {
		u.job = 0
		return
	}
	f := s.Failover
	switch {
	case f.Phase == PhaseNone && u.down != 0 && now-u.down > 300*time.Millisecond && m.w.chance(0.2):
		m.asked++
		m.step(Consent{Request: m.request(), Node: primary, Reason: "it does not answer"})
	case f.ID != u.job || f.ID == 0:
	case f.Phase == PhaseBarred && m.w.chance(0.5) || f.Phase == PhaseChosen && now-u.chosen > patience(f):
		m.choose(f)
	case f.Phase == PhaseChosen && (u.attempt != f.Attempt || u.candidate != f.Candidate):
		m.promote(f)
	}
}

// patience is how long the user waits for a promotion before the next candidate is taken: at every other attempt so short that
// both may be under way.
func patience(f Failover) time.Duration {
	if f.Attempt%2 == 1 {
		return 150 * time.Millisecond
	}
	return 1500 * time.Millisecond
}

// choose proposes the next candidate, or gives up if there is none.
func (m *simMember) choose(f Failover) {
	m.user.chosen = m.clock()
	var candidates []NodeID
	for _, d := range m.w.nodes {
		if d.id != f.From && m.sees(d.id) == SeesUp && m.mayPromote(d.id) && m.state.Nodes[d.id].Status != NodeTainted {
			candidates = append(candidates, d.id)
		}
	}
	if len(candidates) == 0 {
		if m.sees(f.From) == SeesUp {
			m.act(Propose{m.state.Make(KindAbort, ReasonBody{"there is no candidate"})})
		}
		return
	}
	c := candidates[m.w.rng.IntN(len(candidates))]
	m.act(Propose{m.state.Make(KindChoose, ChooseBody{Candidate: c, Attempt: m.state.Attempt + 1, Reason: "it is the best"})})
}

// promote tells the candidate to become the primary. It may hear it late, twice or never, and so may we its answer.
func (m *simMember) promote(f Failover) {
	m.user.attempt, m.user.candidate, m.user.chosen = f.Attempt, f.Candidate, m.clock()
	m.w.issued(m, f)
	d, life, attempt := m.w.node(f.Candidate), m.life, f.Attempt
	place := len(m.w.members) + slices.Index(m.w.nodes, d)
	m.w.send(m.place, place, func() {
		if !d.up || m.w.chance(0.2) {
			return
		}
		if !d.primary {
			d.primary = true
			d.timeline++
		}
		timeline := d.timeline
		m.w.send(place, m.place, func() {
			m.when(life, func() {
				if m.machine.MayAct(m.clock()) && m.state.Failover.ID == f.ID {
					m.act(Propose{m.state.Make(KindCommit, CommitBody{Primary{Node: d.id, Timeline: timeline}, attempt})})
				}
			})
		})
	})
}
