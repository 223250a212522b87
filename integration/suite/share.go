package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// share is where SELECTs went, by howdah's log of its decisions: one for each statement of its own, psql's for \d included.
type share struct {
	standby, primary int64
	// must are those of the primary's that belong there, free those that a standby could have answered, by the reason.
	must, free map[string]int64
}

var routed = regexp.MustCompile(`msg=routed .*?node=(\S*) kind=select access=("[^"]*"|\S+) reason=("[^"]*"|\S+) detail=("(?:[^"\\]|\\.)*"|\S*)`)

// shareOf counts the decisions in a log.
func shareOf(log, primary string) *share {
	s := &share{must: map[string]int64{}, free: map[string]int64{}}
	for line := range strings.Lines(log) {
		m := routed.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		access, reason, detail := strings.Trim(m[2], `"`), strings.Trim(m[3], `"`), strings.Trim(m[4], `"`)
		if reason == "healed" { // it counts on the standby that refused it, and must have been the primary's
			s.standby--
			s.primary++
			s.must["refused by a standby"]++
			continue
		}
		if m[1] != primary {
			s.standby++
			continue
		}
		s.primary++
		if must, why := belongs(access, reason, detail); must {
			s.must[why]++
		} else {
			s.free[why]++
		}
	}
	return s
}

// belongs is whether a SELECT must run on the primary, and why it did. What howdah does not understand, or
// only believes of a function's declaration, does not count as such.
func belongs(access, reason, detail string) (must bool, why string) {
	switch {
	case reason == "write" && strings.HasSuffix(detail, " is volatile"):
		return false, "function declared volatile"
	case reason == "write", reason == "session state", reason == "learned":
		return true, map[string]string{"write": "writes or locks", "session state": "state of the node or session", "learned": "refused by a standby"}[reason]
	case reason == "unknown" && detail == "catalog not read yet":
		return false, detail
	case reason == "unknown":
		return false, "not understood"
	case reason == "pinned" && access == "unknown":
		return false, "not understood in a session with " + detail
	case reason == "pinned" && access != "read":
		return true, "state of the node or session"
	case reason == "pinned" && detail == "temporary objects":
		return true, "temporary objects, or names that they may hide"
	case reason == "pinned":
		return false, detail
	case reason == "standing decision":
		return true, "transaction that wrote"
	case reason == "serializable", reason == "snapshot", reason == "failed transaction", reason == "transaction scoped", reason == "transaction end":
		return true, "transaction of the primary"
	}
	return false, reason
}

func (s *share) print(w io.Writer, suite string) {
	must := int64(0)
	for _, n := range s.must {
		must += n
	}
	all := s.standby + s.primary
	fmt.Fprintf(w, "%s: of %d decisions about SELECTs %d must be for the primary (%s)\n", suite, all, must, inOrder(s.must))
	fmt.Fprintf(w, "%s: of the %d that a standby may answer, %.0f %% went to standbys; of the primary's others: %s\n",
		suite, all-must, percent(s.standby, all-must), inOrder(s.free))
}

func percent(part, whole int64) float64 { return 100 * float64(part) / float64(max(1, whole)) }

// inOrder are counts in words, the largest first.
func inOrder(counts map[string]int64) string {
	var words []string
	for _, why := range slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a, b))
	}) {
		words = append(words, fmt.Sprintf("%s %d", why, counts[why]))
	}
	return strings.Join(words, ", ")
}
