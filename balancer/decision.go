package balancer

import (
	"math"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
)

// Input is all that a decision depends on.
type Input struct {
	// Verdict is what is to run, one unit; nil is a text that was not parsed
	// (too long, a function call message …) and counts as a write.
	Verdict *parser.Verdict
	View    *cluster.View
	// Learned: a standby has refused the same statement before, lately.
	Learned bool
	Session Session
	// Written is, for ConsistencyCluster, when (cluster.Now) anybody last wrote what
	// the unit reads, or WriteInFlight; 0 is never. It counts for reads only.
	Written int64
	// Loads are the nodes' by NodeID, for a Choice that looks at them; a node
	// without an entry has no load. The caller keeps the array and may fill it anew.
	Loads []Load
	// Random is a fresh uniform number.
	Random uint64

	// wish is the hint that counts; Decide finds it first.
	wish wish
}

// WriteInFlight is an Input.Written that no horizon reaches: a write of what is
// read runs now, and may or may not have committed.
const WriteInFlight = math.MaxInt64

// Load is what is known of one node's work for howdah.
type Load struct {
	// Connections are lent to sessions now; InFlight of them wait for an answer.
	Connections, InFlight int32
	// Latency is how long a read lately took to begin its answer, in nanoseconds.
	Latency int64
	// Samples is how many reads Latency was made from.
	Samples uint32
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
	// now, or NoNode. After ReasonHorizon it is the node that lags, which the owner may wait for.
	ReadNode cluster.NodeID
	// Effect is true for a unit in a block that leaves something in the block on
	// Node, the primary: when it is sent, the session sets TxWriteNode.
	Effect bool
	// Standing is true if the rest of the transaction block must stay on the
	// primary: when the unit is sent, the session sets TxPrimary, and TxNode to
	// Node. While Node is NoNode nothing is sent: ask again when the view has changed.
	Standing bool
}
