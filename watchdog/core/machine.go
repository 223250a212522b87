package core

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Machine is one member. It is not safe for concurrent use: one goroutine feeds it all events.
type Machine struct {
	self   MemberID
	timing Timing

	state   *State
	applied uint64
	stored  uint64 // of Restarted
	voters  []MemberID

	lease  *Lease
	grants *Grants // of the term that this member leads
	route  Route
	asked  time.Duration // when a route lease was last asked for
	holder holder
	// stopped is the failover for which nothing goes to the old primary any more, and
	// stopping the one for which that was ordered.
	stopped, stopping uint64

	fitness Fitness
	peers   map[MemberID]peer
	// address is the last SetAddress.
	address SetAddress

	poll  *poll
	polls uint64
	// pending is the request that a failover is being begun for.
	pending *pending
	// proposed is from when on a kind of command may be proposed again in this term.
	proposed map[Kind]time.Duration
	// resumed is the failover that the user was told to go on with in this term.
	resumed uint64
	// checked is the failover whose primary was found dead in this term, and again when a
	// poll may look at it next.
	checked uint64
	again   time.Duration
	// changed is when the primary last changed by a failover; cooling: it ever did.
	changed time.Duration
	cooling bool
	// held is since when the lease is held without a break, and fitter since when another
	// member should lead.
	held      time.Duration
	fitter    time.Duration
	fitterWho MemberID

	// pair is of two members without a third; wantLock is the last of its kind.
	pair     pairing
	wantLock WantLock

	now     time.Duration // of the event under way
	actions []Action
}

// pending is a request to fail over, from the end of its poll to the end of its barrier.
type pending struct {
	request  string
	failover uint64 // 0 until its beginning is committed
	since    time.Duration
}

// New is a member that knows nothing yet.
func New(self MemberID, timing Timing, voters []MemberID) *Machine {
	return &Machine{self: self, timing: timing, state: (&State{}).clone(), voters: slices.Clone(voters),
		lease: NewLease(self, timing, voters), peers: map[MemberID]peer{}, proposed: map[Kind]time.Duration{}, polls: 1}
}

// State is the state that the member goes by.
func (m *Machine) State() *State { return m.state }

// Lease is the member's lease, to be looked at.
func (m *Machine) Lease() *Lease { return m.lease }

// Leader is who leads, as far as the member knows.
func (m *Machine) Leader() MemberID { return m.holder.id }

// AppliedAt is the index of the last command that another member said it goes by.
func (m *Machine) AppliedAt(id MemberID) uint64 {
	if m.grants == nil {
		return 0
	}
	return m.grants.applied[id]
}

// MayAct says whether this member may act as the leader at now. Who does something that
// cannot be taken back asks right before.
func (m *Machine) MayAct(now time.Duration) bool {
	_, ok := m.lease.Until(now)
	return ok && m.pair.outdated == ""
}

// Permission is what the member may do for its clients at now.
func (m *Machine) Permission(now time.Duration) Permission {
	severed, until := m.severed(now)
	return permit(now, standing{m.self, m.state, m.voters, m.MayAct(now), m.applied >= m.stored, m.route, m.pair.outdated, severed, until})
}

// Step takes an event that happened at now. Time never goes back.
func (m *Machine) Step(now time.Duration, e Event) []Action {
	m.now, m.actions = now, nil
	switch e := e.(type) {
	case Tick:
	case Won:
		m.won(e)
	case CaughtUp:
		m.lease.CaughtUp(e.Term)
	case Lost:
		m.lost()
	case Acked:
		m.lease.Acked(e.Peer, e.Term, e.Sent)
		m.hears(e.Peer, e.Sent)
	case Leads:
		m.holder = holder{e.Leader, now}
		m.asked = now - m.timing.Route // it does not know yet who may write
	case Applied:
		m.apply(e)
	case Restarted:
		m.stored = e.Index
	case Voters:
		m.voters = slices.Clone(e.IDs)
		m.lease.Voters(e.IDs)
	case Health:
		if m.fitness = e.Fitness; e.Fitness.Gateway {
			m.pair.gateway = now
		}
	case PeerHealth:
		m.peers[e.Peer] = peer{e.Fitness, now}
		m.hears(e.Peer, 0)
	case RouteRequest:
		m.answerRoute(e.Ask)
	case RouteReply:
		m.routeReply(e)
	case Stopped:
		m.stopped = max(m.stopped, e.Failover)
		m.asked = now - m.timing.Route // the leader waits to hear it
	case Consent:
		m.consent(e)
	case Voted:
		m.voted(e)
	case Unproposed:
		m.unproposed(e)
	case Yield:
		m.yieldTo(e)
	case Yielded:
		m.hears(e.From, 0)
		if e.From == m.other() {
			m.pair.lock.left = now + 2*m.timing.stretched(m.timing.Lock)
		}
	case Heard:
		m.hears(e.From, e.Asked)
	case Contact:
		m.pair.contact = max(m.pair.contact, e.At)
	case Locked:
		if e.Node == m.wantLock.Node && m.wantLock.Want {
			m.locked(e)
		}
	case Evidence:
		m.pair.loss, m.pair.lossAt = e.Loss, now
	case Fenced:
		if m.pair.fence == fenceAsked && e.Node == m.state.Primary.Node {
			m.pair.fence, m.pair.fenceAt, m.pair.fenced = fenceDone, now, e.Failed
			if e.Failed != "" {
				m.pair.fence = fenceFailed
			}
		}
	case NotAlone:
		m.pair.going, m.pair.ready, m.pair.why = false, now, ""
		m.do(Together{"going on alone failed: " + e.Reason})
	case Outdated:
		m.pair.outdated = e.Reason
	default:
		panic(fmt.Sprintf("unknown event %T", e))
	}
	m.settle()
	return m.actions
}

func (m *Machine) do(a Action) { m.actions = append(m.actions, a) }

func (m *Machine) won(e Won) {
	m.lease.Won(e.Term)
	m.holder = holder{m.self, m.now}
	m.grants = NewGrants(m.timing, m.now)
	m.endTerm("another term began")
}

func (m *Machine) lost() {
	m.lease.Lost()
	m.grants = nil
	m.endTerm("leadership was lost")
}

// endTerm forgets what belongs to one term.
func (m *Machine) endTerm(why string) {
	clear(m.proposed)
	m.resumed, m.checked, m.again, m.fitterWho = 0, 0, 0, ""
	if m.poll != nil {
		m.refuse(m.poll.request, why)
		m.poll = nil
	}
	if m.pending != nil {
		m.refuse(m.pending.request, why)
		m.pending = nil
	}
}

func (m *Machine) apply(e Applied) {
	if e.State.Epoch != m.state.Epoch && len(e.State.History) > 0 && !e.Old && m.state.Failover.Phase != PhaseNone {
		m.changed, m.cooling = m.now, true
	}
	if e.State.Epoch != m.state.Epoch || e.State.Failover.ID != m.state.Failover.ID {
		m.asked = m.now - m.timing.Route // grants are for one epoch
	}
	m.state, m.applied = e.State, e.Index
	if f := m.state.Failover; f.Phase != PhaseNone && m.stopping != f.ID {
		m.stopping = f.ID
		m.do(StopWrites{f.From, f.ID})
	}
}

// settle does what follows from the state and the time, whatever the event was.
func (m *Machine) settle() {
	was := m.lease.State()
	m.lease.Settle(m.now)
	until, holds := m.lease.Until(m.now)
	if holds && was != LeaseHolding {
		m.held, m.resumed = m.now, 0 // whoever carried a failover out has stopped meanwhile
	}
	if m.pair.outdated != "" {
		holds = false
	}
	m.settlePair(holds)
	m.settleLock(holds)
	m.settleAddress(until, holds)
	if holds {
		m.holder = holder{m.self, m.now}
	}
	m.askRoute()
	if holds && m.state.Failover.Phase == PhaseNone {
		// Its own grant: a successor counts it among those of an earlier leader.
		m.route.Answered(RouteAnswer{Granted: true, Epoch: m.state.Epoch, Sent: m.now, Lease: m.timing.Route})
	}
	if holds {
		m.settlePoll()
		m.settleFailover()
		m.settleUpkeep()
		m.settleSuccession()
	}
}

// settleAddress wants the address exactly while the lease is held and this member can
// serve. The level decides, not the change: the action is repeated when the end moves.
func (m *Machine) settleAddress(until time.Duration, holds bool) {
	until, may, why := m.authority(until, holds)
	next := SetAddress{Reason: why}
	switch lacks := m.fitness.lacks(); {
	case !may:
	case m.state.Members[m.self].Role == RoleWitness:
		next.Reason = "it is a witness"
	case !m.fitness.Serves || !m.fitness.Link:
		next.Reason = lacks[0]
	default:
		next.Want, next.Until = true, until
	}
	if next != m.address {
		m.address = next
		m.do(next)
	}
}

// propose proposes once, and again if nothing came of it for a while.
func (m *Machine) propose(c Command) {
	if again, ok := m.proposed[c.Kind]; ok && m.now < again {
		return
	}
	m.proposed[c.Kind] = m.now + m.timing.Poll
	m.do(Propose{c})
}

// others are all members but this one: those that vote, and those that announced themselves.
func (m *Machine) others() []MemberID {
	ids := map[MemberID]bool{}
	for _, v := range m.voters {
		ids[v] = true
	}
	for id := range m.state.Members {
		ids[id] = true
	}
	delete(ids, m.self)
	return slices.Sorted(maps.Keys(ids))
}

// settleUpkeep records who has the address, and raises the level once all members can follow.
func (m *Machine) settleUpkeep() {
	if m.address.Want && m.state.Owner != m.self {
		m.propose(m.state.Make(KindOwner, IDBody{m.self}))
	}
	level := 0
	for _, id := range append(m.others(), m.self) {
		member, ok := m.state.Members[id]
		if !ok {
			return // it has not announced itself yet
		}
		if level == 0 || member.Level < level {
			level = member.Level
		}
	}
	if level > m.state.Level {
		m.propose(m.state.Make(KindLevel, LevelBody{level}))
	}
}
