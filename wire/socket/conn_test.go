package socket_test

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/howdah/howdah/wire/socket"
)

// pair are the two ends of a connection.
func pair(t testing.TB, network string) (a, b net.Conn, err error) {
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	l, err := listen(network, address)
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	var dialing sync.WaitGroup
	var errDial error
	dialing.Go(func() {
		var nc net.Conn
		if nc, errDial = net.Dial(network, l.Addr().String()); errDial == nil {
			b, errDial = socket.Take(nc)
		}
	})
	a, err = l.Accept()
	dialing.Wait()
	return a, b, errors.Join(err, errDial)
}

func listen(network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, err
	}
	return socket.Listen(l)
}

func mustPair(t testing.TB) (a, b *socket.Conn) {
	t.Helper()
	x, y, err := pair(t, "tcp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close(); y.Close() })
	return x.(*socket.Conn), y.(*socket.Conn)
}

// It is what package net's connections are.
func TestConn(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				c1, c2, err = pair(t, network)
				return c1, c2, func() { c1.Close(); c2.Close() }, err
			})
		})
	}
}

func TestAddresses(t *testing.T) {
	for _, network := range []string{"tcp4", "tcp6", "unix"} {
		address := map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0", "unix": filepath.Join(t.TempDir(), "s")}[network]
		l, err := listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		client, err := net.Dial(network, l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		same := func(what string, got, want net.Addr) {
			if got.Network() != want.Network() || strings.TrimPrefix(got.String(), "@") != strings.TrimPrefix(want.String(), "@") {
				t.Errorf("%s: %s is %s, want %s", network, what, got, want)
			}
		}
		same("remote", c.RemoteAddr(), client.LocalAddr())
		same("local", c.LocalAddr(), client.RemoteAddr())
	}
}

// Closed by another goroutine while it is in use, a socket's number is not given to others.
func TestCloseWaitsForUsers(t *testing.T) {
	a, _ := mustPair(t)
	raw, _ := a.SyscallConn()
	if err := raw.Control(func(fd uintptr) {
		a.Close()
		if _, err := syscall.Getsockname(int(fd)); err != nil {
			t.Errorf("it was closed in use: %v", err)
		}
	}); err != nil {
		t.Error(err)
	}
	if err := raw.Control(func(uintptr) { t.Error("used though closed") }); !errors.Is(err, net.ErrClosed) {
		t.Errorf("control: %v", err)
	}
	if err := a.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed twice: %v", err)
	}
}

func TestAcceptAfterClose(t *testing.T) {
	l, err := listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, func() { l.Close() })
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: %v", err)
	}
}

func TestCloseWrite(t *testing.T) {
	a, b := mustPair(t)
	if err := a.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read: %v", err)
	}
	b.Write([]byte("x"))
	if n, err := a.Read(make([]byte, 2)); n != 1 || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
}

// recorder keeps what a Handler is told.
type recorder struct{ told chan string }

func (r *recorder) Readable(*socket.Batch) { r.told <- "readable" }
func (r *recorder) Interrupted()           { r.told <- "interrupted" }
func (r *recorder) Posted(*socket.Batch)   { r.told <- "posted" }

func (r *recorder) Sent(*socket.Batch, int, bool, syscall.Errno) { r.told <- "sent" }

func TestHandler(t *testing.T) {
	a, b := mustPair(t)
	r := &recorder{make(chan string, 1)}
	a.Use(r)
	want := func(what string) {
		t.Helper()
		select {
		case got := <-r.told:
			if got != what {
				t.Errorf("it was told %s, want %s", got, what)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("it was not told %s", what)
		}
	}
	buf := make([]byte, 10)
	if err := a.Begin(); err != nil {
		t.Fatal(err)
	}
	waits := func() {
		t.Helper()
		for { // the socket may be told of for nothing
			ok, err := a.Handle()
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				return
			}
		}
	}
	refused := func(want error) {
		t.Helper()
		if ok, err := a.Handle(); ok || !errors.Is(err, want) {
			t.Errorf("it waits: %t, %v; want %v", ok, err, want)
		}
	}
	waits()
	b.Write([]byte("x"))
	want("readable")
	if n, errno := socket.Recv(a.FD(), buf, 0); n != 1 || errno != 0 {
		t.Errorf("read %d, %v", n, errno)
	}
	waits()
	a.SetReadDeadline(time.Unix(1, 0))
	want("interrupted")
	refused(os.ErrDeadlineExceeded)
	a.SetReadDeadline(time.Time{})
	waits()
	a.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	want("interrupted")
	a.SetReadDeadline(time.Time{})
	waits()
	a.Close()
	want("interrupted")
	refused(net.ErrClosed)
	a.Post()
	want("posted")
	a.End()
	if err := a.Begin(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("begin: %v", err)
	}
}

// echo gives back what it reads, by a loop, until the connection ends.
type echo struct {
	*socket.Conn
	buf   [100]byte
	ended chan struct{}
}

func (e *echo) Interrupted()         { close(e.ended) }
func (e *echo) Posted(*socket.Batch) {}

func (e *echo) Sent(*socket.Batch, int, bool, syscall.Errno) {}

func (e *echo) Readable(*socket.Batch) {
	for {
		n, errno := socket.Recv(e.FD(), e.buf[:], 0)
		switch {
		case errno == syscall.EAGAIN:
			if waits, err := e.Handle(); err != nil {
				close(e.ended)
				return
			} else if waits {
				return
			}
		case n == 0 || errno != 0:
			close(e.ended)
			return
		default:
			socket.Send(e.FD(), e.buf[:n])
		}
	}
}

// Nothing is lost between a loop and those that interrupt it: many connections, whose numbers are used again, are
// answered by handlers, read by goroutines and closed at any time.
func TestManyAtOnce(t *testing.T) {
	var running sync.WaitGroup
	for i := range 8 {
		running.Go(func() {
			for range 30 {
				a, b, err := pair(t, "tcp")
				if err != nil {
					t.Error(err)
					return
				}
				e := &echo{Conn: a.(*socket.Conn), ended: make(chan struct{})}
				if err := e.Begin(); err != nil {
					t.Error(err)
					return
				}
				e.Use(e)
				e.Readable(nil)
				b.SetDeadline(time.Now().Add(20 * time.Second))
				buf := make([]byte, 3)
				for range 50 {
					b.Write([]byte("abc"))
					if _, err := io.ReadFull(b, buf); err != nil || string(buf) != "abc" {
						t.Errorf("got %q, %v", buf, err)
					}
				}
				switch i % 3 {
				case 0:
					b.Close()
				case 1:
					a.Close()
				case 2:
					a.SetReadDeadline(time.Now().Add(time.Microsecond))
				}
				<-e.ended
				e.End()
				a.Close()
				b.Close()
			}
		})
	}
	running.Wait()
}

// A deadline that is moved does not strike by its old time.
func TestDeadlineMoves(t *testing.T) {
	a, b := mustPair(t)
	a.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	a.SetReadDeadline(time.Now().Add(10 * time.Second))
	time.AfterFunc(60*time.Millisecond, func() { b.Write([]byte("x")) })
	if n, err := a.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
	a.SetReadDeadline(time.Now().Add(-time.Second))
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v", err)
	}
}
