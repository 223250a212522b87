package integration_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/lib/pq"

	"github.com/howdah/howdah/integration/pki"
)

// rows are a command's answer, by the command line.
func (d *doors) rows(t *testing.T, command string) []map[string]any {
	t.Helper()
	out, diag, code := d.howdah(t, command, "--json")
	var answer struct{ Rows []map[string]any }
	if err := json.Unmarshal([]byte(out), &answer); err != nil || code != 0 {
		t.Fatalf("howdah %s: %v %s%s", command, err, out, diag)
	}
	return answer.Rows
}

// With pool.mode: transaction operators see who keeps a connection and why, who waits for one, and who has them.
func TestPinsAndWaiters(t *testing.T) {
	t.Parallel()
	d := newDoors(t, map[string]any{"pool.mode": "transaction", "pool.max_per_node": 2, "pool.notice_after": "0s"})
	listener, blocker := connect(t, d.server), connect(t, d.server)
	for conn, sql := range map[*pgx.Conn]string{listener: "LISTEN news", blocker: "BEGIN; CREATE TEMP TABLE held (id int)"} {
		_, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		must(t, err)
	}
	waiter := connect(t, d.server)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := waiter.Exec(ctx, "CREATE TABLE nobody (id int)")
		done <- err
	}()
	eventually(t, "the one that waits is shown", func() error {
		rows := d.rows(t, "waiters")
		if len(rows) != 1 || rows[0]["name"] != "node0" || rows[0]["user"] != "postgres" || rows[0]["place"].(float64) != 1 || rows[0]["waits_ms"].(float64) <= 0 {
			return fmt.Errorf("waiters %v", rows)
		}
		return nil
	})
	pins := fmt.Sprint(d.rows(t, "pins"))
	for _, want := range []string{"reason:LISTEN", "what:keeps its connection", "mode:transaction"} {
		if !strings.Contains(pins, want) {
			t.Errorf("no %s in the pins: %s", want, pins)
		}
	}
	users := d.rows(t, "pool-users")
	found := false
	for _, r := range users {
		found = found || r["name"] == "node0" && r["user"] == "postgres" && r["shared"] == true && r["open"].(float64) == 2 && r["lent"].(float64) == 2 && r["waiting"].(float64) == 1
	}
	if !found {
		t.Errorf("pool-users: %v", users)
	}
	_, metrics := d.get(t, "/metrics", "", "")
	for _, want := range []string{`howdah_pinned_sessions{reason="LISTEN"} 1`, `howdah_pool_waiters{node="node0"} 1`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	if !regexp.MustCompile(`howdah_pool_longest_wait_seconds\{node="node0"\} [1-9.]`).MatchString(metrics) &&
		!regexp.MustCompile(`howdah_pool_longest_wait_seconds\{node="node0"\} 0\.0*[1-9]`).MatchString(metrics) {
		t.Error("the metrics do not say how long it waits")
	}
	_, err := blocker.Exec(t.Context(), "ROLLBACK", pgx.QueryExecModeSimpleProtocol)
	must(t, err)
	must(t, <-done)
	cancel()
	if rows := d.rows(t, "waiters"); len(rows) != 0 {
		t.Errorf("still waiting: %v", rows)
	}
}

// Examples of decisions have their reasons but no literals; latencies are counted for the node and the route.
func TestExamplesAndLatency(t *testing.T) {
	t.Parallel()
	d := newDoors(t, nil)
	conn := connect(t, d.server)
	_, err := conn.Exec(t.Context(), "CREATE TABLE t (id int, name text)")
	must(t, err)
	statements := []string{"SELECT 'hush' FROM pg_class WHERE relname = 'hush'", "INSERT INTO t VALUES (4711, 'hush')"}
	eventually(t, "a read and a write are among the examples", func() error {
		slices.Reverse(statements) // the first one after a pause is taken
		for _, sql := range statements {
			_, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
			must(t, err)
		}
		text := fmt.Sprint(d.rows(t, "examples"))
		if strings.Contains(text, "hush") || strings.Contains(text, "4711") {
			t.Fatalf("literals are shown: %s", text)
		}
		for _, want := range []string{"statement:SELECT 'x' FROM pg_class WHERE relname = 'x'", "statement:INSERT INTO t VALUES (1, 'x')", "reason:write", "node:node0"} {
			if !strings.Contains(text, want) {
				return fmt.Errorf("no %s in %s", want, text)
			}
		}
		return nil
	})
	var read, write float64
	for _, r := range d.rows(t, "latency") {
		if r["count"].(float64) > 0 && r["average_ms"].(float64) <= 0 {
			t.Errorf("latency %v", r)
		}
		if r["route"] == "read" {
			read += r["count"].(float64)
		} else if r["name"] != "node0" && r["count"].(float64) > 0 {
			t.Errorf("a standby writes: %v", r)
		} else {
			write += r["count"].(float64)
		}
	}
	if read < 1 || write < 2 {
		t.Errorf("%v reads, %v writes", read, write)
	}
	_, metrics := d.get(t, "/metrics", "", "")
	for _, want := range []string{`howdah_statement_duration_seconds_bucket{node="node0",route="write",le="+Inf"} ` + fmt.Sprint(write),
		`howdah_statement_duration_seconds_count{node="node0",route="write"} ` + fmt.Sprint(write), "howdah_primary_changes_total 0", `howdah_node_downs_total{node="node1"} 0`,
		`howdah_cache_bytes{cache="statements"}`, `howdah_cache_bytes{cache="catalogs of postgres"}`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	if status, body := d.get(t, "/leader", "", ""); status != 200 || strings.TrimSpace(body) != "alone" {
		t.Errorf("/leader: %d %s", status, body)
	}
	caches := fmt.Sprint(d.rows(t, "caches"))
	if !strings.Contains(caches, "catalogs of postgres") || !strings.Contains(caches, "exact hits") {
		t.Errorf("caches %s", caches)
	}
	for _, name := range []string{"examples", "latency", "caches", "pool_users", "pins", "waiters"} {
		if _, err := conn.Exec(t.Context(), "SHOW howdah."+name); err != nil {
			t.Errorf("SHOW howdah.%s: %v", name, err)
		}
	}
}

// pgpool2_exporter asks by lib/pq, takes columns by their names, and numbers for numbers.
func TestExporter(t *testing.T) {
	t.Parallel()
	d := newDoors(t, nil)
	connector, err := pq.NewConnector(d.server.DSN("postgres", "postgres") + " sslmode=disable")
	must(t, err)
	db := sql.OpenDB(connector)
	t.Cleanup(func() { must(t, db.Close()) })
	ask := func(query string) []map[string]string {
		t.Helper()
		rows, err := db.QueryContext(t.Context(), query)
		must(t, err)
		defer rows.Close() //nolint:errcheck // Err is looked at
		names, err := rows.Columns()
		must(t, err)
		var all []map[string]string
		for rows.Next() {
			values := make([]any, len(names))
			for i := range values {
				values[i] = new(sql.NullString)
			}
			must(t, rows.Scan(values...))
			row := map[string]string{}
			for i, name := range names {
				row[name] = values[i].(*sql.NullString).String
			}
			all = append(all, row)
		}
		must(t, rows.Err())
		return all
	}
	if v := ask("SHOW POOL_VERSION;")[0]["pool_version"]; !regexp.MustCompile(`^\d+\.\d+(\.\d+)?`).MatchString(v) {
		t.Errorf("version %q", v)
	}
	for query, numbers := range map[string]string{
		"SHOW POOL_NODES;":         "port select_cnt replication_delay",
		"SHOW POOL_BACKEND_STATS;": "select_cnt insert_cnt update_cnt delete_cnt ddl_cnt other_cnt panic_cnt fatal_cnt error_cnt",
		"SHOW POOL_HEALTH_CHECK_STATS;": "total_count success_count fail_count skip_count retry_count average_retry_count max_retry_count " +
			"max_duration min_duration average_duration",
		"SHOW POOL_CACHE;":     "cache_hit_ratio num_hash_entries used_hash_entries num_cache_entries used_cache_entries_size free_cache_entries_size fragment_cache_entries_size",
		"SHOW POOL_PROCESSES;": "pool_pid",
		"SHOW POOL_POOLS;":     "pool_pid pool_id backend_id",
	} {
		rows := ask(query)
		if len(rows) == 0 {
			t.Errorf("%s: no rows", query)
		}
		for _, row := range rows {
			for _, name := range strings.Fields(numbers) {
				if _, err := strconv.ParseFloat(row[name], 64); err != nil {
					t.Errorf("%s: %s is %q", query, name, row[name])
				}
			}
		}
	}
}

// HTTPS takes passwords, and a reload changes its certificate.
func TestHTTPS(t *testing.T) {
	t.Parallel()
	authority := pki.New(t, "authority")
	first := authority.Issue("first", pkix.Name{CommonName: "first"}, "127.0.0.1")
	second := authority.Issue("second", pkix.Name{CommonName: "second"}, "127.0.0.1")
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	install := func(p pki.Pair) {
		t.Helper()
		for to, from := range map[string]string{cert: p.Cert, key: p.Key} {
			data, err := os.ReadFile(from)
			must(t, err)
			must(t, os.WriteFile(to, data, 0o600))
		}
	}
	install(first)
	d := newDoors(t, map[string]any{"admin.http.cert_file": cert, "admin.http.key_file": key})
	pool := x509.NewCertPool()
	pool.AddCert(authority.Certificate())
	who := func() (string, error) {
		client := http.Client{Timeout: waitTimeout, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("https://127.0.0.1:%d/api/v1/nodes", d.httpPort), nil)
		must(t, err)
		r.SetBasicAuth("admin", "open sesame")
		answer, err := client.Do(r)
		if err != nil {
			return "", err
		}
		answer.Body.Close() //nolint:errcheck // not read
		if answer.StatusCode != 200 {
			return "", errors.New(answer.Status)
		}
		return answer.TLS.PeerCertificates[0].Subject.CommonName, nil
	}
	if name, err := who(); err != nil || name != "first" {
		t.Errorf("%q, %v", name, err)
	}
	install(second)
	if out, diag, code := d.howdah(t, "reload"); code != 0 {
		t.Errorf("reload: %s%s", out, diag)
	}
	if name, err := who(); err != nil || name != "second" {
		t.Errorf("after the reload: %q, %v", name, err)
	}
	must(t, os.WriteFile(cert, []byte("nonsense"), 0o600))
	if _, diag, code := d.howdah(t, "reload"); code != 1 || !strings.Contains(diag, "admin.http.cert_file") {
		t.Errorf("a certificate that is none: %d %s", code, diag)
	}
	if name, err := who(); err != nil || name != "second" {
		t.Errorf("after the reload that failed: %q, %v", name, err)
	}
}
