package vip

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// IsNeighbor says whether the kernel knows that a host of this network answered to its address lately, by ARP or neighbor
// discovery, whatever its ports say (neighbour states, arp(7)). It asks nobody: something must have been sent there before.
func IsNeighbor(addr netip.Addr) (bool, error) {
	addr = addr.Unmap()
	family := unix.AF_INET6
	if addr.Is4() {
		family = unix.AF_INET
	}
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return false, fmt.Errorf("open netlink socket: %w", err)
	}
	defer handle.Close()
	if err := handle.SetSocketTimeout(netlinkTimeout); err != nil {
		return false, fmt.Errorf("limit netlink socket: %w", err)
	}
	list, err := handle.NeighList(0, family)
	if err != nil {
		return false, fmt.Errorf("list neighbours: %w", err)
	}
	for _, n := range list {
		if ip, ok := netip.AddrFromSlice(n.IP); ok && ip.Unmap() == addr && n.State&netlink.NUD_REACHABLE != 0 {
			return true, nil
		}
	}
	return false, nil
}
