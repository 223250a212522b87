package parity

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// waitTimeout bounds every wait of a script.
const waitTimeout = 20 * time.Second

// maxFrame is the largest backend message a server sends.
const maxFrame = 1 << 30

// conn is one connection of a script: it sends what it is told and records every
// frame that comes.
type conn struct {
	name string
	sock net.Conn

	owed   int          // ReadyForQuery messages not yet awaited
	seen   map[byte]int // frames of each type already awaited
	finish chan struct{}

	mu     sync.Mutex
	came   *sync.Cond // with mu: frames or closed changed
	frames []Frame
	counts map[byte]int
	closed bool
	key    []byte // payload of BackendKeyData
}

func dial(network, address, name string) (*conn, error) {
	sock, err := net.DialTimeout(network, address, waitTimeout)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	c := &conn{name: name, sock: sock, seen: map[byte]int{}, counts: map[byte]int{}, finish: make(chan struct{})}
	c.came = sync.NewCond(&c.mu)
	go c.read() // ends when the socket closes; end waits for it
	return c, nil
}

func (c *conn) send(data []byte) error {
	if err := c.sock.SetWriteDeadline(time.Now().Add(waitTimeout)); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	if _, err := c.sock.Write(data); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

func (c *conn) read() {
	defer close(c.finish)
	in := bufio.NewReaderSize(c.sock, 1<<16)
	for {
		f, err := readFrame(in)
		c.mu.Lock()
		if err != nil {
			c.closed = true
			c.came.Broadcast()
			c.mu.Unlock()
			return
		}
		if f.Kind == 'K' {
			c.key = append([]byte(nil), f.Payload...)
		}
		c.frames = append(c.frames, f)
		c.counts[f.Kind]++
		c.came.Broadcast()
		c.mu.Unlock()
	}
}

func readFrame(in *bufio.Reader) (Frame, error) {
	var head [5]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return Frame{}, err
	}
	length := binary.BigEndian.Uint32(head[1:])
	if length < 4 || length > maxFrame {
		return Frame{}, fmt.Errorf("frame %q of %d bytes", head[0], length)
	}
	return newFrame(head[0], int(length)-4, in)
}

// await blocks until done, called with mu held, is true; an error says why it
// never will be.
func (c *conn) await(what string, done func() bool) error {
	timer := time.AfterFunc(waitTimeout, func() { c.came.Broadcast() })
	defer timer.Stop()
	deadline := time.Now().Add(waitTimeout)
	c.mu.Lock()
	defer c.mu.Unlock()
	for !done() {
		if c.closed {
			return fmt.Errorf("wait for %s: the server closed the connection", what)
		}
		if !time.Now().Before(deadline) {
			return fmt.Errorf("wait for %s: nothing for %v", what, waitTimeout)
		}
		c.came.Wait()
	}
	return nil
}

// awaitFrames waits for count more frames of a type than were awaited before.
func (c *conn) awaitFrames(kind byte, count int) error {
	c.seen[kind] += count
	return c.await(fmt.Sprintf("%c", kind), func() bool { return c.counts[kind] >= c.seen[kind] })
}

// awaitReady waits for every ReadyForQuery that is owed.
func (c *conn) awaitReady() error {
	owed := c.owed
	c.owed = 0
	return c.awaitFrames('Z', owed)
}

// awaitSettled waits for the ReadyForQuery behind a description of so many parameters. What came before is
// awaited with it.
func (c *conn) awaitSettled(parameters int) error {
	c.owed = 0
	return c.await("the end of all answers", func() bool {
		ready := false
		for i := len(c.frames) - 1; i >= 0; i-- {
			f := &c.frames[i]
			if f.Kind == 't' && binary.BigEndian.Uint16(f.Payload) == uint16(parameters) {
				c.seen['Z'] = c.counts['Z']
				return ready
			}
			ready = ready || f.Kind == 'Z'
		}
		return false
	})
}

// awaitEOF waits until the server closes.
func (c *conn) awaitEOF() error {
	err := c.await("the end", func() bool { return c.closed })
	return err
}

// backendKey is the process id and secret that a cancel request needs.
func (c *conn) backendKey() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.key == nil {
		return nil, errors.New("no BackendKeyData came")
	}
	return c.key, nil
}

// end says goodbye if the connection is still open, waits for the server to close,
// and returns all frames.
func (c *conn) end() ([]Frame, error) {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	var err error
	if !closed {
		if err = c.send(frame('X', nil)); err == nil {
			err = c.awaitEOF()
		}
	}
	_ = c.sock.Close() // the reader must end whatever happened
	<-c.finish
	return c.frames, err
}
