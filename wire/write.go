package wire

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// duplexPoll is how often WriteDuplex looks at the other direction while its
// own is blocked. Progress in its own direction wakes it at once, so this
// delays only peers that stopped reading until they are read.
const duplexPoll = 10 * time.Millisecond

// Write sends all of p, waiting as long as the peer does not read (or until the deadline).
func (c *Conn) Write(p []byte) error {
	if c.streamed {
		return errStreamed
	}
	if c.raw == nil {
		_, err := c.nc.Write(p)
		return err
	}
	if c.served && c.secure == nil {
		// The usual case, an answer that the socket takes at once, without the runtime's locks.
		if n, errno := send(c.socket, p); errno == 0 {
			p = p[n:]
		}
		if len(p) == 0 {
			return nil
		}
	}
	_, err := c.write(p, true)
	return err
}

// write sends p and returns how much of it was sent; without wait it stops
// where the socket would block. With TLS some of that may lie here (secure.owes).
func (c *Conn) write(p []byte, wait bool) (int, error) {
	c.out, c.wait, c.errno = p, wait, 0
	err := c.raw.Write(c.onWrite)
	n := len(p) - len(c.out)
	c.out = nil
	if err == nil && c.errno != 0 {
		err = c.socketError("send")
	}
	return n, err
}

func (c *Conn) writeReady(fd uintptr) bool {
	for len(c.out) > 0 || c.secure.owes() {
		n, errno := c.transmit(fd, c.out)
		if errno == syscall.EAGAIN {
			return !c.wait
		}
		if errno != 0 {
			c.errno = errno
			return true
		}
		c.out = c.out[n:]
	}
	return true
}

// WriteDuplex sends all of p to a peer that may itself be blocked until what
// it sends is read: while the socket takes nothing more it calls drain, which
// reads c without waiting (TryFill) and deals with what came. On a connection
// that is no socket it is Write.
func (c *Conn) WriteDuplex(p []byte, drain func() error) error {
	if c.raw == nil {
		return c.Write(p)
	}
	n, err := c.write(p, false)
	if err != nil || n == len(p) && !c.secure.owes() {
		return err
	}
	defer c.nc.SetWriteDeadline(time.Time{})
	for p = p[n:]; len(p) > 0 || c.secure.owes(); p = p[n:] {
		if err := drain(); err != nil {
			return err
		}
		if err := c.nc.SetWriteDeadline(time.Now().Add(duplexPoll)); err != nil {
			return err
		}
		n, err = c.write(p, true)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
	return nil
}

// Exchange sends all of p, as WriteDuplex, and waits for bytes to read, as Fill.
// Nothing may be unread before. It saves the attempt to read before there can be an answer:
// the socket's readiness is watched from before the sending on, so that
// whatever makes it readable later is seen.
func (c *Conn) Exchange(p []byte, drain func() error) error {
	if c.raw == nil || c.r != c.w {
		if err := c.WriteDuplex(p, drain); err != nil {
			return err
		}
		return c.Fill()
	}
	c.makeRoom()
	c.out, c.wait, c.errno, c.eof = p, true, 0, false
	err := c.raw.Read(c.onExchange)
	rest := c.out
	c.out = nil
	if err == nil && c.errno == 0 && (len(rest) > 0 || c.secure.owes()) {
		// The socket did not take all of it at once. What drain reads it also deals with.
		return c.WriteDuplex(rest, drain)
	}
	return c.filled(err)
}

// exchangeReady sends first and reads when called again, once the socket is readable.
func (c *Conn) exchangeReady(fd uintptr) bool {
	if len(c.out) == 0 {
		return c.readReady(fd)
	}
	n, errno := c.transmit(fd, c.out)
	if errno == syscall.EAGAIN {
		return true
	}
	if errno != 0 {
		c.errno = errno
		return true
	}
	c.out = c.out[n:]
	return len(c.out) > 0 || c.secure.owes()
}
