package balancer

import "github.com/howdah/howdah/parser"

// TouchedBy is Written.touchedBy.
func TouchedBy(w *Written, v *parser.Verdict) (string, bool) { return w.touchedBy(v) }

// ByRules is byRules.
func ByRules(in *Input) Decision { return byRules(in) }

// PlainlyKept is whether no rule is asked.
func PlainlyKept(in *Input) bool { return plainlyKept(in) != nil }
