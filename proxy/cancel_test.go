package proxy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/pool"
	"github.com/howdah/howdah/wire"
)

// postOffice is a server that lets everybody in and calls onCancel for every cancel request, before it closes that connection.
type postOffice struct {
	node     cluster.Node
	onCancel func()
	l        net.Listener
}

func newPostOffice(t testing.TB, onCancel func()) *postOffice {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := &postOffice{onCancel: onCancel, l: l}
	p.node = cluster.Node{Name: "post", Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(nc)
		}
	}()
	return p
}

func (p *postOffice) serve(nc net.Conn) {
	c := wire.NewConn(nc)
	defer c.Close()
	if c.Need(8) != nil {
		return
	}
	size, code := binary.BigEndian.Uint32(c.Buffered()), binary.BigEndian.Uint32(c.Buffered()[4:])
	if code == codeCancel {
		p.onCancel()
		return
	}
	if c.Need(int(size)) != nil {
		return
	}
	c.Discard(int(size))
	b := wire.AppendMessage(nil, wire.Authentication, "\x00\x00\x00\x00")
	b = wire.AppendMessage(b, wire.BackendKeyData, "\x00\x00\x00\x01\x00\x00\x00\x02")
	c.Write(wire.AppendReady(b, wire.TxIdle))
	c.Fill() // its end
}

func newTestPool() *pool.Pool {
	return pool.New(pool.Settings{Pool: configs.Default().Pool, Connect: 10 * time.Second}, slog.New(slog.DiscardHandler))
}

// When idle() has returned no cancel request reaches the server any more, so
// that it cannot hit the session's next statement.
func TestCancelNeverComesLate(t *testing.T) {
	var working atomic.Bool
	var reached, late atomic.Int64
	office := newPostOffice(t, func() {
		reached.Add(1)
		if !working.Load() {
			late.Add(1)
		}
	})
	srv, err := newTestPool().Acquire(t.Context(), &office.node, pool.Key{User: "u"}, auth.Credentials{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &session{}
	s.cancelled = make(chan struct{}, 1)
	var cancelers sync.WaitGroup
	stop := make(chan struct{})
	for range 8 {
		cancelers.Go(func() {
			for {
				runtime.Gosched()
				select {
				case <-stop:
					return
				default:
				}
				if err := s.cancelling.cancel(t.Context()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for deadline := time.Now().Add(10 * time.Second); reached.Load() < 100 && time.Now().Before(deadline); {
		working.Store(true)
		s.busy(srv)
		runtime.Gosched()
		s.idle()
		working.Store(false)
	}
	close(stop)
	cancelers.Wait()
	if reached.Load() == 0 || late.Load() > 0 {
		t.Errorf("%d cancels reached the server, %d of them late", reached.Load(), late.Load())
	}
	if s.cancelState.Load() != cancelNothing || len(s.cancelled) != 0 {
		t.Error("a cancel is left over")
	}
}

func TestCancelOfAnIdleSession(t *testing.T) {
	s := &session{}
	s.cancelled = make(chan struct{}, 1)
	if err := s.cancelling.cancel(t.Context()); err != nil || len(s.cancelled) != 0 {
		t.Errorf("error %v", err)
	}
	s.busy(nil)
	s.idle()
	if s.cancelState.Load() != cancelNothing {
		t.Error("not idle")
	}
}

// A cancel that cannot reach the server says so, and sets the session free.
func TestCancelOfAServerThatIsGone(t *testing.T) {
	office := newPostOffice(t, func() {})
	srv, err := newTestPool().Acquire(t.Context(), &office.node, pool.Key{User: "u"}, auth.Credentials{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	office.l.Close()
	s := &session{}
	s.cancelled = make(chan struct{}, 1)
	s.busy(srv)
	if err := s.cancelling.cancel(t.Context()); err == nil {
		t.Error("no error")
	}
	s.idle()
}

// A wait is broken off with the error of a canceled query, and only that wait.
func TestCancelBreaksOffWaits(t *testing.T) {
	s := &session{}
	s.cancelled = make(chan struct{}, 1)
	var cancelers sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		cancelers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					s.cancelling.cancel(context.Background())
					runtime.Gosched()
				}
			}
		})
	}
	for round := range 200 {
		ctx, done := s.waiting(t.Context())
		if round%2 == 0 {
			<-ctx.Done()
			if cause := context.Cause(ctx); cause != errCanceled {
				t.Errorf("cause %v", cause)
			}
		}
		done()
		if s.cancelState.Load() != cancelNothing {
			t.Fatal("still open to cancels")
		}
	}
	close(stop)
	cancelers.Wait()
}

func TestRegistry(t *testing.T) {
	const first, second = parser.MaxProcessID + 1, parser.MaxProcessID + 2
	r := registry{sessions: map[uint32]*session{}}
	a, b := &session{}, &session{}
	a.secret, b.secret = cancelKey{1, 1}, cancelKey{2, 2}
	if r.add(a) != nil || r.add(b) != nil || a.pid != first || b.pid != second {
		t.Errorf("numbers %d and %d", a.pid, b.pid)
	}
	if r.find(first, cancelKey{1, 1}) != a || r.find(second, cancelKey{2, 2}) != b || r.find(first, cancelKey{2, 2}) != nil || r.find(second+1, cancelKey{1, 1}) != nil {
		t.Error("find is wrong")
	}
	r.remove(a)
	if r.find(first, cancelKey{1, 1}) != nil {
		t.Error("a removed session is found")
	}
	// The last number is followed by the first free one; it stays positive as an int32, and above all process ids.
	r.last = 1<<31 - 2
	c, d := &session{}, &session{}
	r.add(c)
	r.add(d)
	if c.pid != 1<<31-1 || d.pid != first {
		t.Errorf("numbers %d and %d", c.pid, d.pid)
	}
	e := &session{}
	r.add(e)
	if e.pid != second+1 {
		t.Errorf("number %d, taken by a living session", e.pid)
	}
	n := 0
	r.each(func(s *session) { n++; r.remove(s) })
	if n != 4 || len(r.sessions) != 0 {
		t.Errorf("%d sessions visited, %d left", n, len(r.sessions))
	}
}

func TestRegistryNumbersAreUnique(t *testing.T) {
	r := registry{sessions: map[uint32]*session{}}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for i := range 200 {
				s := &session{}
				if err := r.add(s); err != nil {
					t.Error(err)
				}
				if r.find(s.pid, nil) != s {
					t.Error("another session has the number")
				}
				if i%2 == 0 {
					r.remove(s)
				}
			}
		})
	}
	all.Wait()
	if len(r.sessions) != 20*100 {
		t.Errorf("%d sessions are left", len(r.sessions))
	}
}

func TestLoginsKeep(t *testing.T) {
	finished := make(chan struct{})
	close(finished)
	entry := func(at time.Time, err error) *verification {
		return &verification{done: finished, profile: &profile{at: at}, err: err}
	}
	var lg logins
	old := time.Now().Add(-time.Hour)
	const many = maxLogins + 300
	for i := range many {
		at := time.Now()
		if i%2 == 0 {
			at = old
		}
		lg.keep(pool.Key{User: fmt.Sprint(i)}, entry(at, nil), time.Minute)
		if len(lg.known) > maxLogins {
			t.Fatalf("%d are kept, %d at most", len(lg.known), maxLogins)
		}
	}
	last := pool.Key{User: fmt.Sprint(many - 1)}
	if lg.known[last] == nil {
		t.Error("the newest was not kept")
	}
	for name, tc := range map[string]struct {
		v    *verification
		want bool
	}{
		"fresh":     {entry(time.Now(), nil), false},
		"old":       {entry(old, nil), true},
		"failed":    {entry(time.Now(), errors.New("x")), true},
		"under way": {&verification{done: make(chan struct{})}, false},
	} {
		if got := tc.v.expired(time.Minute); got != tc.want {
			t.Errorf("%s: expired is %v", name, got)
		}
	}
	if !entry(time.Now().Add(-time.Nanosecond), nil).expired(0) {
		t.Error("an interval of 0 believes")
	}
	newer := entry(time.Now(), nil)
	key := pool.Key{User: "k"}
	lg.keep(key, newer, time.Minute)
	lg.forget(key, entry(time.Now(), nil))
	if lg.known[key] != newer {
		t.Error("forgot another's")
	}
	lg.forget(key, newer)
	if lg.known[key] != nil {
		t.Error("did not forget")
	}
}

// A waiter whose own time is up does not wait for another's login.
func TestLoginsWaitIsBounded(t *testing.T) {
	var lg logins
	key := pool.Key{User: "k"}
	lg.keep(key, &verification{done: make(chan struct{})}, time.Minute)
	cause := errors.New("time is up")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := lg.verify(ctx, nil, key, auth.Credentials{}, &settings{auth: configs.Auth{VerifyInterval: time.Minute}}); err != cause {
		t.Errorf("got %v, want the context's cause", err)
	}
}

// A cancel that came before its statement did changes nothing: the next one must reach the server.
func TestCancelTwice(t *testing.T) {
	var reached atomic.Int64
	office := newPostOffice(t, func() { reached.Add(1) })
	srv, err := newTestPool().Acquire(t.Context(), &office.node, pool.Key{User: "u"}, auth.Credentials{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &session{}
	s.cancelled = make(chan struct{}, 1)
	s.busy(srv)
	for range 2 {
		if err := s.cancelling.cancel(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.idle()
	if n := reached.Load(); n != 2 {
		t.Errorf("%d cancel requests reached the server, want 2", n)
	}
	if s.cancelState.Load() != cancelNothing || len(s.cancelled) != 0 {
		t.Error("the session is not idle")
	}
}

// A cancel that comes while a server works at what howdah sends before a statement waits for that, and is the statement's: never the
// next one's, nor of one that never begins.
func TestCancelBeforeTheStatement(t *testing.T) {
	var early, reached atomic.Int64
	var working atomic.Bool
	office := newPostOffice(t, func() {
		reached.Add(1)
		if !working.Load() {
			early.Add(1)
		}
	})
	srv, err := newTestPool().Acquire(t.Context(), &office.node, pool.Key{User: "u"}, auth.Credentials{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &session{}
	s.cancelled = make(chan struct{}, 1)
	for round := range 50 {
		s.busy(srv)
		s.early()
		for range 2 {
			if err := s.cancelling.cancel(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if round%2 == 0 {
			working.Store(true)
			s.begun(t.Context())
			s.begun(t.Context())
		}
		s.idle()
		working.Store(false)
		if s.cancelState.Load() != cancelNothing || len(s.cancelled) != 0 {
			t.Fatal("a cancel is left over")
		}
	}
	if reached.Load() != 25 || early.Load() != 0 {
		t.Errorf("%d cancels reached the server, want 25; %d of them early", reached.Load(), early.Load())
	}
	// Nobody has canceled, and the next cancel reaches the server.
	s.busy(srv)
	s.early()
	s.begun(t.Context())
	if err := s.cancelling.cancel(t.Context()); err != nil || reached.Load() != 26 {
		t.Errorf("%d cancels reached the server, want 26 (%v)", reached.Load(), err)
	}
	s.idle()
}
