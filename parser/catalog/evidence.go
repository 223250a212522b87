package catalog

import "strings"

// evidence is what the trials of gen showed, over all overloads, sample arguments
// and versions: a set of letters, in this order. Empty means that no call could be
// made, or none that succeeded.
//
//	=  equal: the standby gave the primary's rows
//	!  differs: the standby gave other rows, or the two nodes other errors
//	~  unsteady: the primary, asked again, gave another answer
//	r  refused: only the standby gave an error
//	x  a transaction id was assigned
//	l  an advisory lock was taken
//	w  WAL was written
type evidence string

const (
	sameAnswer evidence = "="
	// otherAnswer are what makes an answer the node's own.
	otherAnswer = "!~r"
	// effect are what a standby cannot do, or what lives on one node only.
	effect = "xlw"
)

func (e evidence) any(letters string) bool { return strings.ContainsAny(string(e), letters) }
