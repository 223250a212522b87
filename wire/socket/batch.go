package socket

import (
	"sync/atomic"
	"syscall"
)

// Batch is what a loop is to send when it has served what was ready: by one system call for all of it (io_uring), which is much less work than one for
// each; where the kernel has none, or an error, one by one. It is for handlers that the loop calls, while it does.
type Batch struct {
	ring    *ring
	tried   bool // to make the ring
	sends   []pending
	sending []pending // of the flush at work, else empty
	now     int64     // Now
}

// pending is a send, and then what became of it.
type pending struct {
	c     *Conn
	p     []byte
	n     int
	errno syscall.Errno
}

// noRings is UseRings's.
var noRings atomic.Bool

// UseRings says whether io_uring is used from now on, where that is possible. It is until something else is said.
func UseRings(use bool) { noRings.Store(!use) }

// TryRing returns why io_uring cannot be used, nil if it can.
func TryRing() error {
	r, err := newRing()
	if err == nil {
		r.close()
	}
	return err
}

// Send has p sent before the loop waits again, as far as the socket takes it; then the handler's Sent is called. Until then p must stay as it is, and nobody
// else may write, or close the descriptor.
func (b *Batch) Send(c *Conn, p []byte) { b.sends = append(b.sends, pending{c: c, p: p}) }

// Now is when the loop last looked at the clock (the function Now): for Sent, after the sending, and so after all was received that has been sent (TestBatchNow); for
// the other methods of a Handler since the loop's last wait, so that what they receive may have come later. Without a batch it is the present.
func (b *Batch) Now() int64 {
	if b == nil {
		return Now()
	}
	return b.now
}

// flush makes the sends, and those to which that leads, until there are none.
func (b *Batch) flush() {
	for len(b.sends) > 0 {
		b.sends, b.sending = b.sending[:0], b.sends
		for rest := b.sending; len(rest) > 0; {
			n := min(len(rest), ringSize)
			b.send(rest[:n])
			rest = rest[n:]
		}
		b.now = Now()
		for i := range b.sending {
			p := &b.sending[i]
			c, n, whole, errno := p.c, p.n, p.n == len(p.p), p.errno
			*p = pending{}
			c.handler.Sent(b, n, whole, errno)
		}
		b.sending = b.sending[:0]
	}
}

func (b *Batch) send(all []pending) {
	made := 0
	if b.useRing() {
		if made = b.ring.send(all); made < len(all) {
			b.ring.close()
			b.ring = nil
		}
	}
	for i := range all[made:] {
		p := &all[made+i]
		p.n, p.errno = Send(uintptr(p.c.fd), p.p)
	}
}

func (b *Batch) useRing() bool {
	if noRings.Load() {
		return false
	}
	if !b.tried {
		b.tried = true
		b.ring, _ = newRing() // without it is only slower; TryRing says why
	}
	return b.ring != nil
}
