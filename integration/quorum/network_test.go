package quorum

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/howdah/howdah/integration/pgcluster"
)

// bounded is how long a fault lasts in a normal run, and in `make chaos`.
func bounded(normal, whole time.Duration) time.Duration {
	if chaos() {
		return whole
	}
	return normal
}

// during looks every few milliseconds, as long as a fault lasts, whether anything is wrong.
func during(t *testing.T, long time.Duration, wrong func() string) {
	t.Helper()
	for end := time.Now().Add(long); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if what := wrong(); what != "" {
			t.Fatal(what)
		}
	}
}

// lead has a host lead.
func (n *network) lead(h *host) {
	n.t.Helper()
	n.eventually(func() string {
		if h.owns() {
			return ""
		}
		for _, o := range n.others(h) {
			if o.owns() {
				if err := o.order("yield", h.name); err != nil { // it may not lead any more
					return err.Error()
				}
				time.Sleep(300 * time.Millisecond)
			}
		}
		return h.name + " does not get the address"
	})
}

// leaders counts how often the leader changes, as the members say, until stop is called.
func (n *network) leaders() (stop func() int) {
	ctx, cancel := context.WithCancel(context.Background())
	count := make(chan int)
	go func() { // ended by stop
		changes, term := 0, uint64(0)
		for ctx.Err() == nil {
			for _, h := range n.hosts {
				if s := h.status(); s != nil && string(s.Leader) == h.name && s.Term > term {
					if term > 0 {
						changes++
					}
					term = s.Term
				}
			}
			time.Sleep(20 * time.Millisecond)
		}
		count <- changes
	}()
	return func() int { cancel(); return <-count }
}

// noFailover fails if a server was promoted, or the members agree on another primary than the first.
func (n *network) noFailover(t *testing.T, c *pgcluster.Cluster) {
	t.Helper()
	if got := promotions(t, c, 0, 1); got != 0 {
		t.Errorf("%d promotions", got)
	}
	n.eventually(func() string {
		for _, h := range n.hosts {
			if s := h.status(); s == nil || s.State.Epoch != 1 || s.State.Primary.Node != "node0" {
				return fmt.Sprintf("%s goes by another primary: %+v", h.name, s)
			}
		}
		return ""
	})
}

// serves fails unless writes through the floating address go on.
func (n *network) serves(t *testing.T) {
	t.Helper()
	w := n.writeTo(floating)
	w.more(5)
	w.end()
}

// What networks do to howdahs and servers, each on a host of its own: the primary is alive all the time, and nothing is promoted.
func TestFaultsOfTheNetwork(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "p1", "p2", "p3", "d1", "d2")
	n.commands = "  trusted_servers: [\"10.77.0.200:22\"]\n" // nobody listens there, which is an answer
	c := n.startServers(1, "")
	n.more = strings.Replace(n.more, "hold: 20s", "hold: 3s", 1)
	n.write()
	primary, standby := n.servers[0], n.servers[1]
	n.startAll()
	n.recorded("")
	n.serves(t)
	n.neverTwo()

	// Row 22. Commits do not wait for the standby here: they go on.
	t.Run("the standby does not reach the primary", func(t *testing.T) {
		primary.part(standby)
		w := n.writeTo(floating)
		for range 5 {
			w.more(5)
			time.Sleep(time.Second)
		}
		w.end()
		n.noFailover(t, c)
		primary.heal()
		// The standby vouches for nobody before it receives again, which may take TCP some seconds.
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := c.WaitReplay(ctx, 0); err != nil {
			t.Fatal(err)
		}
	})

	// Row 20.
	t.Run("no howdah reaches the primary, and the standby does", func(t *testing.T) {
		for _, h := range n.hosts {
			h.part(primary)
		}
		n.eventually(func() string {
			for _, h := range n.hosts {
				if strings.Contains(h.log.String(), "receives from node0, which we cannot reach") {
					return ""
				}
			}
			return "nobody says that the standby vouches for the primary"
		})
		// A client gets its error, not a promoted server.
		n.eventually(func() string {
			w := &writer{n: n, address: floating}
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()
			conn, err := w.connect(ctx)
			if err == nil {
				defer conn.Close(context.Background())
				_, err = conn.Exec(ctx, "INSERT INTO pets VALUES (-20)")
			}
			var pg *pgconn.PgError
			if !errors.As(err, &pg) || pg.Code != "57P03" {
				return fmt.Sprintf("a client that writes gets %v", err)
			}
			return ""
		})
		time.Sleep(2 * time.Second) // nobody changes his mind
		n.noFailover(t, c)
		primary.heal()
		n.serves(t)
		n.recorded("")
	})

	// Row 25. Who reaches it is fitter, after the time that a new leader stays in any case.
	t.Run("the gateway is lost", func(t *testing.T) {
		old := n.ready()
		n.lan.set(old.name, "client", fault{cut: true})
		for end := time.Now().Add(60 * time.Second); n.owner() == old; time.Sleep(100 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the address stays where the gateway is lost")
			}
		}
		owner := n.answeredBy(old)
		for _, h := range n.hosts { // nobody is better off: nothing moves
			n.lan.set(h.name, "client", fault{cut: true})
		}
		during(t, 4*time.Second, func() string {
			if !owner.has() {
				return "the address is given up although nobody reaches the gateway"
			}
			return ""
		})
		n.lan.heal("client")
		n.noFailover(t, c)
		n.serves(t)
	})

	// Row 24. The members find each other by TCP.
	t.Run("UDP is blocked", func(t *testing.T) {
		for _, h := range n.hosts {
			for _, o := range n.others(h) {
				n.lan.set(h.name, o.name, fault{drop: isUDP})
			}
		}
		owner := n.ready()
		changes := n.leaders()
		during(t, bounded(6*time.Second, time.Minute), func() string {
			for _, h := range n.hosts {
				s := h.status()
				if s == nil {
					continue // it is busy
				}
				for _, m := range s.Members {
					if !m.Alive {
						return fmt.Sprintf("%s takes %s for dead", h.name, m.ID)
					}
				}
			}
			return ""
		})
		if got := changes(); got > 0 {
			t.Errorf("the leader changed %d times", got)
		}
		began := time.Now()
		owner.kill()
		n.taken(owner, began, "kill -9 of the leader without UDP")
		owner.start()
		n.ready()
		for _, h := range n.hosts {
			h.heal()
		}
		n.noFailover(t, c)
	})

	// Row 29.
	t.Run("the first announcements are lost", func(t *testing.T) {
		n.quiet(time.Now())
		old := n.owner()
		lost := map[string]int{}
		for _, h := range n.others(old) {
			n.lan.set(h.name, "client", fault{drop: func(frame []byte) bool {
				if isARP(frame) && frame[28] == 10 && frame[31] == 100 && lost[h.name] < 3 { // the sender's address is the floating one
					lost[h.name]++
					return true
				}
				return false
			}})
		}
		n.eventually(func() string { // the client knows where the address is
			if err := n.answers(); err != nil {
				return err.Error()
			}
			return ""
		})
		began := time.Now()
		old.cut()
		owner := n.answeredBy(old)
		t.Logf("the address answers after %s", time.Since(began).Round(time.Millisecond))
		old.mend()
		n.lan.heal("client") // nothing is lost from here on
		if lost[owner.name] < 3 {
			t.Errorf("%d announcements were lost, not 3", lost[owner.name])
		}
		n.ready()
	})

	// Row 26.
	t.Run("a link comes and goes", func(t *testing.T) {
		flapping := n.ready()
		changes := n.leaders()
		long := bounded(16*time.Second, 2*time.Minute)
		for end := time.Now().Add(long); time.Now().Before(end); {
			flapping.unplug()
			time.Sleep(time.Second)
			flapping.plug()
			time.Sleep(time.Second)
		}
		if got, most := changes(), 1+int(long/(30*time.Second)); got > most {
			t.Errorf("the leader changed %d times in %s, at most %d times are well", got, long, most)
		}
		n.ready()
		n.noFailover(t, c)
		n.serves(t)
	})

	// Row 8.
	t.Run("all howdahs are killed at once", func(t *testing.T) {
		for _, h := range n.hosts {
			h.kill()
		}
		began := time.Now()
		n.startAll()
		t.Logf("the address is back after %s", time.Since(began).Round(time.Millisecond))
		n.noFailover(t, c)
		n.serves(t)
	})
}

// Row 23. Frames are lost, late, and overtake each other, among all hosts. Of a little of that nobody notices anything. Of much,
// nobody can be sure to lead: then nobody has the address, the primary, which is slow and not dead, is not replaced, and all goes
// on when it is over.
func TestLossyNetwork(t *testing.T) {
	t.Parallel()
	profiles := []string{"lan"}
	if chaos() {
		profiles = append(profiles, "wan")
	}
	for _, profile := range profiles {
		t.Run(profile, func(t *testing.T) { lossyNetwork(t, profile) })
	}
}

func lossyNetwork(t *testing.T, profile string) {
	n := newNetwork(t, "p1", "p2", "p3", "d1", "d2")
	n.profile = profile
	c := n.startServers(1, "")
	n.more = "failover: {mode: native, hold: 20s}\nreplication_check: {timeout: 3s}\n"
	n.write()
	n.startAll()
	n.recorded("")
	n.neverTwo()
	all := append(append([]*host{}, n.hosts...), n.servers...)
	have := func(f fault) {
		for _, a := range all {
			for _, b := range all {
				if a != b {
					n.lan.set(a.name, b.name, f)
				}
			}
		}
	}
	long := bounded(10*time.Second, time.Minute)
	changes := n.leaders()
	have(fault{loss: 0.01, delay: 15 * time.Millisecond, jitter: 10 * time.Millisecond})
	w := n.writeTo(floating)
	for end := time.Now().Add(long); time.Now().Before(end); {
		w.more(1)
	}
	slow := w.count()
	if got, most := changes(), 1+int(long/(30*time.Second)); got > most {
		t.Errorf("the leader changed %d times in %s, at most %d times are well", got, long, most)
	}
	changes = n.leaders()
	have(fault{loss: 0.3, delay: 200 * time.Millisecond, jitter: 100 * time.Millisecond})
	time.Sleep(long)
	t.Logf("%d writes in %s of a slow network; of a very bad one %d, and the leader changed %d times", slow, long, w.count()-slow, changes())
	for _, h := range all {
		h.heal()
	}
	w.more(20)
	w.end()
	n.ready()
	n.noFailover(t, c)
	if lost := w.lost(c, 0, 0); len(lost) > 0 {
		t.Errorf("acknowledged writes are lost: %v", lost)
	}
}

// isUDP says whether a frame has an IPv4 packet of UDP.
func isUDP(frame []byte) bool {
	return len(frame) > 23 && frame[12] == 8 && frame[13] == 0 && frame[23] == 17
}

// isARP says whether a frame is ARP's.
func isARP(frame []byte) bool { return len(frame) >= 42 && frame[12] == 8 && frame[13] == 6 }
