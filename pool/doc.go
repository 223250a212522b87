// Package pool keeps clean server connections and lends them out.
//
// A connection is kept under its Key: the user, the database and the startup
// parameters it was opened with. A session therefore gets a connection on
// which every setting has the default it would have on one of its own, and
// RESET returns to that default. A connection comes back only through a reset
// that succeeded; any doubt closes it.
//
//	Acquire:  idle one of the key > room for a new one > an idle one of another
//	          key makes room > wait, first come, first served
//	Release:  reset, then the oldest waiter > idle
//	Park:     as it is, to the oldest waiter of the key (one of another key is not
//	          passed over for more than 50 ms) > idle
//
// Sizes are per node. The pool knows nothing of sessions or SQL, but for the
// text of the reset query.
package pool
