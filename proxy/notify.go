package proxy

import (
	"errors"
	"time"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/pool"
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
	s.watched.Store(l.srv)
	if hasMoved(s.srv.cluster.View(), l.srv) { // who changes the view looks at watched afterwards
		return s.primaryMoved(l)
	}
	s.watchLease(l)
	return nil
}

// hasMoved reports whether a connection to the primary leads to what is not the primary any more, while another one is: what
// the session listens for will never come there.
func hasMoved(v *cluster.View, srv *pool.Server) bool {
	return v.Primary != cluster.NoNode && v.Primary != srv.Node || v.IsPast(srv.Node, srv.Run)
}

// primaryMoved ends a session that has something on the old primary.
func (s *session) primaryMoved(l *lease) error {
	s.watched.Store(nil)
	s.dropLease(l)
	return errPrimaryMoved
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
	s.watched.Store(nil)
}

// readIdle hands on what a server sent while nothing was asked of it.
func (s *session) readIdle() error {
	l := s.leases[balancer.ToPrimary]
	if l == nil {
		return nil
	}
	if s.state.listening && hasMoved(s.srv.cluster.View(), l.srv) {
		return s.primaryMoved(l)
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
