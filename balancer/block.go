package balancer

import (
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
)

// ruleStanding speaks for a block whose node is settled already.
func ruleStanding(in *Input) (Decision, bool) {
	s := &in.Session
	switch {
	case s.Tx == TxNone:
		return Decision{}, false
	case s.Tx == TxFailed && s.TxNode == cluster.NoNode:
		return toPrimary(in, ReasonFailedTransaction, "", true), true
	case s.Tx == TxFailed:
		return stay(in, ReasonFailedTransaction), true
	case isLost(in):
		return Decision{Node: cluster.NoNode, Reason: ReasonTransactionLost, ReadNode: s.ReadNode, Standing: s.TxPrimary}, true
	case s.TxPrimary:
		return toPrimary(in, ReasonStanding, "", true), true
	case s.Tx != TxOpen || s.TxNode == cluster.NoNode:
		return Decision{}, false
	case isTransactionEnd(in.Verdict):
		if s.TxWriteNode != cluster.NoNode {
			return toPrimary(in, ReasonTransactionEnd, "", false), true
		}
		return stay(in, ReasonTransactionEnd), true
	case s.TxReadOnly && !readsByStatement(s.TxIsolation):
		// A block that is READ ONLY is one node's whole. Only under READ COMMITTED
		// no snapshot binds it there, so that what is not a read may be refused by
		// the primary, in the primary's words.
		return stay(in, ReasonTransactionNode), true
	}
	return Decision{}, false
}

// isLost is whether the block was open on a primary that is no longer the primary.
func isLost(in *Input) bool {
	s, primary := &in.Session, in.View.Primary
	if s.Tx != TxOpen || primary == cluster.NoNode {
		return false
	}
	return s.TxPrimary && s.TxNode != primary || s.TxWriteNode != cluster.NoNode && s.TxWriteNode != primary
}

// ruleAfterWrite speaks for sessions whose earlier writes bind them (routing.after_write).
func ruleAfterWrite(in *Input) (Decision, bool) {
	s := &in.Session
	if !isRead(in.Verdict) && !opensReadOnly(in) && !in.wish.trusts(in) {
		return Decision{}, false
	}
	if s.Settings.AfterWrite == AfterWriteAlways && s.Wrote ||
		s.Settings.AfterWrite == AfterWriteTransTransaction && s.WroteInBlock && s.Tx != TxNone {
		return toPrimary(in, ReasonAfterWrite, "", true), true
	}
	return Decision{}, false
}

// ruleBlock speaks for a block whose node is open or that may move.
func ruleBlock(in *Input) (Decision, bool) {
	s := &in.Session
	switch {
	case s.Tx == TxNone:
		return Decision{}, false
	case s.TxIsolation == parser.IsolationSerializable:
		return toPrimary(in, ReasonSerializable, "", true), true
	case !s.TxReadOnly && s.TxIsolation == parser.IsolationRepeatableRead:
		return toPrimary(in, ReasonSnapshot, "", true), true
	case !s.TxReadOnly && s.Settings.Transactions == PrimaryOnly:
		return toPrimary(in, ReasonTransactionPrimary, "", true), true
	case !isRead(in.Verdict) && !in.wish.trusts(in):
		return blockWrite(in), true
	case (!s.TxReadOnly || s.TxWriteNode != cluster.NoNode) && in.Verdict.TransactionScoped:
		return toPrimary(in, ReasonTransactionScoped, in.Verdict.Reason, true), true
	}
	if s.Settings.AfterWrite == AfterWriteDMLAdaptive {
		if name, ok := s.TxWritten.touchedBy(in.Verdict); ok {
			return toPrimary(in, ReasonWritten, name, false), true
		}
	}
	return blockRead(in)
}

// blockRead speaks for a read of a block that reads on a node already.
func blockRead(in *Input) (Decision, bool) {
	s := &in.Session
	switch {
	case s.Tx != TxOpen || s.TxNode == cluster.NoNode:
		return Decision{}, false
	case s.TxWriteNode != cluster.NoNode:
		return Decision{}, false // its latest statement's node says nothing of where it reads
	case s.Settings.Balance == BalanceStatement && !s.TxReadOnly:
		return Decision{}, false
	case s.TxNode == in.View.Primary:
		return stay(in, ReasonTransactionNode), true
	}
	n := in.View.Node(s.TxNode)
	switch {
	case !usable(in.View, n):
		return toPrimary(in, ReasonTransactionMoved, "", true), true
	case !reached(in, n):
		return toPrimary(in, ReasonHorizon, n.Name, true), true
	}
	return stay(in, ReasonTransactionNode), true
}

// blockWrite decides for what is not a read, in a block. Most of it binds the
// block to the primary. What does not: settings that can be repeated on the node
// where the block reads, and by routing.after_write what only writes data.
func blockWrite(in *Input) Decision {
	reason, detail := whyPrimary(in.Verdict)
	d := toPrimary(in, reason, detail, !leavesFree(in))
	d.Effect = true
	return d
}

// leavesFree is whether reads of the block may leave the primary after the unit.
func leavesFree(in *Input) bool {
	v := in.Verdict
	if v == nil || len(v.Statements) != 1 || v.CreatesTemp || !readsByStatement(in.Session.TxIsolation) {
		return false
	}
	st := &v.Statements[0]
	if st.LocksSession || st.Hold {
		return false
	}
	if v.Access == parser.AccessSession {
		return isRepeatable(st)
	}
	if v.Access < parser.AccessWrite || st.Set != parser.SetNone {
		return false
	}
	switch st.Kind {
	case parser.KindWrite, parser.KindDDL, parser.KindUtility, parser.KindCopyFrom, parser.KindCopyTo,
		parser.KindSelect, parser.KindExplain, parser.KindNotify:
	default:
		return false
	}
	switch in.Session.Settings.AfterWrite {
	case AfterWriteOff:
		return true
	case AfterWriteDMLAdaptive:
		return writesNamed(v) || leavesDataAlone(v)
	}
	return false
}

// isRepeatable is whether a statement only looks at the session's or the node's
// state, or changes a setting in a way that can be repeated on another node.
func isRepeatable(st *parser.Statement) bool {
	switch st.Kind {
	case parser.KindShow:
		return true
	case parser.KindSelect:
		return st.Set == parser.SetNone || isRepeatableSet(st)
	case parser.KindSet:
		return isRepeatableSet(st)
	}
	return false
}

func isRepeatableSet(st *parser.Statement) bool {
	switch st.Set {
	case parser.SetValue, parser.SetLocal, parser.SetReset, parser.SetResetAll:
		return st.SQL != ""
	}
	return false
}
