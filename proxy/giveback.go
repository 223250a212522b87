package proxy

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/pool"
	"github.com/howdah/howdah/wire"
)

// end gives the leases back.
func (s *session) end() {
	if s.left != nil {
		s.left() // to make its connections clean takes a while, in which there is no client
	}
	s.stopWatch()
	defer s.writes.ended()
	for slot, l := range s.leases {
		if l != nil {
			s.leases[slot], l.abandoned = nil, true
			s.giveBack(l)
		}
	}
	s.doubtDefinitions()
}

// endTimeout bounds how long an ending session waits for outstanding answers
// before it closes a server connection instead of giving it back.
const endTimeout = 2 * time.Second

// giveBack returns a lease to the pool, or closes it if it cannot be made clean.
func (s *session) giveBack(l *lease) {
	if s.endUse(l) {
		if l.leavesNothing() {
			s.srv.pool.ReleaseClean(l.srv)
		} else {
			s.srv.pool.Release(l.srv)
		}
	}
}

// endUse ends what the session has under way on a lease that it gives back. False: the connection was of no use afterwards, and is closed.
func (s *session) endUse(l *lease) bool {
	s.srv.loads.lent(l.srv.Node, -1)
	if l.copyIn || l.passing > 0 || l.ignoring || l.cycling || l.lastWords != nil {
		s.srv.pool.Discard(l.srv)
		return false
	}
	if l.slot == balancer.ToPrimary && s.state.hadTemp && !l.owes() {
		// DISCARD ALL leaves its temporary schema, which the next session would find (pg_my_temp_schema()).
		s.srv.pool.Discard(l.srv)
		return false
	}
	if l.owes() && !s.settle(l) {
		s.cancelLeft(l)
		s.srv.pool.Discard(l.srv)
		return false
	}
	if l.inTransaction() {
		if !s.rollback(l) {
			s.srv.pool.Discard(l.srv)
			return false
		}
	}
	if len(l.srv.Buffered()) > 0 {
		// The client went away in the middle of an answer.
		s.srv.pool.Discard(l.srv)
		return false
	}
	return true
}

// leave gives back a lease of a session that goes on elsewhere. It does not wait for a server that may be lost, nor for the
// connection's reset.
func (s *session) leave(l *lease) {
	if n := s.srv.cluster.View().Node(l.srv.Node); n == nil || n.State != cluster.StateUp {
		s.srv.loads.lent(l.srv.Node, -1)
		s.srv.pool.Discard(l.srv)
	} else if s.endUse(l) {
		s.srv.sessions.Go(func() { s.srv.pool.Release(l.srv) }) // ends after the pool's limit for a reset
	}
}

// settle waits for the answers to howdah's own messages. Answers that the
// client asked for are not waited for: it is gone, and they may take long.
func (s *session) settle(l *lease) bool {
	for i := l.head; i < len(l.owed); i++ {
		if !l.owed[i].swallow {
			return false
		}
	}
	l.srv.SetDeadline(time.Now().Add(endTimeout))
	defer l.srv.SetDeadline(time.Time{})
	for l.owes() {
		if err := s.process(l); err != nil {
			return false
		}
		if l.owes() && l.srv.Fill() != nil {
			return false
		}
	}
	return !l.ignoring
}

// leftTimeout bounds how long the end of what a client left running is waited for, cancelAgain how long
// for one cancel request's effect.
const (
	leftTimeout = 10 * time.Second
	cancelAgain = 500 * time.Millisecond
)

// cancelLeft stops what a client that went away left running, so that it does not go on for
// nothing. A server ignores a cancel request that is faster than the statement itself, and a running one
// does not notice that its client is gone: so the request is repeated until the server has closed its side.
// The connection is of no use afterwards.
func (s *session) cancelLeft(l *lease) {
	ctx, cancel := context.WithTimeout(context.Background(), leftTimeout)
	defer cancel()
	if c, ok := l.srv.NetConn().(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite() // it is closed soon, whatever this says
	}
	for ctx.Err() == nil {
		if err := l.srv.Cancel(ctx); err != nil {
			s.log.Debug("cancel what a client left running", "error", err)
		}
		if hasEnded(l.srv, time.Now().Add(cancelAgain)) {
			return
		}
	}
	s.log.Warn("what a client left running could not be canceled", "node", l.srv.Node)
}

// hasEnded reads what a server still says, and reports whether it has closed its side before a deadline.
func hasEnded(srv *pool.Server, deadline time.Time) bool {
	srv.SetDeadline(deadline)
	for {
		srv.Discard(len(srv.Buffered()))
		if err := srv.Fill(); err != nil {
			return !errors.Is(err, os.ErrDeadlineExceeded)
		}
	}
}

// rollback ends an open block before the lease is given back.
func (s *session) rollback(l *lease) bool {
	l.expect(expected{reply: replyQuery, swallow: true})
	return l.srv.Write(wire.AppendQuery(s.out[:0], "ROLLBACK")) == nil && s.settle(l) && !l.inTransaction()
}
