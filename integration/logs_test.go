package integration_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// Logins, statements, messages and ends are logged as asked for, with the session and the client; secrets
// and parameters are not.
func TestLogs(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{Standbys: 1})
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: map[string]any{"log.format": "json", "log.connections": true, "log.disconnections": true,
		"log.hostname": true, "log.statements": true, "log.client_messages": true}})
	conn := connect(t, server)
	for _, sql := range []string{"BEGIN", "SELECT 'simple'", "COMMIT", "CREATE ROLE logs_test PASSWORD 'hush'"} {
		_, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		must(t, err)
	}
	var n int
	must(t, conn.QueryRow(t.Context(), "SELECT $1::int + 1", 918273).Scan(&n))
	must(t, conn.Close(t.Context()))
	session := fmt.Sprintf(`"session":%d`, conn.PgConn().PID())
	for _, want := range []string{`"msg":"client logged in"`, `"msg":"statement: BEGIN"`, `"msg":"statement: SELECT 'simple'"`, `"msg":"statement: (not logged: it may hold a password)"`,
		`"msg":"statement: Parse: SELECT $1::int + 1"`, `"msg":"statement: Execute: SELECT $1::int + 1"`, `"msg":"Bind message from frontend"`, `"msg":"Query message from frontend"`,
		`"msg":"client left"`} {
		eventually(t, want, func() error {
			for line := range strings.Lines(server.Log()) {
				if strings.Contains(line, want) && strings.Contains(line, session) && strings.Contains(line, `"client":"127.0.0.1:`) && strings.Contains(line, `"user":"postgres"`) {
					return nil
				}
			}
			return fmt.Errorf("the log has no such line of the session:\n%.3000s", server.Log())
		})
	}
	log := server.Log()
	if strings.Contains(log, "hush") || strings.Contains(log, "918273") {
		t.Error("the log has a secret or a parameter")
	}
	if !strings.Contains(log, `"hostname":"`) || !strings.Contains(log, `"after":"`) {
		t.Error("the log has neither the client's name nor how long it stayed")
	}
}

// A session may ask for its own statements to be logged.
func TestLogStatementOfASession(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{Standbys: 1})
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster})
	conn, other := connect(t, server), connect(t, server)
	for _, sql := range []string{"SELECT 'before'", "PGPOOL SET log_statement TO on", "PGPOOL SET log_client_messages = on", "SELECT 'while'", "PGPOOL RESET ALL", "SELECT 'after'"} {
		_, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		must(t, err)
		_, err = other.Exec(t.Context(), "SELECT 'other'", pgx.QueryExecModeSimpleProtocol)
		must(t, err)
	}
	log := server.Log()
	if !strings.Contains(log, "statement: SELECT 'while'") || !strings.Contains(log, "Query message from frontend") {
		t.Errorf("the log lacks the session's statement:\n%s", log)
	}
	for _, not := range []string{"before", "after'", "other"} {
		if strings.Contains(log, "statement: SELECT '"+not) {
			t.Errorf("the log has %s", not)
		}
	}
}

// With log.destination: syslog the lines go there, and nothing but faults at the start to standard error.
func TestLogsToSyslog(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/tmp", "syslog")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) }) //nolint:errcheck // only litter is left
	path := filepath.Join(dir, "log")
	socket, err := net.ListenPacket("unixgram", path)
	must(t, err)
	t.Cleanup(func() { socket.Close() }) //nolint:errcheck // the test is over
	lines := make(chan string, 10_000)
	go func() { // ends with the socket
		b := make([]byte, 64<<10)
		for {
			n, _, err := socket.ReadFrom(b)
			if err != nil {
				close(lines)
				return
			}
			lines <- string(b[:n])
		}
	}()
	d := newDoors(t, map[string]any{"log.destination": "syslog", "log.syslog.network": "unixgram", "log.syslog.address": path, "log.syslog.ident": "howdah-test"})
	if out, diag, code := d.howdah(t, "reload"); code != 0 {
		t.Errorf("%s%s", out, diag)
	}
	timeout := time.After(waitTimeout)
	var all strings.Builder
	for !strings.Contains(all.String(), `msg="operator's command" command=reload`) {
		select {
		case line := <-lines:
			all.WriteString(line)
		case <-timeout:
			t.Fatalf("syslog has\n%s", all.String())
		}
	}
	if text := all.String(); !strings.Contains(text, "<134>") || !strings.Contains(text, "howdah-test[") || !strings.Contains(text, "user=root") || strings.Contains(d.server.Log(), "msg=") {
		t.Errorf("syslog has\n%s\nstandard error\n%s", text, d.server.Log())
	}
}

// A log file that was renamed is begun anew by a signal, an operator and a reload, and no line is lost.
func TestLogFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "howdah.log")
	d := newDoors(t, map[string]any{"log.destination": "file", "log.file": path, "log.statements": true})
	conn := connect(t, d.server)
	rotated := 0
	for _, rotate := range []func() error{
		func() error { return d.server.Signal(syscall.SIGUSR1) },
		func() error { return d.server.Signal(syscall.SIGHUP) },
		func() error {
			if out, diag, code := d.howdah(t, "log", "rotate"); code != 0 {
				return fmt.Errorf("%s%s", out, diag)
			}
			return nil
		},
	} {
		rotated++
		old := fmt.Sprintf("%s.%d", path, rotated)
		_, err := conn.Exec(t.Context(), fmt.Sprintf("SELECT 'before %d'", rotated), pgx.QueryExecModeSimpleProtocol)
		must(t, err)
		must(t, os.Rename(path, old))
		_, err = conn.Exec(t.Context(), fmt.Sprintf("SELECT 'renamed %d'", rotated), pgx.QueryExecModeSimpleProtocol)
		must(t, err)
		must(t, rotate())
		eventually(t, "a new file", func() error { _, err := os.Stat(path); return err })
		_, err = conn.Exec(t.Context(), fmt.Sprintf("SELECT 'after %d'", rotated), pgx.QueryExecModeSimpleProtocol)
		must(t, err)
		for name, want := range map[string][]string{old: {"before", "renamed"}, path: {"after"}} {
			text, err := os.ReadFile(name)
			must(t, err)
			for _, w := range want {
				if !strings.Contains(string(text), fmt.Sprintf("statement: SELECT '%s %d'", w, rotated)) {
					t.Errorf("%s lacks what was %s %d", filepath.Base(name), w, rotated)
				}
			}
		}
	}
	// A howdah that logs elsewhere says so.
	other := newDoors(t, nil)
	if _, diag, code := other.howdah(t, "log", "rotate"); code != 1 || !strings.Contains(diag, "log.destination is not file") {
		t.Errorf("%s, code %d", diag, code)
	}
}

// The messages of servers are logged as asked for, in the file and by a session.
func TestLogServerMessages(t *testing.T) {
	t.Parallel()
	server := howdahtest.Start(t, howdahtest.Options{Cluster: pgcluster.ForTest(t, pgcluster.Options{}), Settings: map[string]any{"log.format": "json"}})
	conn := connect(t, server)
	count := func(message string) int {
		return strings.Count(server.Log(), `"msg":"`+message+` message from backend"`)
	}
	exec := func(sql string) {
		t.Helper()
		_, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		must(t, err)
	}
	exec("SELECT 'not told' FROM generate_series(1, 5)")
	exec("PGPOOL SET log_backend_messages TO terse")
	exec("SELECT 'hush' FROM generate_series(1, 5)")
	eventually(t, "messages in short", func() error {
		if rows, ready := count("DataRow"), count("ReadyForQuery"); rows != 1 || ready != 1 {
			return fmt.Errorf("%d DataRow, %d ReadyForQuery", rows, ready)
		}
		return nil
	})
	exec("PGPOOL SET log_backend_messages = 'verbose'")
	exec("SELECT 'hush' FROM generate_series(1, 5)")
	eventually(t, "all messages", func() error {
		if rows, done := count("DataRow"), count("CommandComplete"); rows != 6 || done != 2 {
			return fmt.Errorf("%d DataRow, %d CommandComplete", rows, done)
		}
		return nil
	})
	if _, err := conn.Exec(t.Context(), "PGPOOL SET log_backend_messages TO loud", pgx.QueryExecModeSimpleProtocol); sqlState(err) != "22023" {
		t.Errorf("got %v", err)
	}
	exec("PGPOOL RESET log_backend_messages")
	before := strings.Count(server.Log(), "message from backend")
	exec("SELECT 'not told'")
	if n := strings.Count(server.Log(), "message from backend"); n != before || strings.Contains(server.Log(), "hush") {
		t.Errorf("%d messages more, or a value, in\n%s", n-before, server.Log())
	}
}
