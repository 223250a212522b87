package balancer

import (
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
)

// rule is one rule of the package's documentation: it decides, or says that it
// does not speak.
type rule func(*Input) (Decision, bool)

// rules are asked in this order; what none of them speaks for is a read that may
// run anywhere.
var rules = [...]rule{ruleStanding, rulePinned, ruleWish, ruleLearned, ruleBalanceOff, ruleAfterWrite, ruleBlock, ruleWishedNode, ruleAccess}

// Decide says where a unit runs. It is a pure function, allocates nothing and
// may be called from any goroutine. The rules, in order, are in the package's
// documentation; the first that speaks wins.
func Decide(in *Input) Decision {
	if n := plainlyKept(in); n != nil {
		return toRead(in, n.ID, ReasonKept)
	}
	return byRules(in)
}

// byRules asks one rule after the other.
func byRules(in *Input) Decision {
	in.wish = wished(in)
	for _, r := range rules {
		if d, ok := r(in); ok {
			return d
		}
	}
	return decideRead(in)
}

// rulePinned speaks for a session that has what only the primary has.
func rulePinned(in *Input) (Decision, bool) {
	if in.Session.Pinned == PinNone {
		return Decision{}, false
	}
	return toPrimary(in, ReasonPinned, in.Session.Pinned.String(), true), true
}

// ruleBalanceOff speaks where the primary serves all.
func ruleBalanceOff(in *Input) (Decision, bool) {
	if in.Session.Settings.Balance != BalanceOff || in.wish.asksRead() {
		return Decision{}, false
	}
	return toPrimary(in, ReasonBalanceOff, "", true), true
}

// ruleAccess speaks for what is not a read.
func ruleAccess(in *Input) (Decision, bool) {
	if isRead(in.Verdict) || opensReadOnly(in) {
		return Decision{}, false
	}
	reason, detail := whyPrimary(in.Verdict)
	return toPrimary(in, reason, detail, true), true
}

// toPrimary decides for the primary. standing binds the block, if there is
// one, to it: false only for a read that the primary serves by chance.
func toPrimary(in *Input, reason Reason, detail string, standing bool) Decision {
	s := &in.Session
	d := Decision{
		Node: in.View.Primary, Target: ToPrimary, Reason: reason, Detail: detail,
		ReadNode: s.ReadNode, Standing: standing && s.Tx != TxNone, Effect: standing && s.Tx != TxNone,
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
