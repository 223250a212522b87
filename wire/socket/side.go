package socket

import (
	"sync"
	"sync/atomic"
	"time"
)

// side is one direction of a socket: whether it is ready, and who waits for that.
type side struct {
	state   atomic.Uint32
	expired atomic.Bool // the deadline has passed
	owner   sync.Mutex  // held by who reads (writes)
	gate    gate
	handler Handler
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
	handled        // the owner's handler is to be called
)

// Handler is what is done when a socket is readable, in the place of a goroutine that waits.
type Handler interface {
	// Readable is called by a loop, once, when there may be something to read. It must not block.
	Readable()
	// Interrupted is called instead if the deadline passes or the socket is closed, by whoever caused that. It must not block, nor do
	// anything but to have another goroutine go on.
	Interrupted()
}

// forget makes an idle side of a ready one.
func (s *side) forget() {
	if s.state.Load() == ready {
		s.state.Store(idle)
	}
}

// wait waits until the side is ready.
func (s *side) wait(c *Conn) error {
	if s.state.CompareAndSwap(idle, waiting) {
		if c.trouble(s) == nil || !s.state.CompareAndSwap(waiting, idle) {
			s.gate.wait()
		}
	} else {
		s.state.Store(idle)
	}
	return c.trouble(s)
}

// handle has the handler called once the side is ready. If it does not wait, the handler is not called: the side may be ready now, or there is an
// error. If it does the handler may run at any time.
func (s *side) handle(c *Conn, h Handler) (waits bool, err error) {
	s.handler = h
	if !s.state.CompareAndSwap(idle, handled) {
		s.state.Store(idle)
		return false, c.trouble(s)
	}
	if err := c.trouble(s); err != nil && s.state.CompareAndSwap(handled, idle) {
		return false, err
	}
	return true, nil
}

// tell is called by a loop when the kernel says that the side has become ready. It may say so for nothing.
func (s *side) tell() { s.signal(true) }

// interrupt ends a wait because of the deadline or because the socket is closed.
func (s *side) interrupt() { s.signal(false) }

// signal ends a wait. If nobody waits, that the side is ready is remembered; an interrupt need not be, as everybody asks for trouble before waiting.
func (s *side) signal(isReady bool) {
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
				s.gate.open()
				return
			}
		case handled:
			if !s.state.CompareAndSwap(handled, idle) {
				continue
			}
			if isReady {
				s.handler.Readable()
			} else {
				s.handler.Interrupted()
			}
			return
		}
	}
}

func (s *side) setDeadline(t time.Time) {
	s.mu.Lock()
	s.forgetDeadline()
	left := time.Duration(1)
	if !t.IsZero() {
		left = time.Until(t)
	}
	if s.expired.Store(left <= 0); left > 0 && !t.IsZero() {
		change := s.changes
		s.timer = time.AfterFunc(left, func() { s.expire(change) })
	}
	s.mu.Unlock()
	if left <= 0 {
		s.interrupt()
	}
}

func (s *side) expire(change uint32) {
	s.mu.Lock()
	passed := change == s.changes
	if passed {
		s.expired.Store(true)
	}
	s.mu.Unlock()
	if passed {
		s.interrupt()
	}
}

func (s *side) stopTimer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetDeadline()
}

// forgetDeadline sees to it that a timer does not strike any more; the caller holds mu.
func (s *side) forgetDeadline() {
	s.changes++
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}
