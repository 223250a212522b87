package core

import "time"

// lockHold is what one of two members knows of the lock that the primary keeps for the address.
//
// Whoever has it may have the address until Timing.Lock after the last question that the primary answered was asked. The other one
// may end the holder's session when that was idle for longer, by the primary's clock (see LockStale).
type lockHold struct {
	mine bool
	// since is when it was got: until Timing.Lock later somebody else may believe to have it still.
	since, until time.Duration
	// taken is when the other one was last seen to have it, and seen is set then.
	taken time.Duration
	seen  bool
	// left is until when it does not count who has it: the other one gave it up with its lease, and it takes a while to see that.
	left time.Duration
	// asked: there was an answer, or none in time, since it was last wanted.
	asked bool
}

// LockStale is how long the lock's holder must have been idle, by the primary's clock, before the other member ends
// its session.
func (t Timing) LockStale() time.Duration { return t.stretched(t.Lock) * 3 / 2 }

// LockAnswer is what the primary says of the lock.
type LockAnswer int

const (
	// LockUnknown: the primary cannot be asked, or it is not wanted to.
	LockUnknown LockAnswer = iota
	// LockMine: this member has it.
	LockMine
	// LockTaken: the other one has it, and was active lately.
	LockTaken
	// LockFree: nobody has it yet.
	LockFree
)

func (m *Machine) locked(e Locked) {
	l := &m.pair.lock
	l.asked = true
	switch {
	case e.Answer == LockMine:
		if !l.mine || m.now >= l.until { // it may have been another session's meanwhile
			if l.since = m.now; m.MayAct(m.now) { // nobody else has the address by a lock while there is a lease
				l.since = m.now - m.timing.stretched(m.timing.Lock)
			}
		}
		l.mine, l.until = true, max(l.until, e.Sent+m.timing.Lock)
		l.seen = false
	case e.Answer == LockTaken:
		l.mine, l.until = false, 0
		l.taken, l.seen = m.now, true
	case e.Answer == LockFree:
		l.mine, l.until = false, 0
	}
}

// isTaken: the other member may believe to have the lock.
func (m *Machine) isTaken() bool {
	l := &m.pair.lock
	return l.seen && m.now >= l.left && m.now < l.taken+m.timing.stretched(m.timing.Lock)
}

// hasLock says whether this member may have the address by the lock, and until when.
func (m *Machine) hasLock() (time.Duration, bool) {
	l := &m.pair.lock
	return l.until, l.mine && m.now < l.until && m.now >= l.since+m.timing.stretched(m.timing.Lock)
}

// Defers says whether this member should leave it to the other one to lead, which has the address by the lock. It is for
// less moving to and fro; nothing rests on it.
func (m *Machine) Defers(now time.Duration) bool {
	l := &m.pair.lock
	if !m.pair.rules.Lock || m.other() == "" || now < l.left {
		return false
	}
	// One that has just lost the leader, or was started, first asks who has it.
	// After a start it does not even know whom to ask.
	return m.isTaken() || !l.asked && (m.wantLock.Want || m.applied < m.stored) && now < m.pair.contact+m.timing.stretched(m.timing.Election)+2*m.timing.Lock
}

// settleLock asks for the lock, or gives it up. Who leads has it for the time when nobody can.
func (m *Machine) settleLock(holds bool) {
	f := &m.fitness
	want := m.pair.rules.Lock && m.other() != "" && m.pair.outdated == "" && f.Serves && f.Link &&
		m.lease.State() != LeaseYielded && (holds || !m.hearsLeader()) && m.state.Primary.Node != ""
	w := WantLock{Want: want, Node: m.state.Primary.Node}
	if w != m.wantLock {
		if w.Node != m.wantLock.Node || !w.Want {
			m.pair.lock.mine, m.pair.lock.until = false, 0
		}
		m.pair.lock.asked = false
		m.wantLock = w
		m.do(w)
	}
}

// authority says whether the address may be here, and until when. Of two members without a third it is the lease's while both
// are there; else the lock's; else, if the primary does not answer either, it stays where it is, as long as this
// member does not seem to be the one that is cut off, and nobody else is heard to have it. To have it twice is a nuisance, and loses nothing.
func (m *Machine) authority(until time.Duration, holds bool) (time.Duration, bool, string) {
	p := &m.pair
	locked, has := m.hasLock()
	switch {
	case p.outdated != "":
		return 0, false, p.outdated
	case !p.rules.Lock || m.other() == "":
		return until, holds, m.lease.Why()
	case m.lease.State() == LeaseYielded:
		return 0, false, m.lease.Why()
	case holds && m.isTaken():
		return 0, false, "the other member has the lock of the address"
	case holds && p.apart && !m.address.Want && m.now-m.held < 2*m.timing.Release+m.timing.Lease:
		return 0, false, "the other member may not have given it up yet"
	case holds:
		if has { // no gap between both: without this member's acknowledgement nobody else leads
			until = max(until, locked)
		}
		return until, true, m.lease.Why()
	case m.hearsLeader():
		return 0, false, "the other member leads"
	case has:
		return locked, true, "nobody leads, and it has the lock of the address"
	case m.isTaken():
		return 0, false, "the other member has the lock of the address"
	case p.lock.mine && !m.address.Want:
		return 0, false, "it has the lock of the address, and the other member may still believe that"
	case m.address.Want && m.fitness.Gateway && p.loss.Address == "":
		return m.now + m.timing.Lease, true, stays
	}
	return 0, false, "nobody leads, and the lock of the address cannot be had"
}

const stays = "the other member and the primary are silent: the address stays where it is"
