package proxy

import (
	"context"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/wire"
)

// curable reports whether an error of a read node may be the node's rather
// than the statement's: then the unit runs again on the primary, whose answer
// counts. A read has no effects, so running it twice is harmless; errors that
// any server would give (division by zero, a syntax error) and a cancel are the
// client's at once.
func (s *session) curable(body []byte, node cluster.NodeID) bool {
	if s.elsewhere(node) == cluster.NoNode {
		return false
	}
	switch string(wire.ErrorField(body, 'C')) {
	case "0A000":
		// Not during recovery, most often. But "cached plan must not change
		// result type" protects the client, which knows the old type.
		return string(wire.ErrorField(body, 'R')) != "RevalidateCachedQuery"
	case "25006", // refused in a read-only transaction
		"55000", "55006", "55P03", // recovery in progress, objects in use by replay
		"40001", "40P01", // conflict with recovery
		"57P01", "57P02", "57P03", "57P05", "53300", // the server goes away or is full
		"42P01", "42703", "42883", "42704", "42501", "3F000", // objects and rights that are not replayed yet
		"58P01", "58P02", "58030", "XX000", "XX001", "XX002", "53100", "53200": // the server's own trouble
		return true
	}
	return false
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
	return s.runAgain(ctx, l.srv.Node)
}

// elsewhere returns where a read that failed on the node may run: on the
// primary, or while there is none on another standby. NoNode: nowhere.
func (s *session) elsewhere(node cluster.NodeID) cluster.NodeID {
	view := s.srv.cluster.View()
	s.in.View = view
	if view.Primary != cluster.NoNode {
		return view.Primary
	}
	if s.in.Session.Tx == balancer.TxNone {
		for i := range view.Nodes {
			n := &view.Nodes[i]
			if n.ID != node && n.Role == cluster.RoleStandby && balancer.Serves(&s.in, n) {
				return n.ID
			}
		}
	}
	return cluster.NoNode
}

// runAgain runs the unit, of which the client has got nothing, elsewhere than on the node.
func (s *session) runAgain(ctx context.Context, node cluster.NodeID) error {
	s.cycle = nil
	s.unit.sent = false
	d := balancer.Decision{Node: s.elsewhere(node), Target: balancer.ToPrimary, ReadNode: s.in.Session.ReadNode,
		Reason: balancer.ReasonHealed, Standing: s.in.Session.Tx != balancer.TxNone}
	if d.Node != cluster.NoNode && d.Node != s.srv.cluster.View().Primary {
		d.Target, d.ReadNode = balancer.ToRead, d.Node
	}
	l, err := s.acquire(ctx, &d)
	if err != nil {
		return s.report(err)
	}
	s.noteDecision(&d, l)
	s.cycle = l
	s.busy(l.srv)
	err = s.exchange(l)
	s.idle()
	if err != nil {
		return s.serverFailed(l, err)
	}
	return s.finish(l)
}
