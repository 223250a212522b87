package wire

import (
	"fmt"
	"runtime/debug"
)

// Handler is what goes on with a connection when something happens to it. It is mostly called by a goroutine that serves many connections, and by
// one goroutine at a time for each: it must not wait for anything.
type Handler interface {
	// Arrived is called within Serve when there is something unread. It must not read from the connection: what it cannot do
	// without that is for Serve's caller.
	Arrived() Next
	// Answered is called once for each Ask that waits, when something has been read, or with Fill's error when nothing will be.
	Answered(err error)
	// Posted is called once for each Post.
	Posted()
}

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
	if !c.serve(!c.empty) {
		c.sock.Park()
	}
	c.handler = nil
	if c.fault != "" {
		panic(c.fault)
	}
	return c.err
}

// serve handles what is there and then waits, by serving; it reports whether Serve is to return. try: there may be something to read.
func (c *Conn) serve(try bool) (done bool) {
	for {
		if try {
			ok, err := c.receive()
			if err != nil {
				c.err = err
				return true
			}
			if ok {
				switch c.handled() {
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
func (c *Conn) handled() (next Next) {
	defer func() {
		if p := recover(); p != nil {
			next, c.fault = ServeEnd, fmt.Sprintf("%v\n%s", p, debug.Stack())
		}
	}()
	return c.handler.Arrived()
}

// Resume goes on with a Serve for which Arrived has said ServeLater: ServeOn or ServeEnd. It may be called by any goroutine, once.
func (c *Conn) Resume(next Next) {
	if next == ServeEnd || c.serve(!c.empty) {
		c.sock.Unpark()
	}
}

// Post has Posted of Serve's handler called soon, before Resume, by a goroutine that serves many connections. It may be called by any
// goroutine, and does not wait. It is for sockets only.
func (c *Conn) Post() { c.sock.Post() }

// serving is a Conn that waits for a request, in Serve.
type serving Conn

func (s *serving) Readable() {
	if c := (*Conn)(s); c.serve(true) {
		c.sock.Unpark()
	}
}

func (s *serving) Interrupted() {
	c := (*Conn)(s)
	c.err, c.empty = c.sock.Check(), false
	c.sock.Unpark()
}

func (s *serving) Posted() { s.handler.Posted() }

// Asked is what became of Ask.
type Asked uint8

const (
	NotAsked     Asked = iota // nothing was sent: the socket takes nothing, or cannot be asked so
	AskedInPart               // a part was sent, or with TLS all of it was taken and a part sent: see Owes
	AskedWaits                // Answered will be called
	AskedAnswers              // there is something to read
	AskedFails                // it was sent, but there will be no answer
)

// Ask sends p and has h.Answered called when there is an answer. It never waits itself. Only
// after AskedWaits that is called, and may be running already. n is how much was sent, err the error of AskedFails.
// Nothing may be unread before.
func (c *Conn) Ask(p []byte, h Handler) (became Asked, n int, err error) {
	if c.sock == nil || c.r != c.w || c.sock.Check() != nil || c.sock.CheckWrite() != nil {
		return NotAsked, 0, nil
	}
	c.release()
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

func (a *asking) Readable() {
	c := (*Conn)(a)
	for {
		ok, err := c.receive()
		if ok || err != nil {
			c.handler.Answered(err)
			return
		}
		waits, err := c.sock.Handle()
		if waits {
			return
		}
		if err != nil {
			c.handler.Answered(err)
			return
		}
	}
}

func (a *asking) Interrupted() {
	c := (*Conn)(a)
	c.empty = false
	c.handler.Answered(c.sock.Check())
}

func (a *asking) Posted() {} // nobody posts who asks
