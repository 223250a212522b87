// Package core decides for one member of the watchdog: who holds the address, who
// may write where, whether a node has failed. It takes events with the time they
// happened at, and returns actions. It has no socket, clock, file or goroutine, so that
// a whole cluster with its faults runs in one test (see simulation_test.go).
//
// It knows nothing of PostgreSQL. A node is a name with an incarnation; whether one
// lives is what members answer when they are asked.
//
// # What decides what
//
//   - Consensus (hashicorp/raft, outside of this package) orders commands. [State] is what
//     they add up to; every command is in one table ([Builtin]).
//   - A lease ([Lease]) says whether the leader may act. Raft's leadership alone does
//     not: a leader that was stopped for a while still takes itself for one.
//   - A [Guard] keeps the promise that leases rest on: who acknowledged an append
//     helps nobody else to leadership for [Timing.Election].
//   - A poll ([Tally]) says whether a node has failed: a majority answers, and one member
//     that sees the node alive is a veto.
//   - Route leases ([Grants], [Route]) say whether a member may write to the primary it
//     knows. A failover waits until all have been given up or have run out.
//
// # The lease
//
//	              won                    caught up, quorum
//	follower ------------------> elected -----------------> holding
//	    ^  ^                        |                        |   ^
//	    |  | lost                   | yield          lapse   |   | quorum
//	    |  +------------------------+---+                    v   |
//	    +------------- yielded <--------+----- yield ------ lapsed
//	         lost
//
// # A failover
//
//	none --begin--> begun --bar--> barred --choose--> chosen --commit--> none, epoch + 1
//	  ^               |              |            choose (attempt + 1) ^ |
//	  +-----abort-----+-----abort----+---------------abort---------------+
//
// Each step is committed before it is acted upon, so that the next leader can go on in
// any of them.
//
// # Time
//
// A time is what this host's monotonic clock shows, as a Duration since any fixed moment.
// It is never compared with another host's. Clocks may run at different
// speeds, at most [Timing.Drift] off.
package core
