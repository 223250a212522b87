package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/vip"
	"github.com/howdah/howdah/watchdog/core"
)

// tie is what two howdahs without a third decide by when they do not hear each other.
type tie struct {
	nodes  *cluster.Cluster
	config *configs.Config
	log    *slog.Logger
	lock   *cluster.AddressLock
}

func newTie(c *configs.Config, nodes *cluster.Cluster, log *slog.Logger) *tie {
	timing := core.Profiles()[c.Watchdog.Profile]
	return &tie{nodes: nodes, config: c, log: log, lock: nodes.NewAddressLock(c.Watchdog.Cluster, c.Watchdog.Name, timing.LockStale())}
}

// Lock asks the primary for the lock of the address.
func (t *tie) Lock(ctx context.Context, node core.NodeID, want bool) (core.LockAnswer, error) {
	if !want {
		t.lock.Release(ctx)
		return core.LockUnknown, nil
	}
	state, err := t.lock.Hold(ctx, string(node))
	if err != nil {
		return core.LockUnknown, err
	}
	return map[cluster.LockState]core.LockAnswer{cluster.LockMine: core.LockMine, cluster.LockTaken: core.LockTaken, cluster.LockFreed: core.LockFree}[state], nil
}

// Successor is what the failover machine would do, did this howdah lead.
func (t *tie) Successor(node core.NodeID) (lacks, unconfirmed string) {
	s := t.nodes.Succession()
	if s.Primary != string(node) {
		return fmt.Sprintf("the primary that was agreed on is %s, and the record has %q", node, s.Primary), "the record has another primary"
	}
	return s.Lacks, s.Unconfirmed
}

// Signs looks for life of the other host: a port that is open or refused, or an answer to its address. And it looks
// whether anybody serves the floating address.
func (t *tie) Signs(ctx context.Context, host string) (peer, address string) {
	own := t.config.Watchdog.Self()
	ports := []int{own.Port, t.config.Listen.Port}
	for _, p := range t.config.Watchdog.Peers {
		if p.Host == host {
			ports[0] = p.Port
		}
	}
	hosts := t.config.VIP.Hosts()
	found := make(chan [2]string, len(ports)+len(hosts))
	for _, port := range ports {
		go func() { found <- [2]string{responds(ctx, host, port), ""} }() // ends with ctx
	}
	for _, h := range hosts {
		go func() { found <- [2]string{"", responds(ctx, h.String(), t.config.Listen.Port)} }()
	}
	for range cap(found) {
		f := <-found
		if f[0] != "" {
			peer = f[0]
		}
		if f[1] != "" {
			address = f[1]
		}
	}
	return peer, address
}

// signTimeout is how long a port may take to answer or refuse.
const signTimeout = 400 * time.Millisecond

// responds says how a host shows that it is there, or nothing.
func responds(ctx context.Context, host string, port int) string {
	ctx, cancel := context.WithTimeout(ctx, signTimeout)
	defer cancel()
	place := net.JoinHostPort(host, strconv.Itoa(port))
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", place)
	switch {
	case err == nil:
		conn.Close()
		return place + " answers"
	case errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET):
		return place + " refuses connections"
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if near, err := vip.IsNeighbor(addr); err != nil || near {
			return host + " answers to its address, or did a moment ago"
		}
	}
	return ""
}

// Fence runs watchdog.pair.fence.
func (t *tie) Fence(ctx context.Context, member core.MemberID, node core.NodeID) error {
	command := t.config.Watchdog.Pair.Fence
	if len(command) == 0 {
		return errors.New("watchdog.pair.fence is empty")
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "HOWDAH_MEMBER="+string(member), "HOWDAH_PRIMARY="+string(node))
	for _, p := range t.config.Watchdog.Peers {
		if p.Name == string(member) {
			cmd.Env = append(cmd.Env, "HOWDAH_MEMBER_HOST="+p.Host)
		}
	}
	for _, b := range t.config.Backends {
		if b.Name == string(node) {
			cmd.Env = append(cmd.Env, "HOWDAH_PRIMARY_HOST="+b.Host, "HOWDAH_PRIMARY_PORT="+strconv.Itoa(b.Port))
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	text := strings.TrimSpace(string(out[:min(len(out), maxFenceOutput)]))
	if err != nil {
		return errors.Join(fmt.Errorf("run watchdog.pair.fence: %w: %s", err, text), context.Cause(ctx))
	}
	t.log.Warn("watchdog.pair.fence has turned them off", "member", string(member), "node", string(node), "output", text)
	return nil
}

// maxFenceOutput bounds what is told of a command.
const maxFenceOutput = 1 << 10

// pairWarnings are what works with two members, and has a price.
func pairWarnings(c *configs.Config) []string {
	w := &c.Watchdog
	if n := len(w.Peers); !w.IsPair() {
		if w.Enabled() && n%2 == 0 {
			return []string{fmt.Sprintf("watchdog.peers has %d members: one less survives as much", n)}
		}
		return nil
	}
	if w.IsWitness() {
		return nil
	}
	for _, p := range w.Peers {
		if p.Role == "witness" {
			return []string{"watchdog.peers has one howdah and one witness: the howdah leads only while the witness is there, and nobody takes its place"}
		}
	}
	text := "watchdog.peers has two members: no rule tells a dead host from a cut cable. A witness on any third machine does (docs/WATCHDOG.md). "
	switch w.Pair.OnLoss {
	case "wait":
		text += "If the primary's host and howdah are lost together, an operator must have the other one go on alone (watchdog.pair.on_loss: wait)"
	case "fenced":
		text += "watchdog.pair.fence must not say that the others are off unless they are: then two primaries would be written to"
	case "synchronous":
		text += "With watchdog.pair.on_loss: synchronous, nobody may take the standby out of synchronous_standby_names while the two do not hear each other, and clients must not lower synchronous_commit: " +
			"such commits may be lost"
	case "unsafe_promote_if_isolated":
		text += "watchdog.pair.on_loss is unsafe_promote_if_isolated: if the network breaks so that both members reach a trusted server and not each other, both have a primary that is written to, " +
			"and the writes of one are lost"
	}
	return []string{text}
}
