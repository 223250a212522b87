package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// load is one pgbench run, less the address.
type load struct {
	kind    kind
	mode    string // simple, extended or prepared (pgbench -M); empty of what streams
	clients int
}

// result is what one round of one contender gave. Latencies in milliseconds,
// CPU in microseconds per transaction (NaN where there is no proxy); of what streams, tps is MB/s
// and cpu milliseconds per MB.
type result struct {
	tps, average, p50, p99, cpu float64
}

// pgbench runs loads against one host, 127.0.0.1. It is not safe for
// concurrent use: the runs share a directory for their logs.
type pgbench struct {
	path     string
	user     string
	database string
	seconds  int
	jobs     int
	sampling float64 // the share of the transactions written to the log
	dir      string  // empty between runs
}

// summary is what pgbench prints at the end.
type summary struct {
	transactions int64
	average      float64 // ms
	tps          float64 // without the time of connecting
}

var (
	reProcessed = regexp.MustCompile(`(?m)^number of transactions actually processed: (\d+)`)
	reFailed    = regexp.MustCompile(`(?m)^number of failed transactions: (\d+)`)
	reAverage   = regexp.MustCompile(`(?m)^latency average = ([0-9.]+) ms`)
	reTPS       = regexp.MustCompile(`(?m)^tps = ([0-9.]+) \((?:without initial connection time|including reconnection times|excluding connections establishing)\)`)
)

// parseSummary reads pgbench's report (versions 13 and later). Failed
// transactions are an error: a contender that loses some is not comparable.
func parseSummary(out string) (summary, error) {
	var s summary
	if n, err := firstNumber(reFailed, out); err == nil && n > 0 {
		return s, fmt.Errorf("pgbench: %.0f failed transactions", n)
	}
	processed, err1 := firstNumber(reProcessed, out)
	average, err2 := firstNumber(reAverage, out)
	tps, err3 := firstNumber(reTPS, out)
	if err := errors.Join(err1, err2, err3); err != nil {
		return s, fmt.Errorf("pgbench report: %w", err)
	}
	if processed == 0 {
		return s, errors.New("pgbench report: no transaction was processed")
	}
	return summary{transactions: int64(processed), average: average, tps: tps}, nil
}

func firstNumber(re *regexp.Regexp, text string) (float64, error) {
	m := re.FindStringSubmatch(text)
	if m == nil {
		return math.NaN(), fmt.Errorf("no line like %q", re)
	}
	return strconv.ParseFloat(m[1], 64)
}

// parseLog reads the latencies (ms) from a per-transaction log, whose third
// field is the time in microseconds.
func parseLog(r io.Reader, into []float64) ([]float64, error) {
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		f := bytes.Fields(sc.Bytes())
		if len(f) < 6 {
			return into, fmt.Errorf("pgbench log: %d fields in %q", len(f), sc.Text())
		}
		us, err := strconv.ParseInt(string(f[2]), 10, 64)
		if err != nil {
			return into, fmt.Errorf("pgbench log: %w", err)
		}
		into = append(into, float64(us)/1000)
	}
	return into, sc.Err()
}

// run puts the load on port for b.seconds, and, if watch is not nil, for the second before what that is to see, and another one: at
// its very end pgbench reports no progress.
func (b pgbench) run(ctx context.Context, port int, l load, watch *steady) (s summary, p50, p99 float64, err error) {
	prefix, seconds := filepath.Join(b.dir, "log"), b.seconds
	if watch != nil {
		seconds += 2
	}
	args := []string{"-T", strconv.Itoa(seconds), "-l", "--log-prefix=" + prefix,
		"--sampling-rate=" + strconv.FormatFloat(b.sampling, 'f', -1, 64)}
	if watch != nil {
		args = append(args, interval...)
	}
	out, err := b.exec(ctx, port, l, watch, args...)
	if err != nil {
		return s, 0, 0, err
	}
	if s, err = parseSummary(out); err != nil {
		return s, 0, 0, err
	}
	p50, p99, err = b.takeLogs(prefix)
	return s, p50, p99, err
}

// warmTransactions is about how many all clients together run at most to warm up, but for two that each of very many clients runs.
const warmTransactions = 20_000

// warmUp fills the contender's pools and caches, and shows that it serves.
func (b pgbench) warmUp(ctx context.Context, port int, l load) error {
	each := max(2, min(50, warmTransactions/l.clients))
	out, err := b.exec(ctx, port, l, nil, "-t", strconv.Itoa(each))
	if err != nil {
		return err
	}
	_, err = parseSummary(out)
	return err
}

// initialize makes pgbench's tables.
func (b pgbench) initialize(ctx context.Context, port, scale int) error {
	cmd := b.command(ctx, port, "-i", "-q", "-s", strconv.Itoa(scale))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pgbench -i: %w: %s", err, lastLines(string(out)))
	}
	return nil
}

func (b pgbench) exec(ctx context.Context, port int, l load, watch *steady, args ...string) (string, error) {
	script := "-S"
	if l.kind == kindWrites {
		script = "-N"
	}
	all := append([]string{"-n", script, "-M", l.mode, "-c", strconv.Itoa(l.clients),
		"-j", strconv.Itoa(min(b.jobs, l.clients))}, args...)
	if l.kind == kindStorm {
		all = append(all, "-C")
	}
	// A contender that stops answering must end the benchmark, not hang it.
	ctx, cancel := context.WithTimeout(ctx, time.Duration(b.seconds)*time.Second+time.Minute)
	defer cancel()
	cmd := b.command(ctx, port, all...)
	if l.kind == kindTLS {
		cmd.Env = append(cmd.Env, "PGSSLMODE=require")
	}
	if watch == nil {
		watch = &steady{cpu: func() (time.Duration, error) { return 0, nil }}
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, watch
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("pgbench %s: %w: %s", strings.Join(all, " "), err, lastLines(watch.others.String()))
	}
	return out.String(), nil
}

func (b pgbench) command(ctx context.Context, port int, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, b.path, append(args,
		"-h", "127.0.0.1", "-p", strconv.Itoa(port), "-U", b.user, b.database)...)
	cmd.Env = append(os.Environ(), "PGSSLMODE=disable", "PGGSSENCMODE=disable", "LC_ALL=C")
	cmd.SysProcAttr = diesWithUs(nil)
	return cmd
}

// takeLogs reads and removes the logs of the last run (one for each thread).
func (b pgbench) takeLogs(prefix string) (p50, p99 float64, err error) {
	names, err := filepath.Glob(prefix + ".*")
	if err != nil {
		return 0, 0, err
	}
	var all []float64
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return 0, 0, fmt.Errorf("read pgbench log: %w", err)
		}
		all, err = parseLog(f, all)
		f.Close()
		if err != nil {
			return 0, 0, err
		}
		if err := os.Remove(name); err != nil {
			return 0, 0, fmt.Errorf("remove pgbench log: %w", err)
		}
	}
	return percentile(all, 50), percentile(all, 99), nil
}

// lastLines is the end of a program's output, short enough for an error.
func lastLines(s string) string {
	const most = 12
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
