package integration_test

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestDriversOfOtherLanguages runs the scripts in drivers/, each of which uses its
// driver's features and fails loudly. scripts/deps.sh test installs what they need.
func TestDriversOfOtherLanguages(t *testing.T) {
	t.Parallel()
	for name, command := range map[string][]string{
		"psycopg2":      {"/usr/bin/python3", "-B", "drivers/psycopg2_features.py"},
		"psycopg3":      {"/usr/bin/python3", "-B", "drivers/psycopg3_features.py"},
		"node-postgres": {"node", "--unhandled-rejections=strict", "drivers/node/features.js"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.exec(t, "CREATE TABLE pets (id int PRIMARY KEY, name text)")
			f.readings(t)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			script, err := filepath.Abs(command[len(command)-1])
			must(t, err)
			args := append(append([]string{}, command[1:len(command)-1]...), script, fmt.Sprint(f.port))
			if out, err := exec.CommandContext(ctx, command[0], args...).CombinedOutput(); err != nil {
				t.Fatalf("%v (scripts/deps.sh test installs what it needs)\n%s", err, out)
			}
			f.wantReadsOnStandbys(t, "readings", 10)
		})
	}
}
