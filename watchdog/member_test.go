package watchdog

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/integration/pgcluster"
	"github.com/howdah/howdah/watchdog/core"
)

// member is a member under test, with parts that the test drives.
type member struct {
	t    *testing.T
	cfg  configs.Watchdog
	w    *Watchdog
	stop context.CancelCauseFunc
	done chan struct{}

	mortal
	mu      sync.Mutex
	sights  map[core.NodeID]core.Sight
	fit     core.Fitness
	hang    atomic.Bool
	stopped atomic.Int64
	resumed chan core.Failover
	tie     testTie
}

// Sight is what the test says.
func (m *member) Sight(_ context.Context, n core.NodeID) (core.Sight, string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sights[n], "as the test says"
}

func (m *member) see(n core.NodeID, s core.Sight) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sights[n] = s
}

// StopWrites counts.
func (m *member) StopWrites(context.Context, core.NodeID, string) error {
	m.stopped.Add(1)
	return nil
}

// View is something to look at.
func (m *member) View() []byte { return []byte(`{"d1":"up"}`) }

// Resume hands over to the test.
func (m *member) Resume(f core.Failover) {
	select {
	case m.resumed <- f:
	default:
	}
}

// Fitness is what the test says, if it does not hang.
func (m *member) Fitness(ctx context.Context) core.Fitness {
	if m.hang.Load() {
		<-ctx.Done()
		return core.Fitness{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fit
}

// quorum is a cluster of members in this process, on loopback.
type quorum struct {
	t       *testing.T
	dir     string
	peers   []configs.Peer
	members []*member
	pair    configs.Pair
	lock    testLock
	// commands are the version of who is started next; nil for this one.
	commands core.Commands
}

func newQuorum(t *testing.T, names ...string) *quorum {
	t.Helper()
	return newPair(t, configs.Pair{}, names...)
}

// newPair is a cluster with rules for two members.
func newPair(t *testing.T, pair configs.Pair, names ...string) *quorum {
	t.Helper()
	q := &quorum{t: t, dir: t.TempDir(), pair: pair}
	for i, name := range names {
		role := "proxy"
		if name[0] == 'w' {
			role = "witness"
		}
		q.peers = append(q.peers, configs.Peer{Name: name, Host: "127.0.0.1", Port: freePort(t), GossipPort: freePort(t), Role: role, Priority: 10 - i})
	}
	if err := Keygen(filepath.Join(q.dir, "keys"), "shop", names); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		q.members = append(q.members, q.start(name))
	}
	t.Cleanup(func() {
		for _, m := range q.members {
			m.end()
		}
	})
	return q
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := pgcluster.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// start starts a member, also one that was there before.
func (q *quorum) start(name string) *member {
	q.t.Helper()
	var out io.Writer = io.Discard
	if os.Getenv("HOWDAH_LOG") != "" {
		out = os.Stderr
	}
	m := &member{t: q.t, sights: map[core.NodeID]core.Sight{}, fit: core.Fit(), resumed: make(chan core.Failover, 4), done: make(chan struct{}),
		cfg: configs.Watchdog{Cluster: "shop", Name: name, DataDir: filepath.Join(q.dir, "data-"+name), Keys: filepath.Join(q.dir, "keys", name),
			Profile: "lan", Peers: q.peers, CommandTimeout: time.Second, Pair: q.pair}}
	m.tie = testTie{q: q, m: m}
	var err error
	if m.w, err = New(m.cfg, Parts{Address: m, Nodes: m, Lifecheck: m, Tie: &m.tie, Cooldown: time.Minute}, slog.New(slog.NewTextHandler(out, nil))); err != nil {
		q.t.Fatal(err)
	}
	if q.commands != nil {
		m.w.commands = q.commands
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	m.stop = cancel
	go func() { // ended by end
		defer close(m.done)
		if err := m.w.Run(ctx); err != nil {
			q.t.Errorf("%s: %v", name, err)
		}
	}()
	return m
}

func (m *member) end() {
	m.stop(nil)
	<-m.done
}

// restart replaces a member that has ended.
func (q *quorum) restart(i int) {
	q.members[i] = q.start(q.members[i].cfg.Name)
}

// eventually waits for a condition, which says what is missing.
func eventually(t *testing.T, missing func() string) {
	t.Helper()
	last := "it was never looked at"
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if last = missing(); last == "" {
			return
		}
	}
	t.Fatal(last)
}

// owner waits until exactly one running member has the address.
func (q *quorum) owner() (owner *member) {
	q.t.Helper()
	eventually(q.t, func() string {
		owner = nil
		for _, m := range q.members {
			if m.Held() {
				if owner != nil {
					return fmt.Sprintf("%s and %s have the address", owner.cfg.Name, m.cfg.Name)
				}
				owner = m
			}
		}
		if owner == nil {
			return "nobody has the address"
		}
		return ""
	})
	return owner
}

// ready waits until all members are announced, and the level is agreed on.
func (q *quorum) ready() *member {
	q.t.Helper()
	eventually(q.t, func() string {
		for _, m := range q.members {
			if s := m.w.State(); len(s.Members) != len(q.members) || s.Level != core.Builtin().Level() {
				return fmt.Sprintf("%s knows %d members at level %d", m.cfg.Name, len(s.Members), s.Level)
			}
		}
		return ""
	})
	return q.owner()
}

// leads has the leader do something, once all are ready. On a busy machine it may lose the lease before.
func (q *quorum) leads(do func(*member) error) (leader *member) {
	q.t.Helper()
	eventually(q.t, func() string {
		leader = q.ready()
		if err := do(leader); err != nil {
			return err.Error()
		}
		return ""
	})
	return leader
}

// successor waits until another member than old has the address. On a busy machine old may lose it for a moment before.
func (q *quorum) successor(old *member) (owner *member) {
	q.t.Helper()
	eventually(q.t, func() string {
		if owner = q.owner(); owner == old {
			return "it still has the address"
		}
		return ""
	})
	return owner
}
