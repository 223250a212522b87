package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/howdah/howdah/admin"
)

// Times that bound a request. A page asks again and again, so idle connections may stay.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second
	idleTimeout   = 2 * time.Minute
	// commandTimeout is for a command with its answer: a switchover takes its time.
	commandTimeout = 10 * time.Minute
	maxHeader      = 16 << 10
)

// Server serves the HTTP port and the command line's socket.
type Server struct {
	Admin *admin.Admin
	Log   *slog.Logger

	tcp, unix *http.Server
}

// New makes a server of a.
func New(a *admin.Admin, log *slog.Logger) *Server {
	s := &Server{Admin: a, Log: log}
	newServer := func(h http.Handler) *http.Server {
		return &http.Server{Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: commandTimeout,
			IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	}
	s.tcp, s.unix = newServer(s.handler(s.byPassword)), newServer(s.handler(byPeer))
	s.unix.ConnContext = withPeer
	return s
}

// Serve serves HTTP, or HTTPS if certificate is not nil, until the listener is closed. Every handshake asks
// for the certificate anew.
func (s *Server) Serve(l net.Listener, certificate func() *tls.Certificate) error {
	if certificate != nil {
		get := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate(), nil }
		l = tls.NewListener(l, &tls.Config{GetCertificate: get, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	}
	return closed(s.tcp.Serve(l))
}

// ServeLocal serves the command line's socket until the listener is closed.
func (s *Server) ServeLocal(l net.Listener) error { return closed(s.unix.Serve(l)) }

func closed(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return fmt.Errorf("serve HTTP: %w", err)
}

// Close ends all connections; requests under way have a second to end.
func (s *Server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, h := range []*http.Server{s.tcp, s.unix} {
		if h.Shutdown(ctx) != nil {
			h.Close()
		}
	}
}

// identify says who sends a request. An error is an *httpError.
type identify func(r *http.Request) (admin.Caller, error)

// byPassword knows users by HTTP Basic authentication (RFC 7617).
func (s *Server) byPassword(r *http.Request) (admin.Caller, error) {
	name, password, given := r.BasicAuth()
	if !given {
		if s.Admin.State.Config().Admin.HTTP.Anonymous {
			return admin.Caller{Door: "http", Role: admin.RoleReader}, nil
		}
		return admin.Caller{}, &httpError{http.StatusUnauthorized, "log in as a user of admin.users_file"}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return admin.Caller{}, &httpError{http.StatusForbidden, "unknown address"}
	}
	if ip := net.ParseIP(host); r.TLS == nil && (ip == nil || !ip.IsLoopback()) {
		return admin.Caller{}, &httpError{http.StatusForbidden, "a password needs HTTPS: set admin.http.cert_file and key_file"}
	}
	by, err := s.Admin.LoginPassword("http", host, name, password)
	switch {
	case errors.Is(err, admin.ErrTooMany):
		return by, &httpError{http.StatusTooManyRequests, err.Error()}
	case err != nil:
		return by, &httpError{http.StatusUnauthorized, err.Error()}
	}
	return by, nil
}

// peerKey is a connection's key for the user at its other end.
type peerKey struct{}

// withPeer asks the kernel who is at the other end of a Unix socket (unix(7), SO_PEERCRED).
func withPeer(ctx context.Context, c net.Conn) context.Context {
	conn, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return ctx
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil || credErr != nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, int(cred.Uid))
}

// byPeer lets root in and the user who runs howdah.
func byPeer(r *http.Request) (admin.Caller, error) {
	uid, ok := r.Context().Value(peerKey{}).(int)
	if !ok || uid != 0 && uid != os.Geteuid() {
		return admin.Caller{}, &httpError{http.StatusForbidden, "only root and the user who runs howdah may use this socket"}
	}
	name := strconv.Itoa(uid)
	if u, err := user.LookupId(name); err == nil {
		name = u.Username
	}
	return admin.Caller{Door: "socket", User: name, Role: admin.RoleAdmin}, nil
}

// httpError is a refusal with its status.
type httpError struct {
	status  int
	message string
}

func (e *httpError) Error() string { return e.message }
