package wire_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/howdah/howdah/wire"
)

// relay gives each request of a client to a server and the answer to the client, without a goroutine that waits, as sessions do.
type relay struct {
	client, server *wire.Conn
	became         [wire.AskedFails + 1]atomic.Int32
	batched        atomic.Int32 // answers that were given with others
	given          int          // of an answer, before it failed
	failed         chan error
	// question and answer are what is sent instead of what was read, if they are not nil.
	question, answer []byte
}

func (r *relay) Arrived(b *wire.Batch) wire.Next {
	question := r.question
	if question == nil {
		question = r.client.Buffered()
	}
	became, _, err := r.server.Ask(b, question, r)
	r.became[became].Add(1)
	switch became {
	case wire.AskedWaits:
		return wire.ServeLater
	case wire.AskedAnswers:
		return r.give(b)
	}
	r.failed <- err
	return wire.ServeEnd
}

func (r *relay) Answered(b *wire.Batch, err error) {
	if err != nil {
		r.failed <- err
		r.client.Resume(b, wire.ServeEnd)
	} else if next := r.give(b); next != wire.ServeLater {
		r.client.Resume(b, next)
	}
}

func (r *relay) Unasked(n int) {
	r.failed <- unasked{n}
	r.client.Resume(nil, wire.ServeEnd)
}

// unasked is that of a question only so many bytes were sent.
type unasked struct{ n int }

func (u unasked) Error() string { return fmt.Sprintf("%d bytes were sent", u.n) }

func (r *relay) Posted(*wire.Batch) {}

func (r *relay) Given(b *wire.Batch, n int, whole bool, err error) {
	r.batched.Add(1)
	r.client.Resume(b, r.gave(n, whole, err))
}

func (r *relay) give(b *wire.Batch) wire.Next {
	answer := r.answer
	if answer == nil {
		answer = r.server.Buffered()
	}
	if r.client.Give(b, answer) {
		return wire.ServeLater
	}
	n, err := r.client.TryWrite(answer)
	return r.gave(n, n == len(answer) && !r.client.Owes(), err)
}

func (r *relay) gave(n int, whole bool, err error) wire.Next {
	if err != nil || !whole {
		r.given = n
		r.failed <- errNotGiven
		return wire.ServeEnd
	}
	r.client.Discard(len(r.client.Buffered()))
	r.server.Discard(len(r.server.Buffered()))
	return wire.ServeOn
}

var errNotGiven = errors.New("the client does not read")

// newSecureRelay is newRelay with TLS of a version on both sides; 0 is none.
func newSecureRelay(t *testing.T, version uint16) (r *relay, client, server net.Conn) {
	t.Helper()
	if r, client, server = newRelay(t); version == 0 {
		return r, client, server
	}
	forServer, forClient := tlsConfigs(t, version)
	ends := make(chan error, 1)
	secureClient, secureServer := tls.Client(client, forClient), tls.Server(server, forServer)
	go func() { ends <- errors.Join(secureClient.Handshake(), secureServer.Handshake()) }()
	if err := r.client.AcceptTLS(forServer); err != nil {
		t.Fatal(err)
	}
	if err := r.server.RequestTLS(forClient); err != nil {
		t.Fatal(err)
	}
	if err := <-ends; err != nil {
		t.Fatal(err)
	}
	return r, secureClient, secureServer
}

// newRelay returns a relay, and the other ends of its connections.
func newRelay(t *testing.T) (r *relay, client, server net.Conn) {
	t.Helper()
	a, client := pair(t)
	b, server := pair(t)
	r = &relay{client: wire.NewConn(a), server: wire.NewConn(b), failed: make(chan error, 1)}
	t.Cleanup(func() { r.client.Close(); r.server.Close() })
	return r, client, server
}

func TestAsk(t *testing.T) {
	for name, version := range map[string]uint16{"plain": 0, "TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) { testAsk(t, version) })
	}
}

func testAsk(t *testing.T, version uint16) {
	var running sync.WaitGroup
	var waited, batched atomic.Int32
	for range 20 {
		r, client, server := newSecureRelay(t, version)
		running.Go(func() {
			if err := r.client.Serve(r); !errors.Is(err, io.EOF) {
				t.Errorf("serve: %v", err)
			}
			r.server.NetConn().Close()
			waited.Add(r.became[wire.AskedWaits].Load())
			batched.Add(r.batched.Load())
		})
		running.Go(func() { // echoes in capitals
			buf := make([]byte, 100)
			for {
				n, err := server.Read(buf)
				if err != nil {
					return
				}
				server.Write(bytes.ToUpper(buf[:n]))
			}
		})
		running.Go(func() {
			buf := make([]byte, 5)
			client.SetDeadline(time.Now().Add(20 * time.Second))
			for range 300 {
				client.Write([]byte("hello"))
				if _, err := io.ReadFull(client, buf); err != nil || string(buf) != "HELLO" {
					t.Errorf("got %q, %v", buf, err)
					break
				}
			}
			client.Close()
		})
	}
	running.Wait()
	if waited.Load() == 0 || version == 0 && batched.Load() == 0 {
		t.Error("nothing was answered by a loop")
	}
}

// What ends a wait for an answer is told, and Serve's caller can go on.
func TestAskFails(t *testing.T) {
	for what, tc := range map[string]struct {
		do   func(r *relay, server net.Conn)
		want error
	}{
		"the server ends":     {func(_ *relay, server net.Conn) { server.Close() }, io.EOF},
		"a deadline passes":   {func(r *relay, _ net.Conn) { r.server.SetDeadline(time.Now().Add(10 * time.Millisecond)) }, os.ErrDeadlineExceeded},
		"it has passed":       {func(r *relay, _ net.Conn) { r.server.SetDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		"somebody closes":     {func(r *relay, _ net.Conn) { r.server.NetConn().Close() }, net.ErrClosed},
		"nothing can be sent": {nil, nil},
	} {
		t.Run(what, func(t *testing.T) {
			r, client, server := newRelay(t)
			if tc.do == nil {
				r.server.SetDeadline(time.Unix(1, 0))
			}
			served := make(chan error)
			go func() { served <- r.client.Serve(r) }()
			client.Write([]byte("hello"))
			if tc.do != nil {
				server.SetDeadline(time.Now().Add(10 * time.Second))
				if _, err := io.ReadFull(server, make([]byte, 5)); err != nil {
					t.Fatal(err)
				}
				tc.do(r, server)
			}
			if err := <-r.failed; !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if err := <-served; err != nil {
				t.Errorf("serve: %v", err)
			}
			if string(r.client.Buffered()) != "hello" {
				t.Errorf("unread is %q", r.client.Buffered())
			}
			if tc.do == nil && r.became[wire.NotAsked].Load() != 1 {
				t.Error("it was sent")
			}
		})
	}
}

// What a loop could not send, or give, whole is for the caller of Serve, from the byte on at which the socket was full.
func TestBatchInPart(t *testing.T) {
	long := bytes.Repeat([]byte("howdah"), 100_000)
	for _, tc := range []struct {
		what             string
		question, answer []byte
	}{{"question", long, nil}, {"answer", nil, long}} {
		t.Run(tc.what, func(t *testing.T) {
			a, client := small(t)
			b, server := small(t)
			r := &relay{client: wire.NewConn(a), server: wire.NewConn(b), failed: make(chan error, 1), question: tc.question, answer: tc.answer}
			t.Cleanup(func() { r.client.Close(); r.server.Close() })
			served := make(chan error)
			go func() { served <- r.client.Serve(r) }()
			time.Sleep(10 * time.Millisecond) // a loop goes on
			client.Write([]byte("hello"))
			full := client
			if tc.what == "question" {
				full = server
			} else {
				server.Write([]byte("hello"))
			}
			failed := <-r.failed
			if err := <-served; err != nil || string(r.client.Buffered()) != "hello" {
				t.Errorf("serve: %v, %q is unread", err, r.client.Buffered())
			}
			n := r.given
			if u := (unasked{}); errors.As(failed, &u) {
				n = u.n
			} else if failed != errNotGiven || r.batched.Load() == 0 {
				t.Errorf("not by a loop: %v", failed)
			}
			if n <= 0 || n >= len(long) {
				t.Fatalf("%d bytes were sent", n)
			}
			a.Close()
			b.Close()
			r.client.Close()
			r.server.Close()
			if got, err := io.ReadAll(full); err != nil || !bytes.Equal(got, long[:n]) {
				t.Errorf("%d bytes of %d came: %v", len(got), n, err)
			}
		})
	}
}

// An interrupt of the client is seen when the answer has been given.
func TestServeInterruptedWhileAsking(t *testing.T) {
	r, client, server := newRelay(t)
	served := make(chan error)
	go func() { served <- r.client.Serve(r) }()
	client.Write([]byte("hello"))
	if _, err := io.ReadFull(server, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	r.client.SetReadDeadline(time.Unix(1, 0))
	select {
	case err := <-served:
		t.Fatalf("serve: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	server.Write([]byte("answer"))
	client.SetDeadline(time.Now().Add(10 * time.Second))
	got := make([]byte, 6)
	if _, err := io.ReadFull(client, got); err != nil || string(got) != "answer" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := <-served; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("serve: %v", err)
	}
	// What comes afterwards is served.
	r.client.SetReadDeadline(time.Time{})
	go func() { served <- r.client.Serve(handler(func() wire.Next { return wire.ServeEnd })) }()
	client.Write([]byte("more"))
	if err := <-served; err != nil || string(r.client.Buffered()) != "more" {
		t.Errorf("unread is %q, %v", r.client.Buffered(), err)
	}
}

// The last request and the client's end may come together.
func TestServeEnd(t *testing.T) {
	for range 50 {
		a, b := pair(t)
		c := wire.NewConn(a)
		b.Write([]byte("hello"))
		b.Close()
		n := 0
		err := c.Serve(handler(func() wire.Next {
			n += len(c.Buffered())
			c.Discard(len(c.Buffered()))
			return wire.ServeOn
		}))
		if n != 5 || !errors.Is(err, io.EOF) {
			t.Errorf("%d bytes, %v", n, err)
		}
		c.Close()
	}
}

// A handle that panics does so in Serve, not in who serves other connections too.
func TestServePanics(t *testing.T) {
	r, client, _ := newRelay(t)
	got := make(chan any)
	go func() {
		defer func() { got <- recover() }()
		r.client.Serve(handler(func() wire.Next { panic("a defect") }))
	}()
	time.Sleep(10 * time.Millisecond) // so that a loop is the one who calls it, mostly
	client.Write([]byte("x"))
	if p, ok := (<-got).(string); !ok || !strings.Contains(p, "a defect") || !strings.Contains(p, "TestServePanics") {
		t.Errorf("it panics with %q", p)
	}
}

// poster counts what was posted, and has the connection served on.
type poster struct {
	*wire.Conn
	posted atomic.Int32
	said   chan struct{}
}

func (p *poster) Arrived(*wire.Batch) wire.Next {
	p.Discard(len(p.Buffered()))
	p.said <- struct{}{}
	return wire.ServeLater
}

func (p *poster) Answered(*wire.Batch, error)         {}
func (p *poster) Unasked(int)                         {}
func (p *poster) Given(*wire.Batch, int, bool, error) {}

func (p *poster) Posted(b *wire.Batch) {
	p.posted.Add(1)
	p.Resume(b, wire.ServeOn)
}

// Whoever posts, while a loop works and when it waits: each is called once.
func TestPost(t *testing.T) {
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			a, b := pair(t)
			p := &poster{Conn: wire.NewConn(a), said: make(chan struct{}, 1)}
			ended := make(chan error)
			go func() { ended <- p.Serve(p) }()
			const rounds = 500
			for i := range rounds {
				b.Write([]byte("x"))
				<-p.said
				if i%50 == 0 {
					time.Sleep(time.Millisecond) // the loop comes to rest
				}
				p.Post()
			}
			b.Close()
			if err := <-ended; !errors.Is(err, io.EOF) || p.posted.Load() != rounds {
				t.Errorf("%d were called: %v", p.posted.Load(), err)
			}
		})
	}
	running.Wait()
}

// handler is a Handler that is only told of what arrives.
type handler func() wire.Next

func (h handler) Arrived(*wire.Batch) wire.Next       { return h() }
func (h handler) Answered(*wire.Batch, error)         {}
func (h handler) Unasked(int)                         {}
func (h handler) Posted(*wire.Batch)                  {}
func (h handler) Given(*wire.Batch, int, bool, error) {}
