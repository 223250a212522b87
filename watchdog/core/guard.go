package core

import (
	"fmt"
	"time"
)

// Guard is a voter's promise: for Timing.Election after it acknowledged an append, it helps
// no other member to leadership. Leases are as safe as every voter's guard.
//
// Raft keeps this promise too, with three holes that are closed here: a voter that was restarted
// has forgotten whom it acknowledged; votes that a leader asks for its successor bypass
// the check, even if that leader's request lay in a buffer since long ago; and a member
// that is told to campaign votes for itself.
type Guard struct {
	timing  Timing
	started time.Duration
	// contact is when the last append was acknowledged, term the highest that one may have been of, and leader whose that
	// was, if this process knows.
	contact time.Duration
	term    uint64
	leader  string
	// yielded is the highest term whose leader said that it holds no lease any more.
	yielded uint64
	// granted is the highest term that this member voted in.
	granted uint64
}

// NewGuard is the guard of a member that started at now, with term the one that it had stored: it acknowledged nothing of a
// later one before.
func NewGuard(timing Timing, now time.Duration, term uint64) *Guard {
	return &Guard{timing: timing, started: now, contact: now - timing.stretched(timing.Election), term: term}
}

// Acknowledge says that an append of the leader of term is about to be acknowledged. It fails if this
// member voted in a later term meanwhile: the acknowledgement must not be sent then.
func (g *Guard) Acknowledge(now time.Duration, term uint64, leader string) error {
	if term < g.granted {
		return fmt.Errorf("it voted in term %d, and acknowledges nothing of term %d any more", g.granted, term)
	}
	if g.contact = now; term >= g.term {
		g.term, g.leader = term, leader
	}
	return nil
}

// Grant says that a vote in term is about to be given. With an error it must not be.
func (g *Guard) Grant(now time.Duration, term uint64) error {
	if err := g.MayVote(now); err != nil {
		return err
	}
	g.granted = max(g.granted, term)
	return nil
}

// Yielded says that the leader of term gave up its lease.
func (g *Guard) Yielded(term uint64) { g.yielded = max(g.yielded, term) }

// MayVote is nil if this member may grant a vote at now, or ask for one.
func (g *Guard) MayVote(now time.Duration) error {
	hold := g.timing.Election
	if g.yielded != 0 && g.yielded >= g.term {
		return nil
	}
	if since := now - g.started; since < hold {
		return fmt.Errorf("it started %s ago and may have acknowledged a leader before: it votes after %s", since, hold)
	}
	if since := now - g.contact; since < hold {
		return fmt.Errorf("it acknowledged the leader of term %d only %s ago, and votes for others after %s", g.term, since, hold)
	}
	return nil
}

// Contact is when the last append was acknowledged.
func (g *Guard) Contact() time.Duration { return g.contact }
