package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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

// Pool lends out server connections. It is safe for concurrent use; it is
// taken once per session and node, never per query.
type Pool struct {
	log      *slog.Logger
	settings atomic.Pointer[Settings]

	mu     sync.Mutex
	nodes  map[cluster.NodeID]*nodePool
	params map[string]*Params // of clean connections, by their text
	closed bool
}

// nodePool is one node's connections; guarded by Pool.mu.
type nodePool struct {
	total   int       // open or being opened, lent out or idle
	limit   int       // as of the last Acquire; 0 is none
	idle    []*Server // in the order they were freed
	waiters []*waiter // in the order they came
}

// waiter gets either a connection of its key or, as nil, the right to open one.
type waiter struct {
	key   Key
	ready chan *Server
}

// New makes an empty pool.
func New(settings Settings, log *slog.Logger) *Pool {
	p := &Pool{log: log, nodes: map[cluster.NodeID]*nodePool{}}
	p.settings.Store(&settings)
	return p
}

// Reconfigure replaces the settings; connections that are out or idle stay.
func (p *Pool) Reconfigure(settings Settings) { p.settings.Store(&settings) }

// trusted is how long after its return a connection is taken to be alive. The look costs a
// system call, which connections that go from session to session should not pay.
const trusted = 5 * time.Millisecond

// ErrClosed is an Acquire after Close.
var ErrClosed = errors.New("pool is closed")

func (p *Pool) node(id cluster.NodeID) *nodePool {
	np := p.nodes[id]
	if np == nil {
		np = &nodePool{}
		p.nodes[id] = np
	}
	return np
}

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

// Idle returns an idle connection of key as Acquire would, nil if there is none to be
// had at once.
func (p *Pool) Idle(id cluster.NodeID, key *Key) *Server {
	for {
		s := p.takeIdle(id, key)
		if s == nil || s.usable() {
			return s
		}
		p.Discard(s)
	}
}

// Take takes the connection s, which may have been closed long ago, if it is idle on the node.
func (p *Pool) Take(id cluster.NodeID, s *Server) *Server {
	p.mu.Lock()
	np, found := p.nodes[id], false
	if np != nil && !p.closed && len(np.waiters) == 0 {
		if i := slices.Index(np.idle, s); i >= 0 {
			np.idle, found = slices.Delete(np.idle, i, i+1), true
		}
	}
	p.mu.Unlock()
	if !found {
		return nil
	}
	if !s.usable() {
		p.Discard(s)
		return nil
	}
	return s
}

func (p *Pool) takeIdle(id cluster.NodeID, key *Key) *Server {
	p.mu.Lock()
	defer p.mu.Unlock()
	np := p.nodes[id]
	if p.closed || np == nil || len(np.waiters) > 0 {
		return nil
	}
	return np.takeIdle(key)
}

// takeIdle takes the last one freed: it is the likeliest to be alive and warm.
func (np *nodePool) takeIdle(key *Key) *Server {
	for i := len(np.idle) - 1; i >= 0; i-- {
		if s := np.idle[i]; s.Key == *key {
			np.idle = append(np.idle[:i], np.idle[i+1:]...)
			return s
		}
	}
	return nil
}

// usable looks whether a connection that was idle may be lent out.
func (s *Server) usable() bool {
	return s.Key.Shared && time.Since(s.freed) < trusted || s.Alive() == nil
}

// Acquire returns a clean connection to n for key, which the caller owns
// until Release or Discard. It waits for one at most Settings.WaitTimeout; a wait or a
// queue that is too long is an *wire.Error 53300.
func (p *Pool) Acquire(ctx context.Context, n *cluster.Node, key Key, cred auth.Credentials) (*Server, error) {
	set := p.settings.Load()
	for {
		s, w, err := p.take(set, n, key)
		if err != nil {
			return nil, err
		}
		if w != nil {
			if s, err = p.await(ctx, set, n, w); err != nil {
				return nil, err
			}
		}
		if s == nil {
			return p.open(ctx, set, n, key, cred)
		}
		if s.usable() {
			return s, nil
		}
		p.Discard(s)
	}
}

// Open opens a new connection even if an idle one exists: a login that is
// checked anew. It counts as acquired.
func (p *Pool) Open(ctx context.Context, n *cluster.Node, key Key, cred auth.Credentials) (*Server, error) {
	set := p.settings.Load()
	_, w, err := p.take(set, n, Key{User: "\x00"}) // a key nobody has
	if err != nil {
		return nil, err
	}
	if w != nil {
		if _, err := p.await(ctx, set, n, w); err != nil {
			return nil, err
		}
	}
	return p.open(ctx, set, n, key, cred)
}

// take returns an idle connection, or a place in the queue, or neither: then
// the caller has the right to open a connection.
func (p *Pool) take(set *Settings, n *cluster.Node, key Key) (*Server, *waiter, error) {
	var evicted *Server
	defer func() {
		if evicted != nil {
			evicted.Close()
		}
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, ErrClosed
	}
	np := p.node(n.ID)
	np.limit = set.limitOf(n)
	if len(np.waiters) == 0 {
		if s := np.takeIdle(&key); s != nil {
			return s, nil, nil
		}
		if np.limit == 0 || np.total < np.limit {
			np.total++
			return nil, nil, nil
		}
		if len(np.idle) > 0 {
			evicted = np.idle[0]
			np.idle = append(np.idle[:0], np.idle[1:]...)
			return nil, nil, nil // its place in total passes on
		}
	}
	if len(np.waiters) >= set.MaxWaiters {
		return nil, nil, &wire.Error{Code: "53300",
			Message: fmt.Sprintf("too many sessions wait for a connection to %s", n.Name),
			Detail:  fmt.Sprintf("%d connections are open, %d sessions wait.", np.total, len(np.waiters)),
			Hint:    "Raise pool.max_per_node (and the server's max_connections) or pool.max_waiters."}
	}
	w := &waiter{key: key, ready: make(chan *Server, 1)}
	np.waiters = append(np.waiters, w)
	return nil, w, nil
}

// await waits for what take promised: a connection, or nil for the right to open one.
func (p *Pool) await(ctx context.Context, set *Settings, n *cluster.Node, w *waiter) (*Server, error) {
	timer := time.NewTimer(set.WaitTimeout)
	defer timer.Stop()
	var err error
	select {
	case s, ok := <-w.ready:
		if !ok {
			return nil, ErrClosed
		}
		return s, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-timer.C:
		err = &wire.Error{Code: "53300",
			Message: fmt.Sprintf("no connection to %s became free within %s", n.Name, set.WaitTimeout),
			Hint:    "Raise pool.max_per_node (and the server's max_connections) or pool.wait_timeout."}
	}
	p.mu.Lock()
	np := p.node(n.ID)
	for i, other := range np.waiters {
		if other == w {
			np.waiters = append(np.waiters[:i], np.waiters[i+1:]...)
			break
		}
	}
	p.mu.Unlock()
	// It may have been served at the last moment: pass that on.
	select {
	case s, ok := <-w.ready:
		if ok && s != nil {
			p.put(s)
		} else if ok {
			p.freed(n.ID)
		}
	default:
	}
	return nil, err
}

// open opens a connection with a right that the caller holds.
func (p *Pool) open(ctx context.Context, set *Settings, n *cluster.Node, key Key, cred auth.Credentials) (*Server, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, set.Connect, fmt.Errorf("no answer within %s", set.Connect))
	defer cancel()
	s, err := connect(ctx, n, key, cred)
	if err != nil {
		p.freed(n.ID)
		return nil, err
	}
	p.mu.Lock()
	s.Params = p.intern(s.Params)
	p.mu.Unlock()
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

// freed takes note that one connection less is open and lets the oldest waiter open one.
func (p *Pool) freed(id cluster.NodeID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	np := p.node(id)
	np.total--
	if len(np.waiters) > 0 && (np.limit == 0 || np.total < np.limit) {
		np.total++
		np.nextWaiter().ready <- nil
	}
}

func (np *nodePool) nextWaiter() *waiter {
	w := np.waiters[0]
	np.waiters = append(np.waiters[:0], np.waiters[1:]...)
	return w
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
	p.freed(s.Node)
}

// put makes a connection available: to the oldest waiter, or as idle.
// Whatever its server sends from now on makes it unfit (see Acquire).
func (p *Pool) put(s *Server) {
	s.freed = time.Now()
	if len(s.Buffered()) > 0 || s.isOld(p.settings.Load(), s.freed) {
		p.Discard(s)
		return
	}
	p.mu.Lock()
	np := p.node(s.Node)
	over := np.limit > 0 && np.total > np.limit // the limit was lowered
	if p.closed || over || (len(np.waiters) > 0 && np.waiters[0].key != s.Key) {
		// A waiter of another key opens its own in this one's place.
		p.mu.Unlock()
		p.Discard(s)
		return
	}
	if len(np.waiters) > 0 {
		np.nextWaiter().ready <- s
	} else {
		np.idle = append(np.idle, s)
	}
	p.mu.Unlock()
}

// Run closes connections that were idle for too long, until ctx ends; then it
// closes all idle ones, and lent ones when they come back.
func (p *Pool) Run(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			p.close()
			return nil
		case <-ticker.C:
			p.expire()
		}
	}
}

func (p *Pool) close() {
	p.mu.Lock()
	p.closed = true
	var idle []*Server
	for _, np := range p.nodes {
		idle = append(idle, np.idle...)
		np.total -= len(np.idle)
		np.idle = nil
		for _, w := range np.waiters {
			close(w.ready)
		}
		np.waiters = nil
	}
	p.mu.Unlock()
	terminate(idle)
}

func (p *Pool) expire() {
	set := p.settings.Load()
	now := time.Now()
	var old []*Server
	p.mu.Lock()
	for _, np := range p.nodes {
		kept := np.idle[:0]
		for _, s := range np.idle {
			if (set.IdleTimeout > 0 && now.Sub(s.freed) > set.IdleTimeout) || s.isOld(set, now) {
				old = append(old, s)
				np.total--
			} else {
				kept = append(kept, s)
			}
		}
		clear(np.idle[len(kept):])
		np.idle = kept
	}
	p.mu.Unlock()
	terminate(old)
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
	return Stats{Open: np.total, Idle: len(np.idle), Waiting: len(np.waiters)}
}
