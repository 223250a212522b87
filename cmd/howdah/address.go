package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/vip"
	"github.com/howdah/howdah/watchdog"
)

// floating is the floating address as the watchdog moves it: whoever holds the lease wants
// it, until the lease ends, and nobody else does.
type floating struct {
	manager    *vip.Manager
	interfaces []string
	peers      []netip.Addr
	guarded    bool

	mu   sync.Mutex
	term uint64
	// held: it was here when that was last known. lost is since when the guardian is away; zero
	// while it is there.
	held bool
	lost time.Time
}

// newFloating is the address of a howdah in a quorum. Nothing is started.
func newFloating(c *configs.Config, log *slog.Logger) *floating {
	f := &floating{manager: vip.New(c.VIP, c.Log, log), interfaces: c.Watchdog.Interfaces, guarded: c.VIP.Guardian}
	for _, p := range c.Watchdog.Peers {
		if addr, err := netip.ParseAddr(p.Host); err == nil && p.Name != c.Watchdog.Name {
			f.peers = append(f.peers, addr)
		}
	}
	return f
}

// Want passes the lease on to the guardian.
func (f *floating) Want(w watchdog.AddressWant) {
	f.mu.Lock()
	f.term = w.Term
	f.mu.Unlock()
	f.manager.Want(vip.Want{Holder: w.Holder, Until: w.Until, Epoch: w.Term, Peers: f.peers, Reason: w.Reason})
}

// Will is for the guardian, should this process die while it has the address.
func (f *floating) Will(text []byte) { f.manager.Will(text) }

// Release returns when the address is off this host.
func (f *floating) Release(ctx context.Context, reason string) error {
	f.mu.Lock()
	term := f.term
	f.mu.Unlock()
	return f.manager.Release(ctx, term, reason)
}

// Held says whether this host has the address.
func (f *floating) Held() bool {
	s := f.manager.State()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.isReplaced(&s) {
		return f.held
	}
	f.held = s.Held
	return s.Held
}

// Claims counts how often another host said that the address is its own while it was here.
func (f *floating) Claims() (n uint64) {
	for _, a := range f.manager.State().Addresses {
		n += a.Claims
	}
	return n
}

// guardianGrace is how long a guardian may be away before the host counts as unfit: another
// is started at once, and keeps the address that it finds.
const guardianGrace = 2 * time.Second

// isReplaced reports whether a guardian that ended is just being replaced.
func (f *floating) isReplaced(s *vip.State) bool {
	switch {
	case !f.guarded || s.Process != 0:
		f.lost = time.Time{}
	case f.lost.IsZero():
		f.lost = time.Now()
	}
	return s.Wanted && !f.lost.IsZero() && time.Since(f.lost) < guardianGrace
}

// linked says why this host cannot hold the address, or nil.
func (f *floating) linked() error {
	if err := anyUp(f.interfaces); err != nil {
		return err
	}
	s := f.manager.State()
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.Fit || f.isReplaced(&s) {
		return nil
	}
	return fmt.Errorf("the floating address cannot be held: %s", s.Unfit)
}

// anyUp is an error if none of the interfaces that are to be watched is up. Pgpool-II:
// wd_monitoring_interfaces_list.
func anyUp(names []string) error {
	var last error
	for _, name := range names {
		i, err := net.InterfaceByName(name)
		if err == nil && i.Flags&(net.FlagUp|net.FlagRunning) == net.FlagUp|net.FlagRunning {
			return nil
		}
		if last = err; err == nil {
			last = fmt.Errorf("interface %s is down", name)
		}
	}
	return last
}
