package cluster

import (
	"context"
	"time"
)

// Arbiter is who must agree before this howdah changes the primary, and who keeps what
// it is doing. A howdah alone has a StateFile, which always agrees. A watchdog over several howdahs is
// the other implementation:
//
//	Consent   only the leader's is granted, after it has asked the members: every one that answers must
//	          say that it does not see Proposal.Old alive, and they must be a majority.
//	Record    replicates the record; it returns when a majority has it. Before it returns for PhaseFence, every
//	          member must have stopped routing to Record.Old, or have lost its right to route at all.
//	Recall    returns the replicated record; a new leader goes on from it.
//
// The members that do not lead run the same machine with an Arbiter that refuses. They follow the
// servers, as always, within the limits of Barred.
//
// Calls come from one goroutine, one at a time, and are bounded by ctx. They may block: no session waits for them.
type Arbiter interface {
	// Consent asks whether the change may be made. An error means that it is not known, and
	// is asked again later, like a refusal.
	Consent(ctx context.Context, p Proposal) (Answer, error)
	// Record makes r durable before it returns. The action that r announces is taken only after
	// that; on an error nothing is done and Record is called again later.
	Record(ctx context.Context, r Record) error
	// Recall returns the last record, the zero one if there is none. It is called once, at the start.
	Recall(ctx context.Context) (Record, error)
}

// Proposal is a change of the primary that is asked for.
type Proposal struct {
	// Epoch is the one that the change would have.
	Epoch uint64
	Kind  Kind
	// Old is the primary that is to be replaced, Target the node that an operator wants instead, or empty.
	Old, Target string
	// Reason is for people.
	Reason string
	// Evidence is what this howdah knows of each node.
	Evidence []Evidence
}

// Evidence is what a howdah knows of a node.
type Evidence struct {
	Node  string
	State State
	Role  Role
	// Why is the state's reason, For how long it is so.
	Why string
	For time.Duration
	// Streams: a standby that says that it receives from its upstream.
	Streams  bool
	Timeline uint32
	// Received is a standby's position on disk, or a primary's last known.
	Received LSN
}

// Answer is what the arbiter says.
type Answer struct {
	Granted bool
	// Reasons say why not; of a grant they may say who agreed.
	Reasons []string
}
