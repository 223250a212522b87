package integration_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
)

// howdah runs the command line against the doors' socket.
func (d *doors) howdah(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, howdahtest.Bin(t), args...)
	cmd.Env = append(os.Environ(), "HOWDAH_SOCKET="+d.socket, "HOWDAH_PASSWORD=open sesame")
	var out, diag bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &diag
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), diag.String(), cmd.ProcessState.ExitCode()
}

// The command line shows what is true, changes what it says, and exits as scripts need it.
func TestCommandLineOfARunningHowdah(t *testing.T) {
	t.Parallel()
	d := newDoors(t, nil)
	conn := connect(t, d.server)
	var pid int
	must(t, conn.QueryRow(t.Context(), "SELECT 1").Scan(&pid))
	for _, tt := range []struct {
		args string
		code int
		want string // of both streams
	}{
		{"status", 0, `(?s)version +howdah .*primary +node0\n.*nodes up +3 of 3\n.*node +name.*\n.*0 +node0 +127.0.0.1 +\d+ +up +primary.*node +name +open`},
		{"nodes", 0, `(?m)^ +1 +node1 +127.0.0.1 +\d+ +up +standby +1 +[0-9A-F]+/[0-9A-F]+ +\d+ `},
		{"sessions", 0, `(?m)^ *\d+ +postgres +postgres .* (Idle|Execute command) +session +node`},
		{"pools", 0, `(?m)^ +0 +node0 +\d+ +\d+ +\d+ +0$`},
		{"checks", 0, `node0 +\d+ +\d+ +\d+ `},
		{"decisions", 0, `(drawn|kept) +\d+`},
		{"counters", 0, `parser_misses`},
		{"events", 0, `up primary, was `},
		{"log level debug", 0, `log level is debug`},
		{"log-level loud", 2, `"loud" is no level`},
		{"reload", 0, `reloaded`},
		{"kill session 99999", 1, `there is no session 99999`},
		{"attach node1", 0, `attached`},
		{"log", 2, `did you mean log level or log rotate\?`},
		{"switchover node0", 2, `specified node is already primary node`},
		{"switchover", 1, `failover.mode is none`},
		{"recover node1", 1, `failover.recovery is not configured`},
		{"failover", 0, `(?m)^mode +none$`},
		{"commands", 0, `output`},
		{"detach node9", 2, `there is no node "node9"`},
		{"pool-users", 0, `node0 +postgres +postgres +false +\d+ `},
		{"latency", 0, `(?m)^ +0 +node0 +write +\d+ `},
		{"examples", 0, `SELECT 1`},
		{"caches", 0, `(?m)^catalogs of postgres .* known`},
		{"pins", 0, `^session +user`},
		{"waiters", 0, `^node +name`},
		{"nodes --url http://127.0.0.1:" + fmt.Sprint(d.httpPort) + " --user admin", 0, `node2`},
		{"nodes --url http://127.0.0.1:" + fmt.Sprint(d.httpPort) + " --user viewer", 1, `authentication failed`},
		{"nodes --socket /nonexistent", 3, `howdah does not answer`},
		{"status -c " + d.server.ConfigFile(), 0, `nodes up`},
	} {
		out, diag, code := d.howdah(t, strings.Fields(tt.args)...)
		if code != tt.code || !regexp.MustCompile(tt.want).MatchString(out+diag) {
			t.Errorf("howdah %s: exit %d, want %d\n%s%s\nwant %s", tt.args, code, tt.code, out, diag, tt.want)
		}
	}
	out, _, _ := d.howdah(t, "nodes", "--json")
	var answer struct {
		Columns []string
		Rows    []map[string]any
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil || len(answer.Rows) != 3 || answer.Rows[0]["role"] != "primary" || answer.Rows[1]["port"].(float64) < 1 {
		t.Errorf("JSON: %v\n%s", err, out)
	}
	if !strings.Contains(d.server.Log(), `command=log-level args=debug door=socket user=root`) {
		t.Error("the log does not say who changed the level")
	}
	// A session that is killed ends, and its client sees it.
	if _, diag, code := d.howdah(t, "kill", fmt.Sprint(conn.PgConn().PID())); code != 0 {
		t.Errorf("kill: %s", diag)
	}
	eventually(t, "the killed session is gone", func() error {
		if _, err := conn.Exec(t.Context(), "SELECT 1"); err == nil {
			return errors.New("it still answers")
		}
		if out, _, _ := d.howdah(t, "sessions"); strings.Count(out, "postgres") > 0 {
			return errors.New(out)
		}
		return nil
	})
}

// Another user than root and howdah's own does not get in by the socket, whatever its mode.
func TestSocketKnowsWhoCalls(t *testing.T) {
	t.Parallel()
	d := newDoors(t, nil)
	must(t, os.Chmod(d.socket, 0o666))
	must(t, os.Chmod(filepath.Dir(d.socket), 0o755))
	cmd := exec.CommandContext(t.Context(), "curl", "-s", "--unix-socket", d.socket, "http://howdah/api/v1/nodes")
	if _, err := exec.LookPath("curl"); err != nil { // any program that can speak HTTP will do
		cmd = exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", `
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendall(b"GET /api/v1/nodes HTTP/1.0\r\n\r\n")
sys.stdout.write(s.makefile().read())`, d.socket)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "only root and the user who runs howdah") {
		t.Errorf("nobody gets %v: %s", err, out)
	}
}

func (d *doors) get(t *testing.T, path, user, password string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", d.httpPort, path), nil)
	must(t, err)
	if user != "" {
		r.SetBasicAuth(user, password)
	}
	client := http.Client{Timeout: waitTimeout}
	answer, err := client.Do(r)
	must(t, err)
	defer answer.Body.Close() //nolint:errcheck // it has been read
	text, err := io.ReadAll(answer.Body)
	must(t, err)
	return answer.StatusCode, string(text)
}

// Load balancers and Prometheus get what is true, before and after the primary dies.
func TestHealthAndMetrics(t *testing.T) {
	t.Parallel()
	d := newDoors(t, map[string]any{"failover.hold": "1s"})
	conn := connect(t, d.server)
	for range 5 {
		conn.Exec(t.Context(), "SELECT 1") //nolint:errcheck // counted below
	}
	_, err := conn.Exec(t.Context(), "CREATE TABLE t (id int)")
	must(t, err)
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "3 of 3 nodes are up", "/primary": "node0", "/replica": "node1 node2", "/replica?lag=1GB": "node1 node2"} {
		if status, body := d.get(t, path, "", ""); status != 200 || strings.TrimSpace(body) != want {
			t.Errorf("%s: %d %q, want %q", path, status, body, want)
		}
	}
	if status, _ := d.get(t, "/replica?lag=much", "", ""); status != 400 {
		t.Errorf("a lag that is none: %d", status)
	}
	_, metrics := d.get(t, "/metrics", "", "")
	if r, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, fmt.Sprintf("http://127.0.0.1:%d/primary", d.httpPort), nil); err != nil {
		t.Error(err)
	} else if answer, err := http.DefaultClient.Do(r); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("OPTIONS as HAProxy sends it: %v, %v", answer, err)
	} else {
		answer.Body.Close() //nolint:errcheck // it was read
	}
	for _, want := range []string{`howdah_node_up{node="node0"} 1`, `howdah_node_primary{node="node0"} 1`, `howdah_node_primary{node="node1"} 0`,
		`howdah_statements_total{kind="ddl",node="node0"} 1`, `howdah_sessions{state="Idle"} 1`, `howdah_clients 1`, "go_goroutines", "process_open_fds",
		`howdah_pool_waiters{node="node1"} 0`, `howdah_decisions_total{reason="write"}`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	must(t, d.cluster.StopNode(0))
	eventually(t, "the primary's end is told", func() error {
		status, _ := d.get(t, "/primary", "", "")
		ready, body := d.get(t, "/readyz", "", "")
		_, metrics := d.get(t, "/metrics", "", "")
		if status != 503 || ready != 200 || !strings.Contains(body, "2 of 3") || !strings.Contains(metrics, `howdah_node_up{node="node0"} 0`) {
			return fmt.Errorf("/primary %d, /readyz %d %s", status, ready, body)
		}
		return nil
	})
}

// Who has no password sees nothing, a reader changes nothing, and no other site's page can.
func TestHTTPRoles(t *testing.T) {
	t.Parallel()
	d := newDoors(t, nil)
	for _, path := range []string{"/", "/page.js", "/api/v1/nodes", "/api/v1/"} {
		if status, body := d.get(t, path, "", ""); status != 401 || strings.Contains(body, "node0") {
			t.Errorf("%s without a password: %d", path, status)
		}
		if status, _ := d.get(t, path, "viewer", "look"); status != 200 {
			t.Errorf("%s for a reader: %d", path, status)
		}
	}
	if status, body := d.get(t, "/api/v1/openapi.json", "viewer", "look"); status != 200 || !strings.Contains(body, `"/api/v1/switchover"`) {
		t.Errorf("OpenAPI: %d", status)
	}
	for _, tt := range []struct {
		path, user, password string
		want                 int
	}{{"heap", "admin", "open sesame", 200}, {"profile?seconds=1", "admin", "open sesame", 200}, {"heap", "viewer", "look", 403}, {"heap", "", "", 401}, {"cmdline", "admin", "open sesame", 404}} {
		if status, _ := d.get(t, "/debug/pprof/"+tt.path, tt.user, tt.password); status != tt.want {
			t.Errorf("%s for %q: %d, want %d", tt.path, tt.user, status, tt.want)
		}
	}
	log := d.server.Log()
	for _, want := range []string{"args=heap door=http user=admin", "args=profile door=http user=admin", "args=heap door=http user=viewer error="} {
		if !strings.Contains(log, `msg="operator's command" command=profile `+want) {
			t.Errorf("the log does not say %s", want)
		}
	}
	if status, _ := d.get(t, "/api/v1/reload", "admin", "open sesame"); status != 403 {
		t.Errorf("a link reloads: %d", status)
	}
	post := func(user, password, header string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d/api/v1/reload", d.httpPort), strings.NewReader(`{"args":[]}`))
		must(t, err)
		r.SetBasicAuth(user, password)
		if header != "" {
			r.Header.Set(header, "1")
		}
		answer, err := http.DefaultClient.Do(r)
		must(t, err)
		answer.Body.Close() //nolint:errcheck // nothing is in it
		return answer.StatusCode
	}
	for _, tt := range []struct {
		user, password, header string
		want                   int
	}{{"admin", "open sesame", "X-Howdah", 200}, {"admin", "open sesame", "", 403}, {"viewer", "look", "X-Howdah", 403}, {"admin", "wrong", "X-Howdah", 401}} {
		if got := post(tt.user, tt.password, tt.header); got != tt.want {
			t.Errorf("%s %q: %d, want %d", tt.user, tt.header, got, tt.want)
		}
	}
}
