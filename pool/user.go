package pool

import (
	"container/heap"
	"slices"
	"time"
)

// user is what a node has of one user: connections are fairly shared between users. Guarded by Pool.mu.
type user struct {
	name   string
	groups int // of the node that are its own; without one it is forgotten
	open   int // connections open or being opened
	idle   int // those of them that nobody uses
	// waiting is how many of its sessions wait, in these groups, which are in no order.
	waiting int
	queues  []*group
	// turn orders those with as many connections in use: the lowest comes first. It is the last one
	// when the user begins to wait and whenever one of its sessions is served.
	turn uint64
	// gained is when it last was given the right to open a connection.
	gained time.Time
	place  int // among those who wait
}

// used is how many connections its sessions have, those being opened included.
func (u *user) used() int { return u.open - u.idle }

// before is whether u is served before v: it has fewer connections in use, or as many and was served longer ago.
func (u *user) before(v *user) bool {
	if u.used() != v.used() {
		return u.used() < v.used()
	}
	return u.turn < v.turn
}

// contest are the users with waiting sessions, as a heap by before.
type contest []*user

func (c contest) Len() int           { return len(c) }
func (c contest) Less(i, j int) bool { return c[i].before(c[j]) }
func (c contest) Swap(i, j int) {
	c[i], c[j] = c[j], c[i]
	c[i].place, c[j].place = i, j
}

// Push is heap.Interface's.
func (c *contest) Push(u any) {
	u.(*user).place = len(*c)
	*c = append(*c, u.(*user))
}

// Pop is heap.Interface's.
func (c *contest) Pop() any {
	last := len(*c) - 1
	u := (*c)[last]
	(*c)[last] = nil
	*c = (*c)[:last]
	return u
}

// first asks the users with at most so many connections in use, in their order, and returns the first
// group that one of them answers with. Of those that come later few are asked: found is the best so far of
// the part of the heap before at, and nobody who comes after its user is.
func (c contest) first(at int, found *group, most int, ask func(*user) *group) *group {
	if at >= len(c) || c[at].used() > most || found != nil && !c[at].before(found.user) {
		return found
	}
	if g := ask(c[at]); g != nil {
		return g // whoever is below comes after it
	}
	found = c.first(2*at+1, found, most, ask)
	return c.first(2*at+2, found, most, ask)
}

// user returns what the node has of a user, which it makes if need be.
func (np *nodePool) user(name string) *user {
	u := np.users[name]
	if u == nil {
		u = &user{name: name}
		np.users[name] = u
	}
	return u
}

// opened and rested note that the user has so many connections more, and so many more that are idle.
func (np *nodePool) opened(u *user, n int) {
	u.open += n
	np.total += n
	np.ranks(u)
}

func (np *nodePool) rested(u *user, n int) {
	u.idle += n
	np.idle += n
	np.ranks(u)
}

// ranks puts a user that waits where it belongs.
func (np *nodePool) ranks(u *user) {
	if u.waiting > 0 {
		heap.Fix(&np.contest, u.place)
	}
}

// takesTurn sends a user to the end of those with as many connections in use.
func (np *nodePool) takesTurn(u *user) {
	np.turns++
	u.turn = np.turns
	np.ranks(u)
}

// enqueue adds a waiter to the group.
func (np *nodePool) enqueue(g *group, w *Line, now time.Time) {
	u := g.user
	if g.waiters.first == nil {
		u.queues = append(u.queues, g)
	}
	np.arrivals++
	np.waiting++
	w.number, w.since, w.noticed = np.arrivals, now, false
	w.pool, w.group = np, g
	g.waiters.add(w)
	if u.waiting++; u.waiting == 1 {
		np.turns++
		u.turn = np.turns
		heap.Push(&np.contest, u)
	}
}

// dequeue takes a waiter out of its queue: whoever does it must tell it why, or nobody will.
func (np *nodePool) dequeue(w *Line) {
	g := w.group
	u := g.user
	g.waiters.remove(w)
	if g.waiters.first == nil {
		i := slices.Index(u.queues, g)
		last := len(u.queues) - 1
		u.queues[i], u.queues[last] = u.queues[last], nil
		u.queues = u.queues[:last]
	}
	np.waiting--
	if u.waiting--; u.waiting == 0 {
		heap.Remove(&np.contest, u.place)
	}
	w.pool, w.group = nil, nil
	np.drop(g)
}

// leave takes a waiter out of its queue and tells it why.
func (np *nodePool) leave(w *Line, g grant) {
	np.dequeue(w)
	w.tell(g)
}

// serve gives the group's oldest waiter s, or as nil the right to open a connection.
func (np *nodePool) serve(g *group, s *Server) {
	np.leave(g.waiters.first, grant{server: s})
	np.takesTurn(g.user)
}
