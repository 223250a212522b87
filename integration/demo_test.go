package integration_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// TestDemo runs the demo as make demo does, looks at the numbers it shows, ends it
// in each way it may end, and looks for leftovers.
func TestDemo(t *testing.T) {
	t.Parallel()
	bin := filepath.Join(t.TempDir(), "demo")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "./demo").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			port, err := pgcluster.FreePort()
			must(t, err)
			temp, err := os.MkdirTemp("", "howdah-demo-test-")
			must(t, err)
			must(t, os.Chmod(temp, 0o755)) // the servers' account goes through it
			t.Cleanup(func() { must(t, os.RemoveAll(temp)) })
			cmd := exec.CommandContext(t.Context(), bin, "-port", fmt.Sprint(port), "-howdah", howdahtest.Bin(t))
			cmd.Env = append(os.Environ(), "TMPDIR="+temp)
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			must(t, err)
			must(t, cmd.Start())
			var shown strings.Builder
			for lines := bufio.NewScanner(out); lines.Scan(); {
				shown.WriteString(lines.Text() + "\n")
				if strings.HasPrefix(lines.Text(), "Ctrl-C") {
					break
				}
			}
			wantDemo(t, shown.String(), port)
			must(t, cmd.Process.Signal(sig))
			if err := cmd.Wait(); err != nil && sig != syscall.SIGKILL {
				t.Errorf("the demo ends with %v", err)
			}
			eventually(t, "everything to be gone", func() error { return leftovers(temp) })
		})
	}
}

// wantDemo checks the table of statistics and the connection string.
func wantDemo(t *testing.T, shown string, port int) {
	t.Helper()
	if want := fmt.Sprintf("psql -h 127.0.0.1 -p %d -U postgres pgbench", port); !strings.Contains(shown, want) {
		t.Errorf("the demo does not show %q:\n%s", want, shown)
	}
	page := regexp.MustCompile(`http://127\.0\.0\.1:\d+/`).FindString(shown)
	answer, err := http.Get(page)
	if err != nil {
		t.Fatalf("the page %q: %v", page, err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was read
	if text, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(text), "howdah") {
		t.Errorf("the page %q answers %s: %.200s (%v)", page, answer.Status, text, err)
	}
	rows := regexp.MustCompile(`(?m)^ *node\d +(primary|standby) +\d+ +(\d+) +(\d+) *$`).FindAllStringSubmatch(shown, -1)
	if len(rows) != 3 {
		t.Fatalf("the demo shows %d nodes:\n%s", len(rows), shown)
	}
	for _, row := range rows {
		role, written, read := row[1], row[2] != "0", row[3] != "0"
		if written != (role == "primary") || read && role == "primary" {
			t.Errorf("a %s wrote %s rows and read %s times", role, row[2], row[3])
		}
	}
	if rows[1][3] == "0" && rows[2][3] == "0" {
		t.Error("no standby served a read")
	}
}

// leftovers is an error if something of the directory is there: a file, or a
// process that was started for it.
func leftovers(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is still there", entries[0].Name())
	}
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, path := range commands {
		command, _ := os.ReadFile(path) // a process may end meanwhile
		if strings.Contains(string(command), dir+"/") {
			return fmt.Errorf("a process is still there: %q", command)
		}
	}
	return nil
}
