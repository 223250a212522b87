package pool

import (
	"fmt"
	"slices"
	"time"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
)

// nodePool is one node's connections and who waits for them; guarded by Pool.mu.
type nodePool struct {
	groups   map[Key]*group
	accounts map[account]int // open connections of each, of each user and of each database
	ordinary map[string]bool // users that are no superusers
	total    int             // open or being opened, lent out or idle
	opening  int             // being opened
	// mostOpening is the highest that opening ever was.
	mostOpening int
	limit       int // of total, as of the last Acquire; 0 is none
	idle        int
	waiting     int
	arrivals    uint64 // counts the waiters that ever came
	name        string // the node's, for messages; as of the last Claim
	// node is the node as the latest Claim knew it; connections of an earlier run of it are not lent out.
	node *cluster.Node
}

// account is what limits count by; an empty name stands for all.
type account struct{ user, database string }

// accounts are those that a connection of the key counts in.
func accounts(key *Key) [3]account {
	return [...]account{{key.User, key.Database}, {key.User, ""}, {"", key.Database}}
}

// of is whether a connection of the key counts in it.
func (a account) of(key *Key) bool {
	return (a.user == "" || a.user == key.User) && (a.database == "" || a.database == key.Database)
}

// group is what a node has of one key.
type group struct {
	key     Key
	open    int       // open or being opened
	idle    []*Server // in the order they were freed
	waiters queue
	// opener has what a further connection is opened with.
	opener opener
}

// overtaken bounds how long, where connections are shared, those who wait for a
// connection of another key are passed over by transactions that need no new login: else a
// full node would log in anew for every transaction.
const overtaken = 50 * time.Millisecond

// group returns the group of key, which it makes if need be.
func (np *nodePool) group(key Key) *group {
	g := np.groups[key]
	if g == nil {
		g = &group{key: key}
		np.groups[key] = g
	}
	return g
}

// drop forgets a group that has nothing.
func (np *nodePool) drop(g *group) {
	if g.open == 0 && g.waiters.first == nil {
		delete(np.groups, g.key)
	}
}

// isPast reports whether s was opened to a server that is not the node any more.
func (np *nodePool) isPast(s *Server) bool { return np.node != nil && s.Run < np.node.Run }

// takeIdle takes the last one freed: it is the likeliest to be alive and warm.
func (np *nodePool) takeIdle(g *group) *Server {
	n := len(g.idle)
	if n == 0 {
		return nil
	}
	s := g.idle[n-1]
	g.idle[n-1] = nil
	g.idle = g.idle[:n-1]
	np.idle--
	return s
}

// remove takes s out of the idle ones.
func (np *nodePool) remove(s *Server) bool {
	g := s.group
	if g == nil {
		return false
	}
	i := slices.Index(g.idle, s)
	if i < 0 {
		return false
	}
	g.idle = slices.Delete(g.idle, i, i+1)
	np.idle--
	return true
}

// mayOpen reports whether one more connection of the group may be opened; after one less
// of the account of given, if that is not nil.
func (np *nodePool) mayOpen(set *Settings, g, given *group) bool {
	if set.MaxLogins > 0 && np.opening >= set.MaxLogins {
		return false
	}
	total := np.total
	if given != nil {
		total--
	}
	return (np.limit == 0 || total < np.limitFor(set, g)) && !np.isFull(set, g, given)
}

// limitFor is how many connections the node may have when one of the group is opened: the last ones are the superusers'.
func (np *nodePool) limitFor(set *Settings, g *group) int {
	if np.ordinary[g.key.User] {
		return max(1, np.limit-set.ReservedPerNode)
	}
	return np.limit
}

// isFull reports whether one more connection of the group would exceed a bound.
func (np *nodePool) isFull(set *Settings, g, given *group) bool {
	_, full := np.exceeded(set, g, given)
	return full
}

// exceeded is the bound that one more connection of the group would exceed, if there is one.
func (np *nodePool) exceeded(set *Settings, g, given *group) (bound configs.Bound, full bool) {
	set.Connections(g.key.User, g.key.Database, func(b configs.Bound) bool {
		a := account{b.User, b.Database}
		count := np.accounts[a]
		if given != nil && a.of(&given.key) {
			count--
		}
		if count >= b.Max {
			bound, full = b, true
		}
		return !full
	})
	return bound, full
}

// why says what keeps the group from opening one more connection.
func (np *nodePool) why(set *Settings, g *group) string {
	if b, full := np.exceeded(set, g, nil); full {
		return fmt.Sprintf("%s has %d of at most %d connections there (%s).", b.For(), np.accounts[account{b.User, b.Database}], b.Max, b.Setting)
	}
	limit := np.limitFor(set, g)
	switch {
	case np.limit == 0 || np.total < limit:
		return "Others are being opened, or wait longer."
	case limit < np.limit:
		return fmt.Sprintf("%d of %d connections are open; the last %d are for superusers (pool.reserved_per_node).", np.total, np.limit, set.ReservedPerNode)
	case set.MaxPerNode > 0:
		return fmt.Sprintf("%d of %d connections are open (pool.max_per_node).", np.total, np.limit)
	}
	return fmt.Sprintf("%d of %d connections are open, which is what the server allows (max_connections).", np.total, np.limit)
}

// maxOrdinary bounds the names of users that are kept.
const maxOrdinary = 10_000

// learn takes note of whether a user is a superuser, as the server says at a login.
func (np *nodePool) learn(s *Server) {
	switch superuser, ok := s.Params.Get("is_superuser"); {
	case !ok:
	case superuser == "on":
		delete(np.ordinary, s.Key.User)
	case len(np.ordinary) < maxOrdinary:
		np.ordinary[s.Key.User] = true
	}
}

// opens notes that a connection of the group is being opened.
func (np *nodePool) opens(g *group) {
	g.open++
	np.total++
	np.opening++
	np.mostOpening = max(np.mostOpening, np.opening)
	for _, a := range accounts(&g.key) {
		np.accounts[a]++
	}
}

// closes notes that a connection of the group is no more.
func (np *nodePool) closes(g *group) {
	g.open--
	np.total--
	for _, a := range accounts(&g.key) {
		if np.accounts[a]--; np.accounts[a] == 0 {
			delete(np.accounts, a)
		}
	}
	np.drop(g)
}

// evict takes the connection that was idle longest among those whose end would let one of
// the group be opened; nil if there is none.
func (np *nodePool) evict(set *Settings, g *group) *Server {
	if np.idle == 0 {
		return nil
	}
	var oldest *group
	for _, other := range np.groups {
		if len(other.idle) > 0 && (oldest == nil || other.idle[0].freed.Before(oldest.idle[0].freed)) && np.mayOpen(set, g, other) {
			oldest = other
		}
	}
	if oldest == nil {
		return nil
	}
	s := oldest.idle[0]
	oldest.idle = slices.Delete(oldest.idle, 0, 1)
	np.idle--
	np.closes(oldest)
	return s
}

// enqueue adds a waiter to the group.
func (np *nodePool) enqueue(g *group, w *Line) {
	np.arrivals++
	np.waiting++
	w.number, w.since, w.noticed = np.arrivals, time.Now(), false
	w.pool, w.group = np, g
	g.waiters.add(w)
}

// leave takes a waiter out of its queue and tells it why.
func (np *nodePool) leave(w *Line, g grant) {
	w.group.waiters.remove(w)
	np.waiting--
	w.pool, w.group = nil, nil
	w.ready <- g
}

// serve gives the group's oldest waiter s, or as nil the right to open a connection.
func (np *nodePool) serve(g *group, s *Server) { np.leave(g.waiters.first, grant{server: s}) }

// next returns the group whose oldest waiter came first among those for which a connection
// may be opened, after one less of given if that is not nil; nil if there is none.
func (np *nodePool) next(set *Settings, given *group) *group {
	if np.waiting == 0 {
		return nil
	}
	var first *group
	for _, g := range np.groups {
		if w := g.waiters.first; g != given && w != nil && (first == nil || w.number < first.waiters.first.number) && np.mayOpen(set, g, given) {
			first = g
		}
	}
	return first
}

// grant lets waiters open connections for as long as there is room.
func (np *nodePool) grant(set *Settings) {
	for np.waiting > 0 {
		g := np.next(set, nil)
		if g == nil {
			return
		}
		np.opens(g)
		np.serve(g, nil)
	}
}

// passes reports whether s, which comes back, must give way to a waiter of another
// key: one who came before those of its own.
func (np *nodePool) passes(set *Settings, g *group, now time.Time) bool {
	if np.waiting == g.waiters.length {
		return false
	}
	other := np.next(set, g)
	if other == nil {
		return false
	}
	if g.waiters.first == nil {
		return true
	}
	w := other.waiters.first
	return w.number < g.waiters.first.number && (!g.key.Shared || now.Sub(w.since) > overtaken)
}

// node returns the pool of a node; the caller holds mu.
func (p *Pool) node(id cluster.NodeID) *nodePool {
	np := p.nodes[id]
	if np == nil {
		np = &nodePool{groups: map[Key]*group{}, accounts: map[account]int{}, ordinary: map[string]bool{}}
		p.nodes[id] = np
	}
	return np
}
