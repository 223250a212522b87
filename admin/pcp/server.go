package pcp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/howdah/howdah/admin"
)

const (
	// maxConnections bounds the connections that are open at the same time.
	maxConnections = 100
	// loginTimeout is from accept to the end of login.
	loginTimeout = 30 * time.Second
	// idleTimeout is how long a client may be silent between commands.
	idleTimeout = 10 * time.Minute
	// writeTimeout is for one reply.
	writeTimeout = 30 * time.Second
)

// Server serves PCP connections.
type Server struct {
	Admin *admin.Admin
	Log   *slog.Logger

	mu    sync.Mutex
	open  map[net.Conn]bool
	ended bool
	wait  sync.WaitGroup
}

// Serve accepts clients until the listener is closed.
func (s *Server) Serve(l net.Listener) error {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			s.Log.Warn("accept a PCP client", "error", err)
			time.Sleep(100 * time.Millisecond) // no descriptors are left, say
			continue
		}
		if !s.enter(c) {
			c.SetWriteDeadline(time.Now().Add(time.Second))
			c.Write(appendError(nil, "FATAL", "too many PCP connections", ""))
			c.Close()
			continue
		}
		go func() {
			defer s.leave(c)
			s.handle(c)
		}()
	}
}

func (s *Server) enter(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || len(s.open) >= maxConnections {
		return false
	}
	if s.open == nil {
		s.open = map[net.Conn]bool{}
	}
	s.open[c] = true
	s.wait.Add(1)
	return true
}

func (s *Server) leave(c net.Conn) {
	c.Close()
	s.mu.Lock()
	delete(s.open, c)
	s.mu.Unlock()
	s.wait.Done()
}

// Close ends all connections and waits for them. The listeners must be closed before.
func (s *Server) Close() {
	s.mu.Lock()
	s.ended = true
	for c := range s.open {
		c.SetReadDeadline(time.Unix(1, 0)) // one that answers a command may finish that
	}
	s.mu.Unlock()
	s.wait.Wait()
}

// hostOf is whom failed logins are counted against.
func hostOf(c net.Conn) string {
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		return "local"
	}
	return host
}

// handle serves one client from its login to its end.
func (s *Server) handle(c net.Conn) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c.SetReadDeadline(time.Now().Add(loginTimeout))
	by, err := s.login(c)
	for err == nil {
		s.mu.Lock()
		if !s.ended {
			c.SetReadDeadline(time.Now().Add(idleTimeout))
		}
		s.mu.Unlock()
		var typ byte
		var payload, reply []byte
		if typ, payload, err = readMessage(c); err != nil {
			break
		}
		if typ == 'X' {
			return
		}
		if reply, err = s.reply(ctx, by, typ, payload); reply != nil {
			err = errors.Join(err, write(c, reply))
		}
	}
	if errors.Is(err, errMalformed) {
		s.Log.Warn("PCP client refused", "host", hostOf(c), "error", err)
		write(c, appendError(nil, "FATAL", err.Error(), ""))
	}
}

func write(c net.Conn, b []byte) error {
	c.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := c.Write(b)
	return err
}

// login has the client prove who it is. An error has been told to the client, but for errMalformed.
func (s *Server) login(c net.Conn) (admin.Caller, error) {
	fail := func(why error) (admin.Caller, error) {
		write(c, appendError(nil, "FATAL", "authentication failed for new PCP connection", why.Error()))
		return admin.Caller{}, why
	}
	typ, payload, err := readMessage(c)
	if err != nil {
		return admin.Caller{}, err
	}
	if typ != 'M' || len(payload) != 0 {
		return fail(errors.New("connection not authorized"))
	}
	var salt [4]byte
	rand.Read(salt[:])
	if err := write(c, append([]byte{'m', 0, 0, 0, 8}, salt[:]...)); err != nil {
		return admin.Caller{}, err
	}
	if typ, payload, err = readMessage(c); err != nil {
		return admin.Caller{}, err
	}
	fields, ok := texts(payload, 2)
	if typ != 'R' || !ok {
		return fail(errors.New("connection not authorized"))
	}
	by, err := s.Admin.LoginPCP(hostOf(c), fields[0], fields[1], salt)
	if errors.Is(err, admin.ErrLogin) {
		return fail(fmt.Errorf("username and/or password does not match"))
	} else if err != nil {
		return fail(err)
	}
	return by, write(c, appendMessage(nil, 'r', "AuthenticationOK"))
}
