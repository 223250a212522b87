package pool

import (
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

// Created is when the connection was opened.
func (s *Server) Created() time.Time { return s.created }

// IdleConnections returns those that wait to be lent out, in no order.
func (p *Pool) IdleConnections() []Connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []Connection
	for id, np := range p.nodes {
		for _, g := range np.groups {
			for _, s := range g.idle {
				all = append(all, Connection{Node: id, PID: s.PID, User: s.Key.User, Database: s.Key.Database, Created: s.created, Freed: s.freed})
			}
		}
	}
	return all
}
