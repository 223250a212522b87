package main

import "strings"

// evidence is a set of what trials showed, over all calls of a name.
type evidence uint8

const (
	// equal: both nodes gave the same rows.
	equal evidence = 1 << iota
	// differs: the nodes gave different rows, or only the standby gave any.
	differs
	// unsteady: the primary asked twice gave different rows.
	unsteady
	// refused: only the primary gave rows, the standby an error.
	refused
	// assigns: a transaction id was assigned.
	assigns
	// locks: an advisory lock was taken.
	locks
	// logs: WAL was written.
	logs
)

// letters are how the generated tables write evidence, in the order of the bits.
const letters = "=!~rxlw"

func (e evidence) String() string {
	var b strings.Builder
	for i := range len(letters) {
		if e&(1<<i) != 0 {
			b.WriteByte(letters[i])
		}
	}
	return b.String()
}

// judge compares two answers of the primary with one of the standby. A call that
// fails alike on both says nothing.
func judge(first, second, standby answer) evidence {
	const timeout = "57014"
	switch {
	case first.state == timeout || second.state == timeout || standby.state == timeout:
		return 0
	case first.state == "" && standby.state != "":
		return refused
	case first.state != "" && standby.state == "", first.state != standby.state:
		return differs
	case first.state != "":
		return 0
	case !first.equal(second):
		return unsteady
	case !first.equal(standby):
		return differs
	}
	return equal
}
