// Package proxy is the front door: it accepts clients, logs them in, and runs
// a session for each.
//
// One goroutine owns a session. It is half-duplex, as a PostgreSQL backend
// is: it reads one unit of requests (a simple Query, or extended messages up
// to a Sync or Flush), decides where the unit runs, sends it there, and
// relays the answer until the server has answered all of it. In the order of
// a query's way:
//
//	listener.go     accept, limits, drain
//	startup.go      startup packet, SSLRequest, cancel requests
//	login.go        authentication, first answers
//	session.go      the loop of one session
//	unit.go         read and understand one unit of requests
//	prepared.go     prepared statements and portals by name
//	dispatch.go     decide (balancer), lease (pool), send, relay, keep the books
//	lease.go        one borrowed server connection and the replies it owes
//	relay.go        a server's messages: forward, swallow, or keep back
//	heal.go         what a standby refused runs again on the primary
//	copyin.go       COPY FROM STDIN
//	transaction.go  BEGIN answered here, blocks open on two nodes
//	horizon.go      wait for a read node that is about to catch up
//	state.go        the session's settings, repeated on another connection
//	lost.go         a server's connection breaks
//	cancel.go       cancel keys
//	upkeep.go       clients that go away while a server works for them
//	notify.go       what a server says while the client is silent
//
// A session has at most two leases: one on the primary and one on its read
// node. Between units the client's buffer is empty or holds the next unit;
// while a unit is under way its bytes stay there, so that it can be sent
// again elsewhere.
package proxy
