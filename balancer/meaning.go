package balancer

// meanings say in a sentence, to operators, what a reason is about.
var meanings = [reasons]string{
	ReasonFailedTransaction:  "the transaction has failed; its node says so",
	ReasonTransactionLost:    "the transaction was open on a primary that is no more",
	ReasonStanding:           "an earlier statement bound the transaction to the primary",
	ReasonTransactionEnd:     "COMMIT or ROLLBACK, where the transaction is open",
	ReasonTransactionNode:    "the transaction reads on where it reads",
	ReasonPinned:             "the session has something that is on the primary only (pins)",
	ReasonBalanceOff:         "routing.balance is off",
	ReasonSerializable:       "standbys have no SERIALIZABLE",
	ReasonSnapshot:           "a transaction with one snapshot, which may write, is one node's",
	ReasonTransactionPrimary: "routing.transactions is primary",
	ReasonTransactionScoped:  "as the time of the transaction, it must be the same in all of it",
	ReasonTransactionMoved:   "the node where the transaction read cannot be used any more",
	ReasonWrite:              "it writes, locks, or needs what only the primary has",
	ReasonSessionState:       "it changes or reads the session's state",
	ReasonTransactionControl: "it begins, ends or divides transactions",
	ReasonUnknown:            "it was not understood, so it counts as a write",
	ReasonAfterWrite:         "the session wrote before (routing.after_write)",
	ReasonWritten:            "the transaction wrote what is read (dml_adaptive)",
	ReasonLag:                "the read node is over a limit of lag",
	ReasonHorizon:            "the read node did not show yet what the session wrote or saw",
	ReasonKept:               "the session's read node",
	ReasonDrawn:              "a read node was chosen now (routing.choice)",
	ReasonMoved:              "the session's read node was behind; this one was not",
	ReasonNoReadNode:         "no standby could be read",
	ReasonNoPrimary:          "the primary was needed, and there was none",
	ReasonHint:               "the client asked for it (a comment, or howdah.route)",
	ReasonRedirect:           "routing.redirect says so",
	ReasonLearned:            "a standby refused the same statement before",
	ReasonHealed:             "a standby refused it, and it ran again on the primary",
}

// Meaning explains the reason of that name to operators; empty if there is nothing to say.
func Meaning(name string) string {
	for r, n := range reasonNames {
		if n == name {
			return meanings[r]
		}
	}
	return ""
}
