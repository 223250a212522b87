package integration_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pgbench runs pgbench and fails the test unless every transaction succeeded.
func (f *fixture) pgbench(t *testing.T, args ...string) {
	t.Helper()
	out, err := f.command(t.Context(), "pgbench", args...).CombinedOutput()
	text := string(out)
	if err != nil || strings.Contains(text, "ERROR") || strings.Contains(text, "aborted") {
		t.Errorf("pgbench %s: %v\n%s", strings.Join(args, " "), err, text)
		return
	}
	done := regexp.MustCompile(`number of transactions actually processed: (\d+)/(\d+)`).FindStringSubmatch(text)
	if done == nil || done[1] != done[2] {
		t.Errorf("pgbench %s did not process all transactions:\n%s", strings.Join(args, " "), text)
	}
	if failed := regexp.MustCompile(`number of failed transactions: (\d+)`).FindStringSubmatch(text); failed != nil && failed[1] != "0" {
		t.Errorf("pgbench %s had failed transactions:\n%s", strings.Join(args, " "), text)
	}
}

// TestPgbench runs every protocol mode with every kind of load, then looks at the
// servers' own statistics: who wrote, and who read.
func TestPgbench(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if out, err := f.command(t.Context(), "pgbench", "-i", "-s", "1", "-q").CombinedOutput(); err != nil {
		t.Fatalf("pgbench -i: %v\n%s", err, out)
	}
	must(t, f.cluster.WaitReplay(t.Context(), 0))
	const clients, transactions = 16, 20
	load := []string{"-n", "-c", fmt.Sprint(clients), "-j", "2", "-t", fmt.Sprint(transactions)}
	for _, mode := range []string{"simple", "extended", "prepared"} {
		for _, kind := range []string{"tpcb-like", "simple-update", "select-only"} {
			f.pgbench(t, append(load, "-M", mode, "-b", kind)...)
		}
		f.pgbench(t, append(load, "-M", mode, "-C", "-t", "3", "-b", "select-only")...)
		f.pgbench(t, append(load, "-M", mode, "-C", "-t", "3", "-b", "tpcb-like")...)
	}
	for _, mode := range []string{"extended", "prepared"} {
		f.pgbench(t, append(load, "-M", mode, "-f", pipelineScript(t))...)
	}
	wantBalances(t, f)
	written := f.value(t, 0, "SELECT count(*) FROM pgbench_history")
	if want := fmt.Sprint(3 * (2*clients*transactions + clients*3)); written != want {
		t.Errorf("pgbench_history has %s rows, want %s", written, want)
	}
	f.wantReadsOnStandbys(t, "pgbench_accounts", 3*clients*transactions)
}

// pipelineScript is a pgbench script with pipelines of reads, of writes, of both.
func pipelineScript(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipeline.sql")
	must(t, os.WriteFile(path, []byte(`
\set aid random(1, 100000)
\set delta random(-5000, 5000)
\startpipeline
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid + 1;
SELECT count(*) FROM pgbench_branches;
\endpipeline
\startpipeline
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = 1;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = 1;
END;
SELECT 1;
\endpipeline
`), 0o600))
	return path
}

// wantBalances checks pgbench's invariant, which a torn transaction breaks: tellers
// and branches have the same sum. (Simple updates change neither.)
func wantBalances(t *testing.T, f *fixture) {
	t.Helper()
	got := f.value(t, 0, "SELECT (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT sum(tbalance) FROM pgbench_tellers)")
	if got != "true" {
		t.Error("the balances of branches and tellers differ: a transaction was torn")
	}
}
