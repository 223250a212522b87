// Package cluster knows the PostgreSQL servers: which of them is the primary,
// which can be used, and how far each standby has come. It finds out by asking
// them; nothing of it is configured but where they are.
//
// It does not route, holds no client's connection, and promotes nobody.
//
//	prober pg0 ─┐ finding                      ┌─ View (lock-free)   every session
//	prober pg1 ─┼────────> writer ── decide ──>┤
//	prober pg2 ─┘    horizons (samples)        └─ WaitFor, Changed   who waits for a change
//	     ^                                         │
//	     └───────── Report, Refresh, and a settle after each sample of the primary
//
// Each node has a prober, a goroutine with a connection and deadlines of its
// own, so that a host that never answers delays nobody. Every
// replication_check.interval (idle_interval while nothing is written) it asks its server in one round trip: in recovery?
// which position? which timeline? One goroutine, Run, puts the findings
// together into the next View and publishes it. The decisions are pure and stand alone: decide.go (state
// and role of each node), horizon.go (what a standby is known to have) and lag.go (how far it is behind).
//
// # A node's state
//
//	           answered, and fits the rest
//	waiting ──────────────────────────────> up <───────┐
//	   ^  │                                 │ │ silent │ answered
//	   │  │ refused, starting, login        │ └──> suspect
//	   │  v                                 v         │
//	   └ down <────────────────────────────────────────┘ silent for long, refused
//	   │                                    │
//	   └ quarantine <───────────────────────┘ false primary, forked, foreign
//
// From down and quarantine a standby comes back through waiting, until it streams, has caught up, and has
// been well for long enough (admit.go). A node that is configured no more is unused. state.go has the
// whole table.
//
// Down at once: connection refused, no socket, a server that starts or stops (57P03),
// a broken protocol. That is hard evidence. Silence (replication_check.timeout) is soft: the node is suspect first, and
// down after replication_check.silences in a row. A server that is alive
// and does not let the probe in (53300, class 28, 3D000, 42501) keeps the role it
// last had for roleMemory. An open connection that breaks proves nothing: a new one is tried in the same probe.
// Beside the connection that is kept, which a server out of connections cannot refuse, a new
// one is tried every replication_check.fresh_interval, by a goroutine of its own.
//
// # One primary
//
// Not being in recovery is only a claim. A promotion always begins a timeline,
// so the claimant on the highest wins, unless another standby goes on to follow the one before; a server on a lower one than any node
// was last seen on, or on the same one as another primary before it, is a false
// primary, even while the true one is away. A node whose system identifier is not the
// cluster's is foreign; a standby that has replayed what the primary's history does not have is forked (seen
// if the probing role may read files, pg_read_server_files). All are in quarantine, with the reason, until what they say changes.
//
// # What the probing role needs
//
// Any role that may log in does. As a member of pg_monitor (or a superuser) it also
// sees which timeline a standby streams; without, that is known from the standby's
// control file, and after a promotion horizons may take until its next restartpoint to grow again.
package cluster
