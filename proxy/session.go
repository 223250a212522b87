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
	// What every read needs comes first, and together: with many sessions none of it is in the
	// processor's caches when a read arrives, nor again when the session is given a connection. In the structs here, too, what
	// every read needs is first.
	srv      *Server
	client   *wire.Conn
	set      *settings // as of the last unit
	leases   [2]*lease // by balancer.Target
	fastPath fastPath
	// began is when (cluster.Now) the unit was sent; reason and detail are why it went there.
	began int64
	pid   uint32
	// wakeup tells why a blocked read of the client was interrupted; set by others.
	wakeup atomic.Uint32
	// worked: the session's goroutine had something to do since upkeep looked.
	worked atomic.Bool
	// shared: the session hands its connections on between transactions (pool.mode).
	shared bool
	// skipping: an error that the server did not make was reported in an
	// extended cycle; messages are dropped until Sync.
	skipping bool
	// usual: Arrived has found that what has arrived must go the usual way.
	usual bool
	// exemplary: the unit is to be kept as an example (keepExample).
	exemplary bool
	reason    balancer.Reason
	lastID    uint64 // the last lease's id
	// compared are the defaults of the last primary connection, of which the client knows.
	compared *pool.Params
	flight   flight
	cancelling
	// in is what the balancer is asked with; in.Session holds what the session
	// remembers for it.
	in    balancer.Input
	names names
	stmts statements
	state state
	// cycle is the lease that got messages since the last Sync, nil if none did.
	cycle *lease
	unit  unit

	// fastDrainFn is s.fastDrain, and drainFn s.drainLease for draining, made once.
	fastDrainFn, drainFn func() error
	draining             *lease
	detail               string
	log                  *slog.Logger
	rand                 rand.PCG
	secret               cancelKey
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

	// newDefaults: a statement has changed what later sessions begin with.
	newDefaults bool
	// remade are databases that statements made, dropped or renamed.
	remade []string

	// usesSequences: sessions like this ask for values of sequences. wroteOn is the shared
	// connection where it wrote last; others may have it now.
	usesSequences bool
	wroteOn       *pool.Server
	// statementMode: pool.mode is statement.
	statementMode bool
	// superuser: the user who logged in is one. It is known before the session can be found by others.
	superuser bool

	// begin is the statement that opens the transaction block on a server
	// connection on which it is not open yet; beginRead is the same for a read node.
	begin, beginRead string
	// beginBound: the client's own BEGIN ran in a portal, which it may ask for again.
	beginBound bool
	// unseenBegin: no statement of the client began the block, and so none need end it.
	unseenBegin bool

	catchUp catchUp
	// writes are its writes that others do not see yet, for routing.consistency: cluster.
	writes writes
	// asked is when (cluster.Now) the read was sent whose answer has not begun, 0 if
	// nobody wants to know.
	asked int64
	// stale are statements that were deallocated on the primary and may still
	// exist on the read node.
	stale []*prepared

	// told are the settings that the client knows of.
	told *pool.Params
	// out is scratch for messages made here.
	out     []byte
	side    []byte // the same, for messages made while out is in use
	instead []byte // the message that takes the place of a server's, see replace

	// busyFor and idleFor are how long upkeep has seen the session at work, or its goroutine idle; rested: that was told to rest since
	// it last worked, hasRested: ever. Only upkeep uses them.
	busyFor, idleFor  time.Duration
	rested, hasRested bool
	mayRest           atomic.Bool // it is logged in, and no replication connection
	// silentSince is when timeouts.client_idle began to run; zero while it does not. Interrupts do not start it anew.
	silentSince time.Time
	watch       watcher
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
	wakeEnd                  // somebody has ended the session
	wakeRest                 // it was idle for long enough to rest
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
	// errResting ends run, but not the session.
	errResting = errors.New("the session rests")
	// errIdle ends a session that was silent for too long.
	errIdle = &wire.Error{Code: "57P05", Message: "terminating connection due to idle-session timeout", Hint: "The limit is timeouts.client_idle."}
)

// run serves the client until it leaves or is sent away, or until it is to rest: then it may be run again, by any goroutine.
func (s *session) run(ctx context.Context) (err error) {
	if s.stream != nil {
		return s.runStream()
	}
	defer func() {
		if err != errResting {
			s.end()
		}
	}()
	if s.drainFn == nil {
		s.drainFn = func() error { return s.drainLease(s.draining) }
		s.fastDrainFn = s.fastDrain
		s.expectFirst()
		s.mayRest.Store(true)
	}
	for err == nil {
		var typ byte
		if typ, err = s.awaitMessage(); err == nil {
			err = s.handle(ctx, typ)
		}
	}
	return err
}

// handle deals with the message, or the unit that begins with it, at the start of the client's buffer.
func (s *session) handle(ctx context.Context, typ byte) error {
	if !s.worked.Load() {
		s.worked.Store(true)
	}
	if s.fastPath.open && !s.usual {
		if did, err := s.fast(s.client.Buffered(), false); did != fastNothing || err != nil {
			return err
		}
	}
	s.usual = false
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

// Arrived serves reads as they arrive, within the client's Serve, for as long as they can do without being planned, or waiting. When there is anything
// else to be done, the loop of run goes on.
func (s *session) Arrived(b *wire.Batch) wire.Next {
	s.flight.batch = b
	for {
		in := s.client.Buffered()
		if len(in) == 0 {
			if s.wakeup.Load() != 0 || s.srv.stopping.Load() {
				return wire.ServeEnd
			}
			return wire.ServeOn
		}
		if !s.fastPath.open || s.wakeup.Load()&wakeEnd != 0 {
			return wire.ServeEnd
		}
		did, _ := s.fast(in, true)
		switch did {
		case fastNothing:
			s.usual = s.flight.state == flightNone
			return wire.ServeEnd
		case fastSent:
			return wire.ServeLater
		}
	}
}

// awaitMessage waits for the client's next message and returns its type. The
// message stays in the buffer.
func (s *session) awaitMessage() (byte, error) {
	for {
		if s.flight.state != flightNone {
			if err := s.landFlight(); err != nil {
				return 0, err
			}
		}
		if b := s.client.Buffered(); len(b) > 0 && s.wakeup.Load()&wakeEnd == 0 {
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
	if idle == 0 {
		s.silentSince = time.Time{} // it may be limited again
	}
	if idle == 0 && !s.state.listening {
		err = s.client.Serve(s)
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
	if s.silentSince.IsZero() {
		s.silentSince = time.Now()
	}
	end := s.silentSince.Add(idle)
	s.client.SetReadDeadline(end)
	if s.wakeup.Load() != 0 {
		s.client.SetReadDeadline(time.Unix(1, 0)) // the deadline just set must not hide it
	}
	err := s.client.Fill()
	if err == nil {
		s.silentSince = time.Time{}
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
	s.client.SetReadDeadline(time.Time{}) // first: one that comes now is seen at once, or by its deadline
	why := s.wakeup.Swap(0)
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
	if why&wakeRest != 0 {
		return errResting
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

// noteUse records when a lease's answer was complete, for the horizon.
func (s *session) noteUse(l *lease) {
	v := s.unit.verdict
	s.noteUsed(l, routeOf(v), v == nil || !showsNoData(v), cluster.Now())
}

// noteUsed is noteUse for a unit of the route; showed: the client may have seen data, or changed some. now is cluster.Now, when all of the answer had come.
func (s *session) noteUsed(l *lease, route int, showed bool, now int64) {
	bs := &s.in.Session
	l.used = now
	s.srv.latencies.count(l.srv.Node, route, s.pid, time.Duration(now-s.began))
	switch {
	case l.slot != balancer.ToPrimary:
		bs.LastReadNode, bs.LastReadTime, bs.Ahead = l.srv.Node, now, true
	case showed:
		bs.FloorPrimary = now
		s.srv.cluster.NoteUse()
	}
}
