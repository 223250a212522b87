package web_test

import (
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/admin/admintest"
	"github.com/howdah/howdah/admin/web"
	"github.com/howdah/howdah/cluster"
)

// from is a listener whose connections seem to come from an address.
type from struct {
	net.Listener
	address net.Addr
}

type fromConn struct {
	net.Conn
	address net.Addr
}

func (l from) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return fromConn{c, l.address}, err
}

func (c fromConn) RemoteAddr() net.Addr { return c.address }

// start serves the State; clients seem to come from ip.
func start(t *testing.T, s *admintest.State, server *web.Server, ip string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(from{l, &net.TCPAddr{IP: net.ParseIP(ip), Port: 5}}, nil) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

func status(t *testing.T, method, url, user, password, body string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		r.SetBasicAuth(user, password)
	}
	r.Header.Set("X-Howdah", "1")
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// Over plain HTTP no password of another host is looked at, but health and metrics are told.
func TestPasswordsNeedTLS(t *testing.T) {
	s, a := admintest.New()
	url := start(t, s, web.New(a, slog.New(slog.DiscardHandler)), "192.0.2.7")
	for _, tt := range []struct {
		path, user string
		want       int
	}{{"/healthz", "", 200}, {"/metrics", "", 200}, {"/api/v1/nodes", "", 401}, {"/api/v1/nodes", "admin", 403}} {
		if got := status(t, http.MethodGet, url+tt.path, tt.user, "secret", ""); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.path, got, tt.want)
		}
	}
}

func TestRequests(t *testing.T) {
	s, a := admintest.New()
	url := start(t, s, web.New(a, slog.New(slog.DiscardHandler)), "127.0.0.1")
	for _, tt := range []struct {
		method, path, body string
		want               int
	}{
		{"GET", "/api/v1/nodes", "", 200},
		{"GET", "/api/v1/dance", "", 400},
		{"GET", "/api/v1/reload", "", 403},
		{"POST", "/api/v1/reload", `{"args": []}`, 200},
		{"POST", "/api/v1/reload", `{"args": ["x"]}`, 400},
		{"POST", "/api/v1/reload", `{"arguments": []}`, 400},
		{"POST", "/api/v1/reload", "x", 400},
		{"POST", "/api/v1/kill", `{"args": ["` + strings.Repeat("1", 20_000) + `"]}`, 400},
		{"POST", "/api/v1/attach", `{"args": ["pg1"]}`, 501},
		{"DELETE", "/api/v1/nodes", "", 405},
		{"GET", "/page.js", "", 200},
		{"GET", "/login", "", 200},
		{"GET", "/../handler.go", "", 404},
		{"GET", "/replica?lag=100", "", 200},
		{"GET", "/replica?lag=99", "", 503},
		{"GET", "/replica?lag=-1", "", 400},
	} {
		if got := status(t, tt.method, url+tt.path, "admin", "secret", tt.body); got != tt.want {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, got, tt.want)
		}
	}
	s.Primary = cluster.NoNode
	if got := status(t, "GET", url+"/primary", "", "", ""); got != 503 {
		t.Errorf("without a primary: %d", got)
	}
	s.Number.Stopping = true
	if got := status(t, "GET", url+"/readyz", "", "", ""); got != 503 {
		t.Errorf("stopping: %d", got)
	}
}

// Passwords can be tried so often only.
func TestGuessing(t *testing.T) {
	s, a := admintest.New()
	url := start(t, s, web.New(a, slog.New(slog.DiscardHandler)), "127.0.0.1")
	for i := range 12 {
		want := 401
		if i >= 10 {
			want = 429
		}
		if got := status(t, "GET", url+"/api/v1/nodes", "admin", "guess", ""); got != want {
			t.Errorf("try %d: %d, want %d", i, got, want)
		}
	}
}
