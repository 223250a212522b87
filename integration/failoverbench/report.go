package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/howdah/howdah/integration/machine"
)

// outcome is what the kills did to the clients of one proxy.
type outcome struct {
	name         string
	pauses       []time.Duration
	errors       int
	disconnected int
	lost         int // acknowledged writes that are gone
	stuck        int // how often writes went on only when all servers were there again
	writes       int
	problem      string // why there are fewer kills than wanted, if that is so
}

// bounds are those of the histogram's classes; the first begins at 0.
var bounds = []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 1500 * time.Millisecond, 2 * time.Second, 3 * time.Second,
	5 * time.Second, 10 * time.Second, 20 * time.Second, time.Minute, time.Hour}

// classes counts the pauses of each class.
func (o *outcome) classes() []int {
	counts := make([]int, len(bounds))
	for _, p := range o.pauses {
		if i, _ := slices.BinarySearch(bounds, p+1); i < len(bounds) {
			counts[i]++
		}
	}
	return counts
}

// quantile is the pause than which so many of all are not longer; 0 without any.
func (o *outcome) quantile(q float64) time.Duration {
	if len(o.pauses) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(o.pauses))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)].Round(10 * time.Millisecond)
}

// text is a histogram of the pauses.
func (o *outcome) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d kills, pause of writes: median %v, p90 %v, p99 %v, longest %v\n", o.name, len(o.pauses),
		o.quantile(0.5), o.quantile(0.9), o.quantile(0.99), o.quantile(1))
	fmt.Fprintf(&b, "  %d writes; %d errors, %d disconnections, %d acknowledged writes lost; %d times stuck\n", o.writes, o.errors, o.disconnected, o.lost, o.stuck)
	if o.problem != "" {
		fmt.Fprintf(&b, "  it did not come to the end: %s\n", o.problem)
	}
	from := time.Duration(0)
	for i, n := range o.classes() {
		if n > 0 {
			fmt.Fprintf(&b, "  %6v to %6v %3d %s\n", from, bounds[i], n, strings.Repeat("#", n))
		}
		from = bounds[i]
	}
	return b.String()
}

// facts are where it was measured, and with what.
func facts(howdah string) machine.Facts {
	return append(machine.Here(),
		[2]string{"howdah", machine.FirstLine(howdah, "version")},
		[2]string{"Pgpool-II", machine.FirstLine(pgpoolProgram, "--version")},
		[2]string{"PostgreSQL", machine.FirstLine("/usr/bin/psql", "--version")})
}

// page is a page of documentation: how it was measured, where, and what came out.
func page(all []*outcome, where machine.Facts, clients int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# How long writes pause when the primary is killed

This page is written by the benchmark: `+"`make bench-failover FAILOVER_TABLE=docs/BENCHMARKS-FAILOVER.md`"+`.

A primary and two standbys, of which one must confirm a commit. %d clients insert through the proxy, each statement a transaction. All processes of the
primary get SIGKILL; the pause is the longest time between two acknowledged inserts of any client around that. Then the old
primary is rewound and taken in again as a standby, and the next one is killed. howdah has its defaults but for mode native, and neither cooldown nor hold_down;
howdah-fast the fast profile of [FAILOVER.md](FAILOVER.md). Pgpool-II checks each second, the shortest that can be set, and promotes by
SQL in its failover_command; it is killed less often, as it takes longer. With up to a hundred kills p99 is the longest of them. Stuck: writes did not go on within %v,
but when the old primary was back.

%s
%s`, clients, patience, where.Table(), table(all))
	for _, o := range all {
		if o.problem != "" {
			fmt.Fprintf(&b, "\n%s did not come to the end: %s\n", o.name, o.problem)
		}
	}
	return b.String()
}

// table is what became of all proxies, and below it the histograms side by side, in Markdown.
func table(all []*outcome) string {
	var b strings.Builder
	b.WriteString("| | kills | median | p90 | p99 | longest | stuck | errors | disconnections | acknowledged and lost |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, o := range all {
		fmt.Fprintf(&b, "| %s | %d | %v | %v | %v | %v | %d | %d | %d | %d |\n", o.name, len(o.pauses),
			o.quantile(0.5), o.quantile(0.9), o.quantile(0.99), o.quantile(1), o.stuck, o.errors, o.disconnected, o.lost)
	}
	b.WriteString("\n| pause of writes |")
	rule := "\n|---|"
	for _, o := range all {
		fmt.Fprintf(&b, " %s |", o.name)
		rule += "---|"
	}
	b.WriteString(rule + "\n")
	from := time.Duration(0)
	for i, to := range bounds {
		row, any := fmt.Sprintf("| %v to %v |", from, to), false
		for _, o := range all {
			n := o.classes()[i]
			any = any || n > 0
			row += fmt.Sprintf(" %d |", n)
		}
		if any {
			b.WriteString(row + "\n")
		}
		from = to
	}
	return b.String()
}
