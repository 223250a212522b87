package balancer

import "github.com/howdah/howdah/parser"

// TouchedBy is Written.touchedBy.
func TouchedBy(w *Written, v *parser.Verdict) (string, bool) { return w.touchedBy(v) }
