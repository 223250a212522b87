package parity_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/parity"
	"github.com/howdah/howdah/integration/pgcluster"
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(howdahtest.Main(m))
}

// TestScripts plays every script in testdata directly and through howdah. The
// primary's weight is 0, so that whatever may be read elsewhere is; commits wait
// for both standbys, so that howdah need not care for consistency, and a difference
// is never the standbys' lag.
//
// HOWDAH_PARITY=direct plays both runs directly, which tests the scripts
// themselves: a script that differs from itself is of no use.
func TestScripts(t *testing.T) { testScripts(t, "session") }

// TestScriptsShared is the same where sessions share their connections.
func TestScriptsShared(t *testing.T) { testScripts(t, "transaction") }

func testScripts(t *testing.T, mode string) {
	files, err := filepath.Glob("testdata/*.*")
	if err != nil || len(files) == 0 {
		t.Fatalf("find scripts: %v, %v", files, err)
	}
	cluster := pgcluster.ForTest(t, pgcluster.Options{Standbys: 2, SyncRemoteApply: true, Settings: map[string]string{
		"max_connections":           "500",
		"log_statement":             "all",
		"log_parameter_max_length":  "64",
		"max_prepared_transactions": "10",
	}})
	prepare(t, cluster)
	major, err := cluster.Major(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	direct := fmt.Sprintf("127.0.0.1:%d", cluster.Port(0))
	address := direct
	if os.Getenv("HOWDAH_PARITY") != "direct" {
		address = howdahtest.Start(t, howdahtest.Options{
			Cluster: cluster, Weights: []float64{0, 1, 1},
			Settings: map[string]any{"routing.consistency": "none", "pool.mode": mode},
		}).Address()
	}
	t.Run("group", func(t *testing.T) { // the cluster outlives its parallel tests
		for i, file := range files {
			script, err := parity.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			if missing(script.Needs) || major < script.Since || script.Mode != "" && script.Mode != mode {
				continue // it is not for every day, and who sets the variable runs it; or not for this server
			}
			t.Run(script.Name, func(t *testing.T) {
				t.Parallel()
				a := play(t, script, parity.Target{Address: direct, Database: fmt.Sprintf("p%02dd", i), Cluster: cluster})
				through := parity.Target{Address: address, Database: fmt.Sprintf("p%02dh", i), Cluster: cluster}
				copyFixture(t, through)
				if mode == "transaction" {
					t.Cleanup(noise(t, address, through.Database))
				}
				b := playIn(t, script, through)
				if diff := parity.Compare(a, b); diff != "" {
					t.Errorf("the answers differ:\n%s", diff)
				}
				if address != direct {
					checkPlaces(t, script, cluster, fmt.Sprintf("p%02dh", i))
				}
				if os.Getenv("HOWDAH_PARITY_SHOW") != "" {
					t.Logf("\n%s", strings.Join(a, "\n"))
				}
			})
		}
	})
}

func missing(variables []string) bool {
	for _, variable := range variables {
		if os.Getenv(variable) == "" {
			return true
		}
	}
	return false
}

// prepare makes the database that every script starts with a copy of, and the
// roles that scripts use.
func prepare(t *testing.T, cluster *pgcluster.Cluster) {
	t.Helper()
	fixture, err := os.ReadFile("fixture.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"CREATE ROLE reader LOGIN", "CREATE DATABASE fixture"} {
		if err := cluster.Exec(t.Context(), 0, "postgres", sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := cluster.Exec(t.Context(), 0, "fixture", string(fixture)); err != nil {
		t.Fatal(err)
	}
}

// play runs the script in a fresh copy of the fixture.
func play(t *testing.T, script *parity.Script, target parity.Target) []string {
	t.Helper()
	copyFixture(t, target)
	return playIn(t, script, target)
}

// copyFixture makes the target's database.
func copyFixture(t *testing.T, target parity.Target) {
	t.Helper()
	sql := fmt.Sprintf("CREATE DATABASE %s TEMPLATE fixture", target.Database)
	for attempt := 0; ; attempt++ { // two copies of one template at once are refused
		err := target.Cluster.Exec(t.Context(), 0, "postgres", sql)
		if err == nil {
			break
		}
		if attempt > 100 || !strings.Contains(err.Error(), "being accessed by other users") {
			t.Fatal(err)
		}
	}
}

func playIn(t *testing.T, script *parity.Script, target parity.Target) []string {
	t.Helper()
	lines, err := parity.Run(t.Context(), script, target)
	if err != nil {
		const shown = 6
		t.Errorf("%s: %v\nreceived until then:\n%s", target.Address, err, strings.Join(lines[max(0, len(lines)-shown):], "\n"))
	}
	return lines
}

// checkPlaces looks in the nodes' logs where the script's statements ran.
func checkPlaces(t *testing.T, script *parity.Script, cluster *pgcluster.Cluster, database string) {
	t.Helper()
	ran := func(node int, text string) bool {
		for _, line := range strings.Split(cluster.Log(node), "\n") {
			if strings.Contains(line, "@"+database+" ") && strings.Contains(line, "LOG:  ") && strings.Contains(line, text) {
				return true
			}
		}
		return false
	}
	for _, text := range script.OnStandby {
		if ran(0, text) || !(ran(1, text) || ran(2, text)) {
			t.Errorf("%q should have run on a standby: primary %v, standbys %v %v", text, ran(0, text), ran(1, text), ran(2, text))
		}
	}
	for _, text := range script.OnPrimary {
		if !ran(0, text) || ran(1, text) || ran(2, text) {
			t.Errorf("%q should have run on the primary: primary %v, standbys %v %v", text, ran(0, text), ran(1, text), ran(2, text))
		}
	}
}
