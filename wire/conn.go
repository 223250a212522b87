package wire

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// Conn is one connection and the bytes read from it that nobody used yet. It
// is not safe for concurrent use, but for SetReadDeadline and Close.
type Conn struct {
	nc  net.Conn
	raw syscall.RawConn // nil if nc is no socket (a pipe)
	// secure is nil without TLS. Then the socket is read and written as it is.
	secure *secure

	buf  []byte // nil while nothing is unread
	r, w int    // buf[r:w] is unread
	want int    // size of the next buffer to take

	// The callbacks given to raw and what passes between them and their
	// callers; made once, so that reading and writing allocate nothing.
	onRead, onWrite, onExchange, onServe func(fd uintptr) bool
	handle                               func() bool // Serve's

	// served: Serve's handle runs, so that socket cannot be closed meanwhile, whoever calls Close.
	served bool
	socket uintptr

	out   []byte // onWrite, onExchange: still to be sent
	wait  bool   // wait until the socket is ready
	errno syscall.Errno
	eof   bool

	streamed bool // Stream has it
}

// NewConn takes ownership of nc.
func NewConn(nc net.Conn) *Conn {
	c := &Conn{nc: nc, want: smallBuffer}
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
		if raw, err := nc.(syscall.Conn).SyscallConn(); err == nil {
			c.raw = raw
			c.onRead, c.onWrite, c.onExchange, c.onServe = c.readReady, c.writeReady, c.exchangeReady, c.serveReady
		}
	}
	return c
}

// NetConn returns the connection beneath; reading or writing it directly
// breaks the framing.
func (c *Conn) NetConn() net.Conn { return c.nc }

// Close closes the connection and gives its buffer back. The Conn must not be
// in use by another goroutine.
func (c *Conn) Close() error {
	c.release()
	if c.secure != nil && !c.streamed { // a stream could not say farewell without waiting
		c.secure.close()
	}
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
	if c.raw == nil {
		return false, nil
	}
	return c.fill(false)
}

func (c *Conn) fill(wait bool) (bool, error) {
	if c.buf != nil {
		c.makeRoom()
	}
	had := c.w
	if c.raw == nil {
		return c.fillPlain()
	}
	c.wait, c.errno, c.eof = wait, 0, false
	if err := c.filled(c.raw.Read(c.onRead)); err != nil {
		return false, err
	}
	return c.w > had, nil
}

// filled is what became of a read by readReady.
func (c *Conn) filled(err error) error {
	switch {
	case err != nil:
		return err
	case c.errno != 0:
		return c.socketError("recv")
	case c.eof:
		return io.EOF
	}
	c.adapt()
	return nil
}

// receive and transmit are recv and send, through TLS if there is.

func (c *Conn) receive(fd uintptr, p []byte) (int, syscall.Errno) {
	if c.secure != nil {
		return c.secure.read(fd, p)
	}
	return recv(fd, p, 0)
}

func (c *Conn) transmit(fd uintptr, p []byte) (int, syscall.Errno) {
	if c.secure != nil {
		return c.secure.write(fd, p)
	}
	return send(fd, p)
}

// socketError is the error behind errno.
func (c *Conn) socketError(call string) error {
	if c.secure != nil && c.errno == errTLS {
		return c.secure.err
	}
	return os.NewSyscallError(call, c.errno)
}

// Serve waits for bytes, calls handle, and goes on so for as long as handle
// returns true, which it may only do when it has used up all that is unread.
// handle may write to the connection but must not read it. When Serve
// returns nil, handle has returned false. Nothing may be unread before.
//
// Within one Serve the socket's readiness is watched all the time, so that no
// attempt to read is made in vain between one request and the next. On a
// connection that is no socket it is Fill, and handle is not called.
func (c *Conn) Serve(handle func() bool) error {
	if c.raw == nil {
		return c.Fill()
	}
	c.errno, c.eof, c.handle = 0, false, handle
	err := c.raw.Read(c.onServe)
	c.handle = nil
	return c.filled(err)
}

func (c *Conn) serveReady(fd uintptr) bool {
	c.served, c.socket = true, fd
	defer func() { c.served = false }()
	for {
		if c.buf == nil {
			c.buf = buffers.get(c.want)
		}
		n, errno := c.receive(fd, c.buf[c.w:])
		switch {
		case errno == syscall.EAGAIN:
			c.release()
			return false
		case errno != 0:
			c.errno = errno
			return true
		case n == 0:
			c.eof = true
			return true
		}
		c.w += n
		full := c.w == len(c.buf)
		c.adapt()
		if !c.handle() {
			return true
		}
		if !full {
			// Less came than there was room for: the socket was empty then, and
			// what comes later makes it ready again.
			return false
		}
	}
}

// fillPlain serves connections that are no sockets: they keep their
// buffer while they wait.
func (c *Conn) fillPlain() (bool, error) {
	if c.buf == nil {
		c.buf = buffers.get(c.want)
	}
	n, err := c.nc.Read(c.buf[c.w:])
	c.w += n
	c.adapt()
	if n > 0 {
		return true, nil
	}
	if c.r == c.w {
		c.release()
	}
	return false, err
}

// adapt picks the size of the next buffer: the large one for a stream that
// fills its buffer, the small one as soon as little arrives.
func (c *Conn) adapt() {
	if c.w == len(c.buf) {
		c.want = largeBuffer
	} else if c.w < smallBuffer/2 {
		c.want = smallBuffer
	}
}

// readReady reads once; it runs inside raw.Read. Returning false waits for
// the socket to become readable and calls it again.
func (c *Conn) readReady(fd uintptr) bool {
	if c.buf == nil {
		c.buf = buffers.get(c.want)
	}
	n, errno := c.receive(fd, c.buf[c.w:])
	switch {
	case errno == syscall.EAGAIN:
		if c.r == c.w {
			c.release()
		}
		return !c.wait
	case errno != 0:
		c.errno = errno
	case n == 0:
		c.eof = true
	default:
		c.w += n
		return true
	}
	if c.r == c.w {
		c.release()
	}
	return true
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

// AwaitReadable waits until the connection has something to read (or its end)
// and leaves it there; with TLS it may be nothing that TryFill returns. It may run beside the owner, who must not read meanwhile.
func (c *Conn) AwaitReadable() error {
	if c.raw == nil {
		return errors.ErrUnsupported
	}
	if c.secure != nil && c.secure.more {
		return nil
	}
	var errno syscall.Errno
	err := c.raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, errno = recv(fd, b[:], syscall.MSG_PEEK)
		return errno != syscall.EAGAIN
	})
	if err == nil && errno != 0 {
		err = os.NewSyscallError("recv", errno)
	}
	return err
}
