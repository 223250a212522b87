package proxy

import (
	"errors"
	"time"

	"github.com/howdah/howdah/balancer"
)

// watcher waits, while the session waits for its client, for what the server
// sends of its own accord. It exists only for sessions that listen: others
// learn of it with their next query, as drivers do.
type watcher struct {
	done  chan struct{} // nil: not watching
	lease *lease
}

// startWatch begins to watch the primary connection of a listening session.
func (s *session) startWatch() error {
	if !s.state.listening {
		return nil
	}
	l := s.leases[balancer.ToPrimary]
	if l == nil || l.owes() && !s.settle(l) {
		return nil
	}
	s.watchLease(l)
	return nil
}

// watchLease has the session interrupted when the lease's server says something.
func (s *session) watchLease(l *lease) {
	s.watch = watcher{done: make(chan struct{}), lease: l}
	go func(done chan struct{}) { // owner: the session; stopWatch waits for it
		defer close(done)
		if l.srv.AwaitReadable() == nil {
			s.interrupt(wakeServer)
		}
	}(s.watch.done)
}

// stopWatch ends the watching; afterwards the session may read the connection again.
func (s *session) stopWatch() {
	if s.watch.done == nil {
		return
	}
	srv := s.watch.lease.srv
	srv.SetReadDeadline(time.Unix(1, 0))
	<-s.watch.done
	srv.SetReadDeadline(time.Time{})
	s.watch = watcher{}
}

// readIdle hands on what a server sent while nothing was asked of it.
func (s *session) readIdle() error {
	l := s.leases[balancer.ToPrimary]
	if l == nil {
		return nil
	}
	_, err := l.srv.TryFill()
	if err == nil {
		err = s.process(l)
	} else {
		err = serverError{err}
	}
	if err == nil && l.lastWords == nil {
		return nil
	}
	return s.idleServerFailed(l, err)
}

// idleServerFailed ends the session with a connection that failed while nothing of the
// client's ran on it.
func (s *session) idleServerFailed(l *lease, err error) error {
	var se serverError
	if err != nil && !errors.As(err, &se) {
		return err
	}
	s.dropLease(l)
	return s.endWith(l, err)
}
