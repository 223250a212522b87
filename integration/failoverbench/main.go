package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/howdah/howdah/integration/pgcluster"
)

func main() {
	runtime.LockOSThread() // children die with the thread that started them
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "failoverbench:", err)
		os.Exit(1)
	}
}

// outcome is what the kills did to the clients of one proxy.
type outcome struct {
	name         string
	pauses       []time.Duration
	errors       int
	disconnected int
	lost         int // acknowledged writes that are gone
	writes       int
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("failoverbench", flag.ContinueOnError)
	flags.SetOutput(progress)
	kills := flags.Int("kills", 50, "how often the primary is killed, for each proxy")
	clients := flags.Int("clients", 8, "how many clients write")
	program := flags.String("howdah", "bin/howdah", "howdah's binary")
	names := flags.String("proxies", "howdah,howdah-fast,pgpool", "who takes part, comma separated")
	markdown := flags.Bool("markdown", false, "print a table in Markdown")
	limit := flags.Duration("limit", 40*time.Minute, "how long the kills of one proxy may take; the last one begins before")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var all []*outcome
	for name := range strings.SplitSeq(*names, ",") {
		o, err := measure(ctx, name, *program, *kills, *clients, *limit, progress)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, o)
	}
	if *markdown {
		fmt.Fprint(out, table(all))
		return nil
	}
	for _, o := range all {
		fmt.Fprintln(out, o.text())
	}
	return nil
}

// measure kills the primary behind one proxy.
func measure(ctx context.Context, name, program string, kills, clients int, limit time.Duration, progress io.Writer) (*outcome, error) {
	dir, err := os.MkdirTemp("/tmp", "fobench") // a socket's path must be short
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)                      //nolint:errcheck // a temporary directory
	if err := os.Chmod(dir, 0o755); err != nil { // the servers are another user's
		return nil, err
	}
	// The list of synchronous standbys is the same on all: a commit waits for one of the others.
	cluster, err := pgcluster.New(dir+"/pg", pgcluster.Options{Standbys: 2, Settings: map[string]string{
		"synchronous_standby_names": "ANY 1 (node0, node1, node2)", "wal_log_hints": "on", "full_page_writes": "on"}})
	if err != nil {
		return nil, err
	}
	defer cluster.Close() //nolint:errcheck // the measurement is over
	if err := cluster.Start(ctx); err != nil {
		return nil, err
	}
	if err := cluster.Exec(ctx, 0, "postgres", "CREATE TABLE inserts (id bigint PRIMARY KEY)"); err != nil {
		return nil, err
	}
	p, err := startProxy(ctx, name, program, dir, cluster)
	if err != nil {
		return nil, err
	}
	defer p.stop()
	o := &outcome{name: name}
	w := startWriters(ctx, p.dsn(), clients)
	primary, began := 0, time.Now()
	for n := range kills {
		if time.Since(began) > limit {
			fmt.Fprintf(progress, "%s: %d kills have taken %v; that is enough (-limit)\n", name, n, limit)
			break
		}
		if err := w.settle(ctx, 20); err != nil {
			return nil, fmt.Errorf("kill %d: writers do not write: %w", n+1, err)
		}
		w.begin()
		if err := cluster.Kill(primary); err != nil {
			return nil, err
		}
		next, err := newPrimary(ctx, cluster, primary)
		if err != nil {
			return nil, fmt.Errorf("kill %d: %w", n+1, err)
		}
		if err := w.settle(ctx, 50); err != nil {
			return nil, fmt.Errorf("kill %d: writers do not go on: %w", n+1, err)
		}
		pause := w.end()
		o.pauses = append(o.pauses, pause)
		fmt.Fprintf(progress, "%s: kill %d of %d: node%d was the primary, now node%d; pause %v\n", name, n+1, kills, primary, next, pause.Round(time.Millisecond))
		if err := rejoin(ctx, cluster, p, primary, next); err != nil {
			return nil, fmt.Errorf("kill %d: bring node%d back: %w", n+1, primary, err)
		}
		primary = next
	}
	return o, w.finish(ctx, cluster, primary, o)
}

// newPrimary waits until another node than old has left recovery.
func newPrimary(ctx context.Context, cluster *pgcluster.Cluster, old int) (int, error) {
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		for i := range cluster.Nodes() {
			if i == old {
				continue
			}
			if got, err := cluster.Value(ctx, i, "postgres", "SELECT pg_is_in_recovery()"); err == nil && got == "false" {
				return i, nil
			}
		}
	}
	return 0, errors.Join(errors.New("nobody was promoted"), ctx.Err())
}

// rejoin makes the old primary a standby of the new one and waits until the proxy uses all nodes.
func rejoin(ctx context.Context, cluster *pgcluster.Cluster, p *proxy, old, primary int) error {
	if err := cluster.WaitGone(ctx, old); err != nil {
		return err
	}
	if err := cluster.Rewind(ctx, old, primary); err != nil {
		return err
	}
	if err := cluster.StartNode(ctx, old); err != nil {
		return err
	}
	if err := cluster.WaitStreaming(ctx); err != nil {
		return err
	}
	return p.waitUp(ctx, cluster.Nodes())
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
	fmt.Fprintf(&b, "  %d writes; %d errors, %d disconnections, %d acknowledged writes lost\n", o.writes, o.errors, o.disconnected, o.lost)
	from := time.Duration(0)
	for i, n := range o.classes() {
		if n > 0 {
			fmt.Fprintf(&b, "  %6v to %6v %3d %s\n", from, bounds[i], n, strings.Repeat("#", n))
		}
		from = bounds[i]
	}
	return b.String()
}

// table is what became of all proxies, and below it the histograms side by side, in Markdown.
func table(all []*outcome) string {
	var b strings.Builder
	b.WriteString("| | kills | median | p90 | p99 | longest | errors | disconnections | acknowledged and lost |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, o := range all {
		fmt.Fprintf(&b, "| %s | %d | %v | %v | %v | %v | %d | %d | %d |\n", o.name, len(o.pauses),
			o.quantile(0.5), o.quantile(0.9), o.quantile(0.99), o.quantile(1), o.errors, o.disconnected, o.lost)
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
