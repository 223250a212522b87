package quorum

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/howdah/howdah/integration/pgcluster"
	"github.com/howdah/howdah/watchdog/core"
)

// nemesis does random harm to hosts, howdahs, servers and links. What it does follows from the seed; what comes of it depends on
// the moment, too.
type nemesis struct {
	*network
	t       *testing.T
	c       *pgcluster.Cluster
	random  *rand.Rand
	primary int
	harmed  map[*host]bool // whose howdah is harmed; the servers' hosts are harmed as a whole
	server  bool           // a server is harmed: one at a time
}

// harm is something that can be done, and undone.
type harm struct {
	name string
	// do returns what it was done to, and what undoes it; nil if it cannot be done now.
	do func(m *nemesis) (what string, undo func())
}

var harms = []harm{
	{"kill -9", func(m *nemesis) (string, func()) {
		return m.toHowdah(func(h *host) func() { h.kill(); return h.start })
	}},
	{"SIGSTOP", func(m *nemesis) (string, func()) {
		return m.toHowdah(func(h *host) func() {
			h.signal(syscall.SIGSTOP)
			return func() { h.signal(syscall.SIGCONT) }
		})
	}},
	{"SIGSTOP, with the guardian", func(m *nemesis) (string, func()) {
		return m.toHowdah(func(h *host) func() {
			if h.witness {
				return nil
			}
			guardian := h.guardian()
			h.excused.Store(true)
			if err := syscall.Kill(guardian, syscall.SIGSTOP); err != nil {
				m.t.Error(err)
			}
			h.signal(syscall.SIGSTOP)
			return func() {
				if err := syscall.Kill(guardian, syscall.SIGCONT); err != nil && err != syscall.ESRCH {
					m.t.Error(err)
				}
				h.signal(syscall.SIGCONT)
				m.eventually(func() string { // a guardian that goes on may renew once before it sees that the lease is over
					if s := h.status(); s == nil || h.has() && !s.Address {
						return h.name + " still has the address after it was stopped"
					}
					return ""
				})
				h.excused.Store(false)
			}
		})
	}},
	{"restart", func(m *nemesis) (string, func()) {
		return m.toHowdah(func(h *host) func() {
			h.signal(syscall.SIGTERM)
			select {
			case <-h.ended:
			case <-time.After(20 * time.Second):
				m.t.Errorf("%s does not stop", h.name)
				h.cmd.Process.Kill() //nolint:errcheck // it may just have ended
				<-h.ended
			}
			h.cmd = nil
			h.start()
			return func() {}
		})
	}},
	{"yield", func(m *nemesis) (string, func()) {
		for _, h := range m.hosts {
			if !m.harmed[h] && h.owns() {
				err := h.order("yield")
				return fmt.Sprintf("%s: %v", h.name, err), func() {}
			}
		}
		return "", nil
	}},
	{"port off", func(m *nemesis) (string, func()) { return m.toHost((*host).cut, (*host).mend) }},
	{"cable out", func(m *nemesis) (string, func()) { return m.toHost((*host).unplug, (*host).plug) }},
	{"hears nobody", func(m *nemesis) (string, func()) {
		return m.toHost(func(h *host) { m.links(h, fault{}, fault{cut: true}) }, func(h *host) { m.links(h, fault{}, fault{}) })
	}},
	{"nobody hears it", func(m *nemesis) (string, func()) {
		return m.toHost(func(h *host) { m.links(h, fault{cut: true}, fault{}) }, func(h *host) { m.links(h, fault{}, fault{}) })
	}},
	{"slow and lossy", func(m *nemesis) (string, func()) {
		bad := fault{loss: 0.2 * m.random.Float64(), delay: time.Duration(m.random.IntN(200)) * time.Millisecond}
		bad.jitter = bad.delay / 2
		return m.toHost(func(h *host) { m.links(h, bad, bad) }, func(h *host) { m.links(h, fault{}, fault{}) })
	}},
	{"two hosts apart", func(m *nemesis) (string, func()) {
		all := m.all()
		order := m.random.Perm(len(all))
		a, b := all[order[0]], all[order[1]]
		if m.harmed[a] || m.harmed[b] {
			return "", nil
		}
		m.harmed[a], m.harmed[b] = true, true
		a.part(b)
		return a.name + " " + b.name, func() {
			m.lan.set(a.name, b.name, fault{})
			m.lan.set(b.name, a.name, fault{})
			delete(m.harmed, a)
			delete(m.harmed, b)
		}
	}},
	{"disk full", func(m *nemesis) (string, func()) {
		h := m.hosts[0]
		if m.harmed[h] {
			return "", nil
		}
		m.harmed[h] = true
		filler := filepath.Join(h.data(), "filler")
		out, err := exec.Command("dd", "if=/dev/zero", "of="+filler, "bs=64k").CombinedOutput()
		if err == nil {
			m.t.Errorf("the disk of %s is not full: %s", h.name, out)
		}
		return h.name, func() {
			if err := os.Remove(filler); err != nil {
				m.t.Error(err)
			}
			delete(m.harmed, h)
		}
	}},
	{"kill -9 of the primary", func(m *nemesis) (string, func()) { return m.toServer(m.primary, m.c.Kill, nil) }},
	{"kill -9 of a standby", func(m *nemesis) (string, func()) { return m.toServer(m.standby(), m.c.Kill, nil) }},
	{"SIGSTOP of the primary", func(m *nemesis) (string, func()) { return m.toServer(m.primary, m.c.Hang, m.c.Unhang) }},
	{"SIGSTOP of a standby", func(m *nemesis) (string, func()) { return m.toServer(m.standby(), m.c.Hang, m.c.Unhang) }},
	{"shutdown of the primary", func(m *nemesis) (string, func()) { return m.toServer(m.primary, m.c.StopNode, nil) }},
}

func (m *nemesis) all() []*host { return append(append([]*host{}, m.hosts...), m.servers...) }

func (m *nemesis) standby() int { return (m.primary + 1 + m.random.IntN(2)) % 3 }

// toHowdah harms one howdah, of a host that is well.
func (m *nemesis) toHowdah(do func(h *host) (undo func())) (string, func()) {
	h := m.hosts[m.random.IntN(len(m.hosts))]
	if m.harmed[h] {
		return "", nil
	}
	undo := do(h)
	if undo == nil {
		return "", nil
	}
	m.harmed[h] = true
	return h.name, func() { undo(); delete(m.harmed, h) }
}

// toHost harms the link of any host.
func (m *nemesis) toHost(do, undo func(h *host)) (string, func()) {
	all := m.all()
	h := all[m.random.IntN(len(all))]
	if m.harmed[h] {
		return "", nil
	}
	m.harmed[h] = true
	do(h)
	return h.name, func() { undo(h); delete(m.harmed, h) }
}

func (m *nemesis) toServer(i int, do, undo func(int) error) (string, func()) {
	if m.server {
		return "", nil
	}
	m.server = true
	if err := do(i); err != nil {
		m.t.Error(err)
	}
	return fmt.Sprintf("node%d", i), func() {
		m.server = false
		if undo != nil {
			if err := undo(i); err != nil {
				m.t.Error(err)
			}
		}
	}
}

// links sets what happens to what a host sends to others, and to what others send to it.
func (m *nemesis) links(h *host, out, in fault) {
	for _, o := range m.all() {
		if o != h {
			m.lan.set(h.name, o.name, out)
			m.lan.set(o.name, h.name, in)
		}
	}
}

// watchGrants looks all the time at what members say of themselves: never two leases, never two primaries in one epoch.
func (n *network) watchGrants() {
	stop, stopped := make(chan struct{}), make(chan struct{})
	n.t.Cleanup(func() { close(stop); <-stopped })
	go func() {
		defer close(stopped)
		primaries := map[uint64]core.NodeID{}
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			holder, term := (*host)(nil), uint64(0)
			for _, h := range n.hosts {
				s := h.status()
				if s == nil || s.State == nil {
					continue
				}
				if s.Lease == core.LeaseHolding.String() {
					if holder == nil {
						holder, term = h, s.Term
					} else if first := holder.status(); first != nil && first.Lease == s.Lease && first.Term == term && first.Left > 0 {
						// The first one held it before the second one was asked, and after, in one and the same term.
						n.t.Errorf("%s (term %d) and %s (term %d) hold a lease at once", holder.name, term, h.name, s.Term)
						return
					}
				}
				if s.State.Primary.Node == "" {
					continue
				}
				if old, ok := primaries[s.State.Epoch]; ok && old != s.State.Primary.Node {
					n.t.Errorf("%s and %s are the primary of epoch %d", old, s.State.Primary.Node, s.State.Epoch)
					return
				}
				primaries[s.State.Epoch] = s.State.Primary.Node
			}
		}
	}()
}

// heals undoes all harm, waits until the cluster works, and makes standbys of servers that are none.
func (m *nemesis) heals(undo []func()) {
	m.t.Helper()
	for _, i := range m.random.Perm(len(undo)) {
		undo[i]()
	}
	m.within(60*time.Second, func() string {
		for _, h := range m.hosts {
			if s := h.status(); s == nil || len(s.Members) != len(m.hosts) || s.Leader == "" {
				return h.name + " knows no leader"
			}
		}
		return ""
	})
	m.owner()
	// A primary that was killed is replaced now, if it was not; the others follow.
	m.within(90*time.Second, func() string {
		now := m.recorded("")
		i, err := strconv.Atoi(strings.TrimPrefix(now, "node"))
		if err != nil {
			m.t.Fatal(err)
		}
		if m.c.Pid(i) == 0 {
			return now + " is the primary, and was killed"
		}
		m.primary = i
		return ""
	})
	for i := range m.c.Nodes() {
		if i == m.primary {
			continue
		}
		if m.c.Pid(i) == 0 {
			if err := m.c.WaitGone(m.t.Context(), i); err != nil {
				m.t.Fatal(err)
			}
		}
		// Whatever was a standby when it was killed is one again.
		if _, err := os.Stat(filepath.Join(m.c.Dir(), fmt.Sprintf("node%d", i), "standby.signal")); err == nil && m.c.Pid(i) == 0 {
			if err := m.c.StartNode(m.t.Context(), i); err != nil {
				m.t.Fatal(err)
			}
		}
		if m.c.Pid(i) != 0 && m.streams(i) {
			continue
		}
		m.t.Logf("node%d becomes a standby of node%d anew", i, m.primary)
		if m.c.Pid(i) != 0 {
			if err := m.c.StopNode(i); err != nil {
				m.t.Fatal(err)
			}
		}
		for _, step := range []func() error{
			func() error { return m.c.WaitGone(m.t.Context(), i) },
			func() error { return m.c.Rewind(m.t.Context(), i, m.primary) },
			func() error { return m.c.StartNode(m.t.Context(), i) },
		} {
			if err := step(); err != nil {
				m.t.Fatal(err)
			}
		}
	}
	m.harmed = map[*host]bool{}
}

// streams waits a while for a server to be a standby that receives.
func (m *nemesis) streams(i int) bool {
	const receives = "SELECT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')"
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if in, err := m.c.Value(m.t.Context(), i, "postgres", "SELECT pg_is_in_recovery()"); err == nil && in == "false" {
			return false // it was the primary
		}
		if got, err := m.c.Value(m.t.Context(), i, "postgres", receives); err == nil && got == "true" {
			return true
		}
	}
	return false
}

// Random harm, in rounds of one to three things at a time, for ten seconds; in make chaos for $HOWDAH_NEMESIS (30 minutes). HOWDAH_SEED
// repeats what was done. After each round all heals and must work again; at the end the clients' histories are checked.
func TestNemesis(t *testing.T) {
	t.Parallel()
	long := bounded(10*time.Second, 30*time.Minute)
	if text := os.Getenv("HOWDAH_NEMESIS"); text != "" {
		var err error
		if long, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	seed := rand.Uint64()
	if text := os.Getenv("HOWDAH_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("HOWDAH_SEED=%d repeats it", seed)
	random := rand.New(rand.NewPCG(seed, 5))
	names := [][]string{{"p1", "p2", "p3", "d1", "d2", "d3"}, {"p1", "p2", "p3"}, {"p1", "p2", "w1", "d1", "d2", "d3"}}[random.IntN(3)]
	n := newNetwork(t, names...)
	m := &nemesis{network: n, t: t, random: random, harmed: map[*host]bool{}}
	m.c = n.startServersWith(2, map[string]string{"synchronous_standby_names": "ANY 1 (node0, node1, node2)", "wal_log_hints": "on", "full_page_writes": "on",
		"wal_retrieve_retry_interval": "500ms"})
	n.more = "failover: {mode: native, hold: 10s, cooldown: 0s, hold_down: 100ms}\nreplication_check: {timeout: 500ms}\n"
	n.write()
	m.hosts[0].withDisk()
	if random.IntN(2) == 0 {
		h := m.hosts[1]
		h.program, h.env = jumpingClock(t), []string{"HOWDAH_CLOCK_JUMP=3600"}
		t.Logf("the clock of %s jumps", h.name)
	}
	if err := m.c.Exec(t.Context(), 0, "postgres", clientsSchema); err != nil {
		t.Fatal(err)
	}
	n.startAll()
	n.recorded("")
	clients := n.startClients()
	clients.more(10)
	n.neverTwo()
	n.watchGrants()
	began, rounds := time.Now(), 0
	for end := began.Add(long); time.Now().Before(end) && !t.Failed(); rounds++ {
		var undo []func()
		for range 1 + random.IntN(3) {
			h := harms[random.IntN(len(harms))]
			what, un := h.do(m)
			if un == nil {
				continue
			}
			t.Logf("%8.3f  %s: %s", time.Since(began).Seconds(), h.name, what)
			undo = append(undo, un)
			time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
		}
		time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
		t.Logf("%8.3f  all heals", time.Since(began).Seconds())
		m.heals(undo)
		clients.more(10)
	}
	clients.check(t, m.c, m.primary)
	t.Logf("%d rounds in %s", rounds, time.Since(began).Round(time.Second))
}
