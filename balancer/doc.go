// Package balancer decides on which node a statement runs, and says why. It is
// one pure function, Decide, of the parser's verdict, the session's state, the
// cluster's view and a random number: no clock, no lock, no allocation. It
// opens no connection and keeps no state; what a decision changes in the
// session is in the Decision, and the session's owner stores it.
//
// # The rules
//
// They are asked in this order, and the first that speaks wins. The quoted
// words are the Reason's name.
//
//  1. An aborted block stays where it failed: "failed transaction".
//  2. A block bound to the primary stays there: "standing decision". If another
//     node has become the primary it is lost: "transaction lost".
//     COMMIT and ROLLBACK go where the block is open: "transaction end".
//     A READ ONLY block with one snapshot, once open, is that node's: "transaction node".
//  3. A session that has what only the primary has: "pinned". (2 comes before, as an
//     open block cannot move.)
//  4. routing.balance is off: "balance off".
//  5. In a block: SERIALIZABLE needs the primary ("serializable"), so does REPEATABLE
//     READ unless READ ONLY ("snapshot"), and so do all read-write blocks if
//     routing.transactions is primary ("transactions primary"). What is not a read goes
//     to the primary (names as in 6), as does in a read-write block a read whose
//     answer is fixed for the whole block ("transaction scoped"). All these bind
//     the block: Decision.Standing. Other reads stay on the node where the
//     block reads ("transaction node"); if that is gone they bind it to the primary ("transaction moved").
//  6. Only reads and empty statements may leave the primary. The rest goes there as
//     "write", "session state", "transaction control" or "unknown". Only a BEGIN
//     READ ONLY is where its reads will be.
//  7. Stickiness and weights: the session's read node while it is usable (up, of
//     a weight above 0): "kept". Else one is drawn among the usable by weight: "drawn".
//     The primary takes part with its own weight. None is usable: "no read node", the primary.
//  8. Horizon: the node must show all that the session wrote or saw, else the
//     primary serves this one read, and the read node stays: "horizon".
//
// The draw (7) comes before the horizon (8) so that a session that begins with
// a write draws like any other; if only nodes that have caught up took part, the primary would win, for good.
//
// If the decision is for the primary and there is none, Node is NoNode and the
// reason "no primary", with the reason for the primary as detail: the caller waits.
// Only for a read that any node may serve, another standby that has all the session needs is tried first.
//
// # The horizon's two times
//
// A session remembers when its last statement on the primary completed, and
// when its last read on a standby completed, and where. Why these suffice is in Session.
// After a read fell back to the primary because of the horizon, the session has seen the
// primary's state of just then, and the horizon must pass that. A session that
// reads without a pause would so never get back to its standby by itself; its
// owner should now and then wait for it with cluster.Cluster.WaitHorizon, which costs
// about two round trips once.
package balancer
