package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/howdah/howdah/integration/machine"
)

// goalIdleBytes is how much memory an idle client may take.
const goalIdleBytes = 8 << 10

// report is everything that a run found.
type report struct {
	facts   machine.Facts
	command string
	rounds  int
	seconds int
	loads   []load
	field   []contender
	results results
	routing []routed
	idle    []idleResult
	// failed is what could not be measured, and why.
	failed []error
}

// fail notes that nothing was measured of a kind.
func (r *report) fail(k kind, err error) {
	r.failed = append(r.failed, fmt.Errorf("%s: %w", k, err))
	r.loads = slices.DeleteFunc(r.loads, func(l load) bool { return l.kind == k })
}

// table is a titled table; the first column is text, the rest numbers.
type table struct {
	title  string
	note   string // of how it was measured
	header []string
	rows   [][]string
}

// tables are one for each load, then the goals, the routing and the idle clients.
func (r report) tables() []table {
	var all []table
	for _, l := range r.loads {
		t := r.loadTable(l)
		t.note = fmt.Sprintf("%d rounds of %d s.", r.rounds, r.seconds)
		if len(r.facts) > 0 {
			t.note = r.facts[0][1] + ", " + t.note // the date
		}
		all = append(all, t)
	}
	if g := r.goalTable(); len(g.rows) > 0 {
		all = append(all, g)
	}
	if len(r.routing) > 0 {
		all = append(all, r.routingTable())
	}
	if len(r.idle) > 0 {
		all = append(all, r.idleTable())
	}
	return all
}

func (r report) loadTable(l load) table {
	t := table{
		title:  l.title(),
		header: []string{"contender", "tps", "÷ PgBouncer", "avg ms", "p50 ms", "p99 ms", "p99/p50", "CPU µs/tx", "÷ PgBouncer", "95 %"},
	}
	if l.kind.streams() {
		t.header = []string{"contender", "MB/s", "÷ PgBouncer", "CPU ms/MB", "÷ PgBouncer", "95 %"}
	}
	ref := r.results[l][base]
	limits := func(name string, cpu []float64) string {
		if name == base {
			return "-" // it is 1
		}
		return between(ratios(cpu, ref.column(cpuOf)))
	}
	for _, c := range l.kind.fieldOf(r.field) {
		s := r.results[l][c.name]
		tps, cpu := s.column(tpsOf), s.column(cpuOf)
		if l.kind.streams() {
			t.rows = append(t.rows, []string{
				c.name + " (" + c.about + ")",
				number(median(tps), 0), number(medianRatio(tps, ref.column(tpsOf)), 2),
				number(median(cpu), 3), number(medianRatio(cpu, ref.column(cpuOf)), 2), limits(c.name, cpu),
			})
			continue
		}
		t.rows = append(t.rows, []string{
			c.name + " (" + c.about + ")",
			number(median(tps), 0),
			number(medianRatio(tps, ref.column(tpsOf)), 2),
			number(median(s.column(averageOf)), 3),
			number(median(s.column(p50Of)), 3),
			number(median(s.column(p99Of)), 3),
			number(median(s.column(tailOf)), 1),
			number(median(cpu), 1),
			number(medianRatio(cpu, ref.column(cpuOf)), 2),
			limits(c.name, cpu),
		})
	}
	return t
}

// onlyPrimary reports whether a contender that was to route was seen to read
// from the primary alone: its CPU time is then not that of routing.
func (r report) onlyPrimary(name string) bool {
	for _, where := range r.routing {
		if where.name == name {
			return len(where.sessions) > 1 && slices.Max(where.sessions[1:]) == 0
		}
	}
	return false
}

func (r report) routingTable() table {
	t := table{title: "Sessions by the node that served their reads, at one moment",
		header: []string{"contender", "primary"}}
	for i := 1; i < len(r.routing[0].sessions); i++ {
		t.header = append(t.header, fmt.Sprintf("standby %d", i))
	}
	for _, where := range r.routing {
		row := []string{where.name}
		for _, n := range where.sessions {
			row = append(row, strconv.Itoa(n))
		}
		t.rows = append(t.rows, row)
	}
	return t
}

func (r report) idleTable() table {
	t := table{
		title: "Resident memory of idle clients",
		header: []string{"contender", "clients", "MB with none", "kB each, logged in", "servers held",
			"then served", "kB more each", "servers held", fmt.Sprintf("logged in ≤ %d kB", goalIdleBytes>>10)},
	}
	for _, i := range r.idle {
		t.rows = append(t.rows, []string{
			i.name, strconv.Itoa(i.clients), number(float64(i.empty)/(1<<20), 1),
			number(i.loggedIn/1024, 2), strconv.Itoa(i.loggedInHolds),
			strconv.Itoa(i.served), number(i.servedMore/1024, 2), strconv.Itoa(i.servedHolds),
			met(i.loggedIn <= goalIdleBytes, i.loggedIn),
		})
	}
	return t
}

// met is the verdict on one value, or "-" if it is missing.
func met(ok bool, v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case ok:
		return "yes"
	default:
		return "no"
	}
}

// number prints v with so many decimals; "-" if it was not measured.
func number(v float64, decimals int) string {
	if math.IsNaN(v) {
		return "-"
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// text is the report for a terminal.
func (r report) text() string {
	var b strings.Builder
	for _, f := range r.facts {
		fmt.Fprintf(&b, "%-12s %s\n", f[0], f[1])
	}
	for _, t := range r.tables() {
		b.WriteString("\n" + t.text())
	}
	return b.String()
}

func (t table) text() string {
	widths := make([]int, len(t.header))
	lines := append([][]string{t.header}, t.rows...)
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	b.WriteString(t.title + "\n")
	for _, line := range lines {
		for i, cell := range line {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				b.WriteString("  " + cell + pad)
			} else {
				b.WriteString("  " + pad + cell)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (t table) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", t.title)
	if t.note != "" {
		b.WriteString(t.note + "\n\n")
	}
	fmt.Fprintf(&b, "| %s |\n|---|%s\n", strings.Join(t.header, " | "),
		strings.Repeat("---:|", len(t.header)-1))
	for _, row := range t.rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
	}
	return b.String()
}

// markdown is the report for docs/.
func (r report) markdown() string {
	var b strings.Builder
	b.WriteString("# Benchmarks\n\n")
	fmt.Fprintf(&b, "This page is written by the benchmark, and each run puts its part in the place of what there was of it. The last one was `%s`. `make bench` measures everything.\n\n", r.command)
	b.WriteString(methodText)
	b.WriteString(columnsText)
	b.WriteString(factsTitle + r.facts.Table())
	for _, err := range r.failed {
		reason, _, _ := strings.Cut(err.Error(), "\n")
		fmt.Fprintf(&b, "\nNot measured: %s\n", reason)
	}
	b.WriteString(resultsTitle)
	for _, t := range r.tables() {
		b.WriteString("\n" + t.markdown())
	}
	return b.String()
}

const methodText = `Real PostgreSQL servers (a primary and two streaming standbys, fsync off), pgbench's read-only script
(` + "`pgbench -S`" + `; ` + "`-N`" + ` for transactions that write) and all proxies share one machine and talk TCP over its loopback. The contenders run at
the same time and take turns under the load: A B C, B C A, C A B …, and each round has processes of its own. Each keeps its defaults, but for limits,
addresses, trusting logins, and no log lines for single connections. howdah3 and pgpool3 have all three servers
behind them and route each session's reads; the rest have the primary alone.

`

const columnsText = `Every number is the median of the rounds. Compare the ratios, not the absolute numbers, which belong to
this machine and its hour. A ratio (÷ PgBouncer) is the median of the ratios taken within each round.
*CPU µs/tx* is the time on CPU of the proxy's own processes (all threads and children, from the scheduler's
accounts) for each transaction; PostgreSQL's and pgbench's own are not in it. It is taken from a second after the last client's login
on, when all is steady, but where logins are what is measured. *95 %* is where the median ratio
lies, so surely, for what can be known from that many rounds (from six on). haproxy3 routes nothing and shows what three backends, instead of one, cost a proxy on this machine. Latencies are pgbench's: the average over all transactions, the 99th percentile over a
sample of them. *Servers held* are the server connections that exist because of the clients; *then served* clients ran one query
each after their login, and so, in session pooling, hold one.
`
