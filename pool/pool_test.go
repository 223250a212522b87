package pool_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/pool"
	"github.com/howdah/howdah/wire"
)

var (
	keyA = pool.Key{User: "a", Database: "d"}
	keyB = pool.Key{User: "b", Database: "d"}
)

// newPool makes a pool; change may alter its settings.
func newPool(t testing.TB, change func(*pool.Settings)) *pool.Pool {
	t.Helper()
	set := pool.Settings{Pool: configs.Default().Pool, Connect: 10 * time.Second}
	if change != nil {
		change(&set)
	}
	return pool.New(set, slog.New(slog.DiscardHandler))
}

func acquire(t testing.TB, p *pool.Pool, f *fake, key pool.Key) *pool.Server {
	t.Helper()
	s, err := p.Acquire(t.Context(), f.node, key, auth.Credentials{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wantStats(t testing.TB, p *pool.Pool, want pool.Stats) {
	t.Helper()
	if got := p.Stats(0); got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
}

// waitFor waits for something that happens in another goroutine.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not happen", what)
		}
	}
}

func isCode(err error, code string) bool {
	var e *wire.Error
	return errors.As(err, &e) && e.Code == code
}

func TestConnectionsAreReusedPerKey(t *testing.T) {
	f := newFake(t)
	p := newPool(t, nil)
	a := acquire(t, p, f, keyA)
	if a.PID != 1 || a.Secret != 4711 || a.Node != 0 || a.Key != keyA {
		t.Errorf("connection %+v", a)
	}
	if v, _ := a.Params.Get("server_version"); v != "15" {
		t.Errorf("server_version is %q", v)
	}
	p.Release(a)
	if f.queries.Load() != 1 {
		t.Error("the connection was not reset")
	}
	wantStats(t, p, pool.Stats{Open: 1, Idle: 1})
	b := acquire(t, p, f, keyB)
	if again := acquire(t, p, f, keyA); again != a || b == a {
		t.Error("connections are not kept per key")
	}
	wantStats(t, p, pool.Stats{Open: 2})
	other := keyA
	other.Params = "DateStyle\x00ISO\x00"
	if c := acquire(t, p, f, other); c == a {
		t.Error("other startup parameters got the connection")
	}
}

func TestReleaseUnusedDoesNotReset(t *testing.T) {
	f := newFake(t)
	p := newPool(t, nil)
	a := acquire(t, p, f, keyA)
	p.ReleaseUnused(a)
	if f.queries.Load() != 0 || acquire(t, p, f, keyA) != a {
		t.Error("an unused connection was reset or closed")
	}
}

func TestOpenOpensAnother(t *testing.T) {
	f := newFake(t)
	p := newPool(t, nil)
	p.ReleaseUnused(acquire(t, p, f, keyA))
	s, err := p.Open(t.Context(), f.node, keyA, auth.Credentials{})
	if err != nil || s.PID != 2 {
		t.Fatalf("Open gave connection %v, error %v", s, err)
	}
	p.ReleaseUnused(s)
	wantStats(t, p, pool.Stats{Open: 2, Idle: 2})
}

func TestMostRecentlyFreedIsLentFirst(t *testing.T) {
	f := newFake(t)
	p := newPool(t, nil)
	a, b := acquire(t, p, f, keyA), acquire(t, p, f, keyA)
	p.ReleaseUnused(b)
	p.ReleaseUnused(a)
	if got := acquire(t, p, f, keyA); got != a {
		t.Error("the one freed first was lent first")
	}
}

func TestIdleConnectionOfAnotherKeyGivesWay(t *testing.T) {
	f := newFake(t)
	p := newPool(t, func(s *pool.Settings) { s.MaxPerNode = 2 })
	a, b := acquire(t, p, f, keyA), acquire(t, p, f, keyA)
	p.ReleaseUnused(b)
	p.ReleaseUnused(a)
	acquire(t, p, f, keyB)
	wantStats(t, p, pool.Stats{Open: 2, Idle: 1})
	if got := acquire(t, p, f, keyA); got != a {
		t.Error("not the one that was idle longest gave way")
	}
	waitFor(t, "the closing of the one that gave way", func() bool { return f.open.Load() == 2 })
}

// The limit is that of the settings, or what the server takes less howdah's own share.
func TestLimit(t *testing.T) {
	for _, tc := range []struct{ setting, server, want int }{
		{2, 100, 2}, {0, 7, 2}, {0, 1, 1}, {0, 0, 20},
	} {
		f := newFake(t)
		f.node.MaxConnections = tc.server
		p := newPool(t, func(s *pool.Settings) { s.MaxPerNode, s.MaxWaiters = tc.setting, 0 })
		for i := range tc.want {
			if s, err := p.Acquire(t.Context(), f.node, keyA, auth.Credentials{}, nil); err != nil || s == nil {
				t.Fatalf("%+v: connection %d: %v", tc, i, err)
			}
		}
		_, err := p.Acquire(t.Context(), f.node, keyA, auth.Credentials{}, nil)
		if unlimited := tc.setting == 0 && tc.server == 0; (err == nil) != unlimited || err != nil && !isCode(err, "53300") {
			t.Errorf("%+v: one more: %v", tc, err)
		}
	}
}

// Users have their turns, and the sessions of each are served in the order they came.
func TestWaitersAreServedInOrder(t *testing.T) {
	f := newFake(t)
	p := newPool(t, func(s *pool.Settings) { s.MaxPerNode = 1 })
	held := acquire(t, p, f, keyA)
	const waiters = 20
	got := make(chan int, waiters)
	release := make(chan struct{})
	for i := range waiters {
		key := keyA
		if i%3 == 0 {
			key = keyB // these open their own in its place
		}
		go func() {
			s, err := p.Acquire(t.Context(), f.node, key, auth.Credentials{}, nil)
			if err != nil {
				t.Error(err)
				got <- -1
				return
			}
			got <- i
			<-release
			p.Release(s)
		}()
		waitFor(t, "waiting", func() bool { return p.Stats(0).Waiting == i+1 })
	}
	p.Release(held)
	for i, want := range []int{0, 1, 3, 2, 6, 4, 9, 5, 12, 7, 15, 8, 18, 10, 11, 13, 14, 16, 17, 19} {
		if n := <-got; n != want {
			t.Fatalf("waiter %d was served as number %d, want %d", n, i, want)
		}
		// The pool's own count: the server notices a closed connection later.
		if open := p.Stats(0).Open; open > 1 {
			t.Fatalf("%d connections are open, limit 1", open)
		}
		release <- struct{}{}
	}
	waitFor(t, "the last release", func() bool { return p.Stats(0) == pool.Stats{Open: 1, Idle: 1} })
}

// Nobody overtakes those who wait.
func TestNewcomersQueueBehindWaiters(t *testing.T) {
	f := newFake(t)
	p := newPool(t, func(s *pool.Settings) { s.MaxPerNode, s.MaxWaiters = 1, 1 })
	held := acquire(t, p, f, keyA)
	go p.Acquire(t.Context(), f.node, keyB, auth.Credentials{}, nil)
	waitFor(t, "waiting", func() bool { return p.Stats(0).Waiting == 1 })
	if _, err := p.Acquire(t.Context(), f.node, keyA, auth.Credentials{}, nil); !isCode(err, "53300") {
		t.Errorf("over pool.max_waiters: %v, want 53300", err)
	}
	p.Release(held)
}

func TestWaitTimeout(t *testing.T) {
	f := newFake(t)
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, func(s *pool.Settings) { s.MaxPerNode, s.WaitTimeout = 1, 7*time.Second })
		held := acquire(t, p, f, keyA)
		start := time.Now()
		_, err := p.Acquire(t.Context(), f.node, keyA, auth.Credentials{}, nil)
		if !isCode(err, "53300") || time.Since(start) != 7*time.Second {
			t.Errorf("after %v: %v; want 53300 after 7s", time.Since(start), err)
		}
		wantStats(t, p, pool.Stats{Open: 1})
		p.Discard(held)
		wantStats(t, p, pool.Stats{})
	})
}

func TestCancelledWaiterLeavesTheQueue(t *testing.T) {
	f := newFake(t)
	p := newPool(t, func(s *pool.Settings) { s.MaxPerNode = 1 })
	held := acquire(t, p, f, keyA)
	ctx, cancel := context.WithCancelCause(t.Context())
	failed := make(chan error)
	go func() {
		_, err := p.Acquire(ctx, f.node, keyA, auth.Credentials{}, nil)
		failed <- err
	}()
	waitFor(t, "waiting", func() bool { return p.Stats(0).Waiting == 1 })
	cause := errors.New("the cause")
	cancel(cause)
	if err := <-failed; err != cause {
		t.Errorf("got %v, want the context's cause", err)
	}
	p.Release(held)
	wantStats(t, p, pool.Stats{Open: 1, Idle: 1})
}

// A waiter that is cancelled and served at the same moment either has the
// connection or has passed it on; it is never lost.
func TestCancelledWaiterPassesOn(t *testing.T) {
	f := newFake(t)
	p := newPool(t, func(s *pool.Settings) { s.MaxPerNode = 1 })
	for round := range 300 {
		held := acquire(t, p, f, keyA)
		key := keyA
		if round%2 == 0 {
			key = keyB // is served the right to open one
		}
		ctx, cancel := context.WithCancel(t.Context())
		var both sync.WaitGroup
		both.Go(func() {
			if s, err := p.Acquire(ctx, f.node, key, auth.Credentials{}, nil); err == nil {
				p.Release(s)
			}
		})
		waitFor(t, "waiting", func() bool { return p.Stats(0).Waiting == 1 })
		both.Go(func() {
			if round%3 == 0 {
				p.Discard(held)
			} else {
				p.ReleaseUnused(held)
			}
		})
		both.Go(cancel)
		both.Wait()
		if s := p.Stats(0); s.Waiting != 0 || s.Open != s.Idle || s.Open > 1 {
			t.Fatalf("round %d: %+v", round, s)
		}
	}
}

func TestUnfitConnectionsAreClosed(t *testing.T) {
	failed := wire.AppendReady(wire.AppendError(nil, "ERROR", &wire.Error{Code: "XX000", Message: "no"}), wire.TxIdle)
	open := wire.AppendReady(wire.AppendMessage(nil, wire.CommandComplete, "X\x00"), wire.TxOpen)
	broken := wire.AppendMessage(nil, wire.ReadyForQuery)
	garbage := []byte("HTTP/1.1 400\r\n")
	for _, tc := range []struct {
		name    string
		reply   []byte // to the reset query; empty hangs up
		before  func(s *pool.Server)
		release func(p *pool.Pool, s *pool.Server)
		kept    bool
	}{
		{name: "clean", reply: completed, kept: true},
		{name: "reset fails", reply: failed},
		{name: "reset leaves a transaction open", reply: open},
		{name: "ReadyForQuery without a status", reply: broken},
		{name: "reset gets garbage", reply: garbage},
		{name: "reset gets no answer", reply: []byte{}},
		{name: "more than the answer", reply: append(completed[:len(completed):len(completed)], completed...)},
		{name: "unread bytes", reply: completed, before: func(s *pool.Server) { s.Write(wire.AppendQuery(nil, "x")); s.Need(1) }},
		{name: "unread bytes, unused", reply: completed, before: func(s *pool.Server) { s.Write(wire.AppendQuery(nil, "x")); s.Need(1) },
			release: (*pool.Pool).ReleaseUnused},
		{name: "discarded", reply: completed, release: (*pool.Pool).Discard},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake(t)
			p := newPool(t, nil)
			s := acquire(t, p, f, keyA)
			f.reply.Store(&tc.reply)
			if tc.before != nil {
				tc.before(s)
			}
			if tc.release == nil {
				tc.release = (*pool.Pool).Release
			}
			tc.release(p, s)
			f.reply.Store(nil)
			// What came after a good answer may be noticed only now.
			next := acquire(t, p, f, keyA)
			if kept := next == s; kept != tc.kept {
				t.Errorf("lent again: %v, want %v", kept, tc.kept)
			}
			wantStats(t, p, pool.Stats{Open: 1})
			if !tc.kept {
				waitFor(t, "the closing of the connection", func() bool { return f.open.Load() == 1 })
			}
		})
	}
}

func TestResetIsBounded(t *testing.T) {
	t.Parallel() // it takes its ten seconds
	f := newFake(t)
	p := newPool(t, nil)
	s := acquire(t, p, f, keyA)
	silent := []byte{'N', 0, 0} // part of a message, then nothing
	f.reply.Store(&silent)
	start := time.Now()
	p.Release(s)
	if d := time.Since(start); d > 15*time.Second {
		t.Errorf("a reset without an answer took %v", d)
	}
	wantStats(t, p, pool.Stats{})
}

func TestDeadIdleConnectionIsNotLent(t *testing.T) {
	for name, kill := range map[string]func(net.Conn){
		"closed":       func(c net.Conn) { c.Close() },
		"fatal error":  func(c net.Conn) { c.Write(wire.AppendError(nil, "FATAL", &wire.Error{Code: "57P01", Message: "bye"})) },
		"stray answer": func(c net.Conn) { c.Write(completed) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			p := newPool(t, nil)
			s := acquire(t, p, f, keyA)
			p.ReleaseUnused(s)
			f.each(kill)
			// Only what has arrived can be known.
			if err := s.AwaitReadable(); err != nil {
				t.Fatal(err)
			}
			if next := acquire(t, p, f, keyA); next == s {
				t.Error("a dead connection was lent")
			}
			wantStats(t, p, pool.Stats{Open: 1})
		})
	}
}

func TestConnectionsExpire(t *testing.T) {
	f := newFake(t)
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, func(s *pool.Settings) { s.IdleTimeout, s.MaxAge = time.Minute, 10*time.Minute })
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { p.Run(ctx) })
		s := acquire(t, p, f, keyA)
		p.ReleaseUnused(s)
		time.Sleep(59 * time.Second)
		wantStats(t, p, pool.Stats{Open: 1, Idle: 1})
		if acquire(t, p, f, keyA) != s {
			t.Error("expired early")
		}
		p.ReleaseUnused(s)
		time.Sleep(59 * time.Second)
		wantStats(t, p, pool.Stats{Open: 1, Idle: 1})
		time.Sleep(3 * time.Second)
		wantStats(t, p, pool.Stats{})

		// By age: at its return, or while idle.
		start := time.Now()
		s, old := acquire(t, p, f, keyA), acquire(t, p, f, keyA)
		s.SetAge(1)
		old.SetAge(1)
		time.Sleep(time.Until(start.Add(10*time.Minute - 5*time.Second)))
		p.ReleaseUnused(old)
		wantStats(t, p, pool.Stats{Open: 2, Idle: 1})
		time.Sleep(7 * time.Second)
		wantStats(t, p, pool.Stats{Open: 1})
		p.Release(s)
		wantStats(t, p, pool.Stats{})
		cancel()
		running.Wait()
	})
}

func TestCloseEndsWaitingAndIdle(t *testing.T) {
	f := newFake(t)
	p := newPool(t, func(s *pool.Settings) { s.MaxPerNode = 2 })
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { p.Run(ctx) })
	held, idle := acquire(t, p, f, keyA), acquire(t, p, f, keyA)
	failed := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := p.Acquire(t.Context(), f.node, keyB, auth.Credentials{}, nil)
			failed <- err
		}()
	}
	waitFor(t, "waiting", func() bool { return p.Stats(0).Waiting == 2 })
	cancel()
	running.Wait()
	for range 2 {
		if err := <-failed; !errors.Is(err, pool.ErrClosed) {
			t.Errorf("a waiter got %v, want ErrClosed", err)
		}
	}
	if _, err := p.Acquire(t.Context(), f.node, keyA, auth.Credentials{}, nil); !errors.Is(err, pool.ErrClosed) {
		t.Errorf("Acquire after Close: %v", err)
	}
	p.ReleaseUnused(idle)
	p.Release(held)
	wantStats(t, p, pool.Stats{})
	waitFor(t, "the closing of all connections", func() bool { return f.open.Load() == 0 })
}

// Whatever fifty sessions do at once, no connection and no place is lost.
func TestStress(t *testing.T) {
	f := newFake(t)
	p := newPool(t, func(s *pool.Settings) { s.MaxPerNode, s.WaitTimeout, s.MaxWaiters = 7, 200*time.Millisecond, 40 })
	failed := wire.AppendReady(wire.AppendError(nil, "ERROR", &wire.Error{Code: "XX000", Message: "no"}), wire.TxIdle)
	var all sync.WaitGroup
	for g := range 50 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(g)))
			for range 60 {
				key := []pool.Key{keyA, keyB, {User: "c", Database: "d"}}[r.IntN(3)]
				ctx, cancel := context.WithCancel(t.Context())
				switch r.IntN(4) {
				case 0:
					cancel()
				case 1:
					time.AfterFunc(time.Duration(r.IntN(2000))*time.Microsecond, cancel)
				}
				take := func(ctx context.Context, n *cluster.Node, key pool.Key, cred auth.Credentials) (*pool.Server, error) {
					return p.Acquire(ctx, n, key, cred, nil)
				}
				if r.IntN(8) == 0 {
					take = p.Open
				}
				if s, err := take(ctx, f.node, key, auth.Credentials{}); err == nil {
					if s.Key != key {
						t.Errorf("got a connection of %v for %v", s.Key, key)
					}
					switch r.IntN(6) {
					case 0:
						p.Discard(s)
					case 1:
						p.ReleaseUnused(s)
					case 2:
						f.each(func(c net.Conn) {
							if r.IntN(20) == 0 {
								c.Close()
							}
						})
						p.Release(s)
					case 3:
						f.reply.Store(&failed)
						p.Release(s)
						f.reply.Store(nil)
					default:
						p.Release(s)
					}
				}
				cancel()
			}
		})
	}
	all.Wait()
	s := p.Stats(0)
	if s.Open != s.Idle || s.Waiting != 0 || s.Open > 7 {
		t.Errorf("after all: %+v", s)
	}
	// All places can still be used.
	for range 7 {
		acquire(t, p, f, keyA)
	}
	wantStats(t, p, pool.Stats{Open: 7})
}
