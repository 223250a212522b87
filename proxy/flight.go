package proxy

import (
	"fmt"
	"runtime/debug"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/wire"
)

// flight is a read that goes the fast way. While a loop sends it and waits for its answer the session's own goroutine is parked in the
// client's Serve. Where the loop would have to wait, that goroutine takes over.
type flight struct {
	read  read
	state flightState
	lease *lease
	n     int         // how much was sent, or given to the client
	batch *wire.Batch // of the loop that is at it
	err   error       // flightFails
}

// flightState is where the session's goroutine has to go on.
type flightState uint8

const (
	flightNone     flightState = iota // there is nothing for it to go on with
	flightQueued                      // it is to wait for a connection, or there is one
	flightCanceled                    // before it was sent a cancel request came, which must end first
	flightUnsent                      // the socket did not take all of it
	flightFails                       // it was sent, and there will be no answer
	flightAnswered                    // there is an answer, perhaps an unusual one
	flightGiven                       // the client has a part of the answer
	flightPanicked                    // there is a defect
)

// Queued is pool.Later's.
func (s *session) Queued() { s.cancelState.Store(cancelQueued) }

// Granted is pool.Later's: Posted goes on, without the pool's lock.
func (s *session) Granted() { s.client.Post() }

// launch sends the read without waiting for anything.
func (s *session) launch(l *lease) fastDid {
	f := &s.flight
	f.lease = l
	became, n, err := l.srv.Ask(f.batch, f.read.out, s)
	switch became {
	case wire.AskedWaits: // the answer may be there by now: nothing is the caller's any more
		return fastSent
	case wire.AskedAnswers:
		return s.landNow()
	case wire.AskedFails:
		f.state, f.err = flightFails, err
	default:
		f.state, f.n = flightUnsent, n
	}
	return fastNothing
}

// Posted is called by a loop when something has become of the wait for a connection.
func (s *session) Posted(b *wire.Batch) {
	did := fastNothing
	s.flight.batch = b
	s.guard(func() {
		now := b.Now()
		srv := s.srv.pool.Granted(&s.line, now)
		if srv != nil && (s.mustTell(srv) || !s.cancelState.CompareAndSwap(cancelQueued, cancelNothing)) {
			s.line.Return(srv)
			srv = nil
		}
		if srv == nil {
			s.flight.state = flightQueued
			return
		}
		l, _, _ := s.fastBorrow(srv, nil, now)
		if l != nil {
			did, _ = s.fastOn(l, true) // in a loop there is no error, but a state of the flight
		}
		if did == fastNothing { // else nothing is ours any more
			s.usual = s.flight.state == flightNone
		}
	})
	s.goOn(b, did)
}

// Answered is called by a loop when the answer to what launch sent is there, or will not come.
func (s *session) Answered(b *wire.Batch, err error) {
	did := fastNothing
	if err != nil {
		s.flight.state, s.flight.err = flightFails, err
	} else {
		s.flight.batch = b
		s.guard(func() { did = s.landNow() })
	}
	s.goOn(b, did)
}

// Unasked is called by a loop when not all of what launch was to send could be sent.
func (s *session) Unasked(n int) {
	s.flight.state, s.flight.n = flightUnsent, n
	s.client.Resume(nil, wire.ServeEnd)
}

// Given is called by a loop when the client has been sent what landNow gave it.
func (s *session) Given(b *wire.Batch, n int, whole bool, err error) {
	did := fastNothing
	s.guard(func() { did = s.gave(n, whole, err, b.Now()) })
	s.goOn(b, did)
}

// goOn has the client's Serve go on after a read.
func (s *session) goOn(b *wire.Batch, did fastDid) {
	if did != fastSent { // else nothing is ours any more
		s.client.Resume(b, s.next(did))
	}
}

// next is how the client's Serve goes on after a read.
func (s *session) next(did fastDid) wire.Next {
	if did == fastServed && s.wakeup.Load() == 0 && !s.srv.stopping.Load() {
		return wire.ServeOn
	}
	return wire.ServeEnd
}

// guard has the session's goroutine panic in the loop's place.
func (s *session) guard(f func()) {
	defer func() {
		if p := recover(); p != nil {
			s.flight.state, s.flight.err = flightPanicked, fmt.Errorf("%v\n%s", p, debug.Stack())
		}
	}()
	f()
}

// landNow gives the client the answer if that is a usual one and takes no waiting. Else the session's goroutine is to go on with the flight.
func (s *session) landNow() fastDid {
	f := &s.flight
	l := f.lease
	s.srv.cluster.NoteAnswer(l.srv.Node)
	answer := l.srv.Buffered()
	tag, ok := f.read.answered(answer)
	if !ok || !s.fastPath.open || !s.idleNow() {
		f.state = flightAnswered
		return fastNothing
	}
	s.noteLanded(l, tag)
	if s.client.Give(f.batch, answer) {
		return fastSent
	}
	n, err := s.client.TryWrite(answer)
	return s.gave(n, n == len(answer) && !s.client.Owes(), err, cluster.Now())
}

// gave is what follows when n bytes of the answer have been sent, the whole or not; now is noteUsed's.
func (s *session) gave(n int, whole bool, err error, now int64) fastDid {
	f := &s.flight
	if f.n, f.err = n, err; !whole {
		f.state = flightGiven
		return fastNothing
	}
	s.landed(f.lease, now)
	return fastServed
}

// landFlight goes on with a flight that a loop could not bring to its end.
func (s *session) landFlight() error {
	f := &s.flight
	l, state := f.lease, f.state
	f.state = flightNone
	switch state {
	case flightQueued:
		srv, err := s.srv.pool.Wait(&s.line, func() { s.noticeWait(s.fastPath.view.Node(s.fastPath.node)) })
		s.cancelling.end(cancelQueued)
		l, did, err := s.fastBorrow(srv, err, cluster.Now())
		if l != nil {
			did, err = s.fastOn(l, false)
		}
		s.usual = did == fastNothing
		return err
	case flightCanceled:
		s.idle()
		s.usual = true
		return nil
	case flightUnsent:
		s.draining = l
		return s.land(l, l.srv.Exchange(f.read.out[f.n:], s.fastDrainFn))
	case flightFails:
		return s.land(l, f.err)
	case flightAnswered:
		return s.land(l, nil)
	case flightPanicked:
		panic(f.err)
	}
	err := f.err
	if err == nil {
		err = s.client.Write(l.srv.Buffered()[f.n:])
	}
	return s.given(l, err)
}
