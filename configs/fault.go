package configs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing wrong with a configuration.
type Fault struct {
	File   string // as given to Load or Parse; empty for a Config made by a program
	Line   int    // 1 is the first; 0 where no line can be named
	Key    string // the path of the key, as in backends[0].port; may be empty
	What   string // what is wrong
	Advice string // what to do about it
}

// String is "file:line: key: what is wrong; what to do".
func (f Fault) String() string {
	var b strings.Builder
	switch {
	case f.File != "" && f.Line > 0:
		fmt.Fprintf(&b, "%s:%d: ", f.File, f.Line)
	case f.File != "":
		fmt.Fprintf(&b, "%s: ", f.File)
	}
	if f.Key != "" {
		fmt.Fprintf(&b, "%s: ", f.Key)
	}
	b.WriteString(f.What)
	if f.Advice != "" {
		b.WriteString("; ")
		b.WriteString(f.Advice)
	}
	return b.String()
}

// Faults is everything wrong with a configuration, in the order of the lines.
// As an error it has one line per fault. It is never empty.
type Faults []Fault

// Error is one line per fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

// faultList gathers the faults of one configuration and remembers which keys
// have one, so that no key is reported twice for the same mistake.
type faultList struct {
	file   string
	faults Faults
	bad    map[string]bool
	lines  map[string]int // where each key of the file stands
}

func newFaultList(file string) *faultList {
	return &faultList{file: file, bad: map[string]bool{}, lines: map[string]int{}}
}

// add reports a fault of key at a line of the file.
func (l *faultList) add(line int, key, what, advice string) {
	l.bad[key] = true
	l.faults = append(l.faults, Fault{File: l.file, Line: line, Key: key, What: what, Advice: advice})
}

// addAt reports a fault of key at its line; if the key is not in the file, at
// the line of the nearest section above that is.
func (l *faultList) addAt(key, what, advice string) {
	line := 0
	for k := key; k != "" && line == 0; k = parentKey(k) {
		line = l.lines[k]
	}
	l.add(line, key, what, advice)
}

// isBad says whether key, or a section it is in, has a fault already: then its
// value says nothing.
func (l *faultList) isBad(key string) bool {
	for k := key; k != ""; k = parentKey(k) {
		if l.bad[k] {
			return true
		}
	}
	return false
}

// err is the list as an error, or nil. Faults without a line come last: they
// are about what is missing.
func (l *faultList) err() error {
	if len(l.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(l.faults, func(a, b Fault) int {
		if (a.Line == 0) != (b.Line == 0) {
			return cmp.Compare(b.Line, a.Line)
		}
		return cmp.Compare(a.Line, b.Line)
	})
	return l.faults
}

// parentKey is the key of the section or list that key is in: backends[0] for
// backends[0].port, backends for backends[0].
func parentKey(key string) string {
	return key[:max(strings.LastIndexAny(key, ".["), 0)]
}
