package balancer

// Reason is which rule decided. Its String is stable: it is shown by explain,
// in logs and metrics.
type Reason uint8

const (
	ReasonNone Reason = iota
	// ReasonFailedTransaction: the block is aborted; its node says so.
	ReasonFailedTransaction
	// ReasonTransactionLost: the block was open on a primary that is no longer the primary.
	ReasonTransactionLost
	// ReasonStanding: an earlier statement bound the block to the primary.
	ReasonStanding
	// ReasonTransactionEnd: COMMIT and ROLLBACK go where the block is open.
	ReasonTransactionEnd
	// ReasonTransactionNode: the block reads on, on the node where it reads.
	ReasonTransactionNode
	// ReasonPinned: the session has something that exists on the primary only.
	ReasonPinned
	// ReasonBalanceOff: routing.balance is off.
	ReasonBalanceOff
	// ReasonSerializable: a standby has no SERIALIZABLE.
	ReasonSerializable
	// ReasonSnapshot: a read-write block with one snapshot (REPEATABLE READ) is one node's whole.
	ReasonSnapshot
	// ReasonTransactionPrimary: routing.transactions is primary.
	ReasonTransactionPrimary
	// ReasonTransactionScoped: the answer is fixed for the whole block (now()), so one node must give it.
	ReasonTransactionScoped
	// ReasonTransactionMoved: the node where the block read cannot be used any more.
	ReasonTransactionMoved
	// ReasonWrite: it writes, locks, or needs what only the primary has.
	ReasonWrite
	// ReasonSessionState: it changes or reads the session's state.
	ReasonSessionState
	// ReasonTransactionControl: it is, or holds, transaction control.
	ReasonTransactionControl
	// ReasonUnknown: it was not understood.
	ReasonUnknown
	// ReasonAfterWrite: the session wrote earlier (routing.after_write).
	ReasonAfterWrite
	// ReasonWritten: the block wrote a relation that is read (routing.after_write: dml_adaptive).
	ReasonWritten
	// ReasonLag: the read node is over a limit of lag.
	ReasonLag
	// ReasonHorizon: the read node does not have all yet that the session wrote or saw.
	ReasonHorizon
	// ReasonKept: the session's read node.
	ReasonKept
	// ReasonDrawn: chosen now (routing.choice).
	ReasonDrawn
	// ReasonMoved: the session's read node is too far behind, and this one is not.
	ReasonMoved
	// ReasonNoReadNode: no node with a weight can be used for reads.
	ReasonNoReadNode
	// ReasonNoPrimary: the primary is needed and there is none now.
	ReasonNoPrimary
	// ReasonHint: the client asked for it, in a comment or by howdah.route.
	ReasonHint
	// ReasonRedirect: routing.redirect says so for the user, database or application.
	ReasonRedirect
	// ReasonLearned: a standby has refused the same statement before.
	ReasonLearned
	// ReasonHealed: a read node refused it, and it runs again on the primary.
	ReasonHealed
	reasons
)

var reasonNames = [reasons]string{
	ReasonNone:               "none",
	ReasonFailedTransaction:  "failed transaction",
	ReasonTransactionLost:    "transaction lost",
	ReasonStanding:           "standing decision",
	ReasonTransactionEnd:     "transaction end",
	ReasonTransactionNode:    "transaction node",
	ReasonPinned:             "pinned",
	ReasonBalanceOff:         "balance off",
	ReasonSerializable:       "serializable",
	ReasonSnapshot:           "snapshot",
	ReasonTransactionPrimary: "transactions primary",
	ReasonTransactionScoped:  "transaction scoped",
	ReasonTransactionMoved:   "transaction moved",
	ReasonWrite:              "write",
	ReasonSessionState:       "session state",
	ReasonTransactionControl: "transaction control",
	ReasonUnknown:            "unknown",
	ReasonAfterWrite:         "after write",
	ReasonWritten:            "relation written",
	ReasonLag:                "lag",
	ReasonHorizon:            "horizon",
	ReasonKept:               "kept",
	ReasonDrawn:              "drawn",
	ReasonMoved:              "moved",
	ReasonNoReadNode:         "no read node",
	ReasonNoPrimary:          "no primary",
	ReasonHint:               "hint",
	ReasonRedirect:           "redirect",
	ReasonLearned:            "learned",
	ReasonHealed:             "healed",
}

func (r Reason) String() string {
	if r >= reasons {
		return "invalid"
	}
	return reasonNames[r]
}

var pinNames = [...]string{
	PinNone:           "none",
	PinTempObjects:    "temporary objects",
	PinOpaqueSetting:  "opaque setting",
	PinUnsafeEncoding: "unsafe encoding",
	PinRoutingOff:     "routing off",
	PinHeldCursor:     "held cursor",
	PinPrepared:       "prepared statement",
	PinCounters:       "usage counters",
	PinReplication:    "replication",
}

func (p Pin) String() string {
	if int(p) >= len(pinNames) {
		return "invalid"
	}
	return pinNames[p]
}
