// Package balancer decides on which node a statement runs, and says why. It is
// one pure function, Decide, of the parser's verdict, the session's state, the
// cluster's view and a random number: no clock, no lock, no allocation. It
// opens no connection and keeps no state; what a decision changes in the
// session is in the Decision, and the session's owner stores it.
//
// # The rules
//
// They are asked in this order, and the first that speaks wins. The quoted
// words are the Reason's name. A read for which none of them can speak is not asked about (plainlyKept).
//
//  1. An aborted block stays where it failed: "failed transaction".
//  2. A block bound to the primary stays there: "standing decision". If another
//     node has become the primary it is lost: "transaction lost".
//     COMMIT and ROLLBACK go where the block is open: "transaction end".
//     A READ ONLY block with one snapshot, once open, is that node's: "transaction node".
//  3. A session that has what only the primary has: "pinned". (2 comes before, as an
//     open block cannot move.)
//  4. routing.balance is off: "balance off".
//  5. routing.after_write keeps the reads of a session that wrote on the primary: "after write".
//  6. In a block: SERIALIZABLE needs the primary ("serializable"), so does REPEATABLE
//     READ unless READ ONLY ("snapshot"), and so do all read-write blocks if
//     routing.transactions is primary ("transactions primary"). What is not a read goes
//     to the primary (names as in 7), as does in a read-write block a read whose
//     answer is fixed for the whole block ("transaction scoped"). All these bind
//     the block (Decision.Standing), but for what leaves it free to read elsewhere
//     (Decision.Effect): settings that can be repeated there, looks at the session's
//     state, and by routing.after_write what only writes data. A read of what such a
//     block wrote needs the primary: "relation written".
//     Other reads stay on the node where the block reads ("transaction node"); if that is
//     gone, or does not show enough, they bind the block to the primary
//     ("transaction moved", "horizon").
//  7. Only reads and empty statements may leave the primary. The rest goes there as
//     "write", "session state", "transaction control" or "unknown". Only a BEGIN
//     READ ONLY is where its reads will be.
//  8. The read node: the session's own while it is usable (up, of a weight above
//  0. and routing.balance keeps it: "kept". Else one is chosen as routing.choice
//     says among the usable within the limits of lag: "drawn". The primary takes part
//     with its own weight. None is usable: "no read node", the primary.
//  9. Lag: a kept node that is over a limit is not read. The primary serves the read, or the
//     standby that lags least: "lag".
//  10. Horizon: the node must show all that the session wrote or saw, and with
//     consistency cluster what anybody wrote to what is read. Else the primary serves
//     this one read, and the read node stays: "horizon". If the node is far behind, another
//     standby that shows enough takes its place: "moved".
//
// The choice (8) comes before the horizon (10) so that a session that begins with
// a write chooses like any other; if only nodes that have caught up took part, the primary would win, for good.
//
// If the decision is for the primary and there is none, Node is NoNode and the
// reason "no primary", with the reason for the primary as detail: the caller waits.
// Only for a read that any node may serve, another standby that has all the session needs is tried first.
//
// # Wishes and lessons
//
// A hint of the client (in a comment, howdah.route) or a redirect of the configuration
// is a wish. Which one counts, and what it may ask for, is in hint.go. Wishes for the primary
// are obeyed for reads after 3: "hint", "redirect". Right after them what a standby
// has refused before goes to the primary: "learned". A client's wish for a read node turns 4 off.
// Wishes for standbys are obeyed after 5, for reads and for what the client vouches
// for; the horizon and the limits of lag hold for them as for all reads.
//
// # The horizon's two times
//
// A session remembers when its last statement on the primary completed, and
// when its last read on a standby completed, and where. Why these suffice is in Session.
// After a read fell back to the primary because of the horizon, the session has seen the
// primary's state of just then, and the horizon must pass that. A session that
// reads without a pause would so never get back to its standby by itself; its
// owner should now and then wait for a view in which Decide finds it a standby, which costs
// about two round trips once.
package balancer
