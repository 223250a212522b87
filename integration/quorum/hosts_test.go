package quorum

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/watchdog"
)

func TestMain(m *testing.M) { os.Exit(howdahtest.Main(m)) }

// network is a bridge in a namespace of its own, with hosts around it.
type network struct {
	t     *testing.T
	name  string
	dir   string
	hosts []*host
}

// host is a namespace and the howdah in it.
type host struct {
	*network
	name, ns, address string
	port              string // its end of the link, in the hub
	number            int
	witness           bool
	cmd               *exec.Cmd
	ended             chan error
	log               *logBuffer
}

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// newNetwork makes hosts with keys and files, all in one network, and starts nothing.
func newNetwork(t *testing.T, names ...string) *network {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test makes network namespaces: run it as root")
	}
	n := &network{t: t, name: fmt.Sprintf("hd%d", os.Getpid()%10000), dir: t.TempDir()}
	n.ip("netns", "add", n.hub())
	t.Cleanup(n.remove)
	n.ip("-n", n.hub(), "link", "add", "br0", "type", "bridge")
	n.ip("-n", n.hub(), "link", "set", "br0", "up")
	var peers []string
	for i, name := range names {
		h := &host{network: n, name: name, ns: n.name + name, number: i + 1, address: fmt.Sprintf("10.77.0.%d", i+1), port: "v" + name,
			witness: strings.HasPrefix(name, "w"), log: &logBuffer{}}
		n.hosts = append(n.hosts, h)
		n.ip("netns", "add", h.ns)
		n.ip("-n", h.ns, "link", "set", "lo", "up")
		n.ip("link", "add", h.port, "netns", n.hub(), "type", "veth", "peer", "name", "eth0", "netns", h.ns)
		n.ip("-n", n.hub(), "link", "set", h.port, "master", "br0", "up")
		n.ip("-n", h.ns, "addr", "add", h.address+"/24", "dev", "eth0")
		n.ip("-n", h.ns, "link", "set", "eth0", "up")
		role := "proxy"
		if h.witness {
			role = "witness"
		}
		peers = append(peers, fmt.Sprintf("    - {name: %s, host: %s, role: %s, priority: %d}", name, h.address, role, 10-i))
	}
	n.run(howdahtest.Bin(t), append([]string{"watchdog", "keygen", "-o", n.dir + "/keys", "-cluster", "shop"}, names...)...)
	for _, h := range n.hosts {
		text := fmt.Sprintf("watchdog:\n  cluster: shop\n  name: %s\n  data_dir: %s\n  keys: %s/keys/%s\n  peers:\n%s\n", h.name, h.data(), n.dir, h.name, strings.Join(peers, "\n"))
		if !h.witness {
			text += "log: {level: debug}\nbackends: [{name: d1, host: 127.0.0.1, port: 1}]\nauth: {hba: [\"host all all 127.0.0.1/32 trust\"]}\nlimits: {threads: 2}\n"
		}
		if err := os.WriteFile(h.file(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

func (n *network) hub() string { return n.name + "hub" }

func (h *host) data() string { return filepath.Join(h.dir, "data-"+h.name) }
func (h *host) file() string { return filepath.Join(h.dir, h.name+".yml") }

// run runs a command that must succeed.
func (n *network) run(name string, args ...string) {
	n.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		n.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func (n *network) ip(args ...string) {
	n.t.Helper()
	n.run("ip", args...)
}

// remove ends all processes, by their ids, and then the namespaces.
func (n *network) remove() {
	for _, h := range n.hosts {
		h.kill()
		if n.t.Failed() || os.Getenv("HOWDAH_LOG") != "" {
			n.t.Logf("log of %s:\n%s", h.name, h.log)
		}
	}
	for _, h := range n.hosts {
		n.ip("netns", "del", h.ns)
	}
	n.ip("netns", "del", n.hub())
}

// start starts howdah on the host.
func (h *host) start() {
	h.t.Helper()
	what := "serve"
	if h.witness {
		what = "witness"
	}
	h.cmd = exec.Command("ip", "netns", "exec", h.ns, howdahtest.Bin(h.t), what, "-c", h.file())
	h.cmd.Stdout, h.cmd.Stderr = h.log, h.log
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := h.cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.ended = make(chan error, 1)
	cmd, ended := h.cmd, h.ended
	go func() { ended <- cmd.Wait() }() // ends with the process
}

// signal sends a signal; ip has become howdah by exec.
func (h *host) signal(s syscall.Signal) {
	if err := h.cmd.Process.Signal(s); err != nil {
		h.t.Errorf("signal %s: %v", h.name, err)
	}
}

func (h *host) kill() {
	if h.cmd == nil {
		return
	}
	h.cmd.Process.Kill()
	<-h.ended
	h.cmd = nil
}

// unplug takes the host's cable out, plug puts it in.
func (h *host) unplug() { h.ip("-n", h.hub(), "link", "set", h.port, "down") }
func (h *host) plug()   { h.ip("-n", h.hub(), "link", "set", h.port, "up") }

// deafen lets the host hear nothing, and mute lets nobody hear it; heal ends both.
func (h *host) deafen() {
	for _, o := range h.others(h) {
		o.lose(h)
	}
}

func (h *host) mute() {
	for _, o := range h.others(h) {
		h.lose(o)
	}
}

// lose has what the host sends to another one get nowhere, without a word: it goes to a
// hardware address that nobody has.
func (h *host) lose(to *host) {
	h.ip("-n", h.ns, "neigh", "replace", to.address, "lladdr", "02:00:00:00:00:99", "dev", "eth0", "nud", "permanent")
}

func (h *host) heal() {
	for _, o := range h.others(h) {
		for _, link := range [][2]*host{{h, o}, {o, h}} {
			if err := exec.Command("ip", "-n", link[0].ns, "neigh", "del", link[1].address, "dev", "eth0").Run(); err != nil {
				h.t.Logf("there was no entry for %s at %s", link[1].name, link[0].name)
			}
		}
	}
}

// status asks the member, if it answers at once. The socket is a file, so the network does not matter.
func (h *host) status() *watchdog.Status {
	if h.cmd == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	s, err := watchdog.Ask(ctx, h.data(), watchdog.Order{})
	if err != nil {
		return nil
	}
	return s
}

func (h *host) owns() bool {
	s := h.status()
	return s != nil && s.Address
}

// eventually waits until nothing is missing.
func (n *network) eventually(missing func() string) {
	n.t.Helper()
	last := ""
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if last = missing(); last == "" {
			return
		}
	}
	n.t.Fatal(last)
}

// owner waits until one host has the address, among those that count.
func (n *network) owner(among ...*host) (owner *host) {
	n.t.Helper()
	if len(among) == 0 {
		among = n.hosts
	}
	n.eventually(func() string {
		owner = nil
		for _, h := range among {
			if !h.owns() {
				continue
			}
			if owner != nil {
				return fmt.Sprintf("%s and %s have the address", owner.name, h.name)
			}
			owner = h
		}
		if owner == nil {
			return "nobody has the address"
		}
		return ""
	})
	return owner
}

// ready waits until all members have announced themselves to everybody.
func (n *network) ready() *host {
	n.t.Helper()
	n.eventually(func() string {
		for _, h := range n.hosts {
			if s := h.status(); s == nil || len(s.Members) != len(n.hosts) || len(s.Voters) != len(n.hosts) || s.State.Level == 0 || s.Leader == "" {
				return h.name + " does not know all members yet"
			}
		}
		return ""
	})
	return n.owner()
}

func (n *network) startAll() *host {
	for _, h := range n.hosts {
		h.start()
	}
	return n.ready()
}

func (n *network) others(not *host) (list []*host) {
	for _, h := range n.hosts {
		if h != not {
			list = append(list, h)
		}
	}
	return list
}
