package pool

import (
	"cmp"
	"slices"
	"time"

	"github.com/howdah/howdah/cluster"
)

// Connection is an idle connection at one moment.
type Connection struct {
	Node           cluster.NodeID
	PID            uint32 // of the server's process
	User, Database string
	Created, Freed time.Time
}

// Group is what a node has of one user and database.
type Group struct {
	Node           cluster.NodeID
	User, Database string
	// Shared: sessions hand the connections on between transactions.
	Shared bool
	// Open are lent out, idle, or being opened.
	Open, Idle int
	// Waiting sessions, and since when the first of them waits.
	Waiting int
	Oldest  time.Time
}

// Groups returns what there is, in no order. Sessions of other startup parameters, or that proved
// themselves in other ways, share no connections, but are counted together here.
func (p *Pool) Groups() []Group {
	type id struct {
		node           cluster.NodeID
		user, database string
		shared         bool
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	sums := map[id]*Group{}
	for node, np := range p.nodes {
		for key, g := range np.groups {
			k := id{node, key.User, key.Database, key.Shared}
			sum := sums[k]
			if sum == nil {
				sum = &Group{Node: node, User: key.User, Database: key.Database, Shared: key.Shared}
				sums[k] = sum
			}
			sum.Open += g.open
			sum.Idle += len(g.idle)
			sum.Waiting += g.waiters.length
			if w := g.waiters.first; w != nil && (sum.Oldest.IsZero() || w.since.Before(sum.Oldest)) {
				sum.Oldest = w.since
			}
		}
	}
	all := make([]Group, 0, len(sums))
	for _, g := range sums {
		g.Oldest = shown(g.Oldest)
		all = append(all, *g)
	}
	return all
}

// Waiter is a session that waits for a connection.
type Waiter struct {
	Node           cluster.NodeID
	User, Database string
	Since          time.Time
}

// Waiters returns who waits, in the order that they came to each node.
func (p *Pool) Waiters() []Waiter {
	type numbered struct {
		Waiter
		number uint64
	}
	p.mu.Lock()
	var all []numbered
	for node, np := range p.nodes {
		for key, g := range np.groups {
			for w := g.waiters.first; w != nil; w = w.next {
				all = append(all, numbered{Waiter{node, key.User, key.Database, shown(w.since)}, w.number})
			}
		}
	}
	p.mu.Unlock()
	slices.SortFunc(all, func(a, b numbered) int { return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.number, b.number)) })
	waiters := make([]Waiter, len(all))
	for i := range all {
		waiters[i] = all[i].Waiter
	}
	return waiters
}

// Created is when the connection was opened.
func (s *Server) Created() time.Time { return shown(s.created) }

// IdleConnections returns those that wait to be lent out, in no order.
func (p *Pool) IdleConnections() []Connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []Connection
	for id, np := range p.nodes {
		for _, g := range np.groups {
			for _, s := range g.idle {
				all = append(all, Connection{Node: id, PID: s.PID, User: s.Key.User, Database: s.Key.Database, Created: shown(s.created), Freed: shown(s.freed)})
			}
		}
	}
	return all
}
