package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/howdah/howdah/integration/pgcluster"
)

// path is a way to a server that can be cut: an address in a network namespace, where a relay listens that passes on to
// the server. While it is cut, packets to it and from it go to a hardware address that nobody has: nothing is refused, nothing comes back.
type path struct {
	t          *testing.T
	ns         string
	link       string // the host's end; the other end is called the same, with an n
	here, host string // the host's address and the relay's
	port       int
}

func newPath(t *testing.T, server int) *path {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test makes network namespaces: run it as root")
	}
	id := rand.IntN(1 << 14)
	p := &path{t: t, ns: fmt.Sprintf("hdcut%d-%d", os.Getpid(), id), link: fmt.Sprintf("hc%d", id), port: 5432}
	p.here = fmt.Sprintf("10.79.%d.%d", id>>6, id&63*4+1)
	p.host = fmt.Sprintf("10.79.%d.%d", id>>6, id&63*4+2)
	p.ip("netns", "add", p.ns)
	t.Cleanup(func() { p.ip("netns", "del", p.ns) }) // the links go with it
	p.ip("link", "add", p.link, "type", "veth", "peer", "name", p.link+"n", "netns", p.ns)
	p.ip("addr", "add", p.here+"/30", "dev", p.link)
	p.ip("link", "set", p.link, "up")
	p.ip("-n", p.ns, "addr", "add", p.host+"/30", "dev", p.link+"n")
	p.ip("-n", p.ns, "link", "set", p.link+"n", "up")
	listener := make(chan any)
	go func() { // its thread is in the namespace, and ends with it
		runtime.LockOSThread()
		ns, err := netns.GetFromName(p.ns)
		if err == nil {
			err = netns.Set(ns)
			ns.Close() //nolint:errcheck // the thread is in it
		}
		if err != nil {
			listener <- err
			return
		}
		l, err := net.Listen("tcp4", fmt.Sprintf("%s:%d", p.host, p.port))
		if err != nil {
			listener <- err
			return
		}
		listener <- l
	}()
	switch l := (<-listener).(type) {
	case error:
		t.Fatal(l)
	case net.Listener:
		t.Cleanup(func() { l.Close() }) //nolint:errcheck // the test is over
		go relayTo(l, fmt.Sprintf("127.0.0.1:%d", server))
	}
	return p
}

// relayTo passes connections on until the listener is closed.
func relayTo(l net.Listener, server string) {
	for {
		from, err := l.Accept()
		if err != nil {
			return
		}
		go func() { // ends with either connection
			to, err := net.Dial("tcp4", server)
			if err != nil {
				from.(*net.TCPConn).SetLinger(0) //nolint:errcheck // as a server that is not there
				from.Close()                     //nolint:errcheck
				return
			}
			go func() {
				io.Copy(to, from) //nolint:errcheck // it ends somehow
				to.Close()        //nolint:errcheck
			}()
			io.Copy(from, to) //nolint:errcheck
			from.Close()      //nolint:errcheck
		}()
	}
}

func (p *path) ip(args ...string) {
	p.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		p.t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

const nobody = "02:00:00:00:00:99"

func (p *path) cut() {
	p.t.Helper()
	p.ip("neigh", "replace", p.host, "lladdr", nobody, "nud", "permanent", "dev", p.link)
	p.ip("-n", p.ns, "neigh", "replace", p.here, "lladdr", nobody, "nud", "permanent", "dev", p.link+"n")
}

func (p *path) mend() {
	p.t.Helper()
	p.ip("neigh", "del", p.host, "dev", p.link)
	p.ip("-n", p.ns, "neigh", "del", p.here, "dev", p.link+"n")
}

// newCutRig is a rig whose way to node i can be cut.
func newCutRig(t *testing.T, i int, settings map[string]any) (*rig, *path) {
	t.Helper()
	var p *path
	all := map[string]any{"timeouts.connect": "2s"}
	for k, v := range settings {
		all[k] = v
	}
	all["backends"] = func(cluster *pgcluster.Cluster) any {
		p = newPath(t, cluster.Port(i))
		var backends []map[string]any
		for n := range cluster.Nodes() {
			b := map[string]any{"name": fmt.Sprintf("node%d", n), "host": "127.0.0.1", "port": cluster.Port(n), "weight": min(n, 1)}
			if n == i {
				b["host"], b["port"] = p.host, p.port
			}
			backends = append(backends, b)
		}
		return backends
	}
	return newRig(t, all), p
}

// A standby's host vanishes without a word: its reads go elsewhere, new clients get in, and nobody sees an error.
func TestStandbyCutOff(t *testing.T) {
	t.Parallel()
	r, p := newCutRig(t, 1, nil)
	r.readersOn(1)
	calm := r.load.calm()
	r.load.forget()
	r.load.waits.lost()
	p.cut()
	for range 6 { // while howdah does not know yet, and then when it does
		start := time.Now()
		c, err := open(t.Context(), r.server.DSN("postgres", "postgres"), 0)
		must(t, err)
		if _, err := c.value(t.Context(), "SELECT count(*) FROM own"); err != nil {
			t.Errorf("a read of a new client: %v", err)
		}
		c.close()
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("a new client's login and read took %v", took)
		}
	}
	r.wait(1, "down")
	r.load.wantReads("cut off", 3*probeTimeout, calm)
	r.load.more(100)
	r.load.mu.Lock()
	t.Logf("no read for %v, no write for %v", r.load.noReads, r.load.pause)
	if r.load.noReads > 10*time.Second || r.load.pause > 10*time.Second {
		t.Errorf("clients of other nodes waited: no read for %v, no write for %v", r.load.noReads, r.load.pause)
	}
	r.load.mu.Unlock()
	p.mend()
	r.wait(1, "up standby")
	r.wantPrimary(0, 0)
	r.load.wantNoErrors()
	r.load.end(r.cluster, 0)
}

// The primary is out of howdah's reach alone: the standbys hear it, so nobody is promoted, and writes wait.
func TestPrimaryCutOff(t *testing.T) {
	t.Parallel()
	r, p := newCutRig(t, 0, nil)
	p.cut()
	r.said("receives from node0, which we cannot reach")
	c, err := open(t.Context(), r.server.DSN("postgres", "postgres"), 0)
	must(t, err)
	if _, err := c.value(t.Context(), "SELECT count(*) FROM own"); err != nil {
		t.Errorf("a read while the primary is out of reach: %v", err)
	}
	c.close()
	p.mend()
	r.load.more(100)
	r.wantPrimary(0, 0)
	r.load.end(r.cluster, 0)
}

// It is told to replace it all the same after a while: the standbys are cut off from it first, so that it can confirm nothing.
func TestPrimaryCutOffForLong(t *testing.T) {
	t.Parallel()
	r, p := newCutRig(t, 0, map[string]any{"failover.isolated_after": "3s"})
	p.cut()
	now := r.waitPrimary(0)
	r.load.more(100)
	p.mend()
	r.wait(0, "quarantine primary")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := r.cluster.Exec(ctx, 0, "postgres", "INSERT INTO tests VALUES (-1)"); err == nil {
		t.Error("the old primary confirms writes")
	}
	r.load.more(50)
	r.load.end(r.cluster, now)
}

// Nodes are added, reweighted and removed by reload under the clients, who see nothing.
func TestNodesByReload(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	whole := r.options.Settings["backends"].([]map[string]any)
	reload := func(backends []map[string]any) {
		t.Helper()
		r.options.Settings["backends"] = backends
		must(t, r.server.Reload(r.options))
	}
	reload(whole[:2])
	r.wait(2, "unused")
	r.load.more(100)
	reload(whole)
	r.wait(2, "up standby")
	r.load.more(50)
	light := []map[string]any{whole[0], {}, whole[2]}
	for k, v := range whole[1] {
		light[1][k] = v
	}
	light[1]["weight"] = 0
	reload(light)
	eventually(t, "node1 to be read no more", func() error {
		before, err := r.scans(1)
		if err != nil {
			return err
		}
		r.load.more(30)
		if after, err := r.scans(1); err != nil || after != before {
			return errors.Join(fmt.Errorf("%s, then %s", before, after), err)
		}
		return nil
	})
	reload(whole)
	r.load.more(50)
	r.wantPrimary(0, 0)
	r.load.wantNoErrors()
	r.load.end(r.cluster, 0)
}

// scans is how often the table of own values was read on node i.
func (r *rig) scans(i int) (string, error) {
	time.Sleep(1100 * time.Millisecond) // servers tell of their work once a second
	return r.cluster.Value(r.t.Context(), i, "postgres", "SELECT seq_scan + idx_scan FROM pg_stat_user_tables WHERE relname = 'own'")
}
