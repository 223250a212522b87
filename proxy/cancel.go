package proxy

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/pool"
	"github.com/howdah/howdah/wire"
)

// What a cancel request may do to a session.
const (
	cancelNothing  uint32 = iota // the session is idle
	cancelServer                 // a server works for it: that one is asked
	cancelWait                   // it waits for a node or a login: the wait is broken off
	cancelQueued                 // it waits for a connection: the same
	cancelUnderWay               // a cancel is under way
	cancelAwaited                // and the session waits for its end
	cancelEarly                  // a server works at what howdah sent before the statement: a cancel is for the statement
	cancelKept                   // and there is a cancel
)

// cancelling is the part of a session that cancel requests use, from their
// own goroutines.
type cancelling struct {
	running     atomic.Pointer[pool.Server]
	cancelState atomic.Uint32
	// line is the session's place among those who wait for a connection of pool.
	line     pool.Line
	pool     *pool.Pool
	breakOff atomic.Pointer[context.CancelCauseFunc]
	// cancelled gets a value when a cancel that was awaited is over.
	cancelled chan struct{}
}

// cancelTimeout bounds the sending of a cancel request: the session cannot go
// on before it is over.
const cancelTimeout = 5 * time.Second

// errCanceled is what a wait that was broken off ends with, as a query would.
var errCanceled = &wire.Error{Code: "57014", Message: "canceling statement due to user request"}

// busy opens the session to cancel requests, which go to srv.
func (c *cancelling) busy(srv *pool.Server) {
	c.running.Store(srv)
	c.cancelState.Store(cancelServer)
}

// idle closes the session to cancel requests. It waits for one that is under
// way: when it returns, the server has been signalled or will not be, so that
// the next statement is safe. (A server that is idle ignores the signal.)
func (c *cancelling) idle() { c.end(cancelServer) }

// idleNow is idle if there is nothing to wait for; else it does nothing.
func (c *cancelling) idleNow() bool { return c.cancelState.CompareAndSwap(cancelServer, cancelNothing) }

// end takes the session out of a state that cancel requests may use.
func (c *cancelling) end(state uint32) { c.change(state, cancelNothing) }

// change takes the session from one state to another, after a cancel that is under way.
func (c *cancelling) change(from, to uint32) {
	for !c.cancelState.CompareAndSwap(from, to) {
		if c.cancelState.CompareAndSwap(cancelUnderWay, cancelAwaited) {
			<-c.cancelled
			c.cancelState.Store(to)
			return
		}
		if from == cancelServer && (c.cancelState.CompareAndSwap(cancelEarly, to) || c.cancelState.CompareAndSwap(cancelKept, to)) {
			return // the statement never began
		}
	}
}

// early keeps cancel requests from the server for as long as it works at howdah's own messages: settings that were
// not made would be missed by the statement that follows them.
func (c *cancelling) early() { c.change(cancelServer, cancelEarly) }

// begun says that the server has come to the statement itself. A cancel that came before is carried out now, and ends after
// cancelTimeout at the latest.
func (c *cancelling) begun(ctx context.Context) {
	if c.cancelState.CompareAndSwap(cancelEarly, cancelServer) || !c.cancelState.CompareAndSwap(cancelKept, cancelUnderWay) {
		return
	}
	go func() {
		defer c.over(cancelServer)
		_ = c.askServer(ctx) // who asked has been answered
	}()
}

// begin claims the session's state for one cancel. over lets go: the state is as
// before, as a server ignores a signal that comes before the statement does, and the next
// one must reach it.
func (c *cancelling) begin(state uint32) (over func(), ok bool) {
	if !c.cancelState.CompareAndSwap(state, cancelUnderWay) {
		return nil, false
	}
	return func() { c.over(state) }, true
}

func (c *cancelling) over(state uint32) {
	if !c.cancelState.CompareAndSwap(cancelUnderWay, state) {
		c.cancelled <- struct{}{}
	}
}

// waiting opens the session to cancel requests while it waits under ctx.
func (s *session) waiting(ctx context.Context) (context.Context, func()) {
	c := &s.cancelling
	ctx, breakOff := context.WithCancelCause(ctx)
	c.breakOff.Store(&breakOff)
	c.cancelState.Store(cancelWait)
	return ctx, func() {
		c.end(cancelWait)
		breakOff(nil)
	}
}

// cancel carries out a cancel request. It may be called from any goroutine.
func (c *cancelling) cancel(ctx context.Context) error {
	if c.cancelState.CompareAndSwap(cancelEarly, cancelKept) {
		return nil
	}
	if over, ok := c.begin(cancelServer); ok {
		defer over()
		return c.askServer(ctx)
	}
	if over, ok := c.begin(cancelWait); ok {
		defer over()
		(*c.breakOff.Load())(errCanceled)
	}
	if over, ok := c.begin(cancelQueued); ok {
		defer over()
		c.pool.Break(&c.line, errCanceled)
	}
	return nil
}

// askServer asks the server that works for the session, for which the state is claimed.
func (c *cancelling) askServer(ctx context.Context) error {
	ctx, done := context.WithTimeout(ctx, cancelTimeout)
	defer done()
	return c.running.Load().Cancel(ctx)
}

// worksFor is whether a server works for a session in the state.
func worksFor(state uint32) bool {
	return state == cancelServer || state == cancelEarly || state == cancelKept
}

// cutOff makes the session's wait for a server fail. It may be called from any
// goroutine; the session must end afterwards.
func (c *cancelling) cutOff() {
	if srv := c.running.Load(); srv != nil {
		srv.SetDeadline(time.Unix(1, 0))
	}
}

// cancelKey is the secret of a session's cancel key: 4 bytes, or 32 from protocol 3.2 on.
type cancelKey []byte

// The lengths of cancel keys; servers may have some up to maxCancelKey.
const (
	shortCancelKey = 4
	longCancelKey  = 32
	maxCancelKey   = 256
)

// newCancelKey draws the secret for a client of a minor protocol version.
func newCancelKey(minor uint32) cancelKey {
	key := make(cancelKey, shortCancelKey)
	if minor >= 2 {
		key = make(cancelKey, longCancelKey)
	}
	rand.Read(key)
	return key
}

// registry finds sessions by their cancel keys.
type registry struct {
	mu       sync.Mutex
	sessions map[uint32]*session
	last     uint32
}

// errTooManySessions cannot happen below two billion sessions.
var errTooManySessions = errors.New("no free session number")

// add gives s a number that no living session has, the one that it comes with if it can. Numbers are positive as
// process ids are, as drivers keep them in signed integers, and higher than any of a server's process.
func (r *registry) add(s *session) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.sessions[s.pid]; s.pid != 0 && !taken {
		r.sessions[s.pid] = s
		return nil
	}
	for range 1 << 20 {
		if r.last++; r.last <= parser.MaxProcessID || r.last >= 1<<31 {
			r.last = parser.MaxProcessID + 1
		}
		if _, taken := r.sessions[r.last]; !taken {
			s.pid = r.last
			r.sessions[s.pid] = s
			return nil
		}
	}
	return errTooManySessions
}

func (r *registry) remove(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sessions, s.pid)
}

// find returns the session with the key, nil if there is none.
func (r *registry) find(pid uint32, secret cancelKey) *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.sessions[pid]; s != nil && subtle.ConstantTimeCompare(s.secret, secret) == 1 {
		return s
	}
	return nil
}

// numbered returns the session of a number, nil if there is none.
func (r *registry) numbered(pid uint32) *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sessions[pid]
}

// each calls f for every session, outside the lock.
func (r *registry) each(f func(*session)) {
	r.mu.Lock()
	all := make([]*session, 0, len(r.sessions))
	for _, s := range r.sessions {
		all = append(all, s)
	}
	r.mu.Unlock()
	for _, s := range all {
		f(s)
	}
}
