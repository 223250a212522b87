package proxy

import (
	"errors"
	"os"
	"time"

	"github.com/howdah/howdah/wire"
)

// copyInBegins takes note that the server waits for CopyData, or reads what the unit has of it: in the extended
// protocol all that follows the Execute belongs to the data, until CopyDone, CopyFail or what the server refuses. A Sync (or
// Flush) before that it ignores, and the client sends another one.
func (s *session) copyInBegins(l *lease, e *expected) {
	l.copyIn = true
	if e.reply != replyExecute {
		return
	}
	for _, m := range s.unit.after(l) {
		switch m.typ {
		case wire.CopyData, wire.Flush:
		case wire.Sync:
			if i := l.head + 1; i < len(l.owed) && l.owed[i].reply == replySync {
				l.owed = append(l.owed[:i], l.owed[i+1:]...)
				s.unit.ready = false
				l.cycling = true
			}
		default:
			l.copyIn = false // nothing more is the client's to send
			return
		}
	}
}

// after returns the messages of the unit behind the Execute that the lease owes the answer of next.
func (u *unit) after(l *lease) []message {
	executes := 0
	for i := l.head; i < len(l.owed); i++ {
		if e := &l.owed[i]; e.reply == replyExecute && !e.swallow {
			executes++
		}
	}
	for i := len(u.msgs) - 1; i >= 0; i-- {
		if u.msgs[i].typ != wire.Execute {
			continue
		}
		if executes--; executes == 0 {
			return u.msgs[i+1:]
		}
	}
	return nil // it is of an earlier unit of the cycle
}

// copyIn passes the client's data to the server until either ends it. The
// server may do so at any time with an error; what the client still sends then is ignored.
func (s *session) copyIn(l *lease) error {
	s.client.Discard(s.unit.size)
	s.unit.size = 0
	s.draining = l
	for l.copyIn && l.owes() { // an error ends it too
		if err := s.awaitEither(l); err != nil {
			return err
		}
		if !l.copyIn || !l.owes() {
			break
		}
		done, err := s.copySome(l)
		if err != nil {
			return err
		}
		if done {
			l.copyIn = false // but the next statement of the text may be another COPY
		}
		if err := s.drainLease(l); err != nil {
			return err
		}
	}
	l.copyIn = false
	return nil
}

// awaitEither waits until the client has sent something more, or the server
// has: it may end the COPY while the client waits to hear of it.
func (s *session) awaitEither(l *lease) error {
	for l.copyIn && l.owes() && len(s.client.Buffered()) == 0 {
		s.watchLease(l)
		err := s.client.Fill()
		s.stopWatch()
		if err == nil {
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return clientError{err}
		}
		s.client.SetReadDeadline(time.Time{})
		s.wakeup.And(^uint32(wakeServer))
		if err := s.drainLease(l); err != nil {
			return err
		}
	}
	return nil
}

// copySome passes on what the client has sent: whole messages, and of the last
// one what is there. done says that CopyDone or CopyFail was among them.
func (s *session) copySome(l *lease) (done bool, err error) {
	if err := s.need(wire.HeaderSize); err != nil {
		return false, err
	}
	in := s.client.Buffered()
	pos := 0
	rest := 0
	for !done && rest == 0 && len(in)-pos >= wire.HeaderSize {
		typ, size, err := wire.Header(in[pos:])
		if err != nil {
			return false, protocolLost{err}
		}
		switch typ {
		case wire.CopyData, wire.Flush, wire.Sync:
		case wire.Terminate:
			return false, errTerminated
		default: // CopyDone, CopyFail, or what the server will refuse
			done = true
		}
		if over := size - (len(in) - pos); over > 0 {
			rest, size = over, len(in)-pos
		}
		pos += size
	}
	if err := s.passOn(l, pos); err != nil {
		return false, err
	}
	for rest > 0 {
		if err := s.need(1); err != nil {
			return false, err
		}
		n := min(rest, len(s.client.Buffered()))
		if err := s.passOn(l, n); err != nil {
			return false, err
		}
		rest -= n
	}
	return done, nil
}

// passOn sends the client's first n unread bytes to the server.
func (s *session) passOn(l *lease, n int) error {
	if err := l.srv.WriteDuplex(s.client.Buffered()[:n], s.drainFn); err != nil {
		return asServerError(err)
	}
	s.client.Discard(n)
	return nil
}
