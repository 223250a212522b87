package integration_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
	"github.com/howdah/howdah/wire"
)

// TestProxyProtocol comes through a load balancer, which is believed if it is a known one.
func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{})
	rules := []string{"host all all 192.0.2.0/24 trust", "host all all 2001:db8::/32 trust", "host all all 127.0.0.1/32 reject"}
	behind := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: map[string]any{"auth.hba": rules, "proxy_protocol.from": []string{"127.0.0.1"}}})
	open := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: map[string]any{"auth.hba": rules, "proxy_protocol.from": []string{"10.0.0.0/8"}}})
	body := version3 + "user\x00postgres\x00\x00"
	startup := packet(4+len(body), body)
	header := func(version int, from string) string {
		return string(wire.AppendProxyHeader(nil, version, netip.MustParseAddrPort(from), netip.MustParseAddrPort(from)))
	}
	for _, row := range []struct {
		name   string
		server *howdahtest.Server
		send   string
		want   string // part of the answer; "" is a login, "-" no answer
	}{
		{"v1", behind, header(1, "192.0.2.7:1234") + startup, ""},
		{"v2", behind, header(2, "192.0.2.7:1234") + startup, ""},
		{"v2, IPv6", behind, header(2, "[2001:db8::7]:1234") + startup, ""},
		{"another client", behind, header(2, "192.0.3.7:1234") + startup, `no pg_hba.conf entry for host "192.0.3.7"`},
		{"its own connection", behind, "PROXY UNKNOWN\r\n" + startup, `pg_hba.conf rejects connection for host "127.0.0.1"`},
		{"no header", behind, startup, "-"},
		{"half a header", behind, "PROXY TCP4 192.0.2.7 nonsense\r\n" + startup, "-"},
		{"from a stranger", open, header(2, "192.0.2.7:1234") + startup, "-"},
		{"a stranger without", open, startup, `pg_hba.conf rejects connection for host "127.0.0.1"`},
	} {
		r, err := dialRaw(row.server.Address())
		must(t, err)
		_, err = io.WriteString(r, row.send)
		must(t, err)
		switch row.want {
		case "":
			if err := r.until('Z'); err != nil {
				t.Errorf("%s: %v", row.name, err)
			}
		case "-":
			if got := r.rest(t); got != "" {
				t.Errorf("%s: answered %q", row.name, got)
			}
		default:
			if got := r.rest(t); !strings.Contains(got, row.want) {
				t.Errorf("%s: answered %q, want %q", row.name, got, row.want)
			}
		}
		must(t, r.Close())
	}
	if log := behind.Log(); !strings.Contains(log, "192.0.3.7") {
		t.Error("the log does not name the client's own address")
	}
}

// proxyGate stands before a server and takes no connection without a header of the PROXY protocol.
func proxyGate(t *testing.T, port int) (gate int, served func() int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	count := make(chan struct{}, 10_000)
	go func() { // ends with the listener
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection
				c := wire.NewConn(nc)
				defer c.Close() //nolint:errcheck // one direction has ended
				from, ok, err := c.ReadProxyHeader()
				if err != nil || !ok || from.String() != nc.RemoteAddr().String() {
					return
				}
				count <- struct{}{}
				server, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
				if err != nil {
					return
				}
				defer server.Close() //nolint:errcheck // as above
				client, err := c.Stream()
				if err != nil {
					return
				}
				go func() {
					io.Copy(client, server) //nolint:errcheck // its end is the end of both
					c.NetConn().Close()     //nolint:errcheck // as above
				}()
				io.Copy(server, client) //nolint:errcheck // its end is the end of both
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port, func() int { return len(count) }
}

func TestProxyProtocolToServers(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{})
	for _, version := range []string{"v1", "v2"} {
		gate, served := proxyGate(t, cluster.Port(0))
		server := howdahtest.Start(t, howdahtest.Options{Settings: map[string]any{"backends": []map[string]any{
			{"name": "node0", "host": "127.0.0.1", "port": gate, "proxy_protocol": version}}}})
		conn, err := pgx.Connect(t.Context(), server.DSN("postgres", "postgres"))
		must(t, err)
		must(t, conn.Ping(t.Context()))
		wantCancelled(t, conn.PgConn())
		must(t, conn.Close(t.Context()))
		if n := served(); n < 3 { // a probe, a query, a cancel request
			t.Errorf("%s: %d connections with a header", version, n)
		}
	}
}

// TestFailedLogins has one address guess passwords; others are not disturbed.
func TestFailedLogins(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{})
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: map[string]any{
		"auth.hba":                 []string{"host all postgres all trust", "host all all all md5"},
		"auth.passwd_file":         writeFile(t, `"alice" "secret"`),
		"auth.fail_delay":          "20ms",
		"limits.failed_login_rate": 1,
		"proxy_protocol.from":      []string{"127.0.0.1"},
	}})
	attempt := func(address, user, password string) (string, time.Duration) {
		r, err := dialRaw(server.Address())
		must(t, err)
		defer r.Close() //nolint:errcheck // the attempt is over
		from := netip.MustParseAddrPort(address + ":1")
		body := version3 + "user\x00" + user + "\x00database\x00postgres\x00\x00"
		began := time.Now()
		_, err = r.Write(append(wire.AppendProxyHeader(nil, 2, from, from), packet(4+len(body), body)...))
		must(t, err)
		if password != "" {
			if err := r.until('R'); err != nil {
				return err.Error(), time.Since(began)
			}
			_, err = r.Write(wire.AppendMessage(nil, 'p', password, "\x00"))
			must(t, err)
		}
		if err := r.until('Z'); err != nil {
			return err.Error(), time.Since(began)
		}
		return "", time.Since(began)
	}
	failures, blocked := 0, false
	for range 100 {
		answer, took := attempt("192.0.2.1", "alice", "wrong")
		if strings.Contains(answer, "53300") {
			if failures < 10 {
				t.Errorf("refused after %d failures, want at least 10", failures)
			}
			// Every second one is forgotten, which may be now.
			if answer, _ := attempt("192.0.2.1", "postgres", ""); strings.Contains(answer, "53300") {
				blocked = true
				break
			}
			continue
		}
		failures++
		if !strings.Contains(answer, "28P01") || took < 20*time.Millisecond {
			t.Errorf("answered %q after %v", answer, took)
		}
	}
	if !blocked {
		t.Errorf("after %d failures the address is heard", failures)
	}
	if answer, _ := attempt("192.0.2.2", "postgres", ""); answer != "" {
		t.Errorf("another address is refused: %q", answer)
	}
	eventually(t, "the address to be admitted again", func() error {
		if answer, _ := attempt("192.0.2.1", "postgres", ""); answer != "" {
			return fmt.Errorf("refused: %s", answer)
		}
		return nil
	})
}

// TestLoginRate bounds an address that does nothing wrong.
func TestLoginRate(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{})
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: map[string]any{"limits.login_rate": 3}})
	refused := 0
	for range 50 {
		conn, err := pgx.Connect(t.Context(), server.DSN("postgres", "postgres"))
		if err == nil {
			must(t, conn.Close(t.Context()))
		} else if sqlState(err) == "53300" {
			refused++
		} else {
			t.Fatal(err)
		}
	}
	if refused == 0 {
		t.Error("50 logins at once are admitted, want 3 per second")
	}
	eventually(t, "a login to be admitted", func() error {
		conn, err := pgx.Connect(t.Context(), server.DSN("postgres", "postgres"))
		if err != nil {
			return err
		}
		return conn.Close(t.Context())
	})
}

// TestSlowClientsGiveWay has many that connect and say nothing, or half of something.
func TestSlowClientsGiveWay(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{})
	const limit = 20
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: map[string]any{"limits.max_unauthenticated": limit}})
	session, err := pgx.Connect(t.Context(), server.DSN("postgres", "postgres"))
	must(t, err)
	defer session.Close(t.Context()) //nolint:errcheck // the test is over
	var closed atomic.Int64
	for i := range 10 * limit {
		r, err := dialRaw(server.Address())
		must(t, err)
		defer r.Close() //nolint:errcheck // the test is over
		_, err = io.WriteString(r, []string{"", "\x00\x00", packet(100, version3+"user\x00po")}[i%3])
		must(t, err)
		go func() { // ends with the connection
			if n, _ := io.Copy(io.Discard, r); n > 0 {
				t.Errorf("%d bytes are answered", n)
			}
			closed.Add(1)
		}()
	}
	eventually(t, "all but the last to be closed", func() error {
		if n := closed.Load(); n != 9*limit {
			return fmt.Errorf("%d of %d are", n, 10*limit)
		}
		return nil
	})
	for range 5 {
		conn, err := pgx.Connect(t.Context(), server.DSN("postgres", "postgres"))
		must(t, err)
		must(t, conn.Close(t.Context()))
	}
	must(t, session.Ping(t.Context()))
	if !strings.Contains(server.Log(), "limits.max_unauthenticated") {
		t.Error("the log does not say that connections had to give way")
	}
}
