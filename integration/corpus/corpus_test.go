package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

func TestMain(m *testing.M) { os.Exit(howdahtest.Main(m)) }

// TestOwnScripts tries our own scripts on a primary and a standby. No verdict may
// send to the standby what it refuses or answers otherwise, and what it answers equally
// should be a read.
func TestOwnScripts(t *testing.T) {
	t.Parallel()
	const wantStatements, wantShare = 450, 0.97
	scripts, err := ownScripts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cluster := pgcluster.ForTest(t, clusterOptions())
	server := howdahtest.Start(t, howdahOptions(cluster))
	f, err := run(t.Context(), cluster, server.Address(), scripts, nil, func(script, time.Duration, []label) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if len(f.labels) < wantStatements {
		t.Errorf("only %d statements have a label", len(f.labels))
	}
	// What a node says of itself is equal on two fresh nodes by chance.
	chosen := slices.DeleteFunc(slices.Clone(f.labels), func(l label) bool { return l.File == "own/node_state" })
	for _, judged := range []struct {
		by string
		of func(*label) (opinion, bool)
	}{{"text", byText}, {"names", byNames}} {
		j := judge(f.labels, judged.of)
		for i := range j.wrong {
			l := &j.wrong[i]
			t.Errorf("%s: called a read by %s: %s\nstandby: %s\nprimary: %s", l.File, judged.by, l.SQL, l.StandbySaid, l.PrimarySaid)
		}
		if j.primary < 100 {
			t.Errorf("by %s only %d statements need the primary", judged.by, j.primary)
		}
		j = judge(chosen, judged.of)
		got := j.answered
		if judged.by == "text" {
			got = j.builtin
		}
		if share := float64(got.reads) / float64(got.equal); share < wantShare {
			var report bytes.Buffer
			j.print(&report, 10)
			t.Errorf("called reads by %s: %v, want %.2f\n%s", judged.by, got, wantShare, report.String())
		}
	}
}

func TestEffects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sql  string
		want effect
	}{
		{"SELECT 1", answers},
		{"SELEC 1", answers},
		{"EXPLAIN DELETE FROM t", answers},
		{"EXPLAIN ANALYZE DELETE FROM t", mayWrite},
		{"EXPLAIN (ANALYZE) EXECUTE p", mayWrite},
		{"COPY t TO STDOUT", answers},
		{"COPY t TO '/tmp/x'", mayWrite},
		{"COPY t FROM STDIN", mayWrite},
		{"SELECT 1; SET a.b = 1", changesSession},
		{"SELECT 1; DROP TABLE t", mayWrite},
		{"DO 'BEGIN END'", mayWrite},
	} {
		if got := effectOf(c.sql); got != c.want {
			t.Errorf("%s: got %d, want %d", c.sql, got, c.want)
		}
	}
}

func TestSame(t *testing.T) {
	t.Parallel()
	rows := func(rows ...string) *answer {
		return &answer{results: []result{{fields: []string{"a"}, rows: rows, tag: "SELECT"}}}
	}
	for _, c := range []struct {
		name    string
		a, b    *answer
		ordered bool
		want    bool
	}{
		{"equal", rows("1", "2"), rows("1", "2"), true, true},
		{"other order, asked for", rows("1", "2"), rows("2", "1"), true, false},
		{"other order", rows("1", "2"), rows("2", "1"), false, true},
		{"multiset", rows("1", "1", "2"), rows("1", "2", "2"), false, false},
		{"fewer rows", rows("1"), rows("1", "1"), false, false},
		{"same error", &answer{code: "22012", message: "x"}, &answer{code: "22012", message: "x"}, false, true},
		{"other error", &answer{code: "22012", message: "x"}, &answer{code: "22012", message: "y"}, false, false},
		{"error and rows", rows("1"), &answer{code: "22012"}, false, false},
	} {
		if got := same(c.a, c.b, []bool{c.ordered}); got != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
}

func TestSuiteScripts(t *testing.T) {
	t.Parallel()
	if _, _, err := suiteScripts(t.TempDir()); err == nil || !strings.Contains(err.Error(), "read schedule") {
		t.Errorf("of an empty directory: %v", err)
	}
}
