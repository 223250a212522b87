package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/howdah/howdah/integration/machine"
	"github.com/howdah/howdah/integration/pgcluster"
)

// The database is not "postgres", which Pgpool-II never pools.
const (
	benchUser     = "postgres"
	benchDatabase = "bench"
	serverNodes   = 3
)

func main() {
	// All children are started by this goroutine; see diesWithUs.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the whole benchmark; when it returns nothing it started is left.
func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	o, err := parseOptions(args, progress)
	if err != nil {
		return err
	}
	chosen, err := selectContenders(contenders(), o.contenders)
	if err != nil {
		return err
	}
	programs, err := findPrograms(chosen, o.howdah)
	if err != nil {
		return err
	}
	if err := raiseFileLimit(max(o.idle, slices.Max(append(o.shared, 0))) + maxConnections(o) + 512); err != nil {
		return err
	}
	ctx, cancel := withParent(ctx)
	defer cancel()
	scheduled, restore, err := ungroup(groupingFile, o.grouped)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, restore()) }()
	dir, acc, err := workDir()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	rep, err := benchmark(ctx, o, chosen, programs, dir, acc, progress)
	rep.facts = append(rep.facts, [2]string{"Processors are shared out", scheduled})
	if ctx.Err() != nil {
		return fmt.Errorf("ended early: %w", context.Cause(ctx)) // err only tells what that interrupted
	}
	if len(rep.results) == 0 && len(rep.idle) == 0 {
		return err
	}
	// What was measured is not lost with what failed.
	rep.command = strings.TrimSpace("go run ./integration/bench " + strings.Join(args, " "))
	fmt.Fprint(out, "\n"+rep.text())
	if o.markdown == "" {
		return err
	}
	if writing := writePage(o.markdown, rep.markdown()); writing != nil {
		err = errors.Join(err, fmt.Errorf("write report: %w", writing))
	}
	return err
}

// writePage brings a report into the page that there is, or begins one.
func writePage(file, report string) error {
	was, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	p, ok := parsePage(string(was))
	if !ok && len(was) > 0 {
		return fmt.Errorf("%s is no page of the benchmark's", file)
	}
	newer, _ := parsePage(report)
	return os.WriteFile(file, []byte(p.with(newer).text()), 0o644)
}

// benchmark makes the servers, then measures the load, then the idle clients. The report has what was measured, whatever the error.
func benchmark(ctx context.Context, o options, chosen []contender, programs map[string]string,
	dir string, acc account, progress io.Writer) (report, error) {
	rep := report{rounds: o.rounds, seconds: o.seconds, loads: o.loads(), field: chosen}
	fmt.Fprintf(progress, "starting PostgreSQL, filling %s at scale %d\n", benchDatabase, o.scale)
	shows, err := makeCertificate(dir, acc)
	if err != nil {
		return rep, err
	}
	cluster, err := startCluster(ctx, filepath.Join(dir, "pg"), maxConnections(o), shows)
	if cluster != nil {
		defer cluster.Close() //nolint:errcheck // the measurement does not depend on it
	}
	if err != nil {
		return rep, err
	}
	bench := pgbench{path: cluster.Program("pgbench"), user: benchUser, database: benchDatabase,
		seconds: o.seconds, jobs: o.jobs, sampling: o.sampling, dir: filepath.Join(dir, "log")}
	if err := fillDatabase(ctx, cluster, bench, o.scale); err != nil {
		return rep, err
	}
	rep.facts, err = allFacts(ctx, cluster, programs, bench, o)
	if err != nil {
		return rep, err
	}
	l := launcher{dir: dir, account: acc, programs: programs, connections: maxConnections(o) - 50,
		shows: shows, user: benchUser, database: benchDatabase}
	for i := range cluster.Nodes() {
		l.nodes = append(l.nodes, cluster.Port(i))
	}
	if o.profile != "" {
		l.profiler = &profiler{dir: dir}
	}
	m := measurer{bench: bench, proc: procfs{root: "/proc"}, rounds: o.rounds, progress: progress}
	if len(rep.loads) > 0 {
		readers := func(ctx context.Context) ([]int, error) { return countReaders(ctx, cluster) }
		rep.results = results{}
		for _, k := range kinds {
			loads := slices.DeleteFunc(slices.Clone(rep.loads), func(ld load) bool { return ld.kind != k })
			field := k.fieldOf(chosen)
			if len(loads) == 0 || len(field) == 0 {
				continue
			}
			l.kind = k
			found, routing, err := measureLoads(ctx, l, m, field, loads, readers)
			if err != nil {
				rep.fail(k, err)
				if fmt.Fprintf(progress, "%s: %v\n", k, err); ctx.Err() != nil {
					break
				}
				continue
			}
			maps.Copy(rep.results, found)
			if k == kindSession {
				rep.routing = routing
			}
		}
		l.kind = kindSession
	}
	if rep.idle, err = measureIdle(ctx, l, m, chosen, o, cluster); err == nil && l.profiler != nil {
		err = l.profiler.write(ctx, o.profile)
	}
	return rep, errors.Join(append(rep.failed, err)...)
}

// measureLoads measures all rounds. Each has processes of its own: how fast one is depends on where its memory lies, which a median over
// the rounds of one process would know nothing of.
func measureLoads(ctx context.Context, l launcher, m measurer, chosen []contender, loads []load,
	readers func(context.Context) ([]int, error)) (results, []routed, error) {
	busiest := slices.MaxFunc(loads, func(a, b load) int { return a.clients - b.clients })
	all := results{}
	var routing []routed
	for round := range m.rounds {
		where, err := measureRound(ctx, l, m, chosen, loads, busiest, round, all, readers)
		if err != nil {
			return nil, nil, err
		}
		routing = append(routing, where...)
	}
	return all, routing, nil
}

// measureRound starts the whole field, measures, and stops it. In the first round it looks where the reads go.
func measureRound(ctx context.Context, l launcher, m measurer, chosen []contender, loads []load, busiest load, round int, all results,
	readers func(context.Context) ([]int, error)) (routing []routed, err error) {
	var field []running
	defer func() {
		for _, r := range field {
			r.stop()
		}
	}()
	// Some more than pgbench's clients: the last turn's may still be leaving, and in a storm the connection that each of them had before.
	places := busiest.clients + 16
	if busiest.kind == kindStorm {
		places += busiest.clients
	}
	for _, c := range chosen {
		r, err := l.start(ctx, c, fmt.Sprintf("%s-%s-%d", c.name, busiest.kind, round), places)
		if err != nil {
			return nil, err
		}
		field = append(field, r)
		if busiest.kind.streams() {
			continue
		}
		if err := m.bench.warmUp(ctx, r.port, busiest); err != nil {
			return nil, r.explain(err)
		}
	}
	for _, r := range field {
		if r.nodes == 1 || busiest.kind != kindSession || round > 0 {
			continue
		}
		where, err := m.lookRouting(ctx, r, busiest, readers)
		if err != nil {
			return nil, err
		}
		routing = append(routing, where)
	}
	wait := func() error { return nil }
	if l.profiler != nil {
		wait = l.profiler.during(ctx, fmt.Sprintf("%s-%s-%d", profiled, busiest.kind, round), len(loads)*m.bench.seconds)
	}
	return routing, errors.Join(m.round(ctx, field, loads, round, all), wait())
}

// measureIdle measures those that take thousands of clients with few server
// connections. HAProxy opens one for each client; Pgpool-II forks a process.
func measureIdle(ctx context.Context, l launcher, m measurer, chosen []contender, o options, cluster *pgcluster.Cluster) ([]idleResult, error) {
	if o.idle == 0 {
		return nil, nil
	}
	im := idleMeasurer{launcher: l, proc: m.proc, clients: o.idle, served: o.idleBusy, progress: m.progress,
		serverConnections: func(ctx context.Context) (int, error) { return countConnections(ctx, cluster) }}
	var all []idleResult
	for _, c := range chosen {
		if !slices.Contains([]string{"howdah", "howdah3", "pgbouncer"}, c.name) {
			continue
		}
		r, err := im.measure(ctx, c)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

func allFacts(ctx context.Context, cluster *pgcluster.Cluster, programs map[string]string, bench pgbench, o options) (machine.Facts, error) {
	version, err := cluster.Value(ctx, 0, "postgres", "SHOW server_version")
	if err != nil {
		return nil, err
	}
	f := append(machine.Here(), [2]string{"PostgreSQL", version})
	f = append(f, versions(programs, bench.path)...)
	return append(f, [2]string{"Load", fmt.Sprintf("pgbench -S (-N for what writes), scale %d, %d threads (-j)", o.scale, o.jobs)}), nil
}

// versions are what every program says of itself.
func versions(programs map[string]string, pgbenchPath string) machine.Facts {
	var f machine.Facts
	for _, p := range []struct{ name, key, flag string }{
		{"howdah", "howdah", "version"},
		{"PgBouncer", "pgbouncer", "--version"},
		{"HAProxy", "haproxy", "-v"},
		{"Pgpool-II", "pgpool", "--version"},
	} {
		if path := programs[p.key]; path != "" {
			f = append(f, [2]string{p.name, machine.FirstLine(path, p.flag)})
		}
	}
	return append(f, [2]string{"pgbench", machine.FirstLine(pgbenchPath, "--version")})
}

// workDir is a temporary directory that the server account may enter.
func workDir() (string, account, error) {
	acc, err := serverAccount()
	if err != nil {
		return "", acc, err
	}
	dir, err := os.MkdirTemp("", "howdah-bench-")
	if err != nil {
		return "", acc, fmt.Errorf("make a temporary directory: %w", err)
	}
	err = os.Chmod(dir, 0o755)
	if err == nil {
		err = os.Mkdir(filepath.Join(dir, "log"), 0o700)
	}
	if err != nil {
		os.RemoveAll(dir) //nolint:errcheck // the first error is the one to tell
		return "", acc, fmt.Errorf("prepare the temporary directory: %w", err)
	}
	return dir, acc, nil
}

// raiseFileLimit lets us, and each of our children, have so many open files: a
// proxy needs one for each client and each server connection, and some more.
func raiseFileLimit(need int) error {
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	want := uint64(need)
	// Set also when it suffices already: only a limit that was set explicitly is
	// passed on by Go to children.
	lim.Cur = max(lim.Cur, want)
	lim.Max = max(lim.Max, lim.Cur)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return fmt.Errorf("raise the limit of open files to %d: %w; run as root, raise `ulimit -Hn`, or lower -idle", want, err)
	}
	return nil
}

// withParent ends ctx when `go run` is killed, which does not pass that on to
// the program it runs.
func withParent(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	parent := os.Getppid()
	if name, err := os.ReadFile("/proc/" + strconv.Itoa(parent) + "/comm"); err != nil || strings.TrimSpace(string(name)) != "go" {
		return ctx, func() { cancel(nil) }
	}
	go func() { // ends with ctx, which run cancels
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if os.Getppid() != parent {
					cancel(errors.New("the go command that ran us has ended"))
					return
				}
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}
