package pool

import (
	"math"
	"time"

	"github.com/howdah/howdah/configs"
)

// Who is next. The sessions of a user are served in the order they came. Between users goes first who has the fewest
// connections in use (max-min fairness of what is scarce: connections, for as long as they are held),
// and of those with as many who was served longest ago: round robin.
//
// A connection is of use to another key only if it is closed and one is opened in its place. Where sessions
// share connections, a return is the end of a transaction, and a login would cost more than that. There the
// connection changes hands only if shares become more even by it, or if somebody is passed over for too
// long; so that with users who all want more, connections stay where they are once shares are even.

// overtaken bounds how long, where connections are shared, those who wait for a connection of another
// key are passed over by transactions that need no new login; and how long a user that has no more than its share
// keeps a connection for its next transaction. Else a full node would log in anew for every transaction.
const overtaken = 50 * time.Millisecond

// remainder is for how long at least a user has the one connection more than others that is left over when
// connections do not come out even.
const remainder = time.Second

// fate is what becomes of a connection that comes back.
type fate uint8

const (
	rests    fate = iota // it is idle: nobody who waits can have it
	lingers              // it is idle for a while, although somebody waits: its user has no more than its share
	passedOn             // to the oldest waiter of its key
	givesWay             // it is closed, and a waiter of another key opens one in its place
)

// next returns the group whose oldest waiter is the first to open a connection where there is room; nil if
// there is none.
func (np *nodePool) next(set *Settings) *group {
	if np.waiting == 0 || !np.hasRoom(set, nil) {
		return nil
	}
	return np.contest.first(0, nil, math.MaxInt, func(u *user) *group { return np.oldest(set, u, nil) })
}

// oldest returns the user's group whose oldest waiter came first among those for which a connection may
// be opened, after one less of given if that is not nil; given itself is left out.
func (np *nodePool) oldest(set *Settings, u *user, given *group) *group {
	var first *group
	for _, g := range u.queues {
		if g != given && (first == nil || g.waiters.first.number < first.waiters.first.number) && np.mayOpen(set, g, given) {
			first = g
		}
	}
	return first
}

// fate decides what becomes of a connection of the group that comes back, and is not counted as idle yet. If
// it gives way then to heir.
func (np *nodePool) fate(set *Settings, g *group, now time.Time) (f fate, heir *group) {
	if np.waiting == g.waiters.length { // no other key waits
		return np.own(g), nil
	}
	u := g.user
	mine := np.heirOf(set, u, g, now)
	sticks := mine == g && g.key.Shared // it would go on without a login
	rival := np.rival(set, g, mine != nil, sticks, now)
	switch {
	case rival == nil && mine == nil && g.waiters.first == nil:
		return lingers, nil // logins may be all that is in the way, or another connection that must end with this one
	case rival == nil && (mine == nil || mine == g):
		return np.own(g), nil
	case rival == nil:
		return givesWay, mine
	case mine == nil && g.key.Shared && u.open <= rival.user.used():
		return lingers, nil
	case mine == nil || sticks || !u.precedes(rival.user):
		return givesWay, rival // which has it due, if this one sticks
	case mine == g:
		return passedOn, nil
	}
	return givesWay, mine
}

// give passes on a connection that comes back. It returns those that gave way, of which it may be one.
func (np *nodePool) give(set *Settings, s *Server, now time.Time) (gave []swapped) {
	g := s.group
	f, heir := rests, (*group)(nil)
	if np.waiting > 0 {
		f, heir = np.fate(set, g, now)
	}
	switch f {
	case passedOn:
		np.serve(g, s)
	case givesWay:
		gave = append(gave, swapped{s, np.swap(g, heir, now)})
		gave = append(gave, np.grant(set, now)...)
	case rests, lingers:
		g.idle = append(g.idle, s)
		np.rested(g.user, 1)
		np.unmatched = np.unmatched || f == lingers
	}
	return gave
}

// own is the fate where no other key comes into question.
func (np *nodePool) own(g *group) fate {
	if g.waiters.first == nil {
		return rests
	}
	return passedOn
}

// precedes is before for a user one of whose connections has just come back.
func (u *user) precedes(v *user) bool {
	if u.used()-1 != v.used() {
		return u.used()-1 < v.used()
	}
	return u.turn < v.turn
}

// heirOf is the group of its own user that the connection of g would go to.
func (np *nodePool) heirOf(set *Settings, u *user, g *group, now time.Time) *group {
	other := np.oldest(set, u, g)
	if other == nil || g.waiters.first == nil {
		if g.waiters.first != nil {
			return g
		}
		return other
	}
	mine, w := g.waiters.first, other.waiters.first
	if w.number > mine.number {
		return g
	}
	if !g.key.Shared {
		return other
	}
	// One that is served already gains a connection at a time, and not for a difference that a login is longer than.
	if mine.since.Sub(w.since) > overtaken && (other.open == 0 || now.Sub(other.gained) > overtaken) {
		return other
	}
	return g
}

// rival returns the group of the first other user that could have the place of a connection of g; if
// its own user wants it, of one with no more connections than are left to that; if it sticks, only of one that must have it now.
func (np *nodePool) rival(set *Settings, g *group, wanted, sticks bool, now time.Time) *group {
	u, most := g.user, math.MaxInt
	if !np.hasRoom(set, g) {
		return nil
	}
	if wanted {
		most = u.used() - 1
	}
	return np.contest.first(0, nil, most, func(v *user) *group {
		if v == u {
			return nil
		}
		other := np.oldest(set, v, g)
		if other == nil || sticks && !v.isDue(u, other.waiters.first, now) {
			return nil
		}
		return other
	})
}

// isDue is whether v, whose session w waits, must have a connection of u that has just come back,
// although sessions of u want it too. v has no more connections than are left to u.
func (v *user) isDue(u *user, w *Line, now time.Time) bool {
	left, long := u.used()-1, now.Sub(w.since) > overtaken
	switch {
	case left > v.used(): // shares become more even
		return v.used() == 0 || long
	case v.used() == 0:
		return long && now.Sub(u.gained) > overtaken
	}
	return long && now.Sub(u.gained) > remainder
}

// swap closes one connection of a group and has one of another opened in its place. Whoever calls it closes
// the connection itself first, and then tells the waiter.
func (np *nodePool) swap(from, to *group, now time.Time) *Line {
	w := to.waiters.first
	np.closes(from)
	np.opens(to, now)
	np.dequeue(w)
	np.takesTurn(to.user)
	return w
}

// swapped is a connection that gave way, and who opens another in its place, if that is somebody who waits.
type swapped struct {
	closed *Server
	line   *Line
}

// grant lets waiters open connections for as long as there is room, or an idle connection that makes room.
func (np *nodePool) grant(set *Settings, now time.Time) (done []swapped) {
	for np.waiting > 0 {
		if g := np.next(set); g != nil {
			np.opens(g, now)
			np.serve(g, nil)
			continue
		}
		g, s := np.match(set, now)
		switch {
		case g == nil:
			return done
		case !np.mayOpen(set, g, s.group): // another must go, too
			np.closes(s.group)
			done = append(done, swapped{closed: s})
		default:
			done = append(done, swapped{s, np.swap(s.group, g, now)})
		}
	}
	return done
}

// match finds the first waiter for whom an idle connection makes room, if there may be one, and takes that out.
func (np *nodePool) match(set *Settings, now time.Time) (g *group, s *Server) {
	if !np.unmatched || np.areManyOpening(set) {
		return nil, nil
	}
	np.unmatched = false
	g = np.contest.first(0, nil, math.MaxInt, func(u *user) *group {
		var first *group
		for _, g := range u.queues {
			if first == nil || g.waiters.first.number < first.waiters.first.number {
				if victim := np.victim(set, g, now); victim != nil {
					first = g
				}
			}
		}
		return first
	})
	if g == nil {
		return nil, nil
	}
	np.unmatched = true // there may be another
	victim := np.victim(set, g, now)
	return g, np.takeOldest(victim)
}

// victim is the group whose connection has been idle for longest among those whose end would let one of the
// group be opened, alone or with others; nil if there is none. It notes whether there may be one later.
func (np *nodePool) victim(set *Settings, g *group, now time.Time) *group {
	if np.areManyOpening(set) {
		np.unmatched = true
		return nil
	}
	if np.idle == 0 {
		return nil
	}
	if b, full := np.exceeded(set, g, nil); full && b.User != "" && g.user.idle == 0 { // only its own would help
		return nil
	}
	var oldest *group
	for _, other := range np.groups {
		if len(other.idle) == 0 || oldest != nil && !other.idle[0].freed.Before(oldest.idle[0].freed) || !np.mayOpen(set, g, other) {
			continue
		}
		if other.lingersFor(g.user, now) {
			np.unmatched = true
			continue
		}
		oldest = other
	}
	if oldest == nil {
		return np.part(set, g, now)
	}
	return oldest
}

// part is a group that has an idle connection of the several that must end before one of g may be opened,
// where that is up to more than one bound; nil if one of the bounds has no idle connection.
func (np *nodePool) part(set *Settings, g *group, now time.Time) (part *group) {
	ends := func(a account) bool {
		part = nil
		for _, other := range np.groups {
			switch {
			case len(other.idle) == 0 || !a.of(&other.key):
			case other.lingersFor(g.user, now):
				np.unmatched = true
			default:
				part = other
			}
		}
		return part != nil
	}
	possible := true
	set.Connections(g.key.User, g.key.Database, func(b configs.Bound) bool {
		if a := (account{b.User, b.Database}); np.accounts[a] >= b.Max {
			possible = ends(a)
		}
		return possible
	})
	if possible && np.limit > 0 && np.total >= np.limitFor(set, g) {
		ends(account{})
	}
	return part
}

// lingersFor is whether the group keeps its oldest idle connection although the user wants it.
func (g *group) lingersFor(u *user, now time.Time) bool {
	return g.key.Shared && g.user != u && g.user.open <= u.used() && now.Sub(g.idle[0].freed) < overtaken
}
