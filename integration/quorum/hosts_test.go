package quorum

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/launch"
	"github.com/howdah/howdah/watchdog"
)

// TestMain builds howdah without the race detector, unless everything is tested: several howdahs that are ten times as slow on
// one machine elect leaders all the time. Package watchdog's own tests have it.
func TestMain(m *testing.M) {
	if !chaos() && os.Getenv("HOWDAH_RACE") == "" {
		os.Setenv("HOWDAH_RACE", "0")
	}
	os.Exit(howdahtest.Main(m))
}

// chaos says whether everything shall be tested, however long it takes (make chaos).
func chaos() bool { return os.Getenv("HOWDAH_CHAOS") != "" }

// network is a switch with hosts around it.
type network struct {
	t       testing.TB
	name    string
	dir     string
	lan     *lanSwitch
	spaces  []string
	hosts   []*host // with a howdah
	servers []*host // with a server of PostgreSQL and nothing else
	peers   []string
	// backends and more are of every proxy's file.
	backends, more string
	profile        string // of timing; empty for the default
	// dialTimeout is how long one attempt to connect to the address may take; zero for the usual.
	dialTimeout time.Duration
	// patience is how long a condition is waited for; zero for the usual.
	patience time.Duration
	removed  bool
	commands string // lines of the section watchdog; SELF is the host's name
}

// networks counts them, for their names.
var networks atomic.Int32

// floating is the address that moves.
const floating = "10.77.0.100"

// host is a namespace and the howdah in it.
type host struct {
	*network
	name, ns, address string
	kernel            *netlink.Handle // the namespace's
	witness           bool
	excused           atomic.Bool // its guardian is stopped: the kernel takes the address off, some time after the lease
	program           string      // howdah's, if it is another one than that under test
	env               []string
	cmd               *exec.Cmd
	ended             <-chan error
	started           time.Time
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

// brief is what a reader of a failed test's output needs of the log first, so that the test's own words are not buried: the last lines above DEBUG, and how
// howdah broke down, if it did.
func (l *logBuffer) brief(count int) string {
	log := l.String()
	var lines []string
	for line := range strings.Lines(log) {
		if strings.HasPrefix(line, "time=") && !strings.Contains(line, " level=DEBUG ") || strings.HasPrefix(line, "howdah: ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-count):], "") + howdahtest.Excerpt(log, "\npanic: ") + howdahtest.Excerpt(log, "\nfatal error: ")
}

// newNetwork makes hosts with keys and files, all in one network, and starts nothing. A name that begins with w is a
// witness's, and one with d a host's that has a server only.
func newNetwork(t testing.TB, names ...string) *network {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test makes network namespaces: run it as root")
	}
	n := &network{t: t, name: fmt.Sprintf("hd%d-%d", os.Getpid(), networks.Add(1)), dir: t.TempDir(), lan: newSwitch(1), backends: "[{name: d1, host: 127.0.0.1, port: 1}]"}
	t.Cleanup(n.remove)
	n.attach("client", "10.77.0.200")
	var members []string
	for i, name := range names {
		h := &host{network: n, name: name, ns: n.name + name, address: fmt.Sprintf("10.77.0.%d", i+1), witness: strings.HasPrefix(name, "w"), log: &logBuffer{}}
		n.attach(name, h.address)
		h.kernel = n.kernelOf(h.ns)
		if strings.HasPrefix(name, "d") {
			n.servers = append(n.servers, h)
			continue
		}
		n.hosts, members = append(n.hosts, h), append(members, name)
		role := "proxy"
		if h.witness {
			role = "witness"
		}
		n.peers = append(n.peers, fmt.Sprintf("    - {name: %s, host: %s, role: %s, priority: %d}", name, h.address, role, 10-i))
	}
	n.run(howdahtest.Bin(t), append([]string{"watchdog", "keygen", "-o", n.dir + "/keys", "-cluster", "shop"}, members...)...)
	n.write()
	return n
}

// kernelOf talks to a namespace's kernel.
func (n *network) kernelOf(ns string) *netlink.Handle {
	n.t.Helper()
	space, err := netns.GetFromName(ns)
	if err != nil {
		n.t.Fatal(err)
	}
	defer space.Close()
	handle, err := netlink.NewHandleAt(space, unix.NETLINK_ROUTE)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(handle.Close)
	return handle
}

// has says whether the host's kernel has the floating address.
func (h *host) has() bool {
	list, err := h.kernel.AddrList(nil, unix.AF_INET)
	if err != nil {
		h.t.Errorf("list the addresses of %s: %v", h.name, err)
	}
	for i := range list {
		if list[i].IP.String() == floating {
			return true
		}
	}
	return false
}

// write writes all members' files.
func (n *network) write() {
	n.t.Helper()
	for _, h := range n.hosts {
		text := fmt.Sprintf("watchdog:\n  cluster: shop\n  name: %s\n  data_dir: %s\n  keys: %s/keys/%s\n  peers:\n%s\n", h.name, h.data(), n.dir, h.name, strings.Join(n.peers, "\n"))
		if n.commands != "" && !h.witness {
			text += strings.ReplaceAll(n.commands, "SELF", h.name)
		}
		if n.profile != "" {
			text += "  profile: " + n.profile + "\n"
		}
		if !h.witness {
			text += fmt.Sprintf("log: {level: debug}\nbackends: %s\nauth: {hba: [\"host all all all trust\"]}\nlimits: {threads: 2}\n"+
				"listen: {addresses: [\"*\"], port: 9999}\nvip: {mode: netlink, addresses: [%s], interface: eth0}\n%s", n.backends, floating, strings.ReplaceAll(n.more, "SELF", h.name))
		}
		if err := os.WriteFile(h.file(), []byte(text), 0o600); err != nil {
			n.t.Fatal(err)
		}
	}
}

// attach makes a namespace and plugs it into the switch.
func (n *network) attach(name, address string) {
	n.t.Helper()
	ns := n.name + name
	n.ip("netns", "add", ns)
	n.spaces = append(n.spaces, ns)
	if err := n.inside(ns, func() error { return n.lan.plugIn(name) }); err != nil {
		n.t.Fatal(err)
	}
	n.ip("-n", ns, "link", "set", "lo", "up")
	n.ip("-n", ns, "addr", "add", address+"/24", "dev", "eth0")
	n.ip("-n", ns, "link", "set", "eth0", "up")
}

// client is the namespace of those who use the floating address.
func (n *network) client() string { return n.name + "client" }

// inside does something with the calling thread in a namespace. What it opens stays there.
func (n *network) inside(ns string, do func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := netns.Get()
	if err != nil {
		return err
	}
	defer own.Close()
	space, err := netns.GetFromName(ns)
	if err != nil {
		return err
	}
	defer space.Close()
	if err := netns.Set(space); err != nil {
		return err
	}
	err = do()
	return errors.Join(err, netns.Set(own))
}

// dial connects from the client to the floating address.
func (n *network) dial() (conn net.Conn, err error) {
	err = n.inside(n.client(), func() (err error) {
		d := net.Dialer{Timeout: cmp.Or(n.dialTimeout, 300*time.Millisecond), FallbackDelay: -1}
		conn, err = d.Dial("tcp4", floating+":9999")
		return err
	})
	return conn, err
}

// answers is an error unless a howdah answers at the floating address.
func (n *network) answers() error {
	conn, err := n.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil { // SSLRequest
		return err
	}
	_, err = io.ReadFull(conn, make([]byte, 1))
	return err
}

// neverTwo looks all the time whether two hosts have the address at once. It ends with the test.
func (n *network) neverTwo() {
	stop, stopped := make(chan struct{}), make(chan struct{})
	n.t.Cleanup(func() { close(stop); <-stopped })
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(3 * time.Millisecond):
			}
			var have []*host
			for _, h := range n.hosts {
				if !h.excused.Load() && h.has() {
					have = append(have, h)
				}
			}
			if len(have) > 1 && have[0].has() { // it had it before the other one was looked at, and after
				n.t.Errorf("%s and %s have the address at once", have[0].name, have[1].name)
				return
			}
		}
	}()
}

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
	if n.removed {
		return
	}
	n.removed = true
	for _, h := range n.hosts {
		h.kill()
		if n.t.Failed() {
			n.t.Logf("log of %s, without what is for debugging ($HOWDAH_KEEP names a directory for all of it):\n%s", h.name, h.log.brief(25))
		}
		if err := howdahtest.KeepLog(n.t, h.name, h.log.String()); err != nil {
			n.t.Error(err)
		}
	}
	if err := n.lan.close(); err != nil {
		n.t.Errorf("close the switch: %v", err)
	}
	for _, ns := range n.spaces {
		n.ip("netns", "del", ns)
	}
}

// start starts howdah on the host.
func (h *host) start() {
	h.t.Helper()
	what := "serve"
	if h.witness {
		what = "witness"
	}
	program := h.program
	if program == "" {
		program = howdahtest.Bin(h.t)
	}
	h.cmd = exec.Command("ip", "netns", "exec", h.ns, program, what, "-c", h.file())
	h.cmd.Env = append(os.Environ(), h.env...)
	h.cmd.Stdout, h.cmd.Stderr = h.log, h.log
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	ended, err := launch.Start(h.cmd, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	h.started, h.ended = time.Now(), ended
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
func (h *host) unplug() { h.wire(false) }
func (h *host) plug()   { h.wire(true) }

func (h *host) wire(in bool) {
	if err := h.lan.carrier(h.name, in); err != nil {
		h.t.Errorf("the cable of %s: %v", h.name, err)
	}
}

// cut switches its port of the switch off: the host's own link stays up. mend switches it on.
func (h *host) cut()  { h.lan.turn(h.name, false) }
func (h *host) mend() { h.lan.turn(h.name, true) }

// deafen lets the host hear no other one, and mute lets none hear it; heal ends both.
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

// lose has what the host sends to another one get nowhere, without a word.
func (h *host) lose(to *host) { h.lan.set(h.name, to.name, fault{cut: true}) }

// part cuts the way between two hosts in both directions.
func (h *host) part(from *host) {
	h.lose(from)
	from.lose(h)
}

func (h *host) heal() { h.lan.heal(h.name) }

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

// answer is status, of a member that must answer: on a busy machine not at once.
func (h *host) answer() (s *watchdog.Status) {
	h.t.Helper()
	h.eventually(func() string {
		if s = h.status(); s == nil {
			return h.name + " does not answer"
		}
		return ""
	})
	return s
}

// order gives the member an order, as the operator does.
func (h *host) order(args ...string) error {
	args = append([]string{"watchdog", args[0], "-c", h.file()}, args[1:]...)
	out, err := exec.Command(howdahtest.Bin(h.t), args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// owns says whether the host has the address and knows it.
func (h *host) owns() bool {
	s := h.status()
	return s != nil && s.Address && h.has()
}

// eventually waits until nothing is missing.
func (n *network) eventually(missing func() string) {
	n.t.Helper()
	n.within(cmp.Or(n.patience, 30*time.Second), missing)
}

func (n *network) within(limit time.Duration, missing func() string) {
	n.t.Helper()
	last := ""
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
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
