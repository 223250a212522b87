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
	// tender runs tend at tendAt while tending: somebody waits.
	tender  *time.Timer
	tendAt  time.Time
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
	p.mu.Lock()
	for _, np := range p.nodes {
		if np.node != nil {
			np.limit = settings.limitOf(np.node)
		}
		np.unmatched = true
	}
	p.mu.Unlock()
	p.tend() // by the new limits
}

// trusted is how long after its return a connection is taken to be alive if nothing is heard of it. The look costs a
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
func (s *Server) usable(n *cluster.Node) bool { return s.usableAt(n, now()) }

func (s *Server) usableAt(n *cluster.Node, now time.Time) bool {
	return s.Run >= n.Run && (s.Key.Shared && now.Sub(s.freed) < trusted && !s.Heard() || s.Alive() == nil)
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
	var gave []swapped
	p.mu.Lock()
	if idle {
		s = p.takeKnown(set, n, key, line)
	}
	if s == nil {
		s, queued, gave, err = p.takeAny(set, n, key, line, idle)
	}
	p.mu.Unlock()
	finish(gave)
	return s, queued, err
}

// takeKnown is takeAny for an idle connection of the group that the line knows, nil if it does not have one, or if there may be more to it.
func (p *Pool) takeKnown(set *Settings, n *cluster.Node, key *Key, line *Line) *Server {
	g := line.last
	if g == nil || g.gone || p.closed || g.node.node != n || g.node.limit != set.limitOf(n) || line.lastKey != key {
		return nil
	}
	return g.node.takeIdle(g)
}

// takeAny is take with mu held; the caller finishes what gave way without it.
func (p *Pool) takeAny(set *Settings, n *cluster.Node, key *Key, line *Line, idle bool) (s *Server, queued bool, gave []swapped, err error) {
	if p.closed {
		return nil, false, nil, ErrClosed
	}
	np, now := p.node(n.ID), now()
	if np.knows(set, n) {
		gave = p.grant(np, set, now) // those who wait come first
	}
	g := line.last
	if g == nil || g.gone || g.node != np || line.lastKey != key {
		g = np.group(*key)
		line.last, line.lastKey = g, key
	}
	if idle {
		if s := np.takeIdle(g); s != nil {
			return s, false, gave, nil
		}
	}
	ended, claimed := np.claim(set, g, now)
	if gave = append(gave, ended...); len(ended) > 0 { // limits that kept others waiting have room again, perhaps
		gave = append(gave, p.grant(np, set, now)...)
	}
	if claimed {
		return nil, false, gave, nil
	}
	g = np.group(*key) // its last connection may have given way
	if err := np.admit(set, g); err != nil {
		np.drop(g)
		return nil, false, gave, err
	}
	if line.later != nil {
		line.later.Queued()
	} else {
		line.makeReady()
	}
	line.node, line.key = n, key
	np.enqueue(g, line, now)
	p.tendIn(now, np.tendAfter(set))
	return nil, true, gave, nil
}

// grant lets waiters open connections where there is room; the caller holds mu, and finishes what gave way without it.
func (p *Pool) grant(np *nodePool, set *Settings, now time.Time) []swapped {
	gave := np.grant(set, now)
	p.lookAgain(np, now)
	return gave
}

// lookAgain makes sure that connections that linger give way in time; the caller holds mu.
func (p *Pool) lookAgain(np *nodePool, now time.Time) {
	if np.unmatched && np.waiting > 0 {
		p.tendIn(now, overtaken)
	}
}

// finish does outside of the lock what connections that gave way need: who opens one in a place comes when that is free.
func finish(gave []swapped) {
	for _, s := range gave {
		s.closed.Close()
		if s.line != nil {
			s.line.tell(grant{})
		}
	}
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
	np := p.node(n.ID)
	np.opening--
	s.group = np.group(key)
	s.group.opener = opener{n, cred}
	np.learn(s)
	gave := p.grant(np, set, now())
	s.Params = p.intern(s.Params)
	s.Defaults = s.Params
	p.mu.Unlock()
	finish(gave)
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

// Forgo gives up the right to open a connection that Claim or Wait gave the caller.
func (p *Pool) Forgo(n *cluster.Node, key Key) { p.freed(n.ID, key, true) }

// freed takes note that one connection less is open (or being opened), and lets who waits open one.
func (p *Pool) freed(id cluster.NodeID, key Key, opening bool) {
	set := p.settings.Load()
	p.mu.Lock()
	np := p.node(id)
	if opening {
		np.opening--
	}
	np.closes(np.group(key))
	var gave []swapped
	if !p.closed {
		gave = p.grant(np, set, now())
	}
	p.mu.Unlock()
	finish(gave)
}

// Release takes a connection back: it is reset, and lent out again only if
// that succeeded. The connection must be idle (its last ReadyForQuery read).
func (p *Pool) Release(s *Server) {
	set := p.settings.Load()
	if s.isOld(set, now()) || len(s.Buffered()) > 0 {
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

// ReleaseClean takes back a connection on which sessions left nothing that DISCARD ALL would take away. An operator's
// own pool.reset_query is run all the same, as it may do anything. The connection must be idle.
func (p *Pool) ReleaseClean(s *Server) {
	if p.settings.Load().ResetQuery != configs.DefaultResetQuery {
		p.Release(s)
		return
	}
	p.put(s)
}

// Park takes a connection back as it is, for another session of its key, which must
// deal with what s.Carried says. The connection must be idle and out of a transaction. now is cluster.Now.
func (p *Pool) Park(s *Server, now int64) { p.putAt(s, at(now)) }

// ReleaseUnused takes back a connection on which nothing was run.
func (p *Pool) ReleaseUnused(s *Server) { p.put(s) }

// Discard closes a connection instead of giving it back.
func (p *Pool) Discard(s *Server) {
	s.Close()
	p.freed(s.Node, s.Key, false)
}

// put makes a connection available: to who is next, or as idle.
// Whatever its server sends from now on makes it unfit (see Acquire).
func (p *Pool) put(s *Server) { p.putAt(s, now()) }

func (p *Pool) putAt(s *Server, now time.Time) {
	set := p.settings.Load()
	s.freed = now
	if len(s.Buffered()) > 0 || s.isOld(set, now) {
		p.Discard(s)
		return
	}
	p.mu.Lock()
	np := s.group.node
	over := np.limit > 0 && np.total > np.limit // the limit was lowered
	if p.closed || over || np.isPast(s) || s.created.Before(p.renewed) {
		p.mu.Unlock()
		p.Discard(s)
		return
	}
	gave := np.give(set, s, now)
	p.lookAgain(np, now)
	p.mu.Unlock()
	finish(gave)
}
