// Package pool keeps clean server connections and lends them out.
//
// A connection is kept under its Key: the user, the database and the startup
// parameters it was opened with. A session therefore gets a connection on
// which every setting has the default it would have on one of its own, and
// RESET returns to that default. A connection comes back only through a reset
// that succeeded; any doubt closes it.
//
//	Acquire:  idle one of the key > room for a new one > an idle one of another
//	          key makes room > wait
//	Release:  reset, then to who is next > idle
//	Park:     as it is, to who is next > idle
//
// Sessions of one user are served in the order they came, users by the connections
// they have in use: the fewest first (turn.go).
//
// Sizes are per node. The pool knows nothing of sessions or SQL, but for the
// text of the reset query.
package pool
