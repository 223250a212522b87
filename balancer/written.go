package balancer

import (
	"slices"

	"github.com/howdah/howdah/parser"
)

// Written is which relations a transaction block wrote, by bare name: two relations
// of one name in different schemas count as one. The zero value is none.
type Written struct {
	names []string
	all   bool
}

// maxWritten bounds the names; a block that wrote more wrote everything.
const maxWritten = 64

// Add takes in a unit that is no read, with what depends on what it wrote.
func (w *Written) Add(v *parser.Verdict, d *Dependencies) {
	if w.all || leavesDataAlone(v) {
		return
	}
	if !writesNamed(v) {
		w.all = true
		return
	}
	for i := range v.Statements {
		st := &v.Statements[i]
		for _, r := range st.Relations {
			w.add(r.Name)
			for _, dependent := range d.ofRelation(r.Name) {
				w.add(dependent)
			}
		}
		for _, f := range st.Functions {
			for _, dependent := range d.ofFunction(f.Name) {
				w.add(dependent)
			}
		}
	}
}

func (w *Written) add(name string) {
	switch {
	case slices.Contains(w.names, name):
	case len(w.names) == maxWritten:
		w.all = true
	default:
		w.names = append(w.names, name)
	}
}

// Reset forgets all.
func (w *Written) Reset() { w.names, w.all = w.names[:0], false }

// touchedBy is a written relation that the read names; its name may be empty.
func (w *Written) touchedBy(v *parser.Verdict) (string, bool) {
	if w.all {
		return "", true
	}
	if len(w.names) == 0 {
		return "", false
	}
	if len(v.Statements) == 0 && v.Access > parser.AccessNone {
		return "", true // of several texts: the relations are not at hand
	}
	for i := range v.Statements {
		for _, r := range v.Statements[i].Relations {
			if slices.Contains(w.names, r.Name) {
				return r.Name, true
			}
		}
	}
	return "", false
}

// Writes is whether a unit may change data; if so, named says that all it
// writes is among the relations that its statements name, as far as the text shows.
func Writes(v *parser.Verdict) (writes, named bool) {
	switch {
	case leavesDataAlone(v):
		return false, false
	case writesNamed(v):
		return true, true
	}
	return true, false
}

// leavesDataAlone is whether a unit surely changes no data.
func leavesDataAlone(v *parser.Verdict) bool {
	if v == nil {
		return false
	}
	if v.Access <= parser.AccessRead {
		return true
	}
	if v.Access == parser.AccessUnknown || len(v.Statements) == 0 {
		return false
	}
	for i := range v.Statements {
		switch st := &v.Statements[i]; {
		case st.Kind == parser.KindExecute, st.Kind == parser.KindFetch, st.Kind == parser.KindTwoPhase:
			return false // it runs, or commits, what is not in the text
		case st.Access <= parser.AccessSession:
		case st.Kind == parser.KindNotify:
		default:
			return false
		}
	}
	return true
}

// truncate is the Reason of TRUNCATE, which CASCADE takes to relations it does not name.
const truncate = "TRUNCATE"

// writesNamed is whether all that a unit writes is among the relations it names.
func writesNamed(v *parser.Verdict) bool {
	if v == nil || v.Access != parser.AccessWrite || len(v.Statements) == 0 {
		return false
	}
	for i := range v.Statements {
		st := &v.Statements[i]
		if st.Access > parser.AccessSession && (st.Reason == truncate || st.Access != parser.AccessWrite || st.Kind != parser.KindWrite || st.CallsUnknown) {
			return false
		}
		if st.Kind == parser.KindExecute || st.Kind == parser.KindFetch || st.Kind == parser.KindTwoPhase {
			return false
		}
	}
	return true
}
