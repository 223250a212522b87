package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/wire"
)

// Settings are what Acquire and Release obey; they may change at any time.
type Settings struct {
	configs.Pool
	// Connect bounds one connection, login included.
	Connect time.Duration
}

// resetTimeout bounds a reset query: the session that needed the connection
// is gone, so nobody waits for it but the next one.
const resetTimeout = 10 * time.Second

// ownConnections is howdah's share of a server's connections: its probe, a
// fresh probe, an authentication query, two readings of catalogs.
const ownConnections = 5

// Pool lends out server connections. It is safe for concurrent use. Between sessions that
// keep theirs it is asked once per session and node; between those that share, once per
// transaction, for as long as it takes to look into a map.
type Pool struct {
	log      *slog.Logger
	settings atomic.Pointer[Settings]

	mu     sync.Mutex
	nodes  map[cluster.NodeID]*nodePool
	params map[string]*Params // of clean connections, by their text
	closed bool
	// renewed is when Renew was last called.
	renewed time.Time
	// tender runs tend from time to time while tending: somebody waits.
	tender  *time.Timer
	tending bool
}

// New makes an empty pool.
func New(settings Settings, log *slog.Logger) *Pool {
	p := &Pool{log: log, nodes: map[cluster.NodeID]*nodePool{}}
	p.settings.Store(&settings)
	return p
}

// Reconfigure replaces the settings; connections that are out or idle stay.
func (p *Pool) Reconfigure(settings Settings) {
	p.settings.Store(&settings)
	p.tend() // by the new limits
}

// trusted is how long after its return a connection is taken to be alive. The look costs a
// system call, which connections that go from session to session should not pay.
const trusted = 5 * time.Millisecond

// ErrClosed is an Acquire after Close.
var ErrClosed = errors.New("pool is closed")

// limitOf is the most connections n may have, 0 if nothing is known.
func (s *Settings) limitOf(n *cluster.Node) int {
	if s.MaxPerNode > 0 {
		return s.MaxPerNode
	}
	if n.MaxConnections > 0 {
		return max(1, n.MaxConnections-ownConnections)
	}
	return 0
}

// Take takes the connection s, which may have been closed long ago, if it is idle on the node.
func (p *Pool) Take(n *cluster.Node, s *Server) *Server {
	p.mu.Lock()
	np := p.nodes[n.ID]
	found := np != nil && !p.closed && np.remove(s)
	p.mu.Unlock()
	if !found {
		return nil
	}
	if !s.usable(n) {
		p.Discard(s)
		return nil
	}
	return s
}

// usable looks whether a connection that was idle may be lent out to who knows the node as n.
func (s *Server) usable(n *cluster.Node) bool {
	return s.Run >= n.Run && (s.Key.Shared && time.Since(s.freed) < trusted || s.Alive() == nil)
}

// Acquire returns a clean connection to n for key (of a Shared one what s.Carried
// says), which the caller owns until Release, Park or Discard. It waits for one at most
// Settings.WaitTimeout; a wait or a queue that is too long is an *wire.Error 53300.
// After Settings.NoticeAfter it calls waits, once, if that is not nil.
func (p *Pool) Acquire(ctx context.Context, n *cluster.Node, key Key, cred auth.Credentials, waits func()) (*Server, error) {
	line := &Line{Notice: waits != nil}
	s, queued, err := p.Claim(n, &key, line)
	if queued {
		s, err = p.wait(ctx, line, waits)
	}
	if s != nil || err != nil {
		return s, err
	}
	return p.OpenClaimed(ctx, n, key, cred)
}

// Open opens a new connection even if an idle one exists: a login that is
// checked anew. It counts as acquired.
func (p *Pool) Open(ctx context.Context, n *cluster.Node, key Key, cred auth.Credentials) (*Server, error) {
	line := &Line{}
	s, queued, err := p.take(p.settings.Load(), n, &key, line, false)
	if queued {
		s, err = p.wait(ctx, line, nil)
	}
	if err != nil || s != nil {
		return s, err // s was logged in for the same key: as good as a new one
	}
	return p.OpenClaimed(ctx, n, key, cred)
}

// wait is Wait, which the end of ctx breaks off.
func (p *Pool) wait(ctx context.Context, line *Line, notice func()) (*Server, error) {
	stop := context.AfterFunc(ctx, func() { p.Break(line, context.Cause(ctx)) })
	defer stop()
	return p.Wait(line, notice)
}

// opener is what a connection is opened with.
type opener struct {
	node *cluster.Node
	cred auth.Credentials
}

// take returns an idle connection if one is wanted, or a place in the queue, or neither: then
// the caller has the right to open a connection.
func (p *Pool) take(set *Settings, n *cluster.Node, key *Key, line *Line, idle bool) (s *Server, queued bool, err error) {
	var evicted *Server
	defer func() {
		if evicted != nil {
			evicted.Close()
		}
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, false, ErrClosed
	}
	np := p.node(n.ID)
	np.limit, np.name = set.limitOf(n), n.Name
	if np.node == nil || np.node.Run <= n.Run {
		np.node = n
	}
	g := np.group(*key)
	if idle {
		if s := np.takeIdle(g); s != nil {
			return s, false, nil
		}
	}
	if first := np.next(set, nil); first == nil { // nobody who waits could have it
		if np.mayOpen(set, g, nil) {
			np.opens(g)
			return nil, false, nil
		}
		if g.waiters.first == nil {
			if evicted = np.evict(set, g); evicted != nil {
				np.opens(g)
				return nil, false, nil
			}
		}
	}
	if np.waiting >= set.MaxWaiters {
		defer np.drop(g)
		return nil, false, &wire.Error{Code: "53300",
			Message: fmt.Sprintf("too many sessions wait for a connection to %s", n.Name),
			Detail:  fmt.Sprintf("%d connections are open, %d sessions wait. %s", np.total, np.waiting, np.why(set, g)),
			Hint:    "Raise that limit, or pool.max_waiters."}
	}
	if line.ready == nil {
		line.ready = make(chan grant, grants)
	}
	line.node, line.key = n, key
	np.enqueue(g, line)
	p.queued(set)
	return nil, true, nil
}

// OpenClaimed opens a connection with the right that Claim or Wait gave the caller.
func (p *Pool) OpenClaimed(ctx context.Context, n *cluster.Node, key Key, cred auth.Credentials) (*Server, error) {
	set := p.settings.Load()
	ctx, cancel := context.WithTimeoutCause(ctx, set.Connect, fmt.Errorf("no answer within %s", set.Connect))
	defer cancel()
	s, err := connect(ctx, n, key, cred)
	if err != nil {
		p.freed(n.ID, key, true)
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	np := p.node(n.ID)
	np.opening--
	s.group = np.group(key)
	s.group.opener = opener{n, cred}
	np.learn(s)
	np.grant(set)
	s.Params = p.intern(s.Params)
	s.Defaults = s.Params
	return s, nil
}

// maxParams bounds what intern remembers.
const maxParams = 1000

// intern returns the one value for equal settings; the caller holds mu.
func (p *Pool) intern(params *Params) *Params {
	text := params.text()
	known := p.params[text]
	if known == nil {
		if p.params == nil || len(p.params) >= maxParams {
			p.params = map[string]*Params{}
		}
		known = params
		p.params[text] = known
	}
	return known
}

// freed takes note that one connection less is open (or being opened), and lets who waits open one.
func (p *Pool) freed(id cluster.NodeID, key Key, opening bool) {
	set := p.settings.Load()
	p.mu.Lock()
	defer p.mu.Unlock()
	np := p.node(id)
	if opening {
		np.opening--
	}
	np.closes(np.group(key))
	if !p.closed {
		np.grant(set)
	}
}

// Release takes a connection back: it is reset, and lent out again only if
// that succeeded. The connection must be idle (its last ReadyForQuery read).
func (p *Pool) Release(s *Server) {
	set := p.settings.Load()
	if s.isOld(set, time.Now()) || len(s.Buffered()) > 0 {
		p.Discard(s)
		return
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), resetTimeout, fmt.Errorf("no answer within %s", resetTimeout))
	defer cancel()
	if err := s.reset(ctx, set.ResetQuery); err != nil {
		p.log.Info("closed a server connection that could not be reset", "node", s.Node, "user", s.Key.User, "database", s.Key.Database, "error", err)
		p.Discard(s)
		return
	}
	s.Carried = nil
	p.put(s)
}

// Park takes a connection back as it is, for another session of its key, which must
// deal with what s.Carried says. The connection must be idle and out of a transaction.
func (p *Pool) Park(s *Server) { p.put(s) }

// ReleaseUnused takes back a connection on which nothing was run.
func (p *Pool) ReleaseUnused(s *Server) { p.put(s) }

// Discard closes a connection instead of giving it back.
func (p *Pool) Discard(s *Server) {
	s.Close()
	p.freed(s.Node, s.Key, false)
}

// put makes a connection available: to the oldest waiter, or as idle.
// Whatever its server sends from now on makes it unfit (see Acquire).
func (p *Pool) put(s *Server) {
	set, now := p.settings.Load(), time.Now()
	s.freed = now
	if len(s.Buffered()) > 0 || s.isOld(set, now) {
		p.Discard(s)
		return
	}
	p.mu.Lock()
	np, g := p.node(s.Node), s.group
	over := np.limit > 0 && np.total > np.limit // the limit was lowered
	if p.closed || over || np.isPast(s) || s.created.Before(p.renewed) || np.waiting > 0 && np.passes(set, g, now) {
		// A waiter of another key opens its own in this one's place.
		p.mu.Unlock()
		p.Discard(s)
		return
	}
	if g.waiters.first != nil {
		np.serve(g, s)
	} else {
		g.idle = append(g.idle, s)
		np.idle++
	}
	p.mu.Unlock()
}
