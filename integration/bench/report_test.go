package main

import (
	"math"
	"strings"
	"testing"

	"github.com/howdah/howdah/integration/machine"
)

// sampleReport has two rounds, of which the second is slower for all.
func sampleReport() report {
	l := load{kind: kindSession, mode: "simple", clients: 8}
	field := []contender{
		{name: "direct", about: "no proxy", nodes: 1},
		{name: "howdah3", about: "three backends, reads routed", nodes: 3},
		{name: "pgbouncer", about: "session mode", nodes: 1},
		{name: "pgpool3", about: "three backends, reads routed", nodes: 3},
	}
	return report{
		facts:   machine.Facts{{"Date", "2026-01-02"}, {"CPU", "an example, 2 cores"}},
		command: "go run ./integration/bench -rounds 2",
		rounds:  2, seconds: 4, loads: []load{l}, field: field,
		results: results{l: {
			"direct":    {{40000, 0.2, 0.2, 0.4, math.NaN()}, {20000, 0.4, 0.4, 0.8, math.NaN()}},
			"howdah3":   {{30000, 0.25, 0.25, 0.5, 15}, {15000, 0.5, 0.5, 1, 30}},
			"pgbouncer": {{30000, 0.25, 0.25, 0.5, 15}, {15000, 0.5, 0.5, 1, 30}},
			"pgpool3":   {{10000, 0.8, 0.8, 2, 50}, {5000, 1.6, 1.6, 4, 100}},
		}},
		routing: []routed{{"howdah3", []int{3, 2, 3}}, {"pgpool3", []int{2, 3, 3}}},
		idle: []idleResult{
			{name: "howdah3", clients: 10000, empty: 20 << 20, loggedIn: 9 << 10, served: 200, servedMore: 30 << 10, servedHolds: 199},
			{name: "pgbouncer", clients: 10000, empty: 8 << 20, loggedIn: 1 << 10, served: 0, servedMore: math.NaN()},
		},
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	runCases(t, "report.txt", func(_ *testing.T, input string) string {
		if strings.HasPrefix(input, "# markdown") {
			return sampleReport().markdown()
		}
		return sampleReport().text()
	})
}

func TestGoalsMissedOrUnknown(t *testing.T) {
	t.Parallel()
	r := sampleReport()
	l := r.loads[0]
	verdict := func() string {
		rows := r.goalTable().rows
		return rows[0][len(rows[0])-1]
	}
	rounds := func(howdah float64, more ...float64) {
		r.results[l]["howdah3"], r.results[l]["pgbouncer"] = nil, nil
		for i := range 6 {
			cpu := howdah
			if i < len(more) {
				cpu = more[i]
			}
			r.results[l]["howdah3"] = append(r.results[l]["howdah3"], result{cpu: cpu})
			r.results[l]["pgbouncer"] = append(r.results[l]["pgbouncer"], result{cpu: 10})
		}
	}
	if got := verdict(); got != "yes, not shown" {
		t.Errorf("at par with PgBouncer in two rounds: met is %q", got)
	}
	rounds(11)
	if got := verdict(); got != "yes" {
		t.Errorf("a tenth above PgBouncer in six rounds: met is %q", got)
	}
	rounds(11, 13)
	if got := verdict(); got != "yes, not shown" {
		t.Errorf("and three tenths in one of them: met is %q", got)
	}
	rounds(14, 11)
	if got := verdict(); got != "no, not shown" {
		t.Errorf("in all but one of them: met is %q", got)
	}
	rounds(14)
	if got := verdict(); got != "no" {
		t.Errorf("four tenths above PgBouncer: met is %q", got)
	}
	rounds(1)
	r.routing[0].sessions = []int{8, 0, 0}
	if got := verdict(); got != "no: nothing was routed" {
		t.Errorf("cheap, but all reads on the primary: met is %q", got)
	}
	r.routing[0].sessions = []int{0, 8, 0}
	delete(r.results[l], "pgbouncer")
	if got := verdict(); got != "-" {
		t.Errorf("without PgBouncer: met is %q", got)
	}
}

// What shall be high is not met by being low.
func TestGoalOfLogins(t *testing.T) {
	t.Parallel()
	g := goal{limit: 1, least: true}
	for want, ratio := range map[string]float64{"yes": 1.1, "no": 0.9} {
		if got := g.met([]float64{ratio, ratio, ratio, ratio, ratio, ratio}); got != want {
			t.Errorf("%v: met is %q", ratio, got)
		}
	}
}
