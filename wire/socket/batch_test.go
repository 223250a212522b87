package socket

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sender keeps what became of its sends.
type sender struct {
	*Conn
	peer *os.File
	did  []string
	// then is called at the first Sent.
	then func(b *Batch)
}

func (s *sender) Readable(*Batch) {}
func (s *sender) Interrupted()    {}
func (s *sender) Posted(*Batch)   {}

func (s *sender) Sent(b *Batch, n int, whole bool, errno syscall.Errno) {
	s.did = append(s.did, fmt.Sprintf("%d %t %s", n, whole, unix.ErrnoName(errno)))
	if then := s.then; then != nil {
		s.then = nil
		then(b)
	}
}

func newSender(t *testing.T) *sender {
	t.Helper()
	s := new(sender)
	s.Conn, s.peer = unixPair(t)
	t.Cleanup(func() { s.Close(); s.peer.Close() })
	s.Use(s)
	return s
}

// received is all that was sent.
func (s *sender) received(t *testing.T) string {
	t.Helper()
	s.Close()
	b, err := io.ReadAll(s.peer)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

func wants(t *testing.T, s *sender, want ...string) {
	t.Helper()
	if fmt.Sprint(s.did) != fmt.Sprint(want) {
		t.Errorf("sends became %q, want %q", s.did, want)
	}
}

// A kernel that has io_uring and one that has not do the same. In CI it has.
func TestBatch(t *testing.T) {
	if err := TryRing(); err != nil {
		t.Errorf("io_uring cannot be used here: %v", err)
	}
	ring := func(t *testing.T) *Batch {
		b := new(Batch)
		if !b.useRing() {
			t.Fatal("it has no ring")
		}
		t.Cleanup(func() {
			if b.ring == nil {
				t.Error("it has lost its ring")
			} else {
				b.ring.close()
			}
		})
		return b
	}
	single := func(*testing.T) *Batch { return &Batch{tried: true} }
	for how, make := range map[string]func(t *testing.T) *Batch{"ring": ring, "single": single} {
		t.Run(how, func(t *testing.T) { testBatch(t, make) })
	}
}

func testBatch(t *testing.T, make func(t *testing.T) *Batch) {
	t.Run("many", func(t *testing.T) {
		b := make(t)
		const senders, rounds = 3*ringSize + 1, 5
		var all [senders]*sender
		want := ""
		for i := range all {
			all[i] = newSender(t)
		}
		for r := range rounds {
			for i, s := range all {
				b.Send(s.Conn, fmt.Appendf(nil, "%d of %d\n", r, i))
			}
			b.flush()
			want += "9 true "
		}
		for i, s := range all {
			if got := s.received(t); got != fmt.Sprintf("0 of %[1]d\n1 of %[1]d\n2 of %[1]d\n3 of %[1]d\n4 of %[1]d\n", i) {
				t.Errorf("%d: %q", i, got)
			}
			if len(s.did) != rounds {
				t.Errorf("%d was told %q", i, s.did)
			}
		}
		if len(b.sends)+len(b.sending) != 0 {
			t.Error("something is left")
		}
	})
	t.Run("no room", func(t *testing.T) {
		b, full, other := make(t), newSender(t), newSender(t)
		long := bytes.Repeat([]byte("x"), 10<<20)
		b.Send(full.Conn, long)
		b.Send(full.Conn, long[:5])
		b.Send(other.Conn, long[:5])
		b.flush()
		wants(t, other, "5 true ")
		var n int
		fmt.Sscan(full.did[0], &n)
		if n <= 0 || n >= len(long) {
			t.Errorf("%d bytes were sent", n)
		}
		wants(t, full, fmt.Sprintf("%d false ", n), "0 false EAGAIN")
		if got := full.received(t); len(got) != n {
			t.Errorf("%d bytes came", len(got))
		}
	})
	t.Run("a peer that is gone", func(t *testing.T) {
		b, gone, other := make(t), newSender(t), newSender(t)
		gone.peer.Close()
		b.Send(gone.Conn, []byte("hello"))
		b.Send(other.Conn, []byte("hello"))
		b.flush()
		wants(t, gone, "0 false EPIPE")
		wants(t, other, "5 true ")
	})
	t.Run("one leads to another", func(t *testing.T) {
		b, first, second := make(t), newSender(t), newSender(t)
		first.then = func(b *Batch) {
			b.Send(second.Conn, []byte("b"))
			b.Send(first.Conn, []byte("c"))
		}
		second.then = func(b *Batch) { b.Send(first.Conn, []byte("d")) }
		b.Send(first.Conn, []byte("a"))
		b.flush()
		if got := first.received(t) + second.received(t); got != "acdb" {
			t.Errorf("got %q", got)
		}
	})
}

// A ring that fails is given up, and nothing is lost, nor sent twice.
func TestRingFails(t *testing.T) {
	b, s := new(Batch), newSender(t)
	if !b.useRing() {
		t.Fatal("it has no ring")
	}
	b.Send(s.Conn, []byte("a"))
	b.flush()
	closeFD(b.ring.fd)
	other, err := unix.Dup(int(s.peer.Fd())) // what has its number now is no ring
	if err != nil || other != b.ring.fd {
		t.Fatalf("the ring's number is not used again: %d, %v", other, err)
	}
	for _, text := range []string{"b", "c"} {
		b.Send(s.Conn, []byte(text))
	}
	b.flush()
	if b.ring != nil {
		t.Error("it is not given up")
	}
	b.Send(s.Conn, []byte("d"))
	b.flush()
	wants(t, s, "1 true ", "1 true ", "1 true ", "1 true ")
	if got := s.received(t); got != "abcd" {
		t.Errorf("got %q", got)
	}
}

// A loop sends when it has served those that are ready.
func TestServeSends(t *testing.T) {
	for _, tc := range []struct {
		ready int
		order string
	}{
		{1, "rs"},
		{4, "rrrrssss"},
		{ringSize + 1, strings.Repeat("r", ringSize+1) + strings.Repeat("s", ringSize+1)},
	} {
		var order strings.Builder
		var events []unix.EpollEvent
		for range tc.ready {
			a := &answerer{newSender(t), &order}
			a.Use(a)
			for waits := false; !waits; { // the socket is told that there is room
				waits, _ = a.Handle()
			}
			events = append(events, unix.EpollEvent{Events: unix.EPOLLIN, Fd: a.fd})
		}
		l := new(loop)
		l.serve(events)
		if order.String() != tc.order {
			t.Errorf("%d ready: %s, want %s", tc.ready, &order, tc.order)
		}
		l.batch.ring.close()
	}
}

// answerer answers when something is ready to be read, and writes down the order.
type answerer struct {
	*sender
	order *strings.Builder
}

func (a *answerer) Readable(b *Batch) {
	a.order.WriteByte('r')
	b.Send(a.Conn, []byte("answer"))
}

func (a *answerer) Sent(*Batch, int, bool, syscall.Errno) { a.order.WriteByte('s') }

// What was received before it was sent had come by the time that Sent is told: floors rely on that.
func TestBatchNow(t *testing.T) {
	a := &clocked{sender: newSender(t)}
	a.Use(a)
	for waits := false; !waits; { // the socket is told that there is room
		waits, _ = a.Handle()
	}
	l := new(loop)
	before := Now()
	l.serve([]unix.EpollEvent{{Events: unix.EPOLLIN, Fd: a.fd}})
	if !(before <= a.readable && a.readable < a.received && a.received < a.sent && a.sent <= Now()) {
		t.Errorf("from %d on: readable at %d, received at %d, sent at %d", before, a.readable, a.received, a.sent)
	}
	if now := (*Batch)(nil).Now(); now < a.sent {
		t.Errorf("without a batch it is %d", now)
	}
	l.batch.ring.close()
}

// clocked answers, and writes down what the time was.
type clocked struct {
	*sender
	readable, received, sent int64
}

func (c *clocked) Readable(b *Batch) {
	c.readable = b.Now()
	time.Sleep(time.Millisecond) // what is received may have come meanwhile
	c.received = Now()
	b.Send(c.Conn, []byte("answer"))
}

func (c *clocked) Sent(b *Batch, _ int, _ bool, _ syscall.Errno) { c.sent = b.Now() }
