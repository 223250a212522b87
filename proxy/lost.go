package proxy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/pool"
	"github.com/howdah/howdah/wire"
)

// serverError is a failed read or write of a server's connection.
type serverError struct{ err error }

func (e serverError) Error() string { return "server: " + e.err.Error() }
func (e serverError) Unwrap() error { return e.err }

// serverFailed deals with an exchange that broke off because the server's
// connection did:
//
//	the server has got nothing of the unit > as if the connection had been idle
//	nothing of a read has reached the client > it runs again elsewhere
//	the session has nothing there that cannot be made again > one error, and it goes on
//	otherwise, or if just this backend was terminated > it ends, as with its own backend
func (s *session) serverFailed(l *lease, err error) error {
	var se serverError
	if !errors.As(err, &se) {
		return err
	}
	if s.srv.context.Err() != nil {
		s.cancelLeft(l)
		return errStopped
	}
	node := l.srv.Node
	s.srv.cluster.Report(node, err)
	unsent := s.isUnsent(l)
	again := l.slot == balancer.ToRead && (l.holding || l.healing || unsent)
	if l.slot == balancer.ToPrimary {
		// Whatever took effect there must be visible to the session's next read.
		s.in.Session.FloorPrimary = cluster.Now()
		s.doubtDefinitions()
	}
	commit := s.lostCommit(l)
	if !again && !commit {
		l.dropToSync(&s.stmts)
	}
	s.dropLease(l)
	s.cycle = nil
	switch {
	case again:
		s.unit.cure = cureServer
		s.srv.metrics.healed[cureServer].Add(1)
		s.log.Info("a standby was lost under a read; it runs again elsewhere", "node", node, "error", err)
		return s.runAgain(s.srv.context, node)
	case unsent:
		s.unit.reruns++
		s.log.Info("a connection was lost before it got the statement; another one does", "node", node, "error", err)
		return s.placeAnew(s.srv.context)
	case l.passing > 0 || l.copyIn || s.holds(l):
		return s.endWith(l, err)
	case l.lastWords != nil && s.onlyBackend(node):
		return s.endWith(l, err)
	}
	s.log.Warn("a server connection was lost; the session goes on", "node", node, "error", err)
	lost := s.lostError(node, l.lastWords)
	if commit {
		return s.commitFailed(l, lost)
	}
	return s.report(lost)
}

// maxUnsent bounds how often a unit is sent to a primary anew, in case that its server ends each connection at what prepares the unit.
const maxUnsent = 8

// isUnsent is whether a lease that breaks off had got nothing of the unit, nor has anything else that the session needs: it had been
// sent what must come first, as a statement that the unit runs.
func (s *session) isUnsent(l *lease) bool {
	if s.unit.sent || s.cycle != nil || l.cycling {
		return false
	}
	if l.slot == balancer.ToRead {
		return s.mayHold(l)
	}
	return !s.holds(l) && !l.inTransaction() && s.unit.reruns < maxUnsent
}

// dropLease closes a lease's connection.
func (s *session) dropLease(l *lease) {
	s.leases[l.slot] = nil
	s.srv.loads.lent(l.srv.Node, -1)
	s.srv.pool.Discard(l.srv)
	if l.slot == balancer.ToPrimary {
		s.writes.ended()
		s.compared = nil // what was set there, perhaps in a block, is gone
	}
	if l.slot == balancer.ToRead {
		// The node may come back with less than it has shown.
		s.in.Session.LastReadNode = cluster.NoNode
	}
}

// holds reports whether the session has something on the lease that would be lost with it.
func (s *session) holds(l *lease) bool {
	return l.slot == balancer.ToPrimary && s.state.bound()
}

// endWith ends the session with the server's last words, if it had any.
func (s *session) endWith(l *lease, err error) error {
	if l.passing > 0 {
		// In the middle of a message the client could only misread an error.
		s.log.Info("closing a session in the middle of a row", "error", err)
		return errServerLost
	}
	if l.lastWords != nil {
		if err := s.client.Write(l.lastWords); err != nil {
			return clientError{err}
		}
		return errServerLost
	}
	lost := s.lostError(l.srv.Node, nil)
	lost.Code, lost.Hint, lost.Err = "08006", "Connect again.", err
	return endsSession{lost}
}

// endsSession is an error that is no statement's: the session lacks what cannot be made again, and ends by it.
type endsSession struct{ error }

func (e endsSession) Unwrap() error { return e.error }

// lostError is what the client is told of a lost connection (PostgreSQL manual, appendix A): 40001 if nothing took
// effect, 08007 if a commit may have, or the server's own code, which is of class 57.
func (s *session) lostError(node cluster.NodeID, lastWords []byte) *wire.Error {
	name := "?"
	if n := s.srv.cluster.View().Node(node); n != nil {
		name = n.Name
	}
	e := &wire.Error{Code: "08007", Message: fmt.Sprintf("the connection to backend %s was lost", name),
		Detail: "Whether the statement took effect is not known.",
		Hint:   "The session goes on. Check before you run the statement again."}
	if v := s.unit.verdict; !s.unit.sent && !s.unit.continues {
		e.Code, e.Detail, e.Hint = "40001", "The statement was not sent.", "Run it again."
	} else if v != nil && v.Access <= parser.AccessRead {
		e.Code, e.Detail, e.Hint = "40001", "The statement only read.", "Run it again."
	}
	if lastWords != nil {
		e.Code = string(wire.ErrorField(lastWords[wire.HeaderSize:], 'C'))
		e.Message += ": " + string(wire.ErrorField(lastWords[wire.HeaderSize:], 'M'))
	}
	if s.in.Session.Tx == balancer.TxNone {
		return e
	}
	if v := s.unit.verdict; v == nil || v.Stateful || s.unit.continues {
		e.Code = "08007"
		e.Detail, e.Hint = "Whether the transaction committed is not known.", "Roll back, and check before you run the transaction again."
	} else {
		e.Code = "40001"
		e.Detail, e.Hint = "The transaction is lost; nothing of it took effect.", "Roll back and run the transaction again."
	}
	return e
}

// onlyBackendWait bounds the question whether a whole server went away.
const onlyBackendWait = 2 * time.Second

// onlyBackend reports whether the server still takes connections: then it was
// just the session's own backend that was told to end, and the client is meant.
func (s *session) onlyBackend(node cluster.NodeID) bool {
	n := s.srv.cluster.View().Node(node)
	if n == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(s.srv.context, onlyBackendWait)
	defer cancel()
	srv, err := s.srv.pool.Open(ctx, n, s.key, s.cred)
	if err != nil {
		var refused *pool.Refused
		return errors.As(err, &refused) && !strings.HasPrefix(refused.Code, "57")
	}
	s.srv.pool.ReleaseUnused(srv)
	return true
}

// checkEvery is how long a connection of which nothing is heard may have been idle before it is looked
// at again before its use. The look costs a system call, which a session that
// sends statement upon statement should not pay; one that pauses can.
const checkEvery = int64(5 * time.Millisecond)

// errPast ends what is left on a connection to a server that is not the node any more (cluster.Node.Run).
var errPast = errors.New("the node is another server now, or another run of it")

// isFresh reports whether a lease's connection need not be looked at.
func (l *lease) isFresh(now int64) bool { return now-l.used < checkEvery && !l.srv.Heard() }

// isAtHand reports whether a lease can be used as it is, as most are most of the time: nothing is outstanding on it, and it need
// not be looked at. acquire sees to all others.
func (s *session) isAtHand(l *lease) bool {
	return !l.owes() && len(l.srv.Buffered()) == 0 && l.isFresh(cluster.Now()) && !s.srv.cluster.View().IsPast(l.srv.Node, l.srv.Run)
}

// stillThere looks at an idle lease before it is used: what the server said
// meanwhile is handed on. False means that the connection is gone and nothing
// is lost with it.
func (s *session) stillThere(l *lease) (bool, error) {
	past := s.srv.cluster.View().IsPast(l.srv.Node, l.srv.Run)
	if !past && (l.owes() || len(l.srv.Buffered()) == 0 && l.isFresh(cluster.Now())) {
		return true, nil
	}
	var err error
	if past {
		err = serverError{errPast}
	} else if _, err = l.srv.TryFill(); err == nil {
		err = s.process(l)
	} else {
		err = serverError{err}
	}
	var se serverError
	switch {
	case err != nil && !errors.As(err, &se):
		return false, err
	case err == nil && l.lastWords == nil:
		return true, nil
	case s.holds(l), l.lastWords != nil && l.slot == balancer.ToPrimary && l.inTransaction() && s.onlyBackend(l.srv.Node):
		s.dropLease(l)
		return false, s.endWith(l, err)
	case l.inTransaction() && !s.mayHold(l):
		s.srv.cluster.Report(l.srv.Node, errors.New("a connection was closed in a transaction"))
		s.dropLease(l)
		return false, &wire.Error{Code: "40001", Message: "the transaction was lost with its server connection",
			Detail: "Nothing of it took effect.", Hint: "Roll back and run the transaction again."}
	}
	s.srv.cluster.Report(l.srv.Node, errors.New("an idle connection was closed"))
	s.dropLease(l)
	return false, nil
}
