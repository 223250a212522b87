package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// What the demo does between two looks at the statistics.
const (
	readSessions    = 6
	readsPerSession = 50
	writes          = 20
)

// show runs the scenes of the demo, one after the other.
type show struct {
	ctx     context.Context //nolint:containedctx // lives as long as one call of run
	out     io.Writer
	cluster *pgcluster.Cluster
	port    int
	page    int // the port of howdah's page
}

func (s *show) all(server *howdahtest.Server) error {
	fmt.Fprintln(s.out, "Filling a pgbench database through howdah ...")
	if _, err := s.run("pgbench", "-i", "-s", "1", "-q", "pgbench"); err != nil {
		return err
	}
	if err := s.cluster.WaitReplay(s.ctx, 0); err != nil {
		return err
	}
	config, err := os.ReadFile(server.ConfigFile())
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	fmt.Fprintf(s.out, "\nhowdah serves with this configuration:\n\n    %s\n\n",
		strings.ReplaceAll(strings.TrimSpace(string(config)), "\n", "\n    "))
	before, err := s.counters()
	if err != nil {
		return err
	}
	if err := s.writesAndReads(); err != nil {
		return err
	}
	after, err := s.settled(before)
	if err != nil {
		return err
	}
	s.table(before, after)
	s.farewell()
	return nil
}

// writesAndReads is one psql session that writes, and some that read.
func (s *show) writesAndReads() error {
	const write = "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, 1, 5, now())"
	const read = "SELECT abalance FROM pgbench_accounts WHERE aid = 42"
	fmt.Fprintf(s.out, "$ psql -h 127.0.0.1 -p %d -U postgres pgbench\n", s.port)
	fmt.Fprintf(s.out, "  %d times   %s;\n", writes, write)
	if _, err := s.psql(strings.Repeat(write+";\n", writes)); err != nil {
		return err
	}
	// The sessions that follow are others: only the writer itself never reads older.
	if err := s.cluster.WaitReplay(s.ctx, 0); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "  %d times   %s;      (in each of %d sessions)\n", readsPerSession, read, readSessions)
	for range readSessions {
		if _, err := s.psql(strings.Repeat(read+";\n", readsPerSession)); err != nil {
			return err
		}
	}
	answer, err := s.psql("SELECT count(*) FROM pgbench_history;")
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "  SELECT count(*) FROM pgbench_history;      answers %s\n", strings.TrimSpace(answer))
	return nil
}

// counter is what one node says of itself.
type counter struct {
	written int // rows inserted into pgbench_history
	read    int // index scans of pgbench_accounts
}

func (s *show) counters() ([]counter, error) {
	counters := make([]counter, s.cluster.Nodes())
	for i := range counters {
		const sql = `SELECT concat_ws(' ',
			(SELECT coalesce(sum(n_tup_ins), 0) FROM pg_stat_user_tables WHERE relname = 'pgbench_history'),
			(SELECT coalesce(sum(idx_scan), 0) FROM pg_stat_user_tables WHERE relname = 'pgbench_accounts'))`
		answer, err := s.cluster.Value(s.ctx, i, "pgbench", sql)
		if err != nil {
			return nil, err
		}
		if _, err := fmt.Sscan(answer, &counters[i].written, &counters[i].read); err != nil {
			return nil, fmt.Errorf("read statistics of node %d: %w", i, err)
		}
	}
	return counters, nil
}

// settled waits for the statistics of what was run: a PostgreSQL server publishes
// them up to ten seconds late.
func (s *show) settled(before []counter) ([]counter, error) {
	fmt.Fprintln(s.out, "\nWaiting for the servers to publish their statistics (up to ten seconds) ...")
	ctx, cancel := context.WithTimeout(s.ctx, 30*time.Second)
	defer cancel()
	for {
		after, err := s.counters()
		if err != nil {
			return nil, err
		}
		read := 0
		for i := range after {
			read += after[i].read - before[i].read
		}
		if read >= readSessions*readsPerSession && after[0].written-before[0].written >= writes {
			return after, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for statistics: %w; before %v, now %v", ctx.Err(), before, after)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (s *show) table(before, after []counter) {
	fmt.Fprintln(s.out, "\nWhat each server says it did (pg_stat_user_tables):")
	fmt.Fprintln(s.out)
	w := tabwriter.NewWriter(s.out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "node\trole\tport\trows written\treads\t")
	for i := range after {
		role := "standby"
		if i == 0 {
			role = "primary"
		}
		fmt.Fprintf(w, "node%d\t%s\t%d\t%d\t%d\t\n", i, role, s.cluster.Port(i),
			after[i].written-before[i].written, after[i].read-before[i].read)
	}
	_ = w.Flush() // to the terminal
}

func (s *show) farewell() {
	fmt.Fprintf(s.out, "\nTry it yourself:\n\n    psql -h 127.0.0.1 -p %d -U postgres pgbench\n    pgbench -h 127.0.0.1 -p %d -U postgres -S -c 8 -T 10 pgbench\n\n",
		s.port, s.port)
	for i := range s.cluster.Nodes() {
		fmt.Fprintf(s.out, "    node%d directly:  psql -h 127.0.0.1 -p %d -U postgres pgbench\n", i, s.cluster.Port(i))
	}
	fmt.Fprintf(s.out, "    howdah's page:   http://127.0.0.1:%d/\n", s.page)
	fmt.Fprintf(s.out, "    logs:            %s\n", s.cluster.Dir())
	fmt.Fprintln(s.out, "\nCtrl-C stops and removes everything.")
}

// psql runs a script in a session of its own and returns what it printed.
func (s *show) psql(script string) (string, error) {
	return s.runWith(script, "psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-d", "pgbench", "-f", "-")
}

// run runs one of PostgreSQL's programs against howdah.
func (s *show) run(program string, args ...string) (string, error) {
	return s.runWith("", program, args...)
}

// runWith is run with something to read on standard input.
func (s *show) runWith(input, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(s.ctx, s.cluster.Program(program), args...)
	cmd.Env = append(os.Environ(), "PGHOST=127.0.0.1", "PGPORT="+strconv.Itoa(s.port), "PGUSER=postgres", "PGSSLMODE=prefer")
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("run %s: %w: %s", program, err, out)
	}
	return string(out), nil
}
