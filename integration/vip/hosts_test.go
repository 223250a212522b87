package vip_test

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// The network of every test. The host a is .1, b is .2, c is .3.
const (
	vip4 = "10.77.0.100"
	vip6 = "fd77::100"
)

// patience is how long a condition may take that has no promise of its own.
const patience = 10 * time.Second

var networks atomic.Int32

// network is a bridge with hosts.
type network struct {
	t     *testing.T
	id    string
	hosts map[string]*host
}

// host is a network namespace.
type host struct {
	t      *testing.T
	name   string // a, b, c
	ns     string
	mac    string
	addr   string
	handle *netlink.Handle
}

// newNetwork makes a bridge and hosts of these names; all is removed when the test ends.
func newNetwork(t *testing.T, names ...string) *network {
	t.Helper()
	n := &network{t: t, id: fmt.Sprintf("hv%d-%d", os.Getpid(), networks.Add(1)), hosts: map[string]*host{}}
	bridge := n.id + "-sw"
	n.addNamespace(bridge)
	ip(t, "-n", bridge, "link", "add", "br0", "type", "bridge")
	ip(t, "-n", bridge, "link", "set", "br0", "up")
	for _, name := range names {
		h := &host{t: t, name: name, ns: n.id + "-" + name, addr: fmt.Sprint(name[0] - 'a' + 1)}
		n.addNamespace(h.ns)
		ip(t, "-n", h.ns, "link", "set", "lo", "up")
		n.plug(h)
		handle, err := netns.GetFromName(h.ns)
		if err != nil {
			t.Fatal(err)
		}
		if h.handle, err = netlink.NewHandleAt(handle, unix.NETLINK_ROUTE); err != nil {
			t.Fatal(err)
		}
		handle.Close()
		t.Cleanup(h.handle.Close)
		h.mac = h.macOf("eth0")
		n.hosts[name] = h
	}
	return n
}

func (n *network) addNamespace(name string) {
	n.t.Helper()
	ip(n.t, "netns", "add", name)
	n.t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
}

// plug gives a host its interface.
func (n *network) plug(h *host) {
	n.t.Helper()
	bridge := n.id + "-sw"
	ip(n.t, "-n", h.ns, "link", "add", "eth0", "type", "veth", "peer", "name", "port-"+h.name, "netns", bridge)
	ip(n.t, "-n", bridge, "link", "set", "port-"+h.name, "master", "br0", "up")
	ip(n.t, "-n", h.ns, "link", "set", "eth0", "up")
	ip(n.t, "-n", h.ns, "addr", "add", "10.77.0."+h.addr+"/24", "dev", "eth0")
	ip(n.t, "-n", h.ns, "addr", "add", "fd77::"+h.addr+"/64", "dev", "eth0", "nodad")
}

// unplug cuts a host's cable at the switch: the host's own link stays up as far as
// anybody behind the switch can tell.
func (n *network) unplug(name string) {
	n.t.Helper()
	ip(n.t, "-n", n.id+"-sw", "link", "set", "port-"+name, "nomaster")
}

// ip runs ip(8); a test without the right to fails.
func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (h *host) ip(args ...string) {
	h.t.Helper()
	ip(h.t, append([]string{"-n", h.ns}, args...)...)
}

func (h *host) macOf(device string) string {
	h.t.Helper()
	l, err := h.handle.LinkByName(device)
	if err != nil {
		h.t.Fatal(err)
	}
	return l.Attrs().HardwareAddr.String()
}

// address is an address of the host as its kernel shows it; nil if it has none.
func (h *host) address(addr string) *netlink.Addr {
	h.t.Helper()
	list, err := h.handle.AddrList(nil, unix.AF_UNSPEC)
	if err != nil {
		h.t.Fatal(err)
	}
	for i := range list {
		if list[i].IP.String() == addr {
			return &list[i]
		}
	}
	return nil
}

func (h *host) has(addr string) bool { h.t.Helper(); return h.address(addr) != nil }

// neighbour is the hardware address that the host's kernel has for an address; empty
// if none.
func (h *host) neighbour(addr string) string {
	h.t.Helper()
	list, err := h.handle.NeighList(0, unix.AF_UNSPEC)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, n := range list {
		if n.IP.String() == addr {
			return n.HardwareAddr.String()
		}
	}
	return ""
}

// reach makes the host's kernel find out where an address is, by a connection to a port
// that nobody listens on.
func (h *host) reach(addr string) {
	_ = h.command("bash", "-c", "exec 3<>/dev/tcp/"+addr+"/1").Run()
}

// command is a program on the host.
func (h *host) command(name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", h.ns, name}, args...)...)
}

// within waits for a condition, and returns how long it took; the test fails if that is
// longer than limit.
func within(t *testing.T, limit time.Duration, what string, condition func() bool) time.Duration {
	t.Helper()
	started := time.Now()
	for {
		if condition() {
			return time.Since(started)
		}
		if time.Since(started) > limit {
			t.Fatalf("%s: not within %s", what, limit)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func prefix(addr string) string {
	a := netip.MustParseAddr(addr)
	return netip.PrefixFrom(a, a.BitLen()).String()
}
