package socket

import (
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a connected stream socket. Its methods may be called by several goroutines, as those of [net.Conn].
type Conn struct {
	fd int32
	// life counts who uses fd, and has the bit closing when nobody may begin to. The last one closes fd.
	life   atomic.Uint32
	rd, wr side
	ended  atomic.Bool // the kernel has said so of the peer's direction
	loop   *loop
	remote net.Addr
}

const closing = 1 << 31

var (
	_ net.Conn     = (*Conn)(nil)
	_ syscall.Conn = (*Conn)(nil)
)

// newConn takes ownership of fd, a stream socket that does not block.
func newConn(fd int, remote net.Addr) (*Conn, error) {
	c := &Conn{fd: int32(fd), remote: remote}
	c.life.Store(1)
	c.rd.gate.mu.Lock()
	c.wr.gate.mu.Lock()
	if err := watch(c); err != nil {
		closeFD(fd)
		return nil, err
	}
	return c, nil
}

// Take makes a Conn of a connection of package net, which is used up: also if there is an error. What is no TCP or Unix socket is
// returned as it is.
func Take(nc net.Conn) (net.Conn, error) {
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return nc, nil
	}
	c, err := take(nc.(syscall.Conn), nc.RemoteAddr())
	nc.Close() // which takes it from Go's poller
	if err != nil {
		return nil, err
	}
	return c, nil
}

// take makes a Conn with a descriptor of its own of a socket.
func take(sc syscall.Conn, remote net.Addr) (*Conn, error) {
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("take a socket: %w", err)
	}
	fd, errDup := -1, error(nil)
	if err := raw.Control(func(old uintptr) { fd, errDup = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return nil, fmt.Errorf("take a socket: %w", err)
	}
	if errDup != nil {
		return nil, fmt.Errorf("take a socket: %w", os.NewSyscallError("fcntl", errDup))
	}
	return newConn(fd, remote)
}

// hold keeps fd open until drop; false: it is closed.
func (c *Conn) hold() bool {
	for {
		v := c.life.Load()
		if v&closing != 0 {
			return false
		}
		if c.life.CompareAndSwap(v, v+1) {
			return true
		}
	}
}

func (c *Conn) drop() {
	if c.life.Add(^uint32(0)) == closing {
		forget(c)
		closeFD(int(c.fd))
	}
}

// Close closes the socket, for the peer at once, although its descriptor is closed only when nobody uses it any more. Reads and writes that wait end with [net.ErrClosed].
func (c *Conn) Close() error {
	for {
		v := c.life.Load()
		if v&closing != 0 {
			return net.ErrClosed
		}
		if c.life.CompareAndSwap(v, v|closing) {
			break
		}
	}
	c.rd.interrupt()
	c.wr.interrupt()
	c.rd.stopTimer()
	c.wr.stopTimer()
	if c.life.Load() != closing|1 {
		shutdown(int(c.fd))
	}
	c.drop()
	return nil
}

// trouble is why one may not wait on a side.
func (c *Conn) trouble(s *side) error {
	if c.life.Load()&closing != 0 {
		return net.ErrClosed
	}
	if s.expired.Load() {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// begin makes the caller the one who reads (writes), until end. What the side was ready for before is not remembered: the caller
// is to try first.
func (c *Conn) begin(s *side) error {
	if !c.hold() {
		return net.ErrClosed
	}
	s.owner.Lock()
	if err := c.trouble(s); err != nil {
		c.end(s)
		return err
	}
	s.forget()
	return nil
}

func (c *Conn) end(s *side) {
	s.owner.Unlock()
	c.drop()
}

// until calls try until it returns true, and waits in between.
func (c *Conn) until(s *side, try func(fd uintptr) bool) error {
	if err := c.begin(s); err != nil {
		return err
	}
	defer c.end(s)
	for !try(uintptr(c.fd)) {
		if err := s.wait(c); err != nil {
			return err
		}
	}
	return nil
}

// Read is net.Conn's.
func (c *Conn) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	var errno syscall.Errno
	err = c.until(&c.rd, func(fd uintptr) bool {
		n, errno = Recv(fd, p, 0)
		return errno != syscall.EAGAIN
	})
	switch {
	case err != nil:
		return 0, err
	case errno != 0:
		return 0, os.NewSyscallError("recv", errno)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write is net.Conn's.
func (c *Conn) Write(p []byte) (n int, err error) {
	var errno syscall.Errno
	err = c.until(&c.wr, func(fd uintptr) bool {
		for n < len(p) {
			var m int
			if m, errno = Send(fd, p[n:]); errno != 0 {
				return errno != syscall.EAGAIN
			}
			n += m
		}
		return true
	})
	if err == nil && errno != 0 {
		err = os.NewSyscallError("send", errno)
	}
	return n, err
}

// CloseWrite tells the peer that nothing more comes (shutdown(2)).
func (c *Conn) CloseWrite() error {
	if !c.hold() {
		return net.ErrClosed
	}
	defer c.drop()
	return os.NewSyscallError("shutdown", unix.Shutdown(int(c.fd), unix.SHUT_WR))
}

// RemoteAddr is a *net.TCPAddr or a *net.UnixAddr.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// LocalAddr is RemoteAddr of the own end; nil if the socket is closed.
func (c *Conn) LocalAddr() net.Addr {
	if !c.hold() {
		return nil
	}
	defer c.drop()
	var sa syscall.RawSockaddrAny
	size := uint32(syscall.SizeofSockaddrAny)
	if !sockName(int(c.fd), &sa, &size) {
		return nil
	}
	return addrOf(&sa, size)
}

// SetDeadline is net.Conn's.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline is net.Conn's.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadline(&c.rd, t) }

// SetWriteDeadline is net.Conn's.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(&c.wr, t) }

func (c *Conn) setDeadline(s *side, t time.Time) error {
	if !c.hold() {
		return net.ErrClosed
	}
	s.setDeadline(t)
	c.drop()
	return nil
}

// SyscallConn is syscall.Conn's. Its Read and Write wait as those of package net do: what makes the socket ready after they began is seen.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return (*rawConn)(c), nil }

type rawConn Conn

func (r *rawConn) Control(f func(fd uintptr)) error {
	c := (*Conn)(r)
	if !c.hold() {
		return net.ErrClosed
	}
	defer c.drop()
	f(uintptr(c.fd))
	return nil
}

func (r *rawConn) Read(f func(fd uintptr) bool) error { return (*Conn)(r).until(&r.rd, f) }

func (r *rawConn) Write(f func(fd uintptr) bool) error { return (*Conn)(r).until(&r.wr, f) }

// What follows is for a single owner, who reads and writes by itself (Recv, Send with FD) and waits here.

// Begin makes the caller the one who reads, until End, and keeps the descriptor from being closed, even if Close is called. It waits while another reads.
func (c *Conn) Begin() error { return c.begin(&c.rd) }

// End is what must follow upon Begin, when nobody waits any more.
func (c *Conn) End() { c.end(&c.rd) }

// FD is the socket's descriptor, between Begin and End.
func (c *Conn) FD() uintptr { return uintptr(c.fd) }

// Check is why there is to be no reading: os.ErrDeadlineExceeded, net.ErrClosed, or nil. CheckWrite is the same for writing.
func (c *Conn) Check() error      { return c.trouble(&c.rd) }
func (c *Conn) CheckWrite() error { return c.trouble(&c.wr) }

// Ended reports whether the end of what the peer sends may be behind what is there to be read. It is told of once, perhaps together
// with the last bytes; rarely it was told of the descriptor's former use.
func (c *Conn) Ended() bool { return c.ended.Load() }

// Tell has the next Wait or Handle not wait.
func (c *Conn) Tell() { c.rd.tell() }

// Wait waits until there may be something to read that was not there when Wait or Handle last returned; it may return for nothing. Its
// errors are Check's. WaitWrite is the same for room to write.
func (c *Conn) Wait() error      { return c.rd.wait(c) }
func (c *Conn) WaitWrite() error { return c.wr.wait(c) }

// Handle has h called when Wait would return. If it does not wait, h is not called: there may be
// something to read now, or there is an error, as from Wait. If it does, h may be running already.
func (c *Conn) Handle(h Handler) (waits bool, err error) { return c.rd.handle(c, h) }

// Park waits until Unpark is called, once for each Park, before it or after, by a Handler or on its behalf.
func (c *Conn) Park()   { c.rd.gate.wait() }
func (c *Conn) Unpark() { c.rd.gate.open() }
