package balancer

import (
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
)

// Decide says where a unit runs. It is a pure function, allocates nothing and
// may be called from any goroutine. The rules, in order, are in the package's
// documentation; the first that speaks wins.
func Decide(in *Input) Decision {
	s := &in.Session
	if s.Tx != TxNone {
		if d, ok := decideStanding(in); ok {
			return d
		}
	}
	if s.Pinned != PinNone {
		return toPrimary(in, ReasonPinned, s.Pinned.String(), true)
	}
	if s.Settings.Balance == BalanceOff {
		return toPrimary(in, ReasonBalanceOff, "", true)
	}
	if s.Tx != TxNone {
		if d, ok := decideBlock(in); ok {
			return d
		}
	}
	if !isRead(in.Verdict) && !opensReadOnly(in) {
		reason, detail := whyPrimary(in.Verdict)
		return toPrimary(in, reason, detail, true)
	}
	return decideRead(in)
}

// decideStanding speaks for a block whose node is settled already.
func decideStanding(in *Input) (Decision, bool) {
	s := &in.Session
	if s.Tx == TxFailed {
		if s.TxNode == cluster.NoNode {
			return toPrimary(in, ReasonFailedTransaction, "", true), true
		}
		return stay(in, ReasonFailedTransaction), true
	}
	if s.TxPrimary {
		primary := in.View.Primary
		if s.Tx == TxOpen && primary != cluster.NoNode && s.TxNode != primary {
			return Decision{Node: cluster.NoNode, Reason: ReasonTransactionLost, ReadNode: s.ReadNode, Standing: true}, true
		}
		return toPrimary(in, ReasonStanding, "", true), true
	}
	if s.Tx != TxOpen || s.TxNode == cluster.NoNode {
		return Decision{}, false
	}
	if isTransactionEnd(in.Verdict) {
		return stay(in, ReasonTransactionEnd), true
	}
	// A block that is READ ONLY is one node's whole. Only under READ COMMITTED
	// no snapshot binds it there, so that what is not a read may be refused by
	// the primary, in the primary's words.
	if s.TxReadOnly && !readsByStatement(s.TxIsolation) {
		return stay(in, ReasonTransactionNode), true
	}
	return Decision{}, false
}

// decideBlock speaks for a block whose node is open or that may move.
func decideBlock(in *Input) (Decision, bool) {
	s := &in.Session
	switch {
	case s.TxIsolation == parser.IsolationSerializable:
		return toPrimary(in, ReasonSerializable, "", true), true
	case !s.TxReadOnly && s.TxIsolation == parser.IsolationRepeatableRead:
		return toPrimary(in, ReasonSnapshot, "", true), true
	case !s.TxReadOnly && s.Settings.Transactions == PrimaryOnly:
		return toPrimary(in, ReasonTransactionPrimary, "", true), true
	case !isRead(in.Verdict):
		reason, detail := whyPrimary(in.Verdict)
		return toPrimary(in, reason, detail, true), true
	case !s.TxReadOnly && in.Verdict.TransactionScoped:
		return toPrimary(in, ReasonTransactionScoped, in.Verdict.Reason, true), true
	case s.Tx == TxOpen && s.TxNode != cluster.NoNode:
		if s.TxNode == in.View.Primary || usable(in.View, in.View.Node(s.TxNode)) {
			return stay(in, ReasonTransactionNode), true
		}
		return toPrimary(in, ReasonTransactionMoved, "", true), true
	}
	return Decision{}, false
}

// toPrimary decides for the primary. standing binds the block, if there is
// one, to it: false only for a read that the primary serves by chance.
func toPrimary(in *Input, reason Reason, detail string, standing bool) Decision {
	s := &in.Session
	d := Decision{
		Node: in.View.Primary, Target: ToPrimary, Reason: reason, Detail: detail,
		ReadNode: s.ReadNode, Standing: standing && s.Tx != TxNone,
	}
	if d.Node == cluster.NoNode {
		d.Detail = reason.String()
		d.Reason = ReasonNoPrimary
	}
	return d
}

// stay decides for the node where the block is open.
func stay(in *Input, reason Reason) Decision {
	d := Decision{Node: in.Session.TxNode, Target: ToRead, Reason: reason, ReadNode: in.Session.ReadNode}
	if d.Node == in.View.Primary {
		d.Target = ToPrimary
	}
	return d
}

// isRead is whether a standby may run it at all.
func isRead(v *parser.Verdict) bool {
	return v != nil && v.Access <= parser.AccessRead
}

// isTransactionEnd is whether it is COMMIT or ROLLBACK and nothing else.
func isTransactionEnd(v *parser.Verdict) bool {
	return v != nil && (v.Single == parser.KindCommit || v.Single == parser.KindRollback)
}

// opensReadOnly is whether it is a BEGIN READ ONLY that a read node may run.
func opensReadOnly(in *Input) bool {
	v := in.Verdict
	if v == nil || v.Single != parser.KindBegin || in.Session.Tx != TxNone {
		return false
	}
	s := &v.Statements[0]
	return s.ReadOnly == parser.ReadOnlyYes && s.Isolation != parser.IsolationSerializable
}

// readsByStatement is whether every statement has a snapshot of its own.
func readsByStatement(i parser.Isolation) bool {
	return i <= parser.IsolationReadCommitted
}

// whyPrimary names why what is not a read needs the primary.
func whyPrimary(v *parser.Verdict) (Reason, string) {
	if v == nil {
		return ReasonUnknown, "not parsed"
	}
	switch v.Access {
	case parser.AccessTransaction:
		return ReasonTransactionControl, v.Reason
	case parser.AccessSession:
		return ReasonSessionState, v.Reason
	case parser.AccessWrite:
		return ReasonWrite, v.Reason
	}
	return ReasonUnknown, v.Reason
}
