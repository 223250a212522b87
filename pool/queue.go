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
	turns       uint64 // counts who began to wait or was served
	users       map[string]*user
	contest     contest
	// unmatched: somebody waits for whom an idle connection may make room before long.
	unmatched bool
	name      string // the node's, for messages; as of the last Claim
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
	user    *user
	node    *nodePool
	gone    bool      // drop has forgotten it
	open    int       // open or being opened
	idle    []*Server // in the order they were freed
	waiters queue
	// opener has what a further connection is opened with.
	opener opener
	// gained is when one was last begun to be opened.
	gained time.Time
}

// group returns the group of key, which it makes if need be.
func (np *nodePool) group(key Key) *group {
	g := np.groups[key]
	if g == nil {
		g = &group{key: key, user: np.user(key.User), node: np}
		g.user.groups++
		np.groups[key] = g
	}
	return g
}

// drop forgets a group that has nothing.
func (np *nodePool) drop(g *group) {
	if g.open > 0 || g.waiters.first != nil || np.groups[g.key] != g {
		return
	}
	delete(np.groups, g.key)
	g.gone = true
	if g.user.groups--; g.user.groups == 0 {
		delete(np.users, g.user.name)
	}
}

// knows takes note of the node as a session knows it, and reports whether it may have more connections than before.
func (np *nodePool) knows(set *Settings, n *cluster.Node) bool {
	if np.node == nil || np.node.Run <= n.Run {
		np.node = n
	}
	before := np.limit
	np.limit, np.name = set.limitOf(n), n.Name
	return np.limit != before && (np.limit == 0 || np.limit > before && before > 0)
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
	np.rested(g.user, -1)
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
	np.rested(g.user, -1)
	return true
}

// takeOldest takes the group's connection that was idle for longest.
func (np *nodePool) takeOldest(g *group) *Server {
	s := g.idle[0]
	g.idle = slices.Delete(g.idle, 0, 1)
	np.rested(g.user, -1)
	return s
}

// mayOpen reports whether one more connection of the group may be opened; after one less
// of the account of given, if that is not nil.
func (np *nodePool) mayOpen(set *Settings, g, given *group) bool {
	return !np.areManyOpening(set) && (np.limit == 0 || np.without(given) < np.limitFor(set, g)) && !np.isFull(set, g, given)
}

// hasRoom is mayOpen for whoever has no limits of its own.
func (np *nodePool) hasRoom(set *Settings, given *group) bool {
	return !np.areManyOpening(set) && (np.limit == 0 || np.without(given) < np.limit)
}

// areManyOpening is whether no more may be opened before others are.
func (np *nodePool) areManyOpening(set *Settings) bool {
	return set.MaxLogins > 0 && np.opening >= set.MaxLogins
}

// without is how many connections there are, one less of given if that is not nil.
func (np *nodePool) without(given *group) int {
	if given != nil {
		return np.total - 1
	}
	return np.total
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
func (np *nodePool) opens(g *group, now time.Time) {
	g.open++
	g.gained, g.user.gained = now, now
	np.opened(g.user, 1)
	np.opening++
	np.mostOpening = max(np.mostOpening, np.opening)
	for _, a := range accounts(&g.key) {
		np.accounts[a]++
	}
}

// closes notes that a connection of the group, which is not idle, is no more.
func (np *nodePool) closes(g *group) {
	g.open--
	np.opened(g.user, -1)
	for _, a := range accounts(&g.key) {
		if np.accounts[a]--; np.accounts[a] == 0 {
			delete(np.accounts, a)
		}
	}
	np.unmatched = np.unmatched || np.idle > 0 && np.waiting > 0 // a limit has room again, perhaps
	np.drop(g)
}

// claim gives a newcomer the right to open a connection if it may have it, in the place of those that gave way.
func (np *nodePool) claim(set *Settings, g *group, now time.Time) (gave []swapped, claimed bool) {
	if g.waiters.first != nil {
		return nil, false // whoever waits could not open one either, else grant had let it
	}
	for !np.mayOpen(set, g, nil) {
		victim := np.victim(set, g, now)
		if victim == nil {
			return gave, false
		}
		gave = append(gave, swapped{closed: np.takeOldest(victim)})
		if np.closes(victim); victim == g {
			g = np.group(g.key) // it may be forgotten with its last
		}
	}
	np.opens(g, now)
	return gave, true
}

// node returns the pool of a node; the caller holds mu.
func (p *Pool) node(id cluster.NodeID) *nodePool {
	np := p.nodes[id]
	if np == nil {
		np = &nodePool{groups: map[Key]*group{}, users: map[string]*user{}, accounts: map[account]int{}, ordinary: map[string]bool{}}
		p.nodes[id] = np
	}
	return np
}
