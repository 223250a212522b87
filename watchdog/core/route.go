package core

import (
	"fmt"
	"slices"
	"time"
)

// RouteAsk is a member's request for a route lease. It says what the member goes by.
type RouteAsk struct {
	From  MemberID `json:"from"`
	Epoch uint64   `json:"epoch"`
	// Failover is the failover that the member knows to be under way, or 0, and Barred
	// that it has stopped to write to the old primary.
	Failover uint64 `json:"failover,omitempty"`
	Barred   bool   `json:"barred,omitempty"`
	// Applied is the index of the last command that the member goes by.
	Applied uint64 `json:"applied"`
	// Sent is the member's own clock, given back in the answer.
	Sent time.Duration `json:"sent"`
}

// RouteAnswer is the answer of a member that was asked.
type RouteAnswer struct {
	Granted bool `json:"granted"`
	// Holder: who answers holds the lease. Only such a member grants anything.
	Holder bool          `json:"holder,omitempty"`
	Reason string        `json:"reason,omitempty"`
	Epoch  uint64        `json:"epoch"`
	Sent   time.Duration `json:"sent"`
	// Lease is how long after Sent the grant lasts.
	Lease time.Duration `json:"lease"`
}

// Grants is the leader's memory of who may write to the primary.
type Grants struct {
	timing Timing
	// until is when a member's grant has surely run out.
	until map[MemberID]time.Duration
	// others is the same for grants that an earlier leader may have given to anybody.
	others time.Duration
	// barred has the failover that a member stopped for.
	barred map[MemberID]uint64
	// applied has the last command that a member goes by.
	applied map[MemberID]uint64
}

// NewGrants is the memory of a leader that was elected at now. An earlier leader gave its
// last grant before its lease ended, which was before now.
func NewGrants(timing Timing, now time.Duration) *Grants {
	return &Grants{timing: timing, others: now + timing.stretched(timing.Route), until: map[MemberID]time.Duration{}, barred: map[MemberID]uint64{},
		applied: map[MemberID]uint64{}}
}

// Answer decides about a request that arrived at now at a leader with state s, which holds its lease.
func (g *Grants) Answer(now time.Duration, s *State, a RouteAsk) RouteAnswer {
	if a.Barred && a.Failover != 0 {
		g.barred[a.From] = a.Failover
	}
	g.applied[a.From] = max(g.applied[a.From], a.Applied)
	answer := RouteAnswer{Epoch: s.Epoch, Sent: a.Sent, Lease: g.timing.Route}
	switch {
	case s.Failover.Phase != PhaseNone:
		answer.Reason = fmt.Sprintf("a failover from %s is under way (%s)", s.Failover.From, s.Failover.Phase)
	case a.Epoch != s.Epoch:
		answer.Reason = fmt.Sprintf("the member is in epoch %d, the cluster in %d", a.Epoch, s.Epoch)
	default:
		answer.Granted = true
		g.until[a.From] = now + g.timing.stretched(g.timing.Route)
	}
	return answer
}

// Missing are the members that may still write to the primary that failover id gives
// up, those too that were taken out while they could. A pair's member may write without a grant, so there nothing but its word counts.
func (g *Grants) Missing(now time.Duration, id uint64, members []MemberID, pair bool) []MemberID {
	var missing []MemberID
	for m, until := range g.until {
		if now < until && g.barred[m] != id && !slices.Contains(members, m) {
			missing = append(missing, m)
		}
	}
	for _, m := range members {
		granted := now < g.others || now < g.until[m]
		if g.barred[m] != id && (pair || granted) {
			missing = append(missing, m)
		}
	}
	return missing
}

// Route is a member's own right to write to the primary it knows.
type Route struct {
	// Until and Epoch are of the last grant.
	Until time.Duration
	Epoch uint64
	// Reason is why the last request was refused.
	Reason string
}

// Answered takes an answer of the leader. The grant counts from when it was asked for.
func (r *Route) Answered(a RouteAnswer) {
	if !a.Granted {
		r.Reason = a.Reason
		return
	}
	r.Until, r.Epoch, r.Reason = max(r.Until, a.Sent+a.Lease), a.Epoch, ""
}

// Permission is what a member may do for its clients.
type Permission struct {
	Reads, Writes bool
	// Target is the only node that may be written to.
	Target Primary
	Epoch  uint64
	// Until is when the right to write ends unless it is renewed; 0 if it does not end by itself.
	Until  time.Duration
	Reason string
}

// standing is what Permit looks at.
type standing struct {
	self    MemberID
	state   *State
	voters  []MemberID
	leading bool // holds the lease at now
	current bool // goes by all that was in its log when it started
	route   Route
	// outdated is why it must not write whatever else, and severed why one of two must not without a grant; alone is
	// until when it may.
	outdated, severed string
	alone             time.Duration
}

// permit is the table of what clients may do by the state of their proxy.
func permit(now time.Duration, s standing) Permission {
	p := Permission{Reads: true, Target: s.state.Primary, Epoch: s.state.Epoch}
	voter := false
	for _, v := range s.voters {
		voter = voter || v == s.self
	}
	switch {
	case s.outdated != "":
		p.Reason = s.outdated
	case s.state.Failover.Phase != PhaseNone:
		p.Reason = fmt.Sprintf("a failover from %s is under way (%s): %s", s.state.Failover.From, s.state.Failover.Phase, s.state.Failover.Reason)
	case s.state.Primary.Node == "":
		p.Reason = "no primary is recorded yet"
	case s.leading && now < s.route.Until && s.route.Epoch == s.state.Epoch:
		p.Writes, p.Until, p.Reason = true, s.route.Until, "it leads and holds the lease"
	case voter && s.current && len(s.voters) == 2 && len(s.state.Members) <= 2 && s.severed == "":
		// Nothing is committed without this member, so the primary cannot have changed, unless the
		// other one went on alone (see severed). A third voter comes only after both go by a state that lists it.
		p.Writes, p.Until, p.Reason = true, s.alone, "nothing can be decided without this member"
	case now < s.route.Until && s.route.Epoch == s.state.Epoch:
		p.Writes, p.Until, p.Reason = true, s.route.Until, "the leader confirmed the primary"
	case s.severed != "" && len(s.voters) == 2:
		p.Reason = s.severed
	case s.route.Reason != "":
		p.Reason = "the leader does not confirm the primary: " + s.route.Reason
	default:
		p.Reason = "no leader confirms the primary: this member may be cut off from the majority"
	}
	return p
}
