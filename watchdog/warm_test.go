package watchdog

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// warmPipes opens pipes, each after a while, and keeps their other ends.
type warmPipes struct {
	takes time.Duration
	fails error

	mu     sync.Mutex
	opened []net.Conn
}

func (p *warmPipes) open(ctx context.Context, _ string) (net.Conn, error) {
	select {
	case <-time.After(p.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if p.fails != nil {
		return nil, p.fails
	}
	here, there := net.Pipe()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened = append(p.opened, there)
	return here, nil
}

func (p *warmPipes) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.opened)
}

// A connection that takes longer than raft waits is there when raft asks again.
func TestSlowConnectionsComeAbout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes := &warmPipes{takes: 2 * time.Second}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w := newWarm(ctx, pipes.open)
		began := time.Now()
		for time.Since(began) < 1800*time.Millisecond {
			if _, err := w.get("p2", 600*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("got %v", err)
			}
		}
		if _, err := w.get("p2", 600*time.Millisecond); err != nil || time.Since(began) != 2*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		pipes.fails = errors.New("refused")
		if _, err := w.get("p2", 600*time.Millisecond); err != nil {
			t.Errorf("another one has come about since: %v", err)
		}
		if _, err := w.get("p2", 3*time.Second); !errors.Is(err, pipes.fails) {
			t.Errorf("got %v", err)
		}
	})
}

// A member that does not answer costs few connections at a time.
func TestFewConnectionsAreOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes := &warmPipes{takes: time.Hour}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w := newWarm(ctx, pipes.open)
		var asking sync.WaitGroup
		for range 20 {
			asking.Go(func() {
				if _, err := w.get("p2", 600*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("got %v", err)
				}
			})
		}
		asking.Wait()
		if got := len(w.peer("p2").opening); got != maxOpening {
			t.Errorf("%d are being opened", got)
		}
		time.Sleep(handshakeTimeout)
		synctest.Wait()
		if got := len(w.peer("p2").opening); got != 0 {
			t.Errorf("%d are still being opened", got)
		}
	})
}

// The spare is replaced when its other end is closed, and only then; and closed when nobody needs it.
func TestSparesAreLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipes := &warmPipes{}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w := newWarm(ctx, pipes.open)
		for range 3 {
			w.look("p2")
		}
		if pipes.count() != 1 {
			t.Fatalf("%d were opened", pipes.count())
		}
		pipes.opened[0].Close()
		w.look("p2")
		w.look("p2")
		if pipes.count() != 2 {
			t.Fatalf("%d were opened", pipes.count())
		}
		conn, err := w.get("p2", time.Second)
		if err != nil {
			t.Fatal(err)
		}
		go conn.Write([]byte("x"))
		if _, err := pipes.opened[1].Read(make([]byte, 1)); err != nil {
			t.Errorf("the spare cannot be used: %v", err)
		}
		w.look("p2")
		w.forget(map[string]bool{"p3": true})
		if _, err := pipes.opened[2].Read(make([]byte, 1)); err == nil {
			t.Error("the spare to a member that is gone is open")
		}
	})
}

// Members that follow have connections to each other, also to one that was started again.
func TestFollowersAreConnected(t *testing.T) {
	t.Parallel()
	q := newQuorum(t, "p1", "p2", "p3")
	q.ready()
	connected := func() {
		for _, m := range q.members {
			for _, o := range q.members {
				if o == m {
					continue
				}
				address, _ := m.w.addressOf(o.w.self)
				eventually(t, func() string {
					m.w.warm.mu.Lock()
					defer m.w.warm.mu.Unlock()
					if p := m.w.warm.peers[address]; p == nil || len(p.spare) == 0 {
						return m.cfg.Name + " has no connection to " + o.cfg.Name + " ready"
					}
					return ""
				})
			}
		}
	}
	connected()
	q.members[0].end()
	q.restart(0)
	q.ready()
	address, _ := q.members[1].w.addressOf("p1")
	eventually(t, func() string { // one that works
		p := q.members[1].w.warm.peer(address)
		select {
		case conn := <-p.spare:
			defer conn.Close()
			if isIdle(conn) {
				return ""
			}
		default:
		}
		return "p2 has no connection to p1 that works"
	})
	connected()
}
