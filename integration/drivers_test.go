package integration_test

import (
	"context"
	"crypto/x509/pkix"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
	"github.com/howdah/howdah/integration/pki"
)

// drivers are the commands of the scripts in drivers/, each of which uses its driver's
// features and fails loudly. scripts/deps.sh test installs what they need.
var drivers = map[string][]string{
	"psycopg2":      {"/usr/bin/python3", "-B", "drivers/psycopg2_features.py"},
	"psycopg3":      {"/usr/bin/python3", "-B", "drivers/psycopg3_features.py"},
	"node-postgres": {"node", "--unhandled-rejections=strict", "drivers/node/features.js"},
	"pgjdbc":        {"java", "-XX:TieredStopAtLevel=1", "-cp", "/usr/share/java/postgresql.jar", "drivers/pgjdbc_features.java"},
}

func TestDriversOfOtherLanguages(t *testing.T) {
	t.Parallel()
	for name, command := range drivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newFixture(t).runDriver(t, command)
		})
	}
}

// TestDriversOverTLS runs them where nothing but TLS is let in.
func TestDriversOverTLS(t *testing.T) {
	t.Parallel()
	ca := pki.New(t, "the authority")
	settings := tlsSettings(ca.Issue("localhost", pkix.Name{CommonName: "localhost"}, "localhost"))
	settings["auth.hba"] = []string{"hostssl all all all trust"}
	for name, command := range drivers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := pgcluster.ForTest(t, pgcluster.Options{Standbys: 2})
			server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Weights: []float64{0, 1, 1}, Settings: settings})
			f := &fixture{cluster: cluster, server: server, port: server.Port}
			f.runDriver(t, command, "PGSSLMODE=no-verify") // node-postgres's word; libpq gets its own in the connection string
		})
	}
}

func (f *fixture) runDriver(t *testing.T, command []string, env ...string) {
	t.Helper()
	f.exec(t, "CREATE TABLE pets (id int PRIMARY KEY, name text)")
	f.readings(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	script, err := filepath.Abs(command[len(command)-1])
	must(t, err)
	args := append(append([]string{}, command[1:len(command)-1]...), script, fmt.Sprint(f.port))
	cmd := exec.CommandContext(ctx, command[0], args...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v (scripts/deps.sh test installs what it needs)\n%s", err, out)
	}
	f.wantReadsOnStandbys(t, "readings", 10)
}
