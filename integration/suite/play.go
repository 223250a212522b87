package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// outcome is what a run of a suite left.
type outcome struct {
	// outputs are the files of what each test printed, by its name.
	outputs map[string]string
	// failed are the tests whose output was not what PostgreSQL expects.
	failed []string
	// ignored are the tests of which the schedule says so: their answers are random.
	ignored map[string]bool
	took    time.Duration
	// reads are how many SELECTs each node ran, in a run through howdah, fast how many of them were not planned, and share is
	// what was decided about them, nil if that was not logged.
	reads []int64
	fast  int64
	share *share
}

// play runs a suite on servers of its own.
func play(ctx context.Context, w io.Writer, o *options, src *source, suite, out string, through bool) (*outcome, error) {
	dir, err := os.MkdirTemp("", "howdah-suite-pg-")
	if err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	cluster, err := pgcluster.New(dir, pgcluster.Options{Standbys: 2, SyncRemoteApply: true, Bin: src.bin, Settings: map[string]string{
		"max_prepared_transactions": "4", "max_connections": "300", "allow_in_place_tablespaces": "on", "log_min_messages": "fatal",
		"max_standby_streaming_delay": "30s", "hot_standby_feedback": "off", "max_locks_per_transaction": "256",
	}})
	if err != nil {
		return nil, err
	}
	defer cluster.Close()
	if err := cluster.Start(ctx); err != nil {
		return nil, err
	}
	port := cluster.Port(0)
	var server *howdahtest.Server
	if through {
		files := filepath.Join(dir, "howdah")
		if err := os.Mkdir(files, 0o700); err != nil {
			return nil, fmt.Errorf("make directory: %w", err)
		}
		if port, err = pgcluster.FreePort(); err != nil {
			return nil, err
		}
		server, err = howdahtest.Launch(o.howdah, files, port, howdahtest.Options{Cluster: cluster, Weights: []float64{0, 1, 1}, Settings: map[string]any{
			"log.level": map[bool]string{true: "info", false: "debug"}[o.fast], "pool.mode": o.mode, "routing.consistency": "none", "pool.backend_pids": "server", "auth.hba": []string{"host all all 127.0.0.1/32 trust", "local all all trust"},
		}})
		if err != nil {
			return nil, err
		}
		defer server.Stop()
	}
	result, err := regress(ctx, o, src, suite, out, port)
	if err != nil {
		return nil, err
	}
	if through {
		err = result.finish(ctx, o, src, port, out, server)
	}
	fmt.Fprintf(w, "%s, %s: %d tests in %s, %d not as PostgreSQL expects %v\n", suite, map[bool]string{true: "through howdah", false: "direct"}[through],
		len(result.outputs), result.took.Round(time.Second), len(result.failed), result.failed)
	return result, err
}

// finish takes down what howdah knows of the run, and stops it.
func (o *outcome) finish(ctx context.Context, opt *options, src *source, port int, out string, server *howdahtest.Server) (err error) {
	if o.reads, err = readsByNode(ctx, src, port); err != nil {
		return err
	}
	if o.fast, err = fastReads(ctx, src, port); err != nil {
		return err
	}
	decisions, err := show(ctx, src, port, "howdah.decisions")
	if err != nil {
		return err
	}
	err = server.Stop()
	if !opt.fast {
		o.share = shareOf(server.Log(), "node0")
	}
	return errors.Join(err, os.WriteFile(filepath.Join(out, "decisions.txt"), []byte(decisions), 0o644),
		os.WriteFile(filepath.Join(out, "howdah.log"), []byte(server.Log()), 0o644))
}

// show asks howdah by SQL.
func show(ctx context.Context, src *source, port int, what string) (string, error) {
	psql := exec.CommandContext(ctx, filepath.Join(src.bin, "psql"), "-XAt", "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-U", "postgres", "-c", "SHOW "+what)
	text, err := psql.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("SHOW %s: %w: %s", what, err, text)
	}
	return string(text), err
}

// readsByNode asks howdah how many SELECTs it sent where.
func readsByNode(ctx context.Context, src *source, port int) ([]int64, error) {
	text, err := show(ctx, src, port, "pool_backend_stats")
	if err != nil {
		return nil, err
	}
	var reads []int64
	for line := range strings.Lines(text) {
		fields := strings.Split(line, "|") // node_id, hostname, port, status, role, select_cnt, …
		if len(fields) < 6 {
			return nil, fmt.Errorf("read the reads: %q", line)
		}
		n, err := strconv.ParseInt(fields[5], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read the reads: %w", err)
		}
		reads = append(reads, n)
	}
	return reads, nil
}

// fastReads asks howdah how many SELECTs it sent before they were planned.
func fastReads(ctx context.Context, src *source, port int) (int64, error) {
	text, err := show(ctx, src, port, "howdah.stats")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if n, found := strings.CutPrefix(strings.TrimSpace(line), "fast_reads|"); found {
			return strconv.ParseInt(n, 10, 64)
		}
	}
	return 0, fmt.Errorf("read howdah's counters: there is no fast_reads in %q", text)
}

// regress runs pg_regress, or its kin for isolation tests, against a port.
func regress(ctx context.Context, o *options, src *source, suite, out string, port int) (*outcome, error) {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, fmt.Errorf("make %s: %w", out, err)
	}
	// The servers write there (COPY TO, large objects), the programs run as they do.
	for _, d := range []string{out, filepath.Join(out, "results"), filepath.Join(out, "testtablespace")} {
		if err := os.MkdirAll(d, 0o777); err != nil {
			return nil, fmt.Errorf("make %s: %w", d, err)
		}
		if err := os.Chmod(d, 0o777); err != nil {
			return nil, fmt.Errorf("open %s: %w", d, err)
		}
	}
	input := filepath.Join(src.dir, "src/test", suite)
	tool, schedule, database := "pg_regress", "parallel_schedule", "regression"
	if suite == "isolation" {
		tool, schedule, database = "pg_isolation_regress", "isolation_schedule", "isolation_regression"
	}
	schedule = filepath.Join(input, schedule)
	if suite == "isolation" && o.mode == "transaction" {
		var err error
		if schedule, err = withoutWaits(input, schedule, out); err != nil {
			return nil, err
		}
	}
	args := []string{
		"--inputdir=" + input, "--outputdir=" + out, "--bindir=" + src.bin, "--dlpath=" + src.library,
		"--schedule=" + schedule, "--host=127.0.0.1", "--port=" + strconv.Itoa(port), "--user=postgres", "--dbname=" + database,
		"--max-concurrent-tests=20",
	}
	cmd := exec.CommandContext(ctx, filepath.Join(src.tools, suite, tool), args...)
	cmd.Dir = out
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + out, "LC_ALL=C.UTF-8"}
	if u, err := user.Lookup("postgres"); err == nil && os.Geteuid() == 0 {
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	start := time.Now()
	text, err := cmd.CombinedOutput()
	if werr := os.WriteFile(filepath.Join(out, "summary.txt"), text, 0o644); werr != nil {
		return nil, fmt.Errorf("write summary: %w", werr)
	}
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		return nil, fmt.Errorf("run %s: %w\n%s", tool, err, text)
	}
	result := &outcome{outputs: map[string]string{}, took: time.Since(start)}
	if result.ignored, err = ignoredBy(schedule); err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if name, found := failedTest(line); found {
			result.failed = append(result.failed, name)
		}
	}
	files, err := filepath.Glob(filepath.Join(out, "results", "*.out"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("%s left no results\n%s", tool, text)
	}
	for _, f := range files {
		result.outputs[strings.TrimSuffix(filepath.Base(f), ".out")] = f
	}
	return result, nil
}

// failedTest reads a line of pg_regress: "     boolean                      ... FAILED      120 ms".
func failedTest(line string) (string, bool) {
	name, verdict, found := strings.Cut(line, "...")
	if !found || !strings.Contains(verdict, "FAILED") {
		return "", false
	}
	return strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(name), "test ")), true
}

// ignoredBy reads a schedule's lines "ignore: random".
func ignoredBy(schedule string) (map[string]bool, error) {
	text, err := os.ReadFile(schedule)
	if err != nil {
		return nil, fmt.Errorf("read schedule: %w", err)
	}
	names := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if name, found := strings.CutPrefix(strings.TrimSpace(line), "ignore: "); found {
			names[name] = true
		}
	}
	return names, nil
}
