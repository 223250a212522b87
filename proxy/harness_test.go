package proxy_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/pool"
	"github.com/howdah/howdah/proxy"
)

// harness is howdah in front of fakes, in this process.
type harness struct {
	addr    string
	proxy   *proxy.Server
	pool    *pool.Pool
	cluster *cluster.Cluster
	log     *logBuffer
}

// logBuffer collects what is logged.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// start starts howdah in front of the fakes. The first must be the primary.
// change may alter the configuration.
func start(t testing.TB, change func(*configs.Config), fakes ...*fake) *harness {
	t.Helper()
	c := configs.Default()
	c.Auth.HBA = []string{"host all all 127.0.0.1/32 trust"}
	c.Routing.Consistency = "none"
	c.Catalog.Size = 0                      // fakes have no catalogs
	c.ReplicationCheck.Interval = time.Hour // probes come when asked for only
	c.Failover.Hold = 2 * time.Second
	for _, f := range fakes {
		c.Backends = append(c.Backends, configs.Backend{Name: f.name, Host: "127.0.0.1", Port: f.port, Weight: 1})
	}
	c.Backends[0].Weight = 0
	if change != nil {
		change(&c)
	}
	h := &harness{log: &logBuffer{}}
	log := slog.New(slog.NewTextHandler(h.log, nil))
	var err error
	if h.cluster, err = cluster.New(c.Backends, c.ReplicationCheck, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	h.pool = pool.New(proxy.PoolSettings(&c), log)
	authenticator, err := auth.NewAuthenticator(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if h.proxy, err = proxy.New(&c, h.cluster, h.pool, parser.New(parser.Options{}), authenticator, log); err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	h.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { h.cluster.Run(ctx) })
	running.Go(func() { h.pool.Run(ctx) })
	running.Go(func() { h.proxy.Run(ctx) })
	running.Go(func() { h.proxy.Serve(l) })
	t.Cleanup(func() {
		l.Close()
		now, stop := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer stop()
		h.proxy.Shutdown(now)
		cancel()
		running.Wait()
		if log := h.log.String(); strings.Contains(log, "panic=") && !t.Failed() {
			t.Errorf("a session panicked: %s", log)
		}
	})
	up, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	if _, err := h.cluster.WaitFor(up, func(v *cluster.View) bool {
		for i := range v.Nodes {
			if v.Nodes[i].State != cluster.StateUp {
				return false
			}
		}
		return v.Primary == 0
	}); err != nil {
		t.Fatalf("nodes do not come up: %v (%+v)", err, h.cluster.View().Nodes)
	}
	return h
}

// waits waits until a session waits for a connection to the node.
func (h *harness) waits(t testing.TB, node cluster.NodeID) {
	t.Helper()
	for end := time.Now().Add(patience); h.pool.Stats(node).Waiting == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nobody waits for a connection")
		}
	}
}

// settled waits until the pool lends nothing: no session holds a connection.
func (h *harness) settled(t testing.TB, node cluster.NodeID) pool.Stats {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		s := h.pool.Stats(node)
		if s.Open == s.Idle && s.Waiting == 0 {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("connections of node %d are still lent out: %+v", node, s)
		}
		time.Sleep(time.Millisecond)
	}
}
