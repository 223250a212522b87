package integration_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
	"github.com/howdah/howdah/integration/pki"
)

// tlsSettings are those of a howdah with a certificate for localhost.
func tlsSettings(p pki.Pair) map[string]any {
	return map[string]any{"tls.client.cert": p.Cert, "tls.client.key": p.Key}
}

// psqlTLS runs psql with the connection string and returns what it prints.
func psqlTLS(t *testing.T, server *howdahtest.Server, words string, sql string) (string, error) {
	t.Helper()
	f := &fixture{port: server.Port, cluster: &pgcluster.Cluster{}}
	dsn := fmt.Sprintf("host=localhost hostaddr=127.0.0.1 port=%d user=postgres dbname=postgres %s", server.Port, words)
	cmd := f.command(t.Context(), "/usr/bin/psql", "-X", "-At", "-w", "-c", sql, dsn)
	cmd.Env = append(cmd.Env, "PGSSLROOTCERT=/nonexistent", "PGSSLCERT=/nonexistent", "PGSSLCRL=/nonexistent")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// TestTLSModes has psql connect by every sslmode of libpq.
func TestTLSModes(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{})
	must(t, cluster.Exec(t.Context(), 0, "postgres", "CREATE ROLE secure LOGIN; CREATE ROLE plain LOGIN"))
	ca, other := pki.New(t, "the authority"), pki.New(t, "another authority")
	settings := tlsSettings(ca.Issue("localhost", pkix.Name{CommonName: "localhost"}, "localhost"))
	settings["auth.hba"] = []string{"hostssl all secure all trust", "hostnossl all plain all trust", "host all postgres all trust"}
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: settings})
	elsewhere := tlsSettings(ca.IssueRSA("elsewhere", pkix.Name{CommonName: "elsewhere"}, "elsewhere"))
	elsewhere["tls.client.mode"] = "require"
	elsewhere["tls.client.min_version"] = "TLSv1.3"
	strict := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: elsewhere})
	off := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: map[string]any{"tls.client.mode": "off"}})

	root, wrong := " sslrootcert="+ca.File, " sslrootcert="+other.File
	for _, row := range []struct {
		server *howdahtest.Server
		words  string
		want   string // part of an error; "" is none
		ssl    bool
	}{
		{server, "sslmode=disable", "", false},
		{server, "sslmode=allow", "", false},
		{server, "sslmode=prefer", "", true},
		{server, "sslmode=require", "", true},
		{server, "sslmode=verify-ca" + root, "", true},
		{server, "sslmode=verify-full" + root, "", true},
		{server, "sslmode=verify-ca" + wrong, "certificate verify failed", false},
		{server, "sslmode=require ssl_min_protocol_version=TLSv1.3", "", true},
		{server, "sslmode=require ssl_max_protocol_version=TLSv1.2", "", true},
		{server, "sslmode=require ssl_min_protocol_version=TLSv1 ssl_max_protocol_version=TLSv1.1", "SSL error", false},
		{server, "user=secure sslmode=disable", `no pg_hba.conf entry for host "127.0.0.1", user "secure", database "postgres", no encryption`, false},
		{server, "user=secure sslmode=allow", "", true}, // refused first, then with TLS
		{server, "user=plain sslmode=prefer", "", false},
		{server, "user=plain sslmode=require", `no pg_hba.conf entry for host "127.0.0.1", user "plain", database "postgres", SSL encryption`, false},
		{strict, "sslmode=disable", "connection is not encrypted", false},
		{strict, "sslmode=allow", "", true},
		{strict, "sslmode=require ssl_max_protocol_version=TLSv1.2", "protocol version", false},
		{strict, "sslmode=verify-ca" + root, "", true},
		{strict, "sslmode=verify-full" + root, `server certificate for "elsewhere" does not match host name "localhost"`, false},
		{off, "sslmode=prefer", "", false},
		{off, "sslmode=require", "server does not support SSL", false},
	} {
		out, err := psqlTLS(t, row.server, row.words, `\conninfo`)
		switch {
		case row.want == "" && (err != nil || strings.Contains(out, "SSL connection") != row.ssl):
			t.Errorf("%s: %v, %q, want SSL %v", row.words, err, out, row.ssl)
		case row.want != "" && (err == nil || !strings.Contains(out, row.want)):
			t.Errorf("%s: %v, %q, want %q", row.words, err, out, row.want)
		}
	}
	if got, err := psqlTLS(t, server, "sslmode=require", "SELECT 'read', 1; "); err != nil || got != "read|1" {
		t.Errorf("a query by TLS: %q, %v", got, err)
	}
}

// tlsRaw sends first in clear text, expects answers to it, and then speaks TLS.
func tlsRaw(t *testing.T, server *howdahtest.Server, ca *pki.Authority, first, answer string, protocols ...string) (*tls.Conn, error) {
	t.Helper()
	r, err := dialRaw(server.Address())
	must(t, err)
	t.Cleanup(func() { r.Close() })
	if first != "" {
		_, err = io.WriteString(r, first)
		must(t, err)
		got := make([]byte, len(answer))
		_, err = io.ReadFull(r, got)
		must(t, err)
		if string(got) != answer {
			t.Fatalf("answered %q, want %q", got, answer)
		}
	}
	pem, err := os.ReadFile(ca.File)
	must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	conn := tls.Client(r.Conn, &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: protocols})
	return conn, conn.Handshake()
}

const (
	sslRequest = "\x00\x00\x00\x08\x04\xd2\x16\x2f"
	gssRequest = "\x00\x00\x00\x08\x04\xd2\x16\x30"
)

// TestTLSStarts begins encrypted connections in all ways that there are, and some that there are not.
func TestTLSStarts(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{})
	ca := pki.New(t, "the authority")
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster,
		Settings: tlsSettings(ca.Issue("localhost", pkix.Name{CommonName: "localhost"}, "localhost"))})
	body := version3 + "user\x00postgres\x00\x00"
	startup := packet(4+len(body), body)
	for _, row := range []struct {
		name, first, answer string
		protocols           []string
		want                bool
	}{
		{"asked for", sslRequest, "S", nil, true},
		{"asked for, with ALPN", sslRequest, "S", []string{"postgresql"}, true},
		{"at once after GSSAPI", gssRequest, "N", []string{"postgresql"}, false},
		{"at once", "", "", []string{"postgresql"}, true},
		{"at once without ALPN", "", "", nil, false},
		{"another protocol", "", "", []string{"h2"}, false},
		{"another protocol, asked for", sslRequest, "S", []string{"h2"}, false},
	} {
		conn, err := tlsRaw(t, server, ca, row.first, row.answer, row.protocols...)
		if err == nil {
			_, err = io.WriteString(conn, startup)
		}
		if err == nil {
			r := &raw{Conn: conn}
			err = r.until('Z')
		}
		if (err == nil) != row.want {
			t.Errorf("%s: %v, want success %v", row.name, err, row.want)
		}
	}
	t.Run("GSSAPI first", func(t *testing.T) {
		r, err := dialRaw(server.Address())
		must(t, err)
		defer r.Close() //nolint:errcheck // the test is over
		for _, step := range []struct{ send, want string }{{gssRequest, "N"}, {sslRequest, "S"}} {
			_, err = io.WriteString(r, step.send)
			must(t, err)
			got := make([]byte, 1)
			_, err = io.ReadFull(r, got)
			must(t, err)
			if string(got) != step.want {
				t.Fatalf("got %q, want %q", got, step.want)
			}
		}
		conn := tls.Client(r.Conn, &tls.Config{InsecureSkipVerify: true})
		_, err = io.WriteString(conn, startup)
		must(t, err)
		must(t, (&raw{Conn: conn}).until('Z'))
	})
	t.Run("pipelined clear text", func(t *testing.T) { // CVE-2021-23214
		r, err := dialRaw(server.Address())
		must(t, err)
		defer r.Close() //nolint:errcheck // the test is over
		_, err = io.WriteString(r, sslRequest+startup)
		must(t, err)
		if got := r.rest(t); !strings.Contains(got, "received unencrypted data after SSL request") || strings.HasPrefix(got, "S") {
			t.Errorf("got %q", got)
		}
	})
	t.Run("clear text for the handshake", func(t *testing.T) {
		r, err := dialRaw(server.Address())
		must(t, err)
		defer r.Close() //nolint:errcheck // the test is over
		_, err = io.WriteString(r, sslRequest)
		must(t, err)
		_, err = io.ReadFull(r, make([]byte, 1))
		must(t, err)
		_, err = io.WriteString(r, startup)
		must(t, err)
		if got := r.rest(t); strings.Contains(got, "R\x00") {
			t.Errorf("got %q", got)
		}
	})
	t.Run("a cancel request", func(t *testing.T) {
		conn, err := pgx.Connect(t.Context(), server.DSN("postgres", "postgres"))
		must(t, err)
		defer conn.Close(t.Context()) //nolint:errcheck // the test is over
		config := conn.PgConn()
		done := make(chan error, 1)
		go func() { _, err := conn.Exec(t.Context(), "SELECT pg_sleep(60)"); done <- err }()
		key := config.SecretKey()
		request := fmt.Sprintf("\x00\x00\x00\x10\x04\xd2\x16\x2e%s%s", be32(config.PID()), key)
		eventually(t, "the statement to be cancelled by TLS", func() error {
			secure, err := tlsRaw(t, server, ca, sslRequest, "S")
			if err != nil {
				return err
			}
			if _, err := io.WriteString(secure, request); err != nil {
				return err
			}
			secure.Close() //nolint:errcheck // it has said what it had to
			select {
			case err := <-done:
				if sqlState(err) != "57014" {
					t.Errorf("got %v", err)
				}
				return nil
			case <-time.After(100 * time.Millisecond):
				return fmt.Errorf("it still runs")
			}
		})
	})
}

func be32(n uint32) []byte { return []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)} }

// TestTLSWork does by TLS on both sides what strains a connection: large answers, COPY
// both ways, pipelines, LISTEN, cancel.
func TestTLSWork(t *testing.T) {
	t.Parallel()
	ca := pki.New(t, "the authority")
	pair := ca.Issue("localhost", pkix.Name{CommonName: "localhost"}, "localhost", "127.0.0.1").ForServer(t)
	cluster := pgcluster.ForTest(t, pgcluster.Options{Standbys: 1, Settings: map[string]string{
		"ssl": "on", "ssl_cert_file": pair.Cert, "ssl_key_file": pair.Key}, HBA: []string{"hostssl all all 127.0.0.1/32 trust"}})
	settings := tlsSettings(pair)
	settings["tls.backend.mode"], settings["tls.backend.ca"] = "verify-full", ca.File
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Weights: []float64{0, 1}, Settings: settings})
	f := &fixture{cluster: cluster, server: server, port: server.Port, sslmode: "require"}
	dsn := fmt.Sprintf("host=localhost port=%d user=postgres dbname=postgres sslmode=verify-full sslrootcert=%s", server.Port, ca.File)

	t.Run("pgbench", func(t *testing.T) {
		if out, err := f.command(t.Context(), "pgbench", "-i", "-s", "1", "-q").CombinedOutput(); err != nil {
			t.Fatalf("pgbench -i: %v\n%s", err, out)
		}
		must(t, cluster.WaitReplay(t.Context(), 0))
		for _, mode := range []string{"simple", "prepared"} {
			f.pgbench(t, "-n", "-c", "8", "-t", "20", "-M", mode, "-b", "tpcb-like")
			f.pgbench(t, "-n", "-c", "8", "-t", "20", "-M", mode, "-b", "select-only")
			f.pgbench(t, "-n", "-c", "4", "-t", "3", "-C", "-M", mode, "-b", "select-only")
		}
		f.pgbench(t, "-n", "-c", "4", "-t", "20", "-M", "prepared", "-f", pipelineScript(t))
		wantReadsOnStandby(t, f, "pgbench_accounts")
	})
	conn, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	defer conn.Close(t.Context()) //nolint:errcheck // the test is over
	t.Run("who is connected how", func(t *testing.T) {
		for i := range cluster.Nodes() {
			plain := f.value(t, i, "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE client_addr IS NOT NULL AND backend_type = 'client backend' AND NOT ssl")
			probes := f.value(t, i, "SELECT count(*) > 0 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND application_name LIKE 'howdah%'")
			if plain != "0" || probes != "true" {
				t.Errorf("node %d has %s connections without TLS, probes with it: %s", i, plain, probes)
			}
		}
	})
	t.Run("large answers", func(t *testing.T) {
		var text string
		for _, size := range []int{1, 16 << 10, 1 << 20, 50 << 20} {
			must(t, conn.QueryRow(t.Context(), "SELECT repeat('x', $1)", size).Scan(&text))
			if len(text) != size {
				t.Errorf("%d bytes of %d", len(text), size)
			}
			must(t, conn.QueryRow(t.Context(), "SELECT length($1::text)", text).Scan(&size))
			if len(text) != size {
				t.Errorf("%d bytes sent, %d arrived", len(text), size)
			}
		}
	})
	t.Run("COPY", func(t *testing.T) {
		_, err := conn.Exec(t.Context(), "CREATE TABLE copied (t text)")
		must(t, err)
		row := strings.Repeat("y", 999) + "\n"
		data := strings.Repeat(row, 20_000)
		_, err = conn.PgConn().CopyFrom(t.Context(), strings.NewReader(data), "COPY copied FROM STDIN")
		must(t, err)
		var out bytes.Buffer
		_, err = conn.PgConn().CopyTo(t.Context(), &out, "COPY copied TO STDOUT")
		must(t, err)
		if out.String() != data {
			t.Errorf("%d bytes in, %d bytes out", len(data), out.Len())
		}
	})
	t.Run("an error in the middle of COPY", func(t *testing.T) { // both sides send at once
		data := strings.Repeat("not a number\n", 2_000_000)
		_, err := conn.PgConn().CopyFrom(t.Context(), strings.NewReader(data), "COPY pgbench_branches (bid) FROM STDIN")
		if sqlState(err) != "22P02" {
			t.Errorf("got %v", err)
		}
		must(t, conn.Ping(t.Context()))
	})
	t.Run("LISTEN", func(t *testing.T) {
		_, err := conn.Exec(t.Context(), "LISTEN news")
		must(t, err)
		for i := range 3 { // also while it is silent
			must(t, cluster.Exec(t.Context(), 0, "postgres", fmt.Sprintf("NOTIFY news, '%d'", i)))
			n, err := conn.WaitForNotification(t.Context())
			must(t, err)
			if n.Payload != fmt.Sprint(i) {
				t.Errorf("got %q, want %d", n.Payload, i)
			}
		}
	})
	t.Run("cancel", func(t *testing.T) { // to a server that takes nothing but TLS
		wantCancelled(t, conn.PgConn())
	})
	t.Run("the pool knows a dead connection", func(t *testing.T) {
		must(t, conn.Close(t.Context()))
		must(t, cluster.Exec(t.Context(), 0, "postgres", "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"))
		for range 3 {
			again, err := pgx.Connect(t.Context(), dsn)
			must(t, err)
			_, err = again.Exec(t.Context(), "CREATE TABLE IF NOT EXISTS pooled ()")
			must(t, err)
			must(t, again.Close(t.Context()))
		}
	})
}

// wantReadsOnStandby is wantReadsOnStandbys for a cluster of one standby.
func wantReadsOnStandby(t *testing.T, f *fixture, table string) {
	t.Helper()
	eventually(t, "reads of "+table+" on the standby", func() error {
		if n := f.scans(t, 1, table); n == 0 {
			return fmt.Errorf("none; the primary had %d", f.scans(t, 0, table))
		}
		return nil
	})
}

// TestTLSToServers connects to servers that are not what the settings want.
func TestTLSToServers(t *testing.T) {
	t.Parallel()
	ca, other := pki.New(t, "the authority"), pki.New(t, "another authority")
	pair := ca.IssueRSA("server", pkix.Name{CommonName: "db.example.org"}, "db.example.org").ForServer(t)
	howdahs := ca.Issue("howdah", pkix.Name{CommonName: "postgres"})
	secure := pgcluster.ForTest(t, pgcluster.Options{Settings: map[string]string{
		"ssl": "on", "ssl_cert_file": pair.Cert, "ssl_key_file": pair.Key, "ssl_ca_file": ca.File}, HBA: []string{"hostssl all all 127.0.0.1/32 trust"}})
	plain := pgcluster.ForTest(t, pgcluster.Options{})
	demanding := pgcluster.ForTest(t, pgcluster.Options{Settings: map[string]string{
		"ssl": "on", "ssl_cert_file": pair.Cert, "ssl_key_file": pair.Key, "ssl_ca_file": ca.File}, HBA: []string{"hostssl all all 127.0.0.1/32 cert"}})
	refusing := pgcluster.ForTest(t, pgcluster.Options{Settings: map[string]string{
		"ssl": "on", "ssl_cert_file": pair.Cert, "ssl_key_file": pair.Key}, HBA: []string{"hostnossl all all 127.0.0.1/32 trust"}})
	for _, row := range []struct {
		name    string
		cluster *pgcluster.Cluster
		tls     map[string]any
		want    string // part of the reason in the log; "" if it works
	}{
		{"disable", secure, map[string]any{"mode": "disable"}, "no encryption"},
		{"default", secure, nil, ""},
		{"default, plain", plain, nil, ""},
		{"prefer, refused", refusing, nil, ""},
		{"require", secure, map[string]any{"mode": "require"}, ""},
		{"require, plain", plain, map[string]any{"mode": "require"}, "TLS"},
		{"require with a ca", secure, map[string]any{"mode": "require", "ca": other.File}, "unknown authority"},
		{"verify-ca", secure, map[string]any{"mode": "verify-ca", "ca": ca.File}, ""},
		{"verify-ca, another", secure, map[string]any{"mode": "verify-ca", "ca": other.File}, "unknown authority"},
		{"verify-full", secure, map[string]any{"mode": "verify-full", "ca": ca.File}, "does not name the host"},
		{"revoked", secure, map[string]any{"mode": "verify-ca", "ca": ca.File, "crl": ca.Revoke("revoked.crl", pair.Leaf)}, "is revoked"},
		{"not revoked", secure, map[string]any{"mode": "verify-ca", "ca": ca.File, "crl": ca.Revoke("none.crl")}, ""},
		{"no certificate", demanding, map[string]any{"mode": "require"}, "certificate"},
		{"certificate", demanding, map[string]any{"mode": "require", "cert": howdahs.Cert, "key": howdahs.Key}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			settings := map[string]any{"failover.hold": "1s"}
			for key, value := range row.tls {
				settings["tls.backend."+key] = value
			}
			server := howdahtest.Start(t, howdahtest.Options{Cluster: row.cluster, Settings: settings})
			conn, err := pgx.Connect(t.Context(), server.DSN("postgres", "postgres"))
			if row.want != "" {
				if err == nil {
					t.Errorf("it works, want %q", row.want)
				} else if !strings.Contains(server.Log(), row.want) {
					t.Errorf("the log has no %q; the client was told %v", row.want, err)
				}
				return
			}
			must(t, err)
			defer conn.Close(t.Context()) //nolint:errcheck // the test is over
			var encrypted bool
			must(t, conn.QueryRow(t.Context(), "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").Scan(&encrypted))
			if want := row.cluster == secure || row.cluster == demanding; encrypted != want {
				t.Errorf("encrypted %v, want %v", encrypted, want)
			}
		})
	}
}

// TestTLSReload changes certificates under sessions that go on.
func TestTLSReload(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{})
	ca, next := pki.New(t, "the authority"), pki.New(t, "the next authority")
	first := ca.Issue("localhost", pkix.Name{CommonName: "localhost"}, "localhost")
	second := next.Issue("localhost", pkix.Name{CommonName: "localhost"}, "localhost")
	options := howdahtest.Options{Cluster: cluster, Settings: tlsSettings(first)}
	server := howdahtest.Start(t, options)
	connect := func(a *pki.Authority) (*pgx.Conn, error) {
		config, err := pgx.ParseConfig(fmt.Sprintf("host=localhost port=%d user=postgres dbname=postgres sslmode=verify-full sslrootcert=%s", server.Port, a.File))
		must(t, err)
		return pgx.ConnectConfig(t.Context(), config)
	}
	old, err := connect(ca)
	must(t, err)
	defer old.Close(t.Context()) //nolint:errcheck // the test is over
	_, err = old.Exec(t.Context(), "CREATE TEMP TABLE kept ()")
	must(t, err)
	// The files change, their names do not.
	for from, to := range map[string]string{second.Cert: first.Cert, second.Key: first.Key} {
		text, err := os.ReadFile(from)
		must(t, err)
		must(t, os.WriteFile(to, text, 0o600))
	}
	must(t, server.Reload(options))
	eventually(t, "the new certificate", func() error {
		conn, err := connect(next)
		if err != nil {
			return err
		}
		return conn.Close(t.Context())
	})
	if _, err := connect(ca); err == nil {
		t.Error("the old certificate is still shown")
	}
	_, err = old.Exec(t.Context(), "SELECT FROM kept")
	must(t, err)
	// A broken file changes nothing.
	must(t, os.WriteFile(first.Cert, []byte("no certificate"), 0o600))
	must(t, server.Reload(options))
	eventually(t, "the refusal in the log", func() error {
		if !strings.Contains(server.Log(), "reload: nothing was changed") {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	conn, err := connect(next)
	must(t, err)
	must(t, conn.Close(t.Context()))
	_, err = old.Exec(t.Context(), "SELECT FROM kept")
	must(t, err)
}
