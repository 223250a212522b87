package migrate

import (
	"fmt"
	"slices"
	"strings"
)

// Fate is what became of a setting.
type Fate uint8

const (
	// Taken is in the new file with the same meaning.
	Taken Fate = iota
	// Changed is in the new file, but means something a little different there.
	Changed
	// Default asks for what howdah does anyway.
	Default
	// Unneeded has nothing to say to howdah.
	Unneeded
	// ByHand is to be written by hand, as pgpool.conf does not have all that it takes.
	ByHand
	// Unsupported asks for what howdah does not do yet.
	Unsupported
	// Refused cannot be taken over: somebody must decide.
	Refused
)

// fateNames are the report's headings.
var fateNames = [...]string{
	Taken: "taken over", Changed: "taken over, with a change in meaning", Default: "default, nothing to do",
	Unneeded: "not needed", ByHand: "to be done by hand", Unsupported: "not supported yet", Refused: "NOT TAKEN OVER: decide",
}

func (f Fate) String() string { return fateNames[f] }

// Entry is what became of one setting.
type Entry struct {
	Name  string
	Place string // file:line; empty for what is not in a file
	Fate  Fate
	// To is the new key, if there is one.
	To string
	// Note says why, or what to do.
	Note string
}

// Report is all entries, in the order of the file.
type Report []Entry

// String groups the entries by their fates, the ones that need attention last.
func (r Report) String() string {
	var b strings.Builder
	for fate := range Fate(len(fateNames)) {
		n := 0
		for _, e := range r {
			if e.Fate != fate {
				continue
			}
			if n++; n == 1 {
				fmt.Fprintf(&b, "%s:\n", fate)
			}
			b.WriteString("  " + e.Name)
			if e.Place != "" {
				b.WriteString(" (" + e.Place + ")")
			}
			if e.To != "" {
				b.WriteString(" -> " + e.To)
			}
			if e.Note != "" {
				b.WriteString(": " + e.Note)
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// Refused says whether something was not taken over that somebody must decide.
func (r Report) Refused() bool {
	return slices.ContainsFunc(r, func(e Entry) bool { return e.Fate == Refused })
}
