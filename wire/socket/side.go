package socket

import (
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// direction is one of a socket's two.
type direction uint8

const (
	reading direction = iota
	writing
	directions
)

// side is whether a socket is ready in one direction, and who waits for that. It is all that is looked at for a socket that is served by a loop.
type side struct {
	state   atomic.Uint32
	expired atomic.Bool // the deadline has passed
}

// wait is what else there is of a direction.
type wait struct {
	owner   sync.Mutex // held by who reads (writes)
	gate    gate
	mu      sync.Mutex // of what follows
	timer   *time.Timer
	changes uint32 // of the deadline, so that a late timer is known
}

// gate is where one goroutine waits for another: a semaphore, which needs no memory of its own until somebody waits, and which, unlike a channel, a
// goroutine with simulated time (testing/synctest) may wait at for one outside. It is locked but between open and the end of wait.
type gate struct{ mu sync.RWMutex }

// wait ends when open is called, or has been.
func (g *gate) wait() {
	g.mu.RLock()
	//lint:ignore SA2001 what was waited for is that it is not locked
	g.mu.RUnlock()
	g.mu.Lock()
}

// open is called once for each wait.
func (g *gate) open() {
	opened.Add(1)
	g.mu.Unlock()
}

// States of a side. Only its owner waits and forgets; whoever moves it from waiting or handled to idle wakes it, or calls the handler.
const (
	idle    = iota // nobody waits
	ready          // nobody waits, and the kernel has told of something since the owner began
	waiting        // the owner waits for wake
	handled        // the handler is to be called
)

// Handler is what is done in the place of a goroutine that waits, by a loop. None of it may block.
type Handler interface {
	// Readable is called once for each Handle, when there may be something to read. The batch is the loop's, nil if it is called by another.
	Readable(b *Batch)
	// Interrupted is called instead if the deadline passes or the socket is closed, by whoever caused that. It must do nothing
	// but have another goroutine go on.
	Interrupted()
	// Posted is called once for each Post.
	Posted(b *Batch)
	// Sent is called once for each Send to a batch: n bytes were sent; if that is not the whole of it there is an error, or no room for more.
	Sent(b *Batch, n int, whole bool, errno syscall.Errno)
}

// forget makes an idle side of a ready one.
func (s *side) forget() {
	if s.state.Load() == ready {
		s.state.Store(idle)
	}
}

// wait waits until the side is ready.
func (c *Conn) wait(d direction) error {
	s := &c.sides[d]
	if s.state.CompareAndSwap(idle, waiting) {
		if c.trouble(d) == nil || !s.state.CompareAndSwap(waiting, idle) {
			c.waits[d].gate.wait()
		}
	} else {
		s.state.Store(idle)
	}
	return c.trouble(d)
}

// Handle has the handler's Readable called when Wait would return. If it does not wait that is not called: there may be
// something to read now, or there is an error, as from Wait. If it does, it may be running already.
func (c *Conn) Handle() (waits bool, err error) {
	s := &c.sides[reading]
	if !s.state.CompareAndSwap(idle, handled) {
		s.state.Store(idle)
		return false, c.trouble(reading)
	}
	if err := c.trouble(reading); err != nil && s.state.CompareAndSwap(handled, idle) {
		return false, err
	}
	return true, nil
}

// signal ends a wait: isReady, as the kernel says, perhaps for nothing, that the side has become ready, else because of the deadline or because the
// socket is closed. If nobody waits, that the side is ready is remembered; an interrupt need not be, as everybody asks for trouble before waiting.
func (c *Conn) signal(d direction, isReady bool, b *Batch) {
	s := &c.sides[d]
	for {
		switch s.state.Load() {
		case ready:
			return
		case idle:
			if !isReady || s.state.CompareAndSwap(idle, ready) {
				return
			}
		case waiting:
			if s.state.CompareAndSwap(waiting, idle) {
				c.waits[d].gate.open()
				return
			}
		case handled:
			if !s.state.CompareAndSwap(handled, idle) {
				continue
			}
			if isReady {
				c.handler.Readable(b)
			} else {
				c.handler.Interrupted()
			}
			return
		}
	}
}

func (c *Conn) changeDeadline(d direction, t time.Time) {
	s, w := &c.sides[d], &c.waits[d]
	w.mu.Lock()
	w.forgetDeadline()
	left := time.Duration(1)
	if !t.IsZero() {
		left = time.Until(t)
	}
	if s.expired.Store(left <= 0); left > 0 && !t.IsZero() {
		change := w.changes
		w.timer = time.AfterFunc(left, func() { c.expire(d, change) })
	}
	w.mu.Unlock()
	if left <= 0 {
		c.signal(d, false, nil)
	}
}

func (c *Conn) expire(d direction, change uint32) {
	w := &c.waits[d]
	w.mu.Lock()
	passed := change == w.changes
	if passed {
		c.sides[d].expired.Store(true)
	}
	w.mu.Unlock()
	if passed {
		c.signal(d, false, nil)
	}
}

func (w *wait) stopTimer() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forgetDeadline()
}

// forgetDeadline sees to it that a timer does not strike any more; the caller holds mu.
func (w *wait) forgetDeadline() {
	w.changes++
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
}
