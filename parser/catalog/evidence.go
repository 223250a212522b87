package catalog

// evidence is what the trials of gen showed, over all overloads, sample arguments
// and versions: a set of letters, in the order below. Empty means that no call
// could be made.
//
//	=  equal: the standby gave the primary's rows
//	!  differs: the standby gave other rows, or the two nodes other errors
//	~  unsteady: the primary, asked twice, gave two answers
//	r  refused: only the standby gave an error
//	x  a transaction id was assigned
//	l  an advisory lock was taken
//	w  WAL was written
type evidence string

const sameAnswer evidence = "="
