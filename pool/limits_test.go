package pool_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/pool"
)

// get is an Acquire in the background.
type get struct {
	server chan *pool.Server
	cancel context.CancelFunc
}

func start(t testing.TB, p *pool.Pool, f *fake, key pool.Key, waits func()) *get {
	ctx, cancel := context.WithCancel(t.Context())
	g := &get{make(chan *pool.Server, 1), cancel}
	t.Cleanup(cancel)
	go func() {
		if s, err := p.Acquire(ctx, f.node, key, auth.Credentials{}, waits); err == nil {
			g.server <- s
		}
	}()
	return g
}

func (g *get) waits(t testing.TB) {
	t.Helper()
	select {
	case <-g.server:
		t.Error("served, want waiting")
	default:
	}
}

// One user at its limit waits, and holds up nobody else.
func TestLimitOfAUser(t *testing.T) {
	f := newFake(t)
	p := newPool(t, func(s *pool.Settings) {
		s.MaxPerUser = 2
		s.Rules = []configs.PoolRule{{User: "b", MaxPerUser: 1}}
	})
	a := acquire(t, p, f, keyA)
	acquire(t, p, f, pool.Key{User: "a", Database: "d", Params: "x\x00y\x00"}) // counts with it
	waiting := start(t, p, f, keyA, nil)
	waitFor(t, "waiting", func() bool { return p.Stats(0).Waiting == 1 })
	b := acquire(t, p, f, keyB)
	other := start(t, p, f, keyB, nil)
	waitFor(t, "waiting", func() bool { return p.Stats(0).Waiting == 2 })
	acquire(t, p, f, pool.Key{User: "c", Database: "d"})
	waiting.waits(t)
	other.waits(t)
	p.Discard(b)
	if s := <-other.server; s.Key != keyB {
		t.Errorf("got %v", s.Key)
	}
	waiting.waits(t)
	p.ReleaseUnused(a)
	if s := <-waiting.server; s != a {
		t.Error("the one that came back was not lent")
	}
}

// At its limit a user's idle connection with other parameters gives way, not another user's.
func TestUserMakesRoomForItself(t *testing.T) {
	f := newFake(t)
	p := newPool(t, func(s *pool.Settings) { s.MaxPerUser = 1 })
	b := acquire(t, p, f, keyB)
	p.ReleaseUnused(b)
	p.ReleaseUnused(acquire(t, p, f, pool.Key{User: "a", Database: "d", Params: "x\x00y\x00"}))
	acquire(t, p, f, keyA)
	wantStats(t, p, pool.Stats{Open: 2, Idle: 1})
	if acquire(t, p, f, keyB) != b {
		t.Error("another user's connection gave way")
	}
}

// A login that is to be checked anew does not wait where all connections are idle: one of them gives way.
func TestOpenAtTheLimit(t *testing.T) {
	f := newFake(t)
	p := newPool(t, func(s *pool.Settings) { s.MaxPerUser = 1 })
	old := acquire(t, p, f, keyA)
	p.ReleaseUnused(old)
	s, err := p.Open(t.Context(), f.node, keyA, auth.Credentials{})
	if err != nil || s == old {
		t.Fatalf("got %v, %v; want a new connection", s, err)
	}
	wantStats(t, p, pool.Stats{Open: 1})
	// With none idle it gets the first that comes back.
	got := make(chan *pool.Server, 1)
	go func() {
		if again, err := p.Open(t.Context(), f.node, keyA, auth.Credentials{}); err == nil {
			got <- again
		}
	}()
	waitFor(t, "waiting", func() bool { return p.Stats(0).Waiting == 1 })
	p.ReleaseUnused(s)
	if again := <-got; again != s {
		t.Error("the one that came back was not lent")
	}
}

// So many logins at a time, and the rest as they end.
func TestLoginsAtATime(t *testing.T) {
	f := newFake(t)
	p := newPool(t, func(s *pool.Settings) { s.MaxLogins = 3 })
	const all = 30
	var done sync.WaitGroup
	for range all {
		done.Go(func() { acquire(t, p, f, keyA) })
	}
	done.Wait()
	wantStats(t, p, pool.Stats{Open: all})
	if most := p.MostOpening(); most > 3 {
		t.Errorf("%d logins at a time", most)
	}
}

// Where connections are shared, transactions of the same kind go on although another
// waits, but not for long.
func TestOvertaking(t *testing.T) {
	a, b := pool.Key{User: "a", Shared: true}, pool.Key{User: "b", Shared: true}
	f := newFake(t)
	synctest.Test(t, func(t *testing.T) { // a busy machine would take longer than nobody may be overtaken for
		p := newPool(t, func(s *pool.Settings) { s.MaxPerNode = 1 })
		held := acquire(t, p, f, a)
		other := start(t, p, f, b, nil)
		waitFor(t, "waiting", func() bool { return p.Stats(0).Waiting == 1 })
		for range 10 {
			next := start(t, p, f, a, nil)
			waitFor(t, "waiting", func() bool { return p.Stats(0).Waiting == 2 })
			p.Park(held, cluster.Now())
			held = <-next.server
			time.Sleep(time.Millisecond)
		}
		other.waits(t)
		next := start(t, p, f, a, nil)
		waitFor(t, "waiting", func() bool { return p.Stats(0).Waiting == 2 })
		time.Sleep(60 * time.Millisecond)
		p.Park(held, cluster.Now())
		s := <-other.server
		if s.Key != b {
			t.Errorf("got %v", s.Key)
		}
		next.waits(t)
		p.Discard(s)
	})
}

func TestNoticeOfAWait(t *testing.T) {
	f := newFake(t)
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, func(s *pool.Settings) { s.MaxPerNode, s.NoticeAfter = 1, 5*time.Second })
		held := acquire(t, p, f, keyA)
		begin, told := time.Now(), make([]time.Duration, 0)
		g := start(t, p, f, keyA, func() { told = append(told, time.Since(begin)) })
		time.Sleep(20 * time.Second)
		p.ReleaseUnused(held)
		s := <-g.server
		if len(told) != 1 || told[0] != 5*time.Second {
			t.Errorf("told after %v, want once after 5s", told)
		}
		p.Discard(s)
	})
}

// Connections of a key that has some are opened ahead of need and outlive the idle timeout.
func TestKeptReady(t *testing.T) {
	f := newFake(t)
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, func(s *pool.Settings) { s.MinPerUser, s.IdleTimeout, s.MaxAge = 3, time.Minute, 0 })
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { p.Run(ctx) })
		time.Sleep(3 * time.Second)
		wantStats(t, p, pool.Stats{})
		p.ReleaseUnused(acquire(t, p, f, keyA))
		time.Sleep(5 * time.Second)
		wantStats(t, p, pool.Stats{Open: 3, Idle: 3})
		time.Sleep(5 * time.Minute)
		wantStats(t, p, pool.Stats{Open: 3, Idle: 3})
		cancel()
		running.Wait()
		wantStats(t, p, pool.Stats{})
	})
}

// Where two limits are reached, a connection idle under each gives way.
func TestTwoLimitsAtOnce(t *testing.T) {
	f := newFake(t)
	p := newPool(t, func(s *pool.Settings) { s.MaxUserConnections, s.MaxDBConnections = 1, 1 })
	p.ReleaseUnused(acquire(t, p, f, pool.Key{User: "a", Database: "x"}))
	b := acquire(t, p, f, pool.Key{User: "b", Database: "y"})
	waiting := start(t, p, f, pool.Key{User: "a", Database: "y"}, nil)
	waitFor(t, "waiting", func() bool { return p.Stats(0).Waiting == 1 })
	wantStats(t, p, pool.Stats{Open: 2, Idle: 1, Waiting: 1}) // one alone would not help
	p.ReleaseUnused(b)
	p.Discard(<-waiting.server)
	wantStats(t, p, pool.Stats{})
	p.ReleaseUnused(acquire(t, p, f, pool.Key{User: "a", Database: "x"}))
	p.ReleaseUnused(acquire(t, p, f, pool.Key{User: "b", Database: "y"}))
	acquire(t, p, f, pool.Key{User: "a", Database: "y"})
	wantStats(t, p, pool.Stats{Open: 1})
}

// Who waited only because many logins were under way gets the place of an idle connection when they are done.
func TestIdleGivesWayAfterLogins(t *testing.T) {
	f := newFake(t)
	p := newPool(t, func(s *pool.Settings) { s.MaxPerNode, s.MaxLogins = 2, 1 })
	p.ReleaseUnused(acquire(t, p, f, keyA))
	var line pool.Line
	if s, queued, err := p.Claim(f.node, &keyB, &line); s != nil || queued || err != nil {
		t.Fatalf("got %v, %v, %v; want the right to open a connection", s, queued, err)
	}
	waiting := start(t, p, f, pool.Key{User: "c", Database: "d"}, nil)
	waitFor(t, "waiting", func() bool { return p.Stats(0).Waiting == 1 })
	b, err := p.OpenClaimed(t.Context(), f.node, keyB, auth.Credentials{})
	if err != nil {
		t.Fatal(err)
	}
	p.Discard(<-waiting.server)
	p.Discard(b)
	wantStats(t, p, pool.Stats{})
}

// A higher limit counts at once for those who wait.
func TestReloadServesWhoWaits(t *testing.T) {
	f := newFake(t)
	set := pool.Settings{Pool: configs.Default().Pool, Connect: 10 * time.Second}
	set.MaxPerNode = 1
	p := newPool(t, func(s *pool.Settings) { *s = set })
	acquire(t, p, f, keyA)
	waiting := start(t, p, f, keyB, nil)
	waitFor(t, "waiting", func() bool { return p.Stats(0).Waiting == 1 })
	set.MaxPerNode = 2
	p.Reconfigure(set)
	if s := <-waiting.server; s.Key != keyB {
		t.Errorf("got %v", s.Key)
	}
}
