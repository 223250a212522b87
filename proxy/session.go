package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"

	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/pool"
	"github.com/howdah/howdah/wire"
)

// session is one logged-in client. All fields belong to the goroutine that
// runs it, but for those named in cancel.go and wakeup.
type session struct {
	srv    *Server
	set    *settings // as of the last unit
	client *wire.Conn
	log    *slog.Logger
	rand   rand.PCG

	pid    uint32
	secret cancelKey
	// stream is the server connection of a replication connection, nil of other sessions; toPrimary: it is
	// to be the primary's. ended: it is over.
	stream    *pool.Server
	toPrimary bool
	ended     atomic.Bool
	// left takes the client off the count of limits.max_clients.
	left func()

	key      pool.Key
	database uint64 // what stands for key.Database in Server.lessons
	cred     auth.Credentials

	// in is what the balancer is asked with; in.Session holds what the session
	// remembers for it.
	in    balancer.Input
	unit  unit
	stmts statements
	state state
	names names
	// newDefaults: a statement has changed what later sessions begin with.
	newDefaults bool
	// remade are databases that statements made, dropped or renamed.
	remade []string

	leases [2]*lease // by balancer.Target
	lastID uint64    // the last lease's id
	// shared: the session hands its connections on between transactions (pool.mode).
	shared bool
	// usesSequences: sessions like this ask for values of sequences. wroteOn is the shared
	// connection where it wrote last; others may have it now.
	usesSequences bool
	wroteOn       *pool.Server
	// statementMode: pool.mode is statement.
	statementMode bool
	// superuser: the user who logged in is one. It is known before the session can be found by others.
	superuser bool

	// cycle is the lease that got messages since the last Sync, nil if none did.
	cycle *lease
	// skipping: an error that the server did not make was reported in an
	// extended cycle; messages are dropped until Sync.
	skipping bool

	// begin is the statement that opens the transaction block on a server
	// connection on which it is not open yet; beginRead is the same for a read node.
	begin, beginRead string
	// beginBound: the client's own BEGIN ran in a portal, which it may ask for again.
	beginBound bool

	catchUp catchUp
	// writes are its writes that others do not see yet, for routing.consistency: cluster.
	writes writes
	// asked is when (cluster.Now) the read was sent whose answer has not begun, 0 if
	// nobody wants to know.
	asked int64
	// began is when (cluster.Now) the unit was sent; reason and detail are why it went there.
	began  int64
	reason balancer.Reason
	detail string
	// stale are statements that were deallocated on the primary and may still
	// exist on the read node.
	stale []*prepared

	// told are the settings that the client knows of.
	told *pool.Params
	// compared are the defaults of the last primary connection, of which the client knows.
	compared *pool.Params
	// out is scratch for messages made here.
	out     []byte
	side    []byte // the same, for messages made while out is in use
	instead []byte // the message that takes the place of a server's, see replace
	// drain is s.drainLease for draining, made once.
	drainFn  func() error
	draining *lease
	// serveFn is s.serveArrived, made once. planned: it has read a unit that run must
	// dispatch; serveErr: the error that ends the session.
	serveFn  func() bool
	planned  bool
	serveErr error

	cancelling
	// wakeup tells why a blocked read of the client was interrupted; set by others.
	wakeup atomic.Uint32
	// busyFor is how long upkeep has seen the session at work; only upkeep uses it.
	busyFor time.Duration
	// served: requests were read by Serve since upkeep looked for the client's end.
	served atomic.Bool
	watch  watcher
	// watched is the connection on which the idle session listens; nil if it does not.
	watched atomic.Pointer[pool.Server]
	// shown is what operators see of the session; announces is what PGPOOL SET has changed.
	shown     shown
	announces announces
}

// Reasons to interrupt a session that waits for its client.
const (
	wakeStop     = 1 << iota // the server stops: look at Server.stopping
	wakeServer               // a watched server connection has something to say
	wakeSettings             // there are new settings
	wakeLook                 // the client's connection may have ended: read it
	wakeEnd                  // somebody has ended the session
)

// clientError is a failed read or write of the client's connection: nobody is left to tell.
type clientError struct{ err error }

func (e clientError) Error() string { return "client: " + e.err.Error() }
func (e clientError) Unwrap() error { return e.err }

// protocolLost is a client that sent what is no message; as PostgreSQL does,
// the connection is closed without a word.
type protocolLost struct{ err error }

func (e protocolLost) Error() string { return "client: " + e.err.Error() }
func (e protocolLost) Unwrap() error { return e.err }

var (
	// errTerminated is the client's Terminate.
	errTerminated = errors.New("client terminated the session")
	// errServerLost ends a session whose primary connection is gone; the client has been told.
	errServerLost = errors.New("server connection lost")
	// errStopped ends an idle session because the server stops.
	errStopped = &wire.Error{Code: "57P01", Message: "terminating connection due to administrator command", Hint: "howdah is stopping."}
	// errIdle ends a session that was silent for too long.
	errIdle = &wire.Error{Code: "57P05", Message: "terminating connection due to idle-session timeout", Hint: "The limit is timeouts.client_idle."}
)

// run serves the client until it leaves or is sent away.
func (s *session) run(ctx context.Context) error {
	if s.stream != nil {
		return s.runStream()
	}
	defer s.end()
	s.drainFn = func() error { return s.drainLease(s.draining) }
	s.serveFn = s.serveArrived
	for {
		typ, err := s.awaitMessage()
		if err == nil {
			err = s.handle(ctx, typ)
		}
		if err != nil {
			return err
		}
	}
}

// handle deals with the message, or the unit that begins with it, at the start of the client's buffer.
func (s *session) handle(ctx context.Context, typ byte) error {
	if s.planned {
		s.planned = false
		return s.dispatch(ctx)
	}
	s.set = s.srv.settings.Load()
	skip := s.skipping || (s.cycle != nil && s.cycle.ignoring)
	switch typ {
	case wire.Query:
		if skip {
			return s.skipMessage()
		}
		if err := s.readQuery(); err != nil {
			return err
		}
		return s.dispatch(ctx)
	case wire.Parse, wire.Bind, wire.Describe, wire.Execute, wire.Close, wire.Flush, wire.Sync:
		if skip {
			return s.skipToSync(ctx, typ)
		}
		if err := s.readExtended(); err != nil {
			return err
		}
		return s.dispatch(ctx)
	case wire.FunctionCall:
		if skip {
			return s.skipMessage()
		}
		if err := s.readCall(); err != nil {
			return err
		}
		return s.dispatch(ctx)
	case wire.CopyData, wire.CopyDone, wire.CopyFail:
		return s.skipMessage() // the rest of a COPY that failed
	case wire.Terminate:
		return errTerminated
	}
	return &wire.Error{Code: "08P01", Message: fmt.Sprintf("invalid frontend message type %d", typ)}
}

// serveArrived handles units as they arrive, inside the client's Serve, for as
// long as they are of the common kind: whole, and sure not to read from the
// client while they run, as COPY FROM STDIN does. It returns false when one is
// not, or when anything else is to be looked at; then the loop of run goes on.
func (s *session) serveArrived() bool {
	for {
		in := s.client.Buffered()
		if len(in) == 0 {
			s.show()
			if !s.served.Load() {
				s.served.Store(true)
			}
			return s.wakeup.Load() == 0 && !s.srv.stopping.Load() && !s.state.listening && s.cycle == nil
		}
		if s.skipping || s.cycle != nil || !wholeUnit(in) {
			return false
		}
		s.set = s.srv.settings.Load()
		var err error
		if in[0] == wire.Query {
			err = s.readQuery()
		} else {
			err = s.readExtended()
		}
		if err == nil {
			if !s.unit.common() {
				s.planned = true
				return false
			}
			err = s.dispatch(s.srv.context)
		}
		if err != nil {
			s.serveErr = err
			return false
		}
	}
}

// awaitMessage waits for the client's next message and returns its type. The
// message stays in the buffer.
func (s *session) awaitMessage() (byte, error) {
	for {
		if b := s.client.Buffered(); len(b) > 0 {
			return b[0], nil
		}
		if s.wakeup.Load() != 0 {
			if err := s.wake(); err != nil {
				return 0, err
			}
		}
		if s.srv.stopping.Load() && s.in.Session.Tx == balancer.TxNone && s.cycle == nil {
			return 0, errStopped
		}
		s.show()
		if err := s.startWatch(); err != nil {
			return 0, err
		}
		if err := s.awaitClient(); err != nil {
			return 0, err
		}
	}
}

// awaitClient waits until something arrives from the client, or an interrupt.
func (s *session) awaitClient() error {
	var err error
	idle := s.set.timeouts.ClientIdle
	if idle == 0 && !s.state.listening {
		err = s.client.Serve(s.serveFn)
		if s.serveErr != nil {
			return s.serveErr
		}
	} else {
		err = s.fillBefore(idle)
		s.stopWatch()
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		// An interrupt; its deadline may have been set after its cause was dealt with.
		s.client.SetReadDeadline(time.Time{})
		return nil
	case errors.Is(err, errIdle):
		return errIdle
	}
	return clientError{err}
}

// fillBefore reads from the client within timeouts.client_idle.
func (s *session) fillBefore(idle time.Duration) error {
	if idle == 0 {
		return s.client.Fill()
	}
	end := time.Now().Add(idle)
	s.client.SetReadDeadline(end)
	if s.wakeup.Load() != 0 {
		s.client.SetReadDeadline(time.Unix(1, 0)) // the deadline just set must not hide it
	}
	err := s.client.Fill()
	if err == nil {
		s.client.SetReadDeadline(time.Time{})
	} else if errors.Is(err, os.ErrDeadlineExceeded) && !time.Now().Before(end) {
		return errIdle
	}
	return err
}

// interrupt makes a session that waits for its client look at why. It may be called by any goroutine.
func (s *session) interrupt(why uint32) {
	s.wakeup.Or(why)
	s.client.SetReadDeadline(time.Unix(1, 0))
}

// wake deals with an interrupt.
func (s *session) wake() error {
	why := s.wakeup.Swap(0)
	s.client.SetReadDeadline(time.Time{})
	if why&wakeEnd != 0 {
		return errEnded
	}
	if why&wakeSettings != 0 {
		s.set = s.srv.settings.Load()
	}
	if why&wakeServer != 0 {
		if err := s.readIdle(); err != nil {
			return err
		}
	}
	return nil
}

// need waits until n bytes of a message that the client has begun are there.
func (s *session) need(n int) error {
	for {
		err := s.client.Need(n)
		if err == nil {
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return clientError{err}
		}
		// An interrupt; it is dealt with when the session is idle.
		s.client.SetReadDeadline(time.Time{})
	}
}

// skipMessage drops the message at the start of the client's buffer.
func (s *session) skipMessage() error {
	if err := s.need(wire.HeaderSize); err != nil {
		return err
	}
	_, size, err := wire.Header(s.client.Buffered())
	if err != nil {
		return protocolLost{err}
	}
	for size > 0 {
		if err := s.need(1); err != nil {
			return err
		}
		n := min(size, len(s.client.Buffered()))
		s.client.Discard(n)
		size -= n
	}
	return nil
}

// skipToSync drops a message after an error in an extended cycle, as the
// server would; a Sync ends that.
func (s *session) skipToSync(ctx context.Context, typ byte) error {
	if typ != wire.Sync {
		return s.skipMessage()
	}
	if s.cycle == nil {
		if err := s.skipMessage(); err != nil {
			return err
		}
		s.skipping = false
		return s.tell(wire.AppendReady(s.out[:0], s.clientStatus()))
	}
	s.skipping = false
	if err := s.readExtended(); err != nil {
		return err
	}
	return s.dispatch(ctx)
}

// tell sends the client messages made here; b is s.out, to be used again.
func (s *session) tell(b []byte) error {
	s.out = b[:0]
	if err := s.client.Write(b); err != nil {
		return clientError{err}
	}
	return nil
}

// clientStatus is the transaction state that the client must believe in.
func (s *session) clientStatus() byte {
	switch s.in.Session.Tx {
	case balancer.TxNone:
		return wire.TxIdle
	case balancer.TxFailed:
		return wire.TxFailed
	}
	return wire.TxOpen
}

// end gives the leases back.
func (s *session) end() {
	if s.left != nil {
		s.left() // to make its connections clean takes a while, in which there is no client
	}
	s.stopWatch()
	defer s.writes.ended()
	for slot, l := range s.leases {
		if l != nil {
			s.leases[slot] = nil
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
		s.srv.pool.Release(l.srv)
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

// showsNoData is whether statements of the kind neither change data nor show
// any, so that no read need be newer after them.
func showsNoData(v *parser.Verdict) bool {
	if v.Single == parser.KindSet {
		// A role may be as new as any row.
		name := v.Statements[0].Setting
		return name != "role" && name != "session_authorization"
	}
	switch v.Single {
	case parser.KindBegin, parser.KindSetTransaction, parser.KindShow, parser.KindListen, parser.KindUnlisten,
		parser.KindSavepoint, parser.KindRelease, parser.KindRollbackTo, parser.KindRollback, parser.KindDeallocate, parser.KindDiscard:
		return true
	}
	return false
}

// rollback ends an open block before the lease is given back.
func (s *session) rollback(l *lease) bool {
	l.expect(expected{reply: replyQuery, swallow: true})
	return l.srv.Write(wire.AppendQuery(s.out[:0], "ROLLBACK")) == nil && s.settle(l) && !l.inTransaction()
}

// noteUse records when a lease's answer was complete, for the horizon.
func (s *session) noteUse(l *lease) {
	now := cluster.Now()
	l.used = now
	s.srv.latencies.count(l.srv.Node, routeOf(s.unit.verdict), s.pid, time.Duration(now-s.began))
	if l.slot == balancer.ToPrimary {
		if v := s.unit.verdict; v == nil || !showsNoData(v) {
			s.in.Session.FloorPrimary = now
			s.srv.cluster.NoteUse()
		}
	} else {
		s.in.Session.LastReadNode, s.in.Session.LastReadTime, s.in.Session.Ahead = l.srv.Node, now, true
	}
}
