package pool

import (
	"context"
	"slices"
	"time"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/wire"
)

// upkeepEvery is how often idle connections are looked at.
const upkeepEvery = time.Second

// Run closes connections that were idle for too long and opens those that pool.min_per_user
// wants, until ctx ends; then it closes all idle ones, and lent ones when they come back.
func (p *Pool) Run(ctx context.Context) error {
	ticker := time.NewTicker(upkeepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			p.close()
			return nil
		case <-ticker.C:
			p.expire()
			p.warmUp(ctx)
		}
	}
}

// Renew makes sure that no connection from before is lent out again: those who get one
// from now on find the settings that a new connection begins with (ALTER ROLE SET).
func (p *Pool) Renew() {
	set := p.settings.Load()
	p.mu.Lock()
	p.renewed = now()
	idle := p.takeAll()
	var gave []swapped
	for _, np := range p.nodes {
		gave = append(gave, p.grant(np, set, p.renewed)...)
	}
	p.mu.Unlock()
	terminate(idle)
	finish(gave)
}

func (p *Pool) close() {
	p.mu.Lock()
	p.closed = true
	for _, np := range p.nodes {
		for _, g := range np.groups {
			for g.waiters.first != nil {
				np.leave(g.waiters.first, grant{err: ErrClosed})
			}
		}
	}
	idle := p.takeAll()
	p.mu.Unlock()
	terminate(idle)
}

// takeAll takes all idle connections out of the pool; the caller holds mu and closes them.
func (p *Pool) takeAll() []*Server {
	var idle []*Server
	for _, np := range p.nodes {
		for _, g := range np.groups {
			idle = append(idle, g.idle...)
			taken := len(g.idle)
			np.rested(g.user, -taken)
			g.idle = nil
			for range taken {
				np.closes(g)
			}
		}
	}
	return idle
}

func (p *Pool) expire() {
	set := p.settings.Load()
	now := now()
	var old []*Server
	p.mu.Lock()
	for _, np := range p.nodes {
		for _, g := range np.groups {
			spare := g.open - set.MinPerUser
			g.idle = slices.DeleteFunc(g.idle, func(s *Server) bool {
				unused := set.IdleTimeout > 0 && now.Sub(s.freed) > set.IdleTimeout && spare > 0
				if !unused && !s.isOld(set, now) {
					return false
				}
				spare--
				np.rested(g.user, -1)
				old = append(old, s)
				return true
			})
		}
	}
	for _, s := range old {
		np := p.node(s.Node)
		np.closes(np.group(s.Key))
	}
	var gave []swapped
	for _, np := range p.nodes {
		gave = append(gave, p.grant(np, set, now)...)
	}
	p.mu.Unlock()
	terminate(old)
	finish(gave)
}

// warmUp opens connections of keys that have some, up to pool.min_per_user. One at a time
// for each key: a server that was restarted must not be stormed.
func (p *Pool) warmUp(ctx context.Context) {
	set := p.settings.Load()
	if set.MinPerUser == 0 {
		return
	}
	type want struct {
		key Key
		opener
	}
	var wants []want
	now := now()
	p.mu.Lock()
	for _, np := range p.nodes {
		for _, g := range np.groups {
			if g.open > 0 && g.open < set.MinPerUser && g.opener.node != nil && np.mayOpen(set, g, nil) {
				np.opens(g, now)
				o := g.opener
				if np.node != nil {
					o.node = np.node // it has changed its role since, perhaps
				}
				wants = append(wants, want{g.key, o})
			}
		}
	}
	p.mu.Unlock()
	for _, w := range wants {
		go func() { // ends after timeouts.connect at the latest
			if s, err := p.OpenClaimed(ctx, w.node, w.key, w.cred); err == nil {
				p.put(s)
			} else {
				p.log.Debug("open a connection ahead of need", "error", err)
			}
		}()
	}
}

// terminate ends connections politely: servers log an end without Terminate.
func terminate(servers []*Server) {
	msg := wire.AppendMessage(nil, wire.Terminate)
	for _, s := range servers {
		s.SetDeadline(time.Now().Add(time.Second))
		s.Write(msg)
		s.Close()
	}
}

// Stats are one node's numbers.
type Stats struct {
	Open, Idle, Waiting int
}

// Stats returns the numbers of a node.
func (p *Pool) Stats(id cluster.NodeID) Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	np := p.node(id)
	return Stats{Open: np.total, Idle: np.idle, Waiting: np.waiting}
}
