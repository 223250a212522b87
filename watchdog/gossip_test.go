package watchdog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/watchdog/core"
)

// gossipNet is a network of packets and streams in memory, late and cut as the test says.
type gossipNet struct {
	mu     sync.Mutex
	points map[string]*gossipPoint
	cut    map[[2]string]bool
	random *rand.Rand // of the packets' delays and losses
	loss   float64
}

// gossipPoint is one member's place in it: memberlist's transport.
type gossipPoint struct {
	net     *gossipNet
	address string
	packets chan *memberlist.Packet
	streams chan net.Conn
}

type gossipAddress string

func (gossipAddress) Network() string  { return "memory" }
func (a gossipAddress) String() string { return string(a) }

func (n *gossipNet) point(address string) *gossipPoint {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := &gossipPoint{n, address, make(chan *memberlist.Packet, 256), make(chan net.Conn)}
	n.points[address] = p
	return p
}

// reach is the other end, if there is a way in both directions; a packet needs one only.
func (p *gossipPoint) reach(to string, both bool) (*gossipPoint, time.Duration) {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	late := time.Millisecond + time.Duration(p.net.random.Int64N(int64(20*time.Millisecond)))
	if p.net.points[p.address] != p || p.net.cut[[2]string{p.address, to}] || both && p.net.cut[[2]string{to, p.address}] || !both && p.net.random.Float64() < p.net.loss {
		return nil, late
	}
	return p.net.points[to], late
}

func (p *gossipPoint) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	return net.ParseIP(ip), port, nil
}

func (p *gossipPoint) WriteTo(b []byte, to string) (time.Time, error) {
	now := time.Now()
	if o, late := p.reach(to, false); o != nil {
		packet := &memberlist.Packet{Buf: append([]byte(nil), b...), From: gossipAddress(p.address), Timestamp: now.Add(late)}
		time.AfterFunc(late, func() {
			select {
			case o.packets <- packet:
			default: // a full buffer loses what comes
			}
		})
	}
	return now, nil
}

func (p *gossipPoint) PacketCh() <-chan *memberlist.Packet { return p.packets }
func (p *gossipPoint) StreamCh() <-chan net.Conn           { return p.streams }

func (p *gossipPoint) DialTimeout(to string, timeout time.Duration) (net.Conn, error) {
	o, late := p.reach(to, true)
	if o == nil {
		time.Sleep(timeout)
		return nil, errCut
	}
	time.Sleep(late)
	here, there := net.Pipe()
	select {
	case o.streams <- there:
		return here, nil
	case <-time.After(timeout):
		return nil, errors.New("nobody accepts")
	}
}

func (p *gossipPoint) Shutdown() error {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	if p.net.points[p.address] == p {
		delete(p.net.points, p.address)
	}
	return nil
}

// gossiping is a member that does nothing but gossip.
type gossiping struct {
	*gossip
	address string
	end     func()

	mu  sync.Mutex
	fit core.Fitness
}

func (m *gossiping) say() gossiped {
	m.mu.Lock()
	defer m.mu.Unlock()
	return gossiped{From: m.self, Fitness: m.fit}
}

func (m *gossiping) be(f core.Fitness) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fit = f
}

// agree waits on virtual time until every member takes exactly those alive that are there, and knows what they last said.
func agree(t *testing.T, within time.Duration, there, all []*gossiping) {
	t.Helper()
	missing := ""
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		missing = ""
		for _, m := range there {
			for _, o := range all {
				expected := false
				for _, x := range there {
					expected = expected || x == o
				}
				if m.isAlive(o.self) != expected {
					missing = fmt.Sprintf("%s takes %s for alive: %v", m.self, o.self, !expected)
				} else if said, ok := m.view(o.self); expected && o != m && (!ok || said.Fitness != o.say().Fitness) {
					missing = fmt.Sprintf("%s does not know what %s last said", m.self, o.self)
				}
			}
		}
		if missing == "" {
			return
		}
	}
	t.Fatalf("after %s: %s", within, missing)
}

// Real memberlist on virtual time: members find each other, notice who is cut off and who is back, and hear what each last said of
// itself, whatever the network did before.
func TestGossipOnVirtualTime(t *testing.T) {
	dir := t.TempDir()
	names := []string{"p1", "p2", "p3", "p4", "p5"}
	if err := Keygen(dir, "shop", names); err != nil {
		t.Fatal(err)
	}
	for seed := uint64(1); seed <= 4 && !t.Failed(); seed++ {
		random := rand.New(rand.NewPCG(seed, 31))
		use := names[:3+2*random.IntN(2)]
		synctest.Test(t, func(t *testing.T) { gossipOnVirtualTime(t, dir, seed, use, random) })
	}
}

func gossipOnVirtualTime(t *testing.T, keys string, seed uint64, names []string, random *rand.Rand) {
	n := &gossipNet{points: map[string]*gossipPoint{}, cut: map[[2]string]bool{}, random: rand.New(rand.NewPCG(seed, 32))}
	cfg := configs.Watchdog{Cluster: "shop", Profile: "lan"}
	for i, name := range names {
		cfg.Peers = append(cfg.Peers, configs.Peer{Name: name, Host: fmt.Sprintf("10.0.0.%d", i+1), Port: 7450, GossipPort: 7451, Role: "proxy"})
	}
	var all []*gossiping
	for i, name := range names {
		own := cfg
		own.Name = name
		k, err := loadKeys(filepath.Join(keys, name), name, "shop")
		if err != nil {
			t.Fatal(err)
		}
		m := &gossiping{address: fmt.Sprintf("10.0.0.%d:7451", i+1), fit: core.Fit()}
		if m.gossip, err = newGossip(&own, k, slog.New(slog.NewTextHandler(io.Discard, nil)), n.point(m.address), func(gossiped) {}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var running sync.WaitGroup
		running.Go(func() { m.run(ctx, m.say) })
		m.end = sync.OnceFunc(func() { cancel(); running.Wait(); m.stop() })
		all = append(all, m)
	}
	defer func() {
		for _, m := range all {
			m.end()
		}
		time.Sleep(time.Minute) // what memberlist began ends
	}()
	agree(t, 15*time.Second, all, all)
	unfit := core.Fit()
	unfit.Disk = false
	all[0].be(unfit)
	agree(t, 5*time.Second, all, all)

	// One is cut off, in both directions.
	lone := all[random.IntN(len(all))]
	rest := make([]*gossiping, 0, len(all)-1)
	for _, o := range all {
		if o != lone {
			rest = append(rest, o)
			n.set(lone, o, true)
		}
	}
	agree(t, 20*time.Second, rest, all)
	agree(t, 2*time.Minute, []*gossiping{lone}, all) // it takes itself for slow, first

	// Anything happens for a minute, and then nothing any more.
	for range 20 {
		time.Sleep(time.Duration(random.Int64N(int64(6 * time.Second))))
		a, b := all[random.IntN(len(all))], all[random.IntN(len(all))]
		if a != b {
			n.set(a, b, random.IntN(2) == 0)
		}
		f := core.Fit()
		f.Serves, f.Gateway = random.IntN(2) == 0, random.IntN(2) == 0
		a.be(f)
		n.mu.Lock()
		n.loss = []float64{0, 0.1, 0.5}[random.IntN(3)]
		n.mu.Unlock()
	}
	n.mu.Lock()
	clear(n.cut)
	n.loss = 0
	n.mu.Unlock()
	agree(t, time.Minute, all, all)

	// Who leaves is gone at once for the others.
	all[len(all)-1].end()
	agree(t, 5*time.Second, all[:len(all)-1], all)
}

// set cuts two off from each other, or joins them.
func (n *gossipNet) set(a, b *gossiping, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[[2]string{a.address, b.address}], n.cut[[2]string{b.address, a.address}] = cut, cut
}
