package main

import (
	"math"
	"strconv"
)

// goal is a ratio that a contender is to reach against another one, round by round, under every load of a kind.
type goal struct {
	kind             kind
	contender, rival string
	what             string
	pick             func(result) float64
	limit            float64
	// least: the ratio is to be at least the limit, not at most.
	least bool
}

var goals = []goal{
	{kindSession, "howdah", base, "CPU", cpuOf, 1.2, false},
	{kindSession, "howdah3", base, "CPU", cpuOf, 1.2, false},
	{kindSession, "howdah", "pgpool", "CPU", cpuOf, 0.5, false},
	{kindSession, "howdah3", "pgpool3", "CPU", cpuOf, 0.5, false},
	{kindShared, "howdah", base, "CPU", cpuOf, 1, false},
	{kindShared, "howdah3", base, "CPU", cpuOf, 1, false},
	{kindWrites, "howdah", base, "CPU", cpuOf, 1, false},
	{kindStorm, "howdah", base, "logins/s", tpsOf, 1, true},
	{kindRows, "howdah", "haproxy", "CPU", cpuOf, 1.1, false},
	{kindCopy, "howdah", "haproxy", "CPU", cpuOf, 1.1, false},
}

// goalTable holds what was found against the goals.
func (r report) goalTable() table {
	t := table{title: goalsTitle, header: []string{"load", "contender", "against", "ratio of", "goal", "found", "95 %", "met"}}
	for _, g := range goals {
		for _, l := range r.loads {
			s, ok := r.results[l][g.contender]
			if !ok || l.kind != g.kind {
				continue
			}
			found := ratios(s.column(g.pick), r.results[l][g.rival].column(g.pick))
			verdict := g.met(found)
			if r.onlyPrimary(g.contender) {
				verdict = "no: nothing was routed"
			}
			limit := "≤ "
			if g.least {
				limit = "≥ "
			}
			t.rows = append(t.rows, []string{l.title(), g.contender, g.rival, g.what, limit + strconv.FormatFloat(g.limit, 'f', 1, 64),
				number(median(found), 2), between(found), verdict})
		}
	}
	return t
}

// met is the verdict: by the median, and whether the rounds were enough to show it. A ratio that could not be taken is neither met nor missed.
func (g goal) met(found []float64) string {
	reached := func(ratio float64) bool {
		if g.least {
			return ratio >= g.limit
		}
		return ratio <= g.limit
	}
	middle := median(found)
	verdict := met(reached(middle), middle)
	low, high := confidence(found)
	if verdict != "-" && (math.IsNaN(low) || reached(low) != reached(high)) {
		verdict += ", not shown"
	}
	return verdict
}

// between prints where the median of what the values are a sample of lies.
func between(values []float64) string {
	low, high := confidence(values)
	if math.IsNaN(low) {
		return "-"
	}
	return number(low, 2) + "–" + number(high, 2)
}
