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
	// What a loop needs comes first, in one line of a processor's cache (TestLayout): with many sockets it is not there when one becomes ready.
	fd int32
	// life counts who uses fd, and has the bit closing when nobody may begin to. The last one closes fd.
	life    atomic.Uint32
	sides   [directions]side
	ended   atomic.Bool // the kernel has said so of the peer's direction
	handler Handler
	loop    *loop
	next    *Conn // of the list where Post has put it

	waits  [directions]wait
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
	for d := range c.waits {
		c.waits[d].gate.mu.Lock()
	}
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
	c.signal(reading, false, nil)
	c.signal(writing, false, nil)
	c.waits[reading].stopTimer()
	c.waits[writing].stopTimer()
	if c.life.Load() != closing|1 {
		shutdown(int(c.fd))
	}
	c.drop()
	return nil
}

// trouble is why one may not wait.
func (c *Conn) trouble(d direction) error {
	if c.life.Load()&closing != 0 {
		return net.ErrClosed
	}
	if c.sides[d].expired.Load() {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// begin makes the caller the one who reads (writes), until end. What the side was ready for before is not remembered: the caller
// is to try first.
func (c *Conn) begin(d direction) error {
	if !c.hold() {
		return net.ErrClosed
	}
	c.waits[d].owner.Lock()
	if err := c.trouble(d); err != nil {
		c.end(d)
		return err
	}
	c.sides[d].forget()
	return nil
}

func (c *Conn) end(d direction) {
	c.waits[d].owner.Unlock()
	c.drop()
}

// until calls try until it returns true, and waits in between.
func (c *Conn) until(d direction, try func(fd uintptr) bool) error {
	if err := c.begin(d); err != nil {
		return err
	}
	defer c.end(d)
	for !try(uintptr(c.fd)) {
		if err := c.wait(d); err != nil {
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
	err = c.until(reading, func(fd uintptr) bool {
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
	err = c.until(writing, func(fd uintptr) bool {
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
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadline(reading, t) }

// SetWriteDeadline is net.Conn's.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(writing, t) }

func (c *Conn) setDeadline(d direction, t time.Time) error {
	if !c.hold() {
		return net.ErrClosed
	}
	c.changeDeadline(d, t)
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

func (r *rawConn) Read(f func(fd uintptr) bool) error { return (*Conn)(r).until(reading, f) }

func (r *rawConn) Write(f func(fd uintptr) bool) error { return (*Conn)(r).until(writing, f) }

// What follows is for a single owner, who reads and writes by itself (Recv, Send with FD) and waits here.

// Begin makes the caller the one who reads, until End, and keeps the descriptor from being closed, even if Close is called. It waits while another reads.
func (c *Conn) Begin() error { return c.begin(reading) }

// End is what must follow upon Begin, when nobody waits any more.
func (c *Conn) End() { c.end(reading) }

// FD is the socket's descriptor, between Begin and End.
func (c *Conn) FD() uintptr { return uintptr(c.fd) }

// Check is why there is to be no reading: os.ErrDeadlineExceeded, net.ErrClosed, or nil. CheckWrite is the same for writing.
func (c *Conn) Check() error      { return c.trouble(reading) }
func (c *Conn) CheckWrite() error { return c.trouble(writing) }

// Ended reports whether the end of what the peer sends may be behind what is there to be read. It is told of once, perhaps together
// with the last bytes; rarely it was told of the descriptor's former use.
func (c *Conn) Ended() bool { return c.ended.Load() }

// Heard reports whether the kernel has told of something to read, or of the end, since that was last waited for: perhaps of what has been
// read by now. It costs no system call.
func (c *Conn) Heard() bool { return c.sides[reading].state.Load() == ready }

// Tell has the next Wait or Handle not wait.
func (c *Conn) Tell() { c.signal(reading, true, nil) }

// Wait waits until there may be something to read that was not there when Wait or Handle last returned; it may return for nothing. Its
// errors are Check's. WaitWrite is the same for room to write.
func (c *Conn) Wait() error      { return c.wait(reading) }
func (c *Conn) WaitWrite() error { return c.wait(writing) }

// Use makes h the handler from now on, for Handle and Post.
func (c *Conn) Use(h Handler) { c.handler = h }

// Park waits until Unpark is called, once for each Park, before it or after, by a Handler or on its behalf.
func (c *Conn) Park()   { c.waits[reading].gate.wait() }
func (c *Conn) Unpark() { c.waits[reading].gate.open() }
