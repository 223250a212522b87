package wire

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/howdah/howdah/wire/socket"
)

// Conn is one connection and the bytes read from it that nobody used yet. It
// is not safe for concurrent use, but for SetReadDeadline and what NetConn returns.
type Conn struct {
	// What every request and answer needs comes first, and together (two lines of a processor's cache).
	sock    *socket.Conn // nil if nc is no socket (a pipe)
	handler Handler      // Serve's, or Ask's
	fd      uintptr      // of sock, which stays open until Close
	buf     []byte       // nil while nothing is unread
	r, w    int          // buf[r:w] is unread
	sizing  sizing
	// empty: the last attempt to read found less than there was room for, so that what comes later makes the socket ready, and
	// there is no need to try before that.
	empty    bool
	held     bool // sock is read by nobody else
	streamed bool // Stream has it
	// secure is nil without TLS. Then the socket is read and written as it is.
	secure *secure

	err   error  // what Serve is to return
	fault string // what Arrived panicked with
	nc    net.Conn
	_     [48]byte // it begins where a line does, as memory of its size does (TestLayout)
}

// NewConn takes ownership of nc. A socket is taken out of package net's hands; then nc is closed, and NetConn is another.
func NewConn(nc net.Conn) *Conn {
	c := &Conn{nc: nc, sizing: sizing{want: smallBuffer, least: smallBuffer}}
	if taken, err := socket.Take(nc); err == nil {
		c.nc = taken
	}
	c.hold()
	return c
}

// ExpectLittle says that what is read is mostly short, as requests are.
func (c *Conn) ExpectLittle() { c.sizing = sizing{want: shortBuffer, least: shortBuffer} }

// hold makes the Conn the socket's reader.
func (c *Conn) hold() {
	if sock, ok := c.nc.(*socket.Conn); ok && sock.Begin() == nil {
		c.sock, c.fd, c.held, c.empty = sock, sock.FD(), true, false
	}
}

// letGo lets others read the socket, by NetConn.
func (c *Conn) letGo() {
	if c.held {
		c.held = false
		c.sock.End()
	}
}

// NetConn returns the connection beneath; reading or writing it directly
// breaks the framing. It may be closed by any goroutine; reads and writes then end with an error.
func (c *Conn) NetConn() net.Conn { return c.nc }

// Close closes the connection and gives its buffer back. The Conn must not be
// in use by another goroutine.
func (c *Conn) Close() error {
	c.release()
	if c.secure != nil && !c.streamed && c.held { // a stream could not say farewell without waiting
		c.secure.close()
	}
	c.letGo()
	return c.nc.Close()
}

// SetReadDeadline bounds reads from now on; a past time wakes a blocked one.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.nc.SetReadDeadline(t) }

// SetDeadline bounds reads and writes from now on.
func (c *Conn) SetDeadline(t time.Time) error { return c.nc.SetDeadline(t) }

// Buffered returns the unread bytes. They stay valid and in place until the
// next Fill, TryFill or Close; Discard only moves the start.
func (c *Conn) Buffered() []byte { return c.buf[c.r:c.w] }

// Discard marks the first n unread bytes as used.
func (c *Conn) Discard(n int) {
	c.r += n
	if c.r >= c.w {
		c.release()
	}
}

func (c *Conn) release() {
	if c.buf != nil {
		buffers.put(c.buf)
	}
	c.buf, c.r, c.w = nil, 0, 0
}

// Fill waits for more bytes and adds them to the unread ones. At the end of
// the stream it returns io.EOF.
func (c *Conn) Fill() error {
	_, err := c.fill(true)
	return err
}

// TryFill is Fill without waiting: ok is false if nothing has arrived. On a
// connection that is no socket it never reads.
func (c *Conn) TryFill() (ok bool, err error) {
	if c.sock == nil {
		return false, nil
	}
	return c.fill(false)
}

func (c *Conn) fill(wait bool) (bool, error) {
	if c.buf != nil {
		c.makeRoom()
	}
	if c.sock == nil {
		return c.fillPlain()
	}
	err := c.sock.Check()
	if err == nil && wait && c.empty {
		err = c.sock.Wait()
	}
	for err == nil {
		if ok, err := c.receive(); ok || err != nil || !wait {
			return ok, err
		}
		err = c.sock.Wait()
	}
	c.empty = false
	return false, err
}

// receive reads what is there, without waiting: ok is whether there was something. There must be room.
func (c *Conn) receive() (ok bool, err error) {
	if c.buf == nil {
		c.buf = buffers.get(int(c.sizing.want))
	}
	var n int
	var errno syscall.Errno
	if c.secure != nil {
		n, errno = c.secure.read(c.fd, c.buf[c.w:])
	} else {
		n, errno = socket.Recv(c.fd, c.buf[c.w:], 0)
	}
	if n > 0 && errno == 0 {
		c.w += n
		c.empty = c.w < len(c.buf) && !c.sock.Ended() && (c.secure == nil || !c.secure.failed)
		c.sizing.filled(c.w, len(c.buf))
		return true, nil
	}
	if c.r == c.w {
		c.release()
	}
	if c.empty = errno == syscall.EAGAIN; c.empty {
		return false, nil
	}
	if errno == 0 {
		return false, io.EOF
	}
	return false, c.socketError("recv", errno)
}

// transmit sends what the socket takes now, through TLS if there is.
func (c *Conn) transmit(p []byte) (int, syscall.Errno) {
	if c.secure != nil {
		return c.secure.write(c.fd, p)
	}
	return socket.Send(c.fd, p)
}

// socketError is the error behind errno.
func (c *Conn) socketError(call string, errno syscall.Errno) error {
	if c.secure != nil && errno == errTLS {
		return c.secure.err
	}
	return os.NewSyscallError(call, errno)
}

// fillPlain serves connections that are no sockets: they keep their
// buffer while they wait.
func (c *Conn) fillPlain() (bool, error) {
	if c.buf == nil {
		c.buf = buffers.get(int(c.sizing.want))
	}
	n, err := c.nc.Read(c.buf[c.w:])
	c.w += n
	c.sizing.filled(c.w, len(c.buf))
	if n > 0 {
		return true, nil
	}
	if c.r == c.w {
		c.release()
	}
	return false, err
}

// makeRoom makes the buffer have free space at its end.
func (c *Conn) makeRoom() {
	if c.r == c.w {
		c.r, c.w = 0, 0
		return
	}
	if c.w < len(c.buf) {
		return
	}
	if c.r > 0 {
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
		return
	}
	c.grow(2 * len(c.buf))
}

func (c *Conn) grow(size int) {
	b := buffers.get(size)
	n := copy(b, c.buf[c.r:c.w])
	if c.buf != nil {
		buffers.put(c.buf)
	}
	c.buf, c.r, c.w = b, 0, n
}

// Need waits until at least n bytes are unread. An end of the stream before
// that is io.ErrUnexpectedEOF, or io.EOF if nothing was unread.
func (c *Conn) Need(n int) error {
	if c.buf != nil && n > len(c.buf)-c.r && n > c.w-c.r {
		if n > len(c.buf) {
			// Twice, and again as that fills: a length that is only claimed costs nothing.
			c.grow(2 * len(c.buf))
		} else {
			c.w = copy(c.buf, c.buf[c.r:c.w])
			c.r = 0
		}
	}
	for c.w-c.r < n {
		if err := c.Fill(); err != nil {
			if errors.Is(err, io.EOF) && c.w > c.r {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// Next waits for one whole message of at most limit bytes and returns it,
// header included, marked as used. It stays valid until the next read.
func (c *Conn) Next(limit int) (typ byte, msg []byte, err error) {
	if err := c.Need(HeaderSize); err != nil {
		return 0, nil, err
	}
	typ, size, err := Header(c.Buffered())
	if err != nil {
		return typ, nil, err
	}
	if size > limit {
		return typ, nil, fmt.Errorf("%w: %d bytes of message %q, at most %d are allowed here", ErrTooLong, size, typ, limit)
	}
	if err := c.Need(size); err != nil {
		return typ, nil, err
	}
	msg = c.buf[c.r : c.r+size]
	c.r += size // the buffer stays, msg points into it; the next read reuses it
	return typ, msg, nil
}

// ErrDead is a connection that its peer closed, or on which something arrived
// that nobody asked for.
var ErrDead = errors.New("connection is dead")

// Alive checks, without waiting, a connection on which nothing is expected:
// unread or newly arrived bytes and an end of the stream are errors.
func (c *Conn) Alive() error {
	if c.r != c.w {
		return fmt.Errorf("%w: unread bytes", ErrDead)
	}
	ok, err := c.TryFill()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDead, err)
	}
	if ok {
		return fmt.Errorf("%w: message %q while idle", ErrDead, c.buf[c.r])
	}
	return nil
}

// Heard reports whether something may have come, or the peer's end, that nobody expected. Unlike TryFill it costs no system call, and what has just come
// may not be known yet.
func (c *Conn) Heard() bool { return c.sock != nil && c.sock.Heard() }

// AwaitReadable waits until the connection has something to read (or its end)
// and leaves it there; with TLS it may be nothing that TryFill returns. It may run beside the owner, who must not read meanwhile.
func (c *Conn) AwaitReadable() error {
	if c.sock == nil {
		return errors.ErrUnsupported
	}
	if c.secure != nil && c.secure.more {
		return nil
	}
	defer c.sock.Tell() // whoever reads next may wait for what this has been told
	err := c.sock.Check()
	for err == nil {
		var b [1]byte
		_, errno := socket.Recv(c.fd, b[:], syscall.MSG_PEEK)
		switch errno {
		case 0:
			return nil
		case syscall.EAGAIN:
			err = c.sock.Wait()
		default:
			return os.NewSyscallError("recv", errno)
		}
	}
	return err
}
