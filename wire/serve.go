package wire

import (
	"fmt"
	"runtime/debug"
	"syscall"

	"github.com/howdah/howdah/wire/socket"
)

// Handler is what goes on with a connection when something happens to it. It is mostly called by a goroutine that serves many connections, and by
// one goroutine at a time for each: it must not wait for anything.
type Handler interface {
	// Arrived is called within Serve when there is something unread. It must not read from the connection: what it cannot do
	// without that is for Serve's caller.
	Arrived(b *Batch) Next
	// Answered is called once for each Ask that waits, when something has been read, or with Fill's error when nothing will be.
	Answered(b *Batch, err error)
	// Unasked is called instead if not all could be sent, but n bytes.
	Unasked(n int)
	// Posted is called once for each Post.
	Posted(b *Batch)
	// Given is called once for each Give that waits: n bytes were sent, the whole or not; err is an error other than that there is no room for more.
	Given(b *Batch, n int, whole bool, err error)
}

// Batch is what is to be sent, on many connections, when what has arrived has been dealt with: by one system call for all of it. A handler's methods get the one of whoever calls
// them, for Ask and Give while they run; nil is none.
type Batch = socket.Batch

// Next is how Serve goes on.
type Next uint8

const (
	ServeOn    Next = iota // all that was unread has been used: wait for more
	ServeEnd               // Serve returns
	ServeLater             // Resume says
)

// Serve waits for bytes, calls h.Arrived, and goes on so as that, or later Resume, says. When Serve returns nil, one of them has said so. Nothing may be
// unread before.
//
// The socket's readiness is watched all the time, so that no
// attempt to read is made in vain between one request and the next. Without a socket Serve is Fill, and h is not used.
func (c *Conn) Serve(h Handler) error {
	if c.sock == nil {
		return c.Fill()
	}
	if c.r == c.w {
		c.release()
	}
	c.handler, c.err = h, nil
	c.sock.Use((*serving)(c))
	if !c.serve(nil, !c.empty) {
		c.sock.Park()
	}
	c.handler = nil
	if c.fault != "" {
		panic(c.fault)
	}
	return c.err
}

// serve handles what is there and then waits, by serving; it reports whether Serve is to return. try: there may be something to read.
func (c *Conn) serve(b *Batch, try bool) (done bool) {
	for {
		if try {
			ok, err := c.receive()
			if err != nil {
				c.err = err
				return true
			}
			if ok {
				switch c.handled(b) {
				case ServeEnd:
					return true
				case ServeLater:
					return false
				}
				if !c.empty {
					continue
				}
			}
		}
		waits, err := c.sock.Handle()
		if waits {
			return false
		}
		if err != nil {
			c.err, c.empty = err, false
			return true
		}
		try = true
	}
}

// handled calls Arrived. If that panics Serve does.
func (c *Conn) handled(b *Batch) (next Next) {
	defer func() {
		if p := recover(); p != nil {
			next, c.fault = ServeEnd, fmt.Sprintf("%v\n%s", p, debug.Stack())
		}
	}()
	return c.handler.Arrived(b)
}

// Resume goes on with a Serve for which Arrived has said ServeLater: ServeOn or ServeEnd. It may be called by any goroutine, once.
func (c *Conn) Resume(b *Batch, next Next) {
	if next == ServeEnd || c.serve(b, !c.empty) {
		c.sock.Unpark()
	}
}

// Post has Posted of Serve's handler called soon, before Resume, by a goroutine that serves many connections. It may be called by any
// goroutine, and does not wait. It is for sockets only.
func (c *Conn) Post() { c.sock.Post() }

// serving is a Conn that waits for a request, in Serve.
type serving Conn

func (s *serving) Readable(b *Batch) {
	if c := (*Conn)(s); c.serve(b, true) {
		c.sock.Unpark()
	}
}

func (s *serving) Interrupted() {
	c := (*Conn)(s)
	c.err, c.empty = c.sock.Check(), false
	c.sock.Unpark()
}

func (s *serving) Posted(b *Batch) { s.handler.Posted(b) }

func (s *serving) Sent(b *Batch, n int, whole bool, errno syscall.Errno) {
	var err error
	if errno != 0 && errno != syscall.EAGAIN && errno != syscall.EINTR {
		err = (*Conn)(s).socketError("send", errno)
	}
	s.handler.Given(b, n, whole, err)
}

// Give has p sent to a client that is served, between Arrived's ServeLater and Resume. It never waits itself. If it returns true Given will be called,
// and until then p must stay as it is and the connection must be left alone; else nothing was sent: the batch is none, or the connection is none that can be written to so.
func (c *Conn) Give(b *Batch, p []byte) (waits bool) {
	if b == nil || c.sock == nil || c.secure != nil || c.streamed || c.sock.CheckWrite() != nil {
		return false
	}
	b.Send(c.sock, p)
	return true
}

// Asked is what became of Ask.
type Asked uint8

const (
	NotAsked     Asked = iota // nothing was sent: the socket takes nothing, or cannot be asked so
	AskedInPart               // a part was sent, or with TLS all of it was taken and a part sent: see Owes
	AskedWaits                // Answered will be called
	AskedAnswers              // there is something to read
	AskedFails                // it was sent, but there will be no answer
)

// Ask sends p, with the batch if there is one, and has h.Answered called when there is an answer. It never waits itself. Only
// after AskedWaits that (or Unasked) is called, and may be running already; p must stay as it is until then. n is how much was sent, err the error of AskedFails.
// Nothing may be unread before.
func (c *Conn) Ask(b *Batch, p []byte, h Handler) (became Asked, n int, err error) {
	if c.sock == nil || c.r != c.w || c.sock.Check() != nil || c.sock.CheckWrite() != nil {
		return NotAsked, 0, nil
	}
	c.release()
	if b != nil && c.secure == nil {
		c.handler = h
		c.sock.Use((*asking)(c))
		b.Send(c.sock, p)
		return AskedWaits, 0, nil
	}
	n, errno := c.transmit(p)
	switch {
	case errno != 0 || n == 0:
		return NotAsked, 0, nil
	case n < len(p) || c.Owes():
		return AskedInPart, n, nil
	}
	c.handler = h
	c.sock.Use((*asking)(c))
	for {
		waits, err := c.sock.Handle()
		switch {
		case waits:
			return AskedWaits, n, nil
		case err != nil:
			return AskedFails, n, err
		}
		if ok, err := c.receive(); err != nil {
			return AskedFails, n, err
		} else if ok {
			return AskedAnswers, n, nil
		}
	}
}

// asking is a Conn that waits for an answer, by Ask.
type asking Conn

// Sent is called when what was asked has been sent with a batch.
func (a *asking) Sent(b *Batch, n int, whole bool, _ syscall.Errno) {
	if c := (*Conn)(a); !whole {
		c.handler.Unasked(n)
	} else if waits, err := c.sock.Handle(); err != nil {
		c.handler.Answered(b, err)
	} else if !waits {
		a.Readable(b)
	}
}

func (a *asking) Readable(b *Batch) {
	c := (*Conn)(a)
	for {
		ok, err := c.receive()
		if ok || err != nil {
			c.handler.Answered(b, err)
			return
		}
		waits, err := c.sock.Handle()
		if waits {
			return
		}
		if err != nil {
			c.handler.Answered(b, err)
			return
		}
	}
}

func (a *asking) Interrupted() {
	c := (*Conn)(a)
	c.empty = false
	c.handler.Answered(nil, c.sock.Check())
}

func (a *asking) Posted(*Batch) {} // nobody posts who asks
