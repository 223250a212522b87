package wire

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/howdah/howdah/wire/socket"
)

// AcceptTLS shakes hands as the TLS server; afterwards all that is read and written is
// encrypted. What is unread counts as the beginning of the client's handshake.
// The deadline set on the connection bounds it; after an error it can only be closed.
func (c *Conn) AcceptTLS(config *tls.Config) error { return c.startTLS(tls.Server, config) }

// RequestTLS is AcceptTLS as the TLS client. Nothing may be unread.
func (c *Conn) RequestTLS(config *tls.Config) error {
	if c.r != c.w {
		return errors.New("TLS handshake: the peer sent something before it")
	}
	return c.startTLS(tls.Client, config)
}

// TLS returns what was agreed on, or nil without TLS.
func (c *Conn) TLS() *tls.ConnectionState {
	if c.secure == nil {
		return nil
	}
	state := c.secure.conn.ConnectionState()
	return &state
}

func (c *Conn) startTLS(side func(net.Conn, *tls.Config) *tls.Conn, config *tls.Config) error {
	if c.sock == nil || c.secure != nil {
		return errors.New("TLS handshake: needs a plain socket")
	}
	s := &secure{transport: transport{Conn: c.nc, early: append([]byte(nil), c.Buffered()...)}}
	c.release()
	s.conn = side(&s.transport, config)
	c.letGo() // for the handshake
	err := s.conn.Handshake()
	if c.hold(); err == nil && !c.held {
		err = net.ErrClosed
	}
	if err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	s.transport.established, s.transport.fd = true, c.fd
	c.secure = s
	return nil
}

// secure is the encryption of a Conn. Like the Conn it belongs to one goroutine.
type secure struct {
	conn      *tls.Conn
	transport transport
	// more: the last read ended for want of room, so that there may be bytes to read
	// although the socket has none.
	more bool
	err  error // what errTLS stands for
	// failed: the last read ended with an error, or the end, that comes again at the next one, although the socket may have nothing.
	failed bool
}

// errTLS stands for an error of crypto/tls among the socket's; secure.err has it.
const errTLS = syscall.EPROTO

// maxPlain is how much is encrypted at once: with the records' headers it fits the large buffer.
const maxPlain = largeBuffer - 4096

// read is recv: it never waits. It reads until p is full or the socket is empty; n is 0
// without an error at the end of the stream. It runs inside raw.Read.
func (s *secure) read(fd uintptr, p []byte) (n int, _ syscall.Errno) {
	s.transport.fd, s.more = fd, false
	var err error
	for n < len(p) && err == nil {
		var m int
		m, err = s.conn.Read(p[n:])
		n += m
	}
	s.more = err == nil
	s.failed = err != nil && !errors.Is(err, errWouldBlock)
	if len(s.transport.out) > 0 { // an alert, or the answer to a change of keys
		s.transport.flush(fd)
	}
	switch {
	case n > 0:
		return n, 0 // an error that is not for now comes again
	case errors.Is(err, errWouldBlock):
		return 0, syscall.EAGAIN
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return 0, 0 // also without a farewell: messages have lengths, none can be cut off unnoticed
	}
	s.err = err
	return 0, errTLS
}

// write is send: it never waits, and returns how much of p it took. What it took may still
// lie here, as owes says; to write an empty p sends it.
func (s *secure) write(fd uintptr, p []byte) (int, syscall.Errno) {
	s.transport.fd = fd
	if errno := s.transport.flush(fd); errno != 0 || len(p) == 0 {
		return 0, errno
	}
	n, err := s.conn.Write(p[:min(len(p), maxPlain)])
	if err != nil {
		s.err = err
		return 0, errTLS
	}
	if errno := s.transport.flush(fd); errno != 0 && errno != syscall.EAGAIN {
		return 0, errno
	}
	return n, 0
}

// owes reports whether the socket has yet to take something that write took.
func (s *secure) owes() bool { return s != nil && len(s.transport.out) > 0 }

// close says farewell as far as that needs no waiting, so that the peer sees no attack in the end.
func (s *secure) close() {
	if s.conn.CloseWrite() == nil {
		s.transport.flush(s.transport.fd)
	}
	s.transport.release()
}

// transport is the connection that crypto/tls reads and writes: the socket, waiting, while
// it shakes hands; afterwards it reads what is there without waiting, and writes to memory.
type transport struct {
	net.Conn
	early       []byte // what was read before the handshake began
	established bool
	fd          uintptr // of the callback that is running
	out         []byte  // encrypted, to be sent; part of buf
	buf         []byte  // nil while out is empty
}

// errWouldBlock is a net.Error that crypto/tls takes for temporary: it can go on later.
var errWouldBlock net.Error = wouldBlock{}

type wouldBlock struct{}

func (wouldBlock) Error() string   { return "nothing to read now" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }

func (t *transport) Read(p []byte) (int, error) {
	if len(t.early) > 0 {
		n := copy(p, t.early)
		if t.early = t.early[n:]; len(t.early) == 0 {
			t.early = nil
		}
		return n, nil
	}
	if !t.established {
		return t.Conn.Read(p)
	}
	n, errno := socket.Recv(t.fd, p, 0)
	switch {
	case errno == syscall.EAGAIN:
		return 0, errWouldBlock
	case errno != 0:
		return 0, os.NewSyscallError("recv", errno)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

func (t *transport) Write(p []byte) (int, error) {
	if !t.established {
		return t.Conn.Write(p)
	}
	if need := len(t.out) + len(p); t.buf == nil || need > len(t.buf) {
		b := buffers.get(need)
		n := copy(b, t.out)
		if t.buf != nil {
			buffers.put(t.buf)
		}
		t.buf, t.out = b, b[:n]
	} else if len(t.out)+len(p) > cap(t.out) {
		t.out = t.buf[:copy(t.buf, t.out)]
	}
	t.out = append(t.out, p...)
	return len(p), nil
}

// flush sends what it can without waiting; EAGAIN says that not all could be sent.
func (t *transport) flush(fd uintptr) syscall.Errno {
	for len(t.out) > 0 {
		n, errno := socket.Send(fd, t.out)
		if errno != 0 {
			return errno
		}
		t.out = t.out[n:]
	}
	t.release()
	return 0
}

func (t *transport) release() {
	if t.buf != nil {
		buffers.put(t.buf)
	}
	t.buf, t.out = nil, nil
}

// SetDeadline and its like are for the connection's owner: crypto/tls must not
// change what bounds it.
func (t *transport) SetWriteDeadline(time.Time) error { return nil }
