package proxy

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/pool"
	"github.com/howdah/howdah/wire"
)

// acquire returns a lease on the decided node, waiting for a primary if there
// is none. A read node that cannot be reached is replaced by the primary.
func (s *session) acquire(ctx context.Context, d *balancer.Decision) (*lease, error) {
	hold := holdTimer{session: s}
	defer hold.end()
	for {
		if d.Reason == balancer.ReasonTransactionLost {
			return nil, errTransactionLost
		}
		if d.Node == cluster.NoNode {
			if err := hold.wait(ctx, s.set.failover.Hold, func(v *cluster.View) bool { return v.Primary != cluster.NoNode }); err != nil {
				return nil, err
			}
			*d = s.decide()
			continue
		}
		l, err := s.leaseOn(ctx, d)
		if err == nil {
			s.in.Session.ReadNode = d.ReadNode
			return l, nil
		}
		var refused *pool.Refused
		if !s.tryElsewhere(d.Node, err) && !(d.Target == balancer.ToRead && errors.As(err, &refused)) {
			return nil, err // of a read node's refusal the primary decides: a new role may not be there yet
		}
		if d.Target == balancer.ToRead {
			s.in.Session.ReadNode = cluster.NoNode
			view := s.srv.cluster.View()
			*d = balancer.Decision{Node: view.Primary, Target: balancer.ToPrimary, Reason: balancer.ReasonNoReadNode,
				ReadNode: cluster.NoNode, Standing: s.in.Session.Tx != balancer.TxNone}
			continue
		}
		node, epoch := d.Node, s.srv.cluster.View().Epoch
		if err := hold.wait(ctx, retryEvery, func(v *cluster.View) bool { return v.Epoch != epoch || v.Primary != node }); err != nil {
			return nil, err
		}
		*d = s.decide()
	}
}

// tryElsewhere reports whether a failed acquisition says something of the
// node (so that another node, or the same later, may do) rather than of the session.
func (s *session) tryElsewhere(node cluster.NodeID, err error) bool {
	var unreachable *pool.Unreachable
	var refused *pool.Refused
	switch {
	case errors.As(err, &unreachable):
	case errors.As(err, &refused) && (refused.Code == "57P03" || refused.Code == "57P01" || refused.Code == "57P02"):
	default:
		return false
	}
	s.srv.cluster.Report(node, err)
	return true
}

// leaseOn returns the session's lease on the node, borrowing a connection if
// it has none there.
func (s *session) leaseOn(ctx context.Context, d *balancer.Decision) (*lease, error) {
	l := s.leases[d.Target]
	if l != nil && l.srv.Node == d.Node {
		if l.owes() && l != s.cycle && !s.settle(l) {
			holds := s.holds(l)
			s.dropLease(l)
			if holds {
				return nil, s.endWith(l, nil)
			}
			return nil, &pool.Unreachable{Node: d.Node, Err: errors.New("the connection was lost")}
		}
		if ok, err := s.stillThere(l); ok || err != nil {
			return l, err
		}
		l = nil
	}
	if l != nil {
		if d.Target == balancer.ToPrimary && s.state.bound() {
			return nil, errPrimaryMoved
		}
		s.leases[d.Target] = nil
		s.leave(l)
	}
	if d.Target == balancer.ToPrimary && s.in.Session.Tx == balancer.TxOpen && s.in.Session.TxWriteNode != cluster.NoNode {
		// Another connection would begin the block anew, without what it did so far.
		return nil, errTransactionLost
	}
	n := s.srv.cluster.View().Node(d.Node)
	if n == nil {
		return nil, &pool.Unreachable{Node: d.Node, Err: errors.New("no such node any more")}
	}
	if was := s.in.View.Node(d.Node); d.Target == balancer.ToRead && was != nil && was.Run != n.Run {
		return nil, &pool.Unreachable{Node: n.ID, Name: n.Name, Err: &cluster.Restarted{Node: n.Name}} // the horizon was the one before's
	}
	srv := s.preferred(n, d.Target)
	if srv == nil {
		var err error
		if srv, err = s.acquireFrom(ctx, n); err != nil {
			return nil, err
		}
	}
	l = s.borrow(srv, d.Target, cluster.Now())
	if d.Target == balancer.ToPrimary {
		return l, s.tellDifferences(srv)
	}
	return l, nil
}

// acquireFrom returns a connection to the node, for which it may have to wait or to log in. A cancel
// request ends either.
func (s *session) acquireFrom(ctx context.Context, n *cluster.Node) (*pool.Server, error) {
	srv, err := s.claim(n)
	if srv != nil || err != nil {
		return srv, err
	}
	ctx, done := s.waiting(ctx)
	defer done()
	ctx, stop := s.srv.untilLost(ctx, n.ID)
	defer stop()
	return s.srv.pool.OpenClaimed(ctx, n, s.key, s.cred)
}

// claim returns a connection to the node, or the right to open one, as pool.Claim and Wait do.
func (s *session) claim(n *cluster.Node) (*pool.Server, error) {
	srv, queued, err := s.srv.pool.Claim(n, &s.key, &s.line)
	if queued {
		s.cancelState.Store(cancelQueued)
		srv, err = s.srv.pool.Wait(&s.line, func() { s.noticeWait(n) })
		s.cancelling.end(cancelQueued)
	}
	return srv, err
}

// noticeWait tells a client that waits for long why it does.
func (s *session) noticeWait(n *cluster.Node) {
	s.log.Info("waiting for a server connection", "node", n.Name, "for", s.set.pool.NoticeAfter)
	b := wire.AppendNotice(nil, "NOTICE", &wire.Error{Code: "00000", Message: fmt.Sprintf("waiting for a connection to %s", n.Name)})
	s.client.Write(b) //nolint:errcheck // whoever reads next notices
}

// errNoBlocks is a BEGIN where pool.mode is statement.
var errNoBlocks = &wire.Error{Code: "0A000", Message: "transaction blocks are not allowed here",
	Hint: "The operator has set pool.mode to statement for this user or database."}

// errTransactionLost: what the block did is gone with the server connection where it did it.
var errTransactionLost = &wire.Error{Code: "40001", Message: "the transaction was lost with its primary",
	Hint: "Roll back and run the transaction again."}

// errPrimaryMoved: another server is the primary now, and the session has
// something on the old one that cannot be had elsewhere.
var errPrimaryMoved = &wire.Error{Code: "57P01", Message: "the primary has changed and the session's state is lost with the old one",
	Hint: "Connect again."}

// tellDifferences tells the client of settings that differ from what it knows.
func (s *session) tellDifferences(srv *pool.Server) error {
	if srv.Defaults == s.compared {
		return nil
	}
	b := s.out[:0]
	for name, value := range s.differences(srv) {
		b = pool.AppendParameterStatus(b, name, value)
		s.told = s.told.With(name, value)
	}
	s.compared = srv.Defaults
	if len(b) == 0 {
		return nil
	}
	return s.tell(b)
}

// differences are the settings of a connection to the primary that the client knows otherwise, if it does not have them from the session.
func (s *session) differences(srv *pool.Server) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		told := s.told
		for name, value := range srv.Defaults.All() {
			if name == "in_hot_standby" && value == "on" {
				continue // a connection from before the promotion
			}
			if old, ok := told.Get(name); ok && old == value || s.state.has(name) {
				continue
			}
			if !yield(name, value) {
				return
			}
		}
	}
}
