package proxy

import (
	"context"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/wire"
)

// curable reports whether an error of a read node may be the node's rather
// than the statement's: then the unit runs again elsewhere, and that answer
// counts. A read has no effects, so running it twice is harmless; errors that
// any server would give (division by zero, a syntax error) and a cancel are the
// client's at once.
func (s *session) curable(body []byte, node cluster.NodeID) bool {
	c := cureOfError(body)
	return c != cureNone && s.elsewhere(node, c) != cluster.NoNode
}

func cureOfError(body []byte) cure {
	return cureOf(string(wire.ErrorField(body, 'C')), string(wire.ErrorField(body, 'R')))
}

// noteRefusal keeps the books of an error of a read node that is cured; e is the reply it came for.
func (s *session) noteRefusal(l *lease, e *expected, body []byte) {
	u, code := &s.unit, string(wire.ErrorField(body, 'C'))
	u.cure = cureOfError(body)
	s.srv.metrics.healed[u.cure].Add(1)
	s.log.Debug("a standby refused a statement; it runs again elsewhere", "node", l.srv.Node, "sqlstate", code,
		"reason", cureNames[u.cure], "message", string(wire.ErrorField(body, 'M')))
	if !u.cure.teaches(code) {
		return
	}
	u.refused, u.refusedCode = u.verdict, code
	switch {
	case e == nil:
	case e.verdict != nil:
		u.refused = e.verdict
	case e.stmt != nil:
		u.refused = e.stmt.verdict
	}
}

// mayHold reports whether an answer of the read node may be kept back until
// it is certain, so that the unit can still run elsewhere: not if the
// transaction's snapshot binds it to the node and it has read there already.
func (s *session) mayHold(l *lease) bool {
	if l.slot != balancer.ToRead {
		return false
	}
	bs := &s.in.Session
	if bs.Tx == balancer.TxFailed {
		return false // the client has seen its error
	}
	return bs.Tx == balancer.TxNone || !l.inTransaction() || bs.TxIsolation <= parser.IsolationReadCommitted
}

// heal runs the unit again after the read node refused it.
func (s *session) heal(ctx context.Context, l *lease) error {
	l.healing, l.failed = false, false
	if l.inTransaction() {
		s.endOn(l)
	}
	if l.broken {
		s.dropLease(l)
	}
	if s.unit.cure == cureColumns {
		return s.runRemade(ctx, l)
	}
	return s.runAgain(ctx, l.srv.Node)
}

// elsewhere returns where a read that failed on the node may run: after a
// conflict with replay, which other standbys need not have, on one of them, once; else on
// the primary, or while there is none on another standby. NoNode: nowhere.
func (s *session) elsewhere(node cluster.NodeID, why cure) cluster.NodeID {
	view := s.srv.cluster.View()
	s.in.View = view
	if why == cureConflict && s.unit.reruns == 0 || view.Primary == cluster.NoNode {
		if other := s.otherStandby(view, node); other != cluster.NoNode {
			return other
		}
	}
	return view.Primary
}

// otherStandby returns a standby but node that shows all the session needs, NoNode if
// there is none, or if as many have been tried as there are.
func (s *session) otherStandby(view *cluster.View, node cluster.NodeID) cluster.NodeID {
	if s.in.Session.Tx != balancer.TxNone || s.unit.reruns >= len(view.Nodes) {
		return cluster.NoNode
	}
	for i := range view.Nodes {
		// Not always the first one for all.
		n := &view.Nodes[(i+int(s.pid))%len(view.Nodes)]
		if n.ID != node && n.Role == cluster.RoleStandby && balancer.Serves(&s.in, n) {
			return n.ID
		}
	}
	return cluster.NoNode
}

// runAgain runs the unit, of which the client has got nothing, elsewhere than on the node.
func (s *session) runAgain(ctx context.Context, node cluster.NodeID) error {
	s.cycle = nil
	u := &s.unit
	u.sent = false
	d := balancer.Decision{Node: s.elsewhere(node, u.cure), Target: balancer.ToPrimary, ReadNode: s.in.Session.ReadNode,
		Reason: balancer.ReasonHealed, Standing: s.in.Session.Tx != balancer.TxNone}
	u.reruns++
	if d.Node != cluster.NoNode && d.Node != s.srv.cluster.View().Primary {
		d.Target, d.ReadNode = balancer.ToRead, d.Node
	}
	l, err := s.acquire(ctx, &d)
	if err != nil {
		return s.report(err)
	}
	s.noteDecision(&d, l)
	return s.carryOut(ctx, s.traceHealed(l))
}

// traceHealed logs where the unit runs again, if that is asked for.
func (s *session) traceHealed(l *lease) *lease {
	if s.set.debug {
		d := balancer.Decision{Node: l.srv.Node, Reason: balancer.ReasonHealed, Detail: cureNames[s.unit.cure]}
		s.logDecision(&d)
	}
	return l
}
