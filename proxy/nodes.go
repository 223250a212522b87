package proxy

import (
	"context"
	"errors"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
)

// followNodes cuts sessions off from servers that are lost, until ctx ends: a server that hangs never closes
// its connections, and who waits for its answer, or listens, would wait for ever.
func (srv *Server) followNodes(ctx context.Context) {
	primary := cluster.NoNode // the last one
	for {
		changed := srv.cluster.Changed()
		v := srv.cluster.View()
		lost := srv.hasLost(v)
		if v.Primary != primary && v.Primary != cluster.NoNode {
			primary, lost = v.Primary, true
		}
		if lost {
			srv.registry.each(func(s *session) { s.cutOffFrom(v) })
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// lostNode is what hasLost remembers of a node.
type lostNode struct {
	lost bool
	run  uint64 // cluster.Node.Run
}

// hasLost reports whether a node of v was lost, came back in quarantine, or is another server, since the last call.
func (srv *Server) hasLost(v *cluster.View) bool {
	lost := false
	if len(srv.lost) < len(v.Nodes) {
		srv.lost = append(srv.lost, make([]lostNode, len(v.Nodes)-len(srv.lost))...)
	}
	for i := range v.Nodes {
		n, was := &v.Nodes[i], srv.lost[i]
		is := isLost(v, n)
		lost = lost || is && !was.lost || n.Run != was.run
		srv.lost[i] = lostNode{is, n.Run}
	}
	return lost
}

// isLost reports whether nothing that runs on the node is worth waiting for. A node that the operator
// has detached answers still; so does a standby that is just becoming the primary, which is in quarantine until it is one.
func isLost(v *cluster.View, n *cluster.Node) bool {
	return n.State == cluster.StateDown && n.Role == cluster.RoleUnknown || n.State == cluster.StateQuarantine && v.Primary != cluster.NoNode || v.IsCut(n.ID)
}

// cutOffFrom makes the session's wait for an answer of a lost server fail, and its wait for notifications from what is the
// primary no more. It may be called from any goroutine.
func (s *session) cutOffFrom(v *cluster.View) {
	if srv := s.watched.Load(); srv != nil && hasMoved(v, srv) {
		s.interrupt(wakeServer)
	}
	if !worksFor(s.cancelState.Load()) {
		return
	}
	if srv := s.running.Load(); srv != nil {
		if n := v.Node(srv.Node); n != nil && (isLost(v, n) || v.IsPast(srv.Node, srv.Run)) {
			s.cutOff()
		}
	}
}

// errNodeLost ends a login to a server that is taken for lost.
var errNodeLost = errors.New("the node was lost meanwhile")

// untilLost ends ctx when the node is lost: one that hangs still takes connections, and lets who logs in wait for as long
// as timeouts.connect. stop must be called.
func (srv *Server) untilLost(ctx context.Context, id cluster.NodeID) (_ context.Context, stop func()) {
	ctx, end := context.WithCancelCause(ctx)
	go func() { // ends with stop
		if _, err := srv.cluster.WaitFor(ctx, func(v *cluster.View) bool { n := v.Node(id); return n != nil && isLost(v, n) }); err == nil {
			end(errNodeLost)
		}
	}()
	return ctx, func() { end(nil) }
}

// busyOn reports whether a session's statement runs on the node.
func (srv *Server) busyOn(id cluster.NodeID) bool {
	busy := false
	srv.registry.each(func(s *session) {
		if running := s.running.Load(); s.stream == nil && worksFor(s.cancelState.Load()) && running != nil && running.Node == id {
			busy = true
		}
	})
	return busy
}

// mustHold reports whether a unit would begin something on the primary while a switchover waits for it to come to
// rest. The session has said that it is busy before it looks at the view, and the switchover looks at the sessions
// after it has published the view: one of them sees the other.
func (s *session) mustHold(l *lease) bool {
	v := s.srv.cluster.View()
	return s.mustNotSend(v, l) || v.Orders.Holding && l.srv.Node == v.Primary && !l.cycling && !l.inTransaction()
}

// mustNotSend reports whether this howdah may not use the lease's node now: it may have been cut off from the
// others, and they may be promoting another one.
func (s *session) mustNotSend(v *cluster.View, l *lease) bool {
	return !s.srv.cluster.MayUse(v, l.srv.Node, l.slot == balancer.ToPrimary)
}

// errNotAllowed ends what was open on a primary that this howdah may not use any more.
var errNotAllowed = errors.New("this howdah may not use the primary any more, or not yet again")

// holdOpen waits until the unit may be sent on a lease where something is open. If that does not come, or
// another node is the primary then, what is open is lost.
func (s *session) holdOpen(ctx context.Context, l *lease) error {
	hold := holdTimer{session: s}
	err := hold.wait(ctx, s.set.failover.Hold, s.srv.cluster.MayWrite)
	hold.end()
	if err != nil || s.srv.cluster.View().Primary != l.srv.Node {
		return s.serverFailed(l, serverError{errNotAllowed})
	}
	return s.carryOut(ctx, l)
}

// holdAndPlace waits until a switchover is over and runs the unit where the primary is then.
func (s *session) holdAndPlace(ctx context.Context) error {
	s.cycle = nil
	hold := holdTimer{session: s}
	err := hold.wait(ctx, s.set.failover.Hold, func(v *cluster.View) bool { return !v.Orders.Holding && s.srv.cluster.MayWrite(v) })
	hold.end()
	if err != nil {
		return s.report(err)
	}
	return s.placeAnew(ctx)
}

// placeAnew runs a unit that no server has got where it is to run now.
func (s *session) placeAnew(ctx context.Context) error {
	l, err := s.place(ctx)
	if err != nil {
		return s.report(err)
	}
	return s.carryOut(ctx, l)
}
