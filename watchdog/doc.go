// Package watchdog makes several howdahs one: it finds them, elects a leader, keeps what
// they agreed on, and carries out what package core decides. It knows nothing of
// PostgreSQL: what it needs of the rest comes through the interfaces in ports.go.
//
//	memberlist   who is there, what each thinks of the nodes        a hint, never a reason
//	RPC          polls, route leases, handovers, joining            asked now, answered now
//	raft         who leads, in which order commands come            with a lease of our own
//
// All three are encrypted: gossip with the cluster's key, the rest by TLS 1.3 with
// certificates of the cluster's own authority, on both sides.
//
// One goroutine ([Watchdog.Run]) owns the core.Machine. Everything else sends it events and
// carries out its actions. What raft's library does otherwise than a lease needs it
// is put right in transport.go and store.go; each case says what it is about.
package watchdog
