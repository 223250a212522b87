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
	"strconv"
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

// contender is a proxy that takes part, and how often the primary behind it is killed.
type contender struct {
	name  string
	kills int
}

// contenders reads "howdah,howdah-fast,pgpool:10": who takes part, and how many kills if not as many as the others.
func contenders(text string, kills int) ([]contender, error) {
	var all []contender
	for word := range strings.SplitSeq(text, ",") {
		name, number, own := strings.Cut(word, ":")
		c := contender{name, kills}
		if own {
			var err error
			if c.kills, err = strconv.Atoi(number); err != nil {
				return nil, fmt.Errorf("-proxies: %q: %w", word, err)
			}
		}
		if c.name == "" || c.kills < 1 {
			return nil, fmt.Errorf("-proxies: %q is no name with a number of kills", word)
		}
		all = append(all, c)
	}
	return all, nil
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("failoverbench", flag.ContinueOnError)
	flags.SetOutput(progress)
	kills := flags.Int("kills", 50, "how often the primary is killed behind each proxy")
	clients := flags.Int("clients", 8, "how many clients write")
	program := flags.String("howdah", "bin/howdah", "howdah's binary")
	names := flags.String("proxies", "howdah,howdah-fast,pgpool:10", "who takes part, comma separated; NAME:KILLS for fewer or more kills")
	markdown := flags.String("markdown", "", "write a page in Markdown to this file")
	limit := flags.Duration("limit", 40*time.Minute, "how long the kills of one proxy may take; the last one begins before")
	if err := flags.Parse(args); err != nil {
		return err
	}
	all, err := contenders(*names, *kills)
	if err != nil {
		return err
	}
	var done []*outcome
	var failed error
	for _, c := range all {
		o := &outcome{name: c.name}
		if err := measure(ctx, o, *program, c.kills, *clients, *limit, progress); err != nil {
			o.problem = err.Error()
			failed = errors.Join(failed, fmt.Errorf("%s: %w", c.name, err))
		}
		fmt.Fprintln(out, o.text()) // what was measured is not lost with the rest
		if done = append(done, o); ctx.Err() != nil {
			break
		}
	}
	if *markdown != "" {
		failed = errors.Join(failed, os.WriteFile(*markdown, []byte(page(done, facts(*program), *clients)), 0o644))
	}
	return failed
}

// measure kills the primary behind one proxy and notes in o what became of it, as far as it came.
func measure(ctx context.Context, o *outcome, program string, kills, clients int, limit time.Duration, progress io.Writer) error {
	name := o.name
	dir, err := os.MkdirTemp("/tmp", "fobench") // a socket's path must be short
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)                      //nolint:errcheck // a temporary directory
	if err := os.Chmod(dir, 0o755); err != nil { // the servers are another user's
		return err
	}
	// The list of synchronous standbys is the same on all: a commit waits for one of the others.
	cluster, err := pgcluster.New(dir+"/pg", pgcluster.Options{Standbys: 2, Settings: map[string]string{
		"synchronous_standby_names": "ANY 1 (node0, node1, node2)", "wal_log_hints": "on", "full_page_writes": "on"}})
	if err != nil {
		return err
	}
	defer cluster.Close() //nolint:errcheck // the measurement is over
	if err := cluster.Start(ctx); err != nil {
		return err
	}
	if err := cluster.Exec(ctx, 0, "postgres", "CREATE TABLE inserts (id bigint PRIMARY KEY)"); err != nil {
		return err
	}
	p, err := startProxy(ctx, name, program, dir, cluster)
	if err != nil {
		return err
	}
	defer p.stop()
	w := startWriters(ctx, p.dsn(), clients)
	defer w.stop()
	primary, began := 0, time.Now()
	for n := range kills {
		if time.Since(began) > limit {
			fmt.Fprintf(progress, "%s: %d kills have taken %v; that is enough (-limit)\n", name, n, limit)
			break
		}
		started := time.Now()
		if err := w.settle(ctx, 20, longWait); err != nil {
			return fmt.Errorf("kill %d: writers do not write: %w", n+1, err)
		}
		w.begin()
		if err := cluster.Kill(primary); err != nil {
			return err
		}
		next, err := newPrimary(ctx, cluster, primary)
		if err != nil {
			return fmt.Errorf("kill %d: %w", n+1, err)
		}
		stuck := w.settle(ctx, 50, patience) != nil
		pause := w.end()
		if err := rejoin(ctx, cluster, p, primary, next); err != nil {
			return fmt.Errorf("kill %d: bring node%d back: %w", n+1, primary, err)
		}
		if stuck { // until all servers were there again
			o.stuck++
			if err := w.settle(ctx, 50, longWait); err != nil {
				return fmt.Errorf("kill %d: writers do not go on: %w", n+1, err)
			}
			pause = w.end()
		}
		o.pauses = append(o.pauses, pause)
		fmt.Fprintf(progress, "%s: kill %d of %d: node%d was the primary, now node%d; pause %v, all over in %v\n", name, n+1, kills, primary, next,
			pause.Round(time.Millisecond), time.Since(started).Round(100*time.Millisecond))
		primary = next
	}
	return w.finish(ctx, cluster, primary, o)
}

// patience is how long writers may take to go on by themselves; longWait is for what only a defect can take so long.
const (
	patience = 30 * time.Second
	longWait = 5 * time.Minute
)

// newPrimary waits until another node than old has left recovery.
func newPrimary(ctx context.Context, cluster *pgcluster.Cluster, old int) (int, error) {
	for end := time.Now().Add(longWait); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
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

// rejoin makes the old primary a standby of the new one, and the other one too if it does not follow by itself (it had
// received more than the one that was promoted), and waits until the proxy uses all nodes.
func rejoin(ctx context.Context, cluster *pgcluster.Cluster, p *proxy, old, primary int) error {
	if err := cluster.WaitGone(ctx, old); err != nil {
		return err
	}
	if err := rewind(ctx, cluster, old, primary); err != nil {
		return err
	}
	for i := range cluster.Nodes() {
		if i == old || i == primary || streams(ctx, cluster, i) {
			continue
		}
		if err := cluster.StopNode(i); err != nil {
			return err
		}
		if err := rewind(ctx, cluster, i, primary); err != nil {
			return err
		}
	}
	return p.waitUp(ctx, cluster.Nodes())
}

// rewind makes a stopped node a standby of the primary and starts it.
func rewind(ctx context.Context, cluster *pgcluster.Cluster, i, primary int) error {
	if err := cluster.Rewind(ctx, i, primary); err != nil {
		return err
	}
	return cluster.StartNode(ctx, i)
}

// streams reports whether node i receives from its upstream, which it may take a while to do.
func streams(ctx context.Context, cluster *pgcluster.Cluster, i int) bool {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		got, err := cluster.Value(ctx, i, "postgres", "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'")
		if err == nil && got == "1" {
			return true
		}
	}
	return false
}
