package wire_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/howdah/howdah/wire"
)

// drainTo reads what has arrived on c, without waiting, to got.
func drainTo(c *wire.Conn, got *bytes.Buffer) func() error {
	return func() error {
		_, err := c.TryFill()
		got.Write(c.Buffered())
		c.Discard(len(c.Buffered()))
		return err
	}
}

func never(t *testing.T) func() error {
	return func() error {
		t.Error("drained though all was sent at once")
		return nil
	}
}

func TestExchange(t *testing.T) {
	request := wire.AppendQuery(nil, "SELECT 1")
	response := wire.AppendReady(nil, wire.TxIdle)
	for _, plain := range []bool{true, false} {
		a, b := net.Pipe()
		if plain {
			a, b = pair(t)
		}
		c := wire.NewConn(b)
		peer := wire.NewConn(a)
		c.SetDeadline(time.Now().Add(10 * time.Second))
		for round := range 3 {
			var running sync.WaitGroup
			running.Go(func() {
				if _, msg, err := peer.Next(100); err != nil || !bytes.Equal(msg, request) {
					t.Errorf("the peer got %q, error %v", msg, err)
				}
				peer.Write(response)
			})
			if err := c.Exchange(request, never(t)); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(c.Buffered(), response) {
				t.Fatalf("round %d: got %q", round, c.Buffered())
			}
			c.Discard(len(response))
			running.Wait()
		}
	}
}

// Bytes that arrived before the request are read before the answer, with it or without: the poller may not have told of them yet.
func TestExchangeFindsWhatCameBefore(t *testing.T) {
	a, b := pair(t)
	c := wire.NewConn(b)
	c.SetDeadline(time.Now().Add(10 * time.Second))
	a.Write([]byte("early"))
	if err := c.AwaitReadable(); err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		io.ReadFull(a, make([]byte, 7))
		a.Write([]byte(" and late"))
	})
	const want = "early and late"
	err := c.Exchange([]byte("request"), never(t))
	if err == nil && len(c.Buffered()) == 0 {
		t.Fatal("it did not wait")
	}
	for err == nil && len(c.Buffered()) < len(want) {
		err = c.Fill()
	}
	if err != nil || string(c.Buffered()) != want {
		t.Fatalf("got %q, error %v", c.Buffered(), err)
	}
	running.Wait()
}

func TestExchangeKeepsLeftovers(t *testing.T) {
	a, b := pair(t)
	c := wire.NewConn(b)
	c.SetDeadline(time.Now().Add(10 * time.Second))
	a.Write([]byte("left"))
	if err := c.Need(4); err != nil {
		t.Fatal(err)
	}
	c.Discard(2)
	var running sync.WaitGroup
	running.Go(func() {
		io.ReadFull(a, make([]byte, 7))
		a.Write([]byte("over"))
	})
	if err := c.Exchange([]byte("request"), never(t)); err != nil || string(c.Buffered()) != "ftover" {
		t.Fatalf("got %q, error %v", c.Buffered(), err)
	}
	running.Wait()
}

// small makes a pair whose sockets hold little.
func small(t *testing.T) (a, b net.Conn) {
	t.Helper()
	a, b = pair(t)
	for _, c := range []net.Conn{a, b} {
		c.(*net.TCPConn).SetWriteBuffer(16 << 10)
		c.(*net.TCPConn).SetReadBuffer(16 << 10)
	}
	return a, b
}

// A peer that answers while it is sent to, and reads no more until its
// answer is read, as a server does with pipelined queries.
func TestExchangeOverFullSockets(t *testing.T) {
	for _, size := range []int{1, 100_000, 300_000} {
		a, b := small(t)
		c := wire.NewConn(b)
		c.SetDeadline(time.Now().Add(10 * time.Second))
		request := make([]byte, size)
		for i := range request {
			request[i] = byte(i * 7)
		}
		var running sync.WaitGroup
		running.Go(func() {
			buf := make([]byte, 3000)
			for left := size; left > 0; {
				n, err := a.Read(buf[:min(left, len(buf))])
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := a.Write(buf[:n]); err != nil {
					t.Error(err)
					return
				}
				left -= n
			}
		})
		var got bytes.Buffer
		if err := c.Exchange(request, drainTo(c, &got)); err != nil {
			t.Fatal(err)
		}
		for {
			got.Write(c.Buffered())
			c.Discard(len(c.Buffered()))
			if got.Len() >= size {
				break
			}
			if err := c.Fill(); err != nil {
				t.Fatalf("after %d of %d bytes: %v", got.Len(), size, err)
			}
		}
		running.Wait()
		if !bytes.Equal(got.Bytes(), request) {
			t.Errorf("%d bytes: the echo differs from what was sent", size)
		}
	}
}

func TestExchangeDrainFails(t *testing.T) {
	a, b := small(t)
	defer a.Close()
	c := wire.NewConn(b)
	c.SetDeadline(time.Now().Add(10 * time.Second))
	broken := errors.New("broken")
	if err := c.Exchange(make([]byte, 8<<20), func() error { return broken }); err != broken {
		t.Errorf("got %v, want drain's error", err)
	}
}

func TestExchangeWithPeerGone(t *testing.T) {
	for _, tc := range []struct {
		name string
		size int
		peer func(net.Conn)
	}{
		{"closed before", 10, func(c net.Conn) { c.Close() }},
		{"closed after reading", 10, func(c net.Conn) { io.ReadFull(c, make([]byte, 10)); c.Close() }},
		{"closed in the middle", 8 << 20, func(c net.Conn) { io.ReadFull(c, make([]byte, 1000)); c.Close() }},
		{"reset", 8 << 20, func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, b := small(t)
			c := wire.NewConn(b)
			c.SetDeadline(time.Now().Add(10 * time.Second))
			var running sync.WaitGroup
			running.Go(func() { tc.peer(a) })
			var got bytes.Buffer
			// What could not be sent at once is sent by Exchange without waiting for bytes.
			err := c.Exchange(make([]byte, tc.size), drainTo(c, &got))
			for err == nil {
				err = c.Fill()
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the peer's end was not seen")
			}
			running.Wait()
		})
	}
}

func TestExchangeObeysTheDeadline(t *testing.T) {
	_, b := pair(t)
	c := wire.NewConn(b)
	c.SetDeadline(time.Now().Add(20 * time.Millisecond))
	if err := c.Exchange([]byte("request"), never(t)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a silent peer: %v", err)
	}
	if len(c.Buffered()) != 0 {
		t.Error("bytes from nowhere")
	}
}

func TestAwaitReadable(t *testing.T) {
	a, b := pair(t)
	c := wire.NewConn(b)
	result := make(chan error)
	await := func() { result <- c.AwaitReadable() }

	go await()
	a.Write([]byte("x"))
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	if len(c.Buffered()) != 0 {
		t.Error("the byte was read")
	}
	go await() // it is still there
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	if err := c.Fill(); err != nil || string(c.Buffered()) != "x" {
		t.Errorf("got %q, error %v", c.Buffered(), err)
	}

	go await() // a past deadline wakes it
	c.SetReadDeadline(time.Unix(1, 0))
	if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
	c.SetReadDeadline(time.Time{})

	go await()
	a.Close()
	if err := <-result; err != nil {
		t.Errorf("at the end: %v", err)
	}
	c.Discard(1)
	if err := c.Fill(); !errors.Is(err, io.EOF) {
		t.Errorf("Fill after the end: %v", err)
	}

	p, _ := net.Pipe()
	if err := wire.NewConn(p).AwaitReadable(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("on a pipe: %v", err)
	}
}

func TestTryFill(t *testing.T) {
	a, b := pair(t)
	c := wire.NewConn(b)
	if ok, err := c.TryFill(); ok || err != nil {
		t.Errorf("nothing there: %v, %v", ok, err)
	}
	a.Write([]byte("x"))
	c.AwaitReadable()
	if ok, err := c.TryFill(); !ok || err != nil || string(c.Buffered()) != "x" {
		t.Errorf("one byte there: %v, %v, %q", ok, err, c.Buffered())
	}
	a.Close()
	c.AwaitReadable()
	if ok, err := c.TryFill(); ok || !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v, %v", ok, err)
	}
	if string(c.Buffered()) != "x" {
		t.Error("the end took the unread byte away")
	}
}

// Messages of every length around the buffers' sizes, at every place in them.
func TestNextAcrossBuffers(t *testing.T) {
	a, b := pair(t)
	c := wire.NewConn(b)
	c.SetDeadline(time.Now().Add(20 * time.Second))
	var sizes []int
	for _, around := range []int{0, 8 << 10, 64 << 10, 128 << 10} {
		for d := -7; d <= 7; d++ {
			if around+d >= 0 {
				sizes = append(sizes, around+d)
			}
		}
	}
	go func() {
		for i, size := range sizes {
			a.Write(wire.AppendMessage(nil, wire.DataRow, string(bytes.Repeat([]byte{byte(i)}, size))))
		}
	}()
	for i, size := range sizes {
		_, msg, err := c.Next(1 << 20)
		if err != nil || len(msg) != size+wire.HeaderSize {
			t.Fatalf("message %d of %d bytes: got %d, error %v", i, size, len(msg), err)
		}
		if body := msg[wire.HeaderSize:]; bytes.Count(body, []byte{byte(i)}) != size {
			t.Fatalf("message %d has other bytes", i)
		}
	}
}

func TestExchangeAllocatesNothing(t *testing.T) {
	a, b := pair(t)
	c, peer := wire.NewConn(b), wire.NewConn(a)
	request := wire.AppendQuery(nil, "SELECT 1")
	go func() {
		for peer.Fill() == nil {
			n := len(peer.Buffered())
			peer.Write(peer.Buffered())
			peer.Discard(n)
		}
	}()
	drain := func() error { return nil }
	once := func() {
		if err := c.Exchange(request, drain); err != nil {
			t.Error(err)
		}
		c.Discard(len(c.Buffered()))
	}
	once()
	if n := testing.AllocsPerRun(1000, once); n > 0.1 {
		t.Errorf("%v allocations per exchange, want 0", n)
	}
	a.Close()
}

func onWhile(on bool) wire.Next {
	if on {
		return wire.ServeOn
	}
	return wire.ServeEnd
}

func TestServe(t *testing.T) {
	a, b := pair(t)
	c := wire.NewConn(b)
	c.SetDeadline(time.Now().Add(10 * time.Second))
	var peer sync.WaitGroup
	const rounds = 2000
	peer.Go(func() {
		one := make([]byte, 1)
		for range rounds {
			a.Write([]byte("x"))
			if _, err := io.ReadFull(a, one); err != nil {
				t.Error(err)
				return
			}
		}
	})
	n := 0
	err := c.Serve(handler(func() wire.Next {
		n += len(c.Buffered())
		c.Write(c.Buffered())
		c.Discard(len(c.Buffered()))
		return onWhile(n < rounds)
	}))
	if err != nil || n != rounds {
		t.Errorf("%d bytes served, error %v", n, err)
	}
	peer.Wait()
}

// More than the buffer holds, arriving at once and in pieces, is served without loss.
func TestServeBulk(t *testing.T) {
	a, b := pair(t)
	c := wire.NewConn(b)
	c.SetDeadline(time.Now().Add(10 * time.Second))
	const size = 8 << 20
	var peer sync.WaitGroup
	peer.Go(func() {
		for sent := 0; sent < size; sent += 8 << 10 {
			a.Write(make([]byte, 8<<10)) // exactly a buffer
		}
	})
	n := 0
	err := c.Serve(handler(func() wire.Next {
		n += len(c.Buffered())
		c.Discard(len(c.Buffered()))
		return onWhile(n < size)
	}))
	if err != nil || n != size {
		t.Errorf("%d bytes served of %d, error %v", n, size, err)
	}
	peer.Wait()
}
