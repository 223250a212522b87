package core

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// LeaseState is what a member may do as the leader.
type LeaseState int

// The states of a lease.
const (
	// LeaseFollower: another member leads, or none.
	LeaseFollower LeaseState = iota
	// LeaseElected: it leads, but does not know yet all that was committed before.
	LeaseElected
	// LeaseHolding: it may act until the lease's end.
	LeaseHolding
	// LeaseLapsed: no majority acknowledged anything for too long.
	LeaseLapsed
	// LeaseYielded: it gave leadership away and does not act in this term any more.
	LeaseYielded
)

var leaseStateNames = [...]string{"follower", "elected", "holding", "lapsed", "yielded"}

func (s LeaseState) String() string {
	if s < 0 || int(s) >= len(leaseStateNames) {
		return fmt.Sprintf("lease state %d", int(s))
	}
	return leaseStateNames[s]
}

type leaseEvent int

const (
	leaseWon leaseEvent = iota
	leaseReady
	leaseLapsed
	leaseYielded
	leaseLost
)

var leaseEventNames = [...]string{"won", "ready", "lapse", "yield", "lost"}

func (e leaseEvent) String() string { return leaseEventNames[e] }

// leaseTransitions is the whole machine; an event that is not listed for a state
// leaves it as it is.
var leaseTransitions = []struct {
	from  LeaseState
	event leaseEvent
	to    LeaseState
	why   string
}{
	{LeaseFollower, leaseWon, LeaseElected, "it was elected"},
	{LeaseElected, leaseWon, LeaseElected, "it was elected again, in another term"},
	{LeaseHolding, leaseWon, LeaseElected, "it was elected again, in another term"},
	{LeaseLapsed, leaseWon, LeaseElected, "it was elected again, in another term"},
	{LeaseYielded, leaseWon, LeaseElected, "it was elected again, in another term"},
	{LeaseElected, leaseReady, LeaseHolding, "it is up to date and a majority acknowledges"},
	{LeaseHolding, leaseLapsed, LeaseLapsed, "no majority acknowledged lately"},
	{LeaseLapsed, leaseReady, LeaseHolding, "a majority acknowledges again"},
	{LeaseElected, leaseYielded, LeaseYielded, "leadership is being given away"},
	{LeaseHolding, leaseYielded, LeaseYielded, "leadership is being given away"},
	{LeaseLapsed, leaseYielded, LeaseYielded, "leadership is being given away"},
	{LeaseElected, leaseLost, LeaseFollower, "leadership is lost"},
	{LeaseHolding, leaseLost, LeaseFollower, "leadership is lost"},
	{LeaseLapsed, leaseLost, LeaseFollower, "leadership is lost"},
	{LeaseYielded, leaseLost, LeaseFollower, "leadership is lost"},
}

// Lease says until when a leader may act. It is the proof that no other member can have
// been elected yet: a majority acknowledged an append that was sent less than Timing.Lease
// ago, and each of them helps nobody else for Timing.Election from then on (see Guard).
type Lease struct {
	timing Timing
	self   MemberID
	state  LeaseState
	term   uint64
	// caughtUp: everything committed before this term is applied here.
	caughtUp bool
	voters   []MemberID
	// sent is when the newest append that a voter acknowledged in this term was sent.
	// The time of the answer would be too late: it may have waited in a buffer.
	sent map[MemberID]time.Duration
	why  string
}

// NewLease is a follower's lease.
func NewLease(self MemberID, timing Timing, voters []MemberID) *Lease {
	return &Lease{timing: timing, self: self, voters: slices.Clone(voters), why: "it was not elected"}
}

// State is the state at the last event.
func (l *Lease) State() LeaseState { return l.state }

// Term is the term of the last election won.
func (l *Lease) Term() uint64 { return l.term }

// Why is the reason for the state.
func (l *Lease) Why() string { return l.why }

func (l *Lease) move(e leaseEvent) {
	for _, t := range leaseTransitions {
		if t.from == l.state && t.event == e {
			l.state, l.why = t.to, t.why
			return
		}
	}
}

// Won says that raft elected this member.
func (l *Lease) Won(term uint64) {
	l.move(leaseWon)
	l.term, l.caughtUp, l.sent = term, false, map[MemberID]time.Duration{}
}

// CaughtUp says that everything committed before term is applied here.
func (l *Lease) CaughtUp(term uint64) {
	if term == l.term && l.state != LeaseFollower {
		l.caughtUp = true
	}
}

// Acked says that peer acknowledged an append of term, which was sent at sent.
func (l *Lease) Acked(peer MemberID, term uint64, sent time.Duration) {
	if term != l.term || l.state == LeaseFollower {
		return
	}
	if old, ok := l.sent[peer]; !ok || sent > old {
		l.sent[peer] = sent
	}
}

// Voters says who votes now.
func (l *Lease) Voters(voters []MemberID) { l.voters = slices.Clone(voters) }

// Yield gives the lease up for the rest of the term: what follows lets voters elect
// another member at once.
func (l *Lease) Yield() { l.move(leaseYielded) }

// Lost says that this member does not lead any more.
func (l *Lease) Lost() { l.move(leaseLost); l.sent = nil }

// Settle makes the state true at now.
func (l *Lease) Settle(now time.Duration) {
	if end, ok := l.end(now); ok && now < end && l.caughtUp {
		l.move(leaseReady)
	} else {
		l.move(leaseLapsed)
	}
}

// Until is the end of the lease, and whether it is held at now. Whoever acts asks right before.
func (l *Lease) Until(now time.Duration) (time.Duration, bool) {
	end, ok := l.end(now)
	return end, ok && l.state == LeaseHolding && now < end
}

// end is the lease's end by the acknowledgements of the quorum-th newest voter.
func (l *Lease) end(now time.Duration) (time.Duration, bool) {
	if l.state == LeaseFollower || l.state == LeaseYielded {
		return 0, false
	}
	times := make([]time.Duration, 0, len(l.voters))
	for _, v := range l.voters {
		if v == l.self {
			times = append(times, now)
		} else if sent, ok := l.sent[v]; ok {
			times = append(times, sent)
		}
	}
	quorum := Quorum(len(l.voters))
	if len(times) < quorum {
		return 0, false
	}
	slices.SortFunc(times, func(a, b time.Duration) int { return int(b - a) })
	return times[quorum-1] + l.timing.Lease, true
}

// Acks is how long ago the newest acknowledged append to each voter was sent.
func (l *Lease) Acks(now time.Duration) map[MemberID]time.Duration {
	ago := maps.Clone(l.sent)
	for id, sent := range ago {
		ago[id] = now - sent
	}
	return ago
}

// Quorum is a majority of n.
func Quorum(n int) int { return n/2 + 1 }
