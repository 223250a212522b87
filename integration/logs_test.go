package integration_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
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
