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
	if c.sock == nil {
		_, err := c.nc.Write(p)
		return err
	}
	_, err := c.write(p, true)
	return err
}

// TryWrite sends what the socket takes of p at once, and returns how much that was. With TLS a part of it may still be owed.
func (c *Conn) TryWrite(p []byte) (int, error) {
	if c.streamed {
		return 0, errStreamed
	}
	if c.sock == nil {
		return 0, nil
	}
	return c.write(p, false)
}

// Owes is whether something has been taken, to be encrypted, that the socket has not taken yet. Any write, also of nothing, sends it first.
func (c *Conn) Owes() bool { return c.secure.owes() }

// write sends p and returns how much of it was sent; without wait it stops
// where the socket would block. With TLS some of that may lie here (secure.owes).
func (c *Conn) write(p []byte, wait bool) (sent int, err error) {
	err = c.sock.CheckWrite()
	for err == nil && (sent < len(p) || c.secure.owes()) {
		n, errno := c.transmit(p[sent:])
		sent += n
		switch {
		case errno == syscall.EAGAIN && !wait:
			return sent, nil
		case errno == syscall.EAGAIN:
			err = c.sock.WaitWrite()
		case errno != 0:
			err = c.socketError("send", errno)
		}
	}
	return sent, err
}

// WriteDuplex sends all of p to a peer that may itself be blocked until what
// it sends is read: while the socket takes nothing more it calls drain, which
// reads c without waiting (TryFill) and deals with what came. On a connection
// that is no socket it is Write.
func (c *Conn) WriteDuplex(p []byte, drain func() error) error {
	if c.sock == nil {
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
// Nothing may be unread before. It saves the attempt to read before there can be an answer.
func (c *Conn) Exchange(p []byte, drain func() error) error {
	if c.sock == nil || c.r != c.w {
		if err := c.WriteDuplex(p, drain); err != nil {
			return err
		}
		return c.Fill()
	}
	if err := c.sock.Check(); err != nil {
		return err
	}
	c.makeRoom()
	for len(p) > 0 {
		n, errno := c.transmit(p)
		if errno == syscall.EAGAIN {
			break
		}
		if errno != 0 {
			return c.socketError("send", errno)
		}
		p = p[n:]
	}
	if len(p) > 0 || c.secure.owes() {
		// The socket did not take all of it at once. What drain reads it also deals with.
		return c.WriteDuplex(p, drain)
	}
	for {
		if err := c.sock.Wait(); err != nil {
			c.empty = false
			return err
		}
		if ok, err := c.receive(); ok || err != nil {
			return err
		}
	}
}
