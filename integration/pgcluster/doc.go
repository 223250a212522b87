// Package pgcluster makes real PostgreSQL clusters for tests, benchmarks and the
// demo: one primary and any number of streaming standbys on this host, alive in
// about a second, gone without a trace.
//
// The servers run as the operating system's user postgres when the caller is
// root, else as the caller. They listen on 127.0.0.1 and on a Unix socket in the
// cluster's directory. Node 0 starts as the primary, nodes 1.. as its standbys.
//
// # How it is fast
//
// initdb runs once per PostgreSQL version into a template kept in the user's
// cache directory. A cluster is copies of it: the template was shut down
// cleanly, so that a copy with a standby.signal file streams from another copy
// without a base backup. All clusters of one template share a system identifier.
//
// # How nothing is left behind
//
// Three nets, from the mildest:
//   - Close stops every server and removes the directory.
//   - Every server asks the kernel for SIGQUIT (PostgreSQL's immediate shutdown)
//     when the thread that started it dies (PR_SET_PDEATHSIG). Go moves goroutines
//     between threads and ends threads, so each server is started and waited for
//     by a goroutine that is locked to its thread (node.go).
//   - A small shell, the keeper, holds the reading end of a pipe. When the pipe
//     closes, which the kernel does however this process ends, it waits for the
//     servers to go and removes the directory (keeper.go).
package pgcluster
