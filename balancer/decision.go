package balancer

import (
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
)

// Input is all that a decision depends on.
type Input struct {
	// Verdict is what is to run, one unit; nil is a text that was not parsed
	// (too long, a function call message …) and counts as a write.
	Verdict *parser.Verdict
	Session Session
	View    *cluster.View
	// Now is cluster.Now. No rule depends on it yet; limits of lag in time will.
	Now int64
	// Random is a fresh uniform number.
	Random uint64
}

// Target is which of a session's server connections is meant.
type Target uint8

const (
	// ToPrimary: the connection to the primary, be it needed or merely drawn.
	ToPrimary Target = iota
	// ToRead: the connection to a standby.
	ToRead
)

// Decision is where a unit runs, and why.
type Decision struct {
	// Node is where to run it. NoNode: it needs the primary and there is none
	// (ReasonNoPrimary: wait), or its transaction's node is no longer the primary (ReasonTransactionLost: give up).
	Node   cluster.NodeID
	Target Target
	Reason Reason
	// Detail says more about Reason (the verdict's reason, the pin) at no cost; it may be empty.
	Detail string
	// ReadNode is the read node for the session to keep: the old one, the one drawn
	// now, or NoNode. After ReasonHorizon it is the node that lags (wait for it with cluster.WaitHorizon).
	ReadNode cluster.NodeID
	// Standing is true if the rest of the transaction block must stay on the
	// primary: when the unit is sent, the session sets TxPrimary, and TxNode to
	// Node. While Node is NoNode nothing is sent: ask again when the view has changed.
	Standing bool
}
