package vip

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// netlinkTimeout bounds one request to the kernel.
	netlinkTimeout = time.Second
	// dumpTries bounds how often a list that changed while it was read is read again.
	dumpTries = 3
	// resubscribePause is waited for before notifications are asked for again.
	resubscribePause = 100 * time.Millisecond
	// forever is the lifetime of an address that has none (rtnetlink(7)).
	forever = math.MaxUint32
)

// kernel is the kernel's list of interfaces and addresses. To list needs no
// privilege, to change needs CAP_NET_ADMIN. Not for concurrent use.
type kernel struct {
	handle *netlink.Handle
	device string
	label  string
	index  int // of the device, as last seen; 0 if it does not exist
}

func openKernel(device, label string) (*kernel, error) {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	if err := handle.SetSocketTimeout(netlinkTimeout); err != nil {
		handle.Close()
		return nil, fmt.Errorf("limit netlink socket: %w", err)
	}
	return &kernel{handle: handle, device: device, label: label}, nil
}

func (k *kernel) close() { k.handle.Close() }

// link looks at the device. The hardware address is nil if it has none of Ethernet's.
func (k *kernel) link() (linkState, net.HardwareAddr, error) {
	if k.device == "" {
		return linkState{}, nil, nil
	}
	l, err := k.handle.LinkByName(k.device)
	if err != nil {
		k.index = 0
		if errors.As(err, &netlink.LinkNotFoundError{}) {
			return linkState{}, nil, nil
		}
		return linkState{}, nil, fmt.Errorf("look at interface %s: %w", k.device, err)
	}
	a := l.Attrs()
	k.index = a.Index
	state := linkState{present: true, up: a.Flags&net.FlagUp != 0 && a.RawFlags&unix.IFF_RUNNING != 0, mac: a.HardwareAddr.String()}
	if len(a.HardwareAddr) != 6 {
		return state, nil, nil
	}
	return state, a.HardwareAddr, nil
}

// list is every address of this host.
func (k *kernel) list() ([]netlink.Addr, error) {
	var addrs []netlink.Addr
	var err error
	for range dumpTries {
		if addrs, err = k.handle.AddrList(nil, unix.AF_UNSPEC); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	return addrs, nil
}

// sightings is what the list shows of each address. Labelled is whether howdah put its
// own label on them; otherwise (mode commands) whatever has the address is howdah's.
func (k *kernel) sightings(list []netlink.Addr, prefixes []netip.Prefix, labelled bool) []sighting {
	out := make([]sighting, len(prefixes))
	for i, p := range prefixes {
		out[i].presence = missing
		for _, a := range list {
			if got, ok := prefixOf(a); !ok || got.Addr() != p.Addr() {
				continue
			} else if !labelled || k.mine(a) && got == p {
				out[i] = sighting{presence: ours, dadFailed: a.Flags&unix.IFA_F_DADFAILED != 0}
				break
			} else {
				out[i] = sighting{presence: foreign, where: fmt.Sprintf("%s on %s", got, k.deviceName(a.LinkIndex))}
			}
		}
	}
	return out
}

// mine says whether howdah made an address. IPv4 addresses have its label. IPv6
// addresses have none, but nobody else gives this very address a lifetime that ends.
func (k *kernel) mine(a netlink.Addr) bool {
	if a.LinkIndex != k.index || k.index == 0 {
		return false
	}
	if a.IP.To4() != nil {
		return a.Label == k.label
	}
	return int64(a.ValidLft) != forever && a.Flags&unix.IFA_F_PERMANENT == 0
}

// leftovers are the addresses with howdah's label that are not wanted any more by the
// configuration.
func (k *kernel) leftovers(list []netlink.Addr, prefixes []netip.Prefix) []netip.Prefix {
	var found []netip.Prefix
next:
	for _, a := range list {
		p, ok := prefixOf(a)
		if !ok || a.IP.To4() == nil || !k.mine(a) {
			continue
		}
		for _, configured := range prefixes {
			if p == configured {
				continue next
			}
		}
		found = append(found, p)
	}
	return found
}

func (k *kernel) deviceName(index int) string {
	if l, err := k.handle.LinkByIndex(index); err == nil {
		return l.Attrs().Name
	}
	return fmt.Sprintf("interface %d", index)
}

func prefixOf(a netlink.Addr) (netip.Prefix, bool) {
	if a.IPNet == nil {
		return netip.Prefix{}, false
	}
	addr, ok := netip.AddrFromSlice(a.IP)
	ones, _ := a.Mask.Size()
	return netip.PrefixFrom(addr.Unmap(), ones), ok
}

// put adds an address or begins its lifetime anew. The kernel removes it when the
// lifetime (whole seconds, at least one) has passed. Preferred lifetime 0 makes it
// deprecated: it is no source of this host's own connections (RFC 6724, rule 3).
// IPv6's detection of duplicates would keep it from use for a second, and is done by
// probes instead.
func (k *kernel) put(p netip.Prefix, lifetime time.Duration) error {
	if k.index == 0 {
		return fmt.Errorf("add %s: interface %s does not exist", p, k.device)
	}
	a := k.address(p)
	a.ValidLft = int(lifetime / time.Second)
	a.Flags = unix.IFA_F_NOPREFIXROUTE
	if p.Addr().Is6() {
		a.Flags |= unix.IFA_F_NODAD
	}
	if err := k.handle.AddrReplace(nil, a); err != nil {
		return fmt.Errorf("add %s to %s: %w", p, k.device, privilege(err))
	}
	return nil
}

// remove takes an address off; one that is not there is no error. An IPv4 address with
// another label stays.
func (k *kernel) remove(p netip.Prefix) error {
	if k.index == 0 {
		return nil
	}
	if err := k.handle.AddrDel(nil, k.address(p)); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove %s from %s: %w", p, k.device, privilege(err))
	}
	return nil
}

func (k *kernel) address(p netip.Prefix) *netlink.Addr {
	a := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}, LinkIndex: k.index,
		Scope: unix.RT_SCOPE_UNIVERSE}
	if p.Addr().Is4() {
		a.Label = k.label
		a.Broadcast = net.IPv4zero // none: it would take the subnet's
	}
	return a
}

// privilege says what the operator can do about a refusal.
func privilege(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%w: howdah needs the capabilities CAP_NET_ADMIN and CAP_NET_RAW", err)
	}
	return err
}

// neighbour is the IP address, among those given, that has a hardware address in the
// kernel's neighbour table; the zero Addr if none has.
func (k *kernel) neighbour(mac string, among []netip.Addr) netip.Addr {
	if len(among) == 0 || k.index == 0 {
		return netip.Addr{}
	}
	list, err := k.handle.NeighList(k.index, unix.AF_UNSPEC)
	if err != nil {
		return netip.Addr{}
	}
	for _, n := range list {
		addr, ok := netip.AddrFromSlice(n.IP)
		if !ok || n.HardwareAddr.String() != mac {
			continue
		}
		for _, a := range among {
			if a == addr.Unmap() {
				return a
			}
		}
	}
	return netip.Addr{}
}

// watchKernel calls changed after every change of a link or an address, and after
// anything that may have made it miss one, until ctx ends.
func watchKernel(ctx context.Context, changed func()) {
	for ctx.Err() == nil {
		watchOnce(ctx, changed)
		changed()
		select {
		case <-ctx.Done():
		case <-time.After(resubscribePause):
		}
	}
}

// watchOnce returns when one of the two subscriptions has ended: the kernel drops
// notifications that are not read in time, and then says so (ENOBUFS).
func watchOnce(ctx context.Context, changed func()) {
	end := make(chan struct{})
	addrs, links := make(chan netlink.AddrUpdate, 64), make(chan netlink.LinkUpdate, 64)
	ignore := func(error) {} // an end is seen by the channel being closed
	addrErr := netlink.AddrSubscribeWithOptions(addrs, end, netlink.AddrSubscribeOptions{ErrorCallback: ignore})
	linkErr := netlink.LinkSubscribeWithOptions(links, end, netlink.LinkSubscribeOptions{ErrorCallback: ignore})
	if addrErr == nil && linkErr == nil {
		changed()
		for open := true; open; {
			select {
			case <-ctx.Done():
				open = false
			case _, open = <-addrs:
				changed()
			case _, open = <-links:
				changed()
			}
		}
	}
	close(end)
	// The library's goroutines may wait with one more notification each.
	if addrErr == nil {
		for range addrs { //nolint:revive // read until it is closed
		}
	}
	if linkErr == nil {
		for range links { //nolint:revive // read until it is closed
		}
	}
}
