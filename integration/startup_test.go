package integration_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// packet is a startup packet of a stated length, which may lie.
func packet(length int, body string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(length))) + body
}

const (
	version2 = "\x00\x02\x00\x00"
	version3 = "\x00\x03\x00\x00"
	version9 = "\x00\x09\x00\x00"
)

// TestStartupRefused sends what no client should. Each gets PostgreSQL's answer,
// or none as from PostgreSQL, and the connection is closed; then a proper client
// is served as if nothing had been.
func TestStartupRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	whole := func(body string) string { return packet(4+len(body), body) }
	rows := []struct {
		name string
		send string
		want string // part of what comes; "" is nothing at all
	}{
		{"http", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", ""},
		{"tls", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", ""},
		{"zeros", strings.Repeat("\x00", 64), ""},
		{"too short", packet(7, version3), ""},
		{"too long", packet(20000, version3+strings.Repeat("x", 20000)), ""},
		{"far too long", packet(0x7fffffff, version3), ""},
		{"negative", packet(-1, version3), ""},
		{"no terminator", whole(version3 + "user\x00postgres"), "08P01"},
		{"no user", whole(version3 + "database\x00postgres\x00\x00"), "28000"},
		{"nothing", whole(version3 + "\x00"), "28000"},
		{"empty user", whole(version3 + "user\x00\x00\x00"), "28000"},
		{"protocol 2", whole(version2 + strings.Repeat("\x00", 288)), "unsupported frontend protocol 2.0"},
		{"protocol 9", whole(version9 + "user\x00postgres\x00\x00"), "0A000"},
		{"unknown database", whole(version3 + "user\x00postgres\x00database\x00nowhere\x00\x00"), "3D000"},
		{"unknown user", whole(version3 + "user\x00nobody_here\x00\x00"), "28000"},
		{"bad setting", whole(version3 + "user\x00postgres\x00DateStyle\x00nonsense\x00\x00"), "22023"},
		{"unknown setting", whole(version3 + "user\x00postgres\x00no_such\x001\x00\x00"), "42704"},
		{"cancel of nobody", whole("\x04\xd2\x16\x2e" + "\x00\x00\x00\x01\x00\x00\x00\x02"), ""},
		{"cancel cut short", whole("\x04\xd2\x16\x2e" + "\x00\x00"), ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r, err := dialRaw(f.address())
			must(t, err)
			defer r.Close() //nolint:errcheck // closed by the other side
			_, err = io.WriteString(r, row.send)
			must(t, err)
			got := r.rest(t)
			if row.want == "" && got != "" || !strings.Contains(got, row.want) {
				t.Errorf("the answer is %q, want %q", got, row.want)
			}
		})
	}
	var one int
	must(t, f.pgx(t, nil).QueryRow(t.Context(), "SELECT 1").Scan(&one))
}

// TestEncryptionRequests asks for TLS and GSSAPI, which are politely declined, and
// then logs in.
func TestEncryptionRequests(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const ssl, gss = "\x00\x00\x00\x08\x04\xd2\x16\x2f", "\x00\x00\x00\x08\x04\xd2\x16\x30"
	for name, requests := range map[string][]string{"ssl": {ssl}, "gss": {gss}, "both": {gss, ssl}} {
		r, err := dialRaw(f.address())
		must(t, err)
		for _, request := range requests {
			_, err := io.WriteString(r, request)
			must(t, err)
			answer := make([]byte, 1)
			_, err = io.ReadFull(r, answer)
			must(t, err)
			if answer[0] != 'N' {
				t.Errorf("%s: the answer is %q, want N", name, answer)
			}
		}
		body := version3 + "user\x00postgres\x00\x00"
		_, err = io.WriteString(r, packet(4+len(body), body))
		must(t, err)
		must(t, r.until('Z'))
		must(t, r.Close())
	}
}

// TestSlowStartup is closed by timeouts.auth, wherever in the login it stays.
func TestSlowStartup(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{})
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: map[string]any{
		"timeouts.auth": "3s",
		"auth.hba":      []string{"host all postgres 127.0.0.1/32 trust", "host all all 127.0.0.1/32 scram-sha-256"},
	}})
	patient, err := pgx.Connect(t.Context(), server.DSN("postgres", "postgres"))
	must(t, err)
	body := version3 + "user\x00slow\x00\x00"
	for name, send := range map[string]string{
		"silent":              "",
		"half a length":       "\x00\x00",
		"half a packet":       packet(100, version3+"user\x00po"),
		"no password":         packet(4+len(body), body),
		"half a password":     packet(4+len(body), body) + "p\x00\x00\x00\x40SCRAM",
		"after an SSLRequest": "\x00\x00\x00\x08\x04\xd2\x16\x2f",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := dialRaw(server.Address())
			must(t, err)
			defer r.Close() //nolint:errcheck // closed by the other side
			_, err = io.WriteString(r, send)
			must(t, err)
			began := time.Now()
			r.rest(t)
			if took := time.Since(began); took < 1500*time.Millisecond {
				t.Errorf("closed after %v, want the timeout of 3s", took)
			}
		})
	}
	t.Run("after login", func(t *testing.T) { // there is all the time in the world
		time.Sleep(3200 * time.Millisecond)
		must(t, patient.Ping(t.Context()))
	})
}

func TestTooManyClients(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{})
	const limit = 5
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: map[string]any{"limits.max_clients": limit}})
	var conns []*pgx.Conn
	eventually(t, "the probe connections of the test to be gone", func() error {
		for len(conns) < limit {
			conn, err := pgx.Connect(t.Context(), server.DSN("postgres", "postgres"))
			if err != nil {
				return err
			}
			conns = append(conns, conn)
		}
		return nil
	})
	_, err := pgx.Connect(t.Context(), server.DSN("postgres", "postgres"))
	if code := sqlState(err); code != "53300" {
		t.Errorf("client %d is refused with %q (%v), want 53300", limit+1, code, err)
	}
	for _, conn := range conns {
		must(t, conn.Ping(t.Context()))
	}
	must(t, conns[0].Close(t.Context()))
	eventually(t, "a place to be free again", func() error {
		conn, err := pgx.Connect(t.Context(), server.DSN("postgres", "postgres"))
		if err != nil {
			return err
		}
		return conn.Close(t.Context())
	})
}

// A client of protocol 3.2 gets a long cancel key, which works; one of 3.0 the short one.
func TestCancelKeysOfVersions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for version, size := range map[string]int{"3.0": 4, "3.2": 32} {
		conn, err := pgconn.Connect(t.Context(), fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=postgres max_protocol_version=%s", f.port, version))
		must(t, err)
		defer conn.Close(t.Context())
		if n := len(conn.SecretKey()); n != size {
			t.Errorf("protocol %s: a cancel key of %d bytes, want %d", version, n, size)
		}
		wantCancelled(t, conn)
	}
}

// wantCancelled lets conn run a statement without an end, and has cancel requests end it. A server ignores one
// that comes before the statement does, so more follow.
func wantCancelled(t *testing.T, conn *pgconn.PgConn) {
	t.Helper()
	done := make(chan error, 1)
	go func() { _, err := conn.Exec(context.Background(), "SELECT pg_sleep(60)").ReadAll(); done <- err }() // ends with the statement
	eventually(t, "the statement to be cancelled", func() error {
		if err := conn.CancelRequest(t.Context()); err != nil {
			return err
		}
		select {
		case err := <-done:
			if sqlState(err) != "57014" {
				t.Errorf("got %v, want 57014", err)
			}
			return nil
		case <-time.After(100 * time.Millisecond):
			return errors.New("it still runs")
		}
	})
}
