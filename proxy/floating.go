package proxy

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// listenTCP opens a listener. One on a floating address is opened although this host may
// not have that address now (IP_FREEBIND, ip(7)): it is ready when the address comes. Any
// other address that this host has not is an error, as it is likely mistyped.
func listenTCP(host, port string, floating []netip.Addr) (net.Listener, error) {
	var config net.ListenConfig
	if addr, err := netip.ParseAddr(host); err == nil && slices.Contains(floating, addr) {
		config.Control = func(_, _ string, raw syscall.RawConn) error { return freebind(raw, addr.Is6()) }
	}
	return config.Listen(context.Background(), "tcp", net.JoinHostPort(host, port))
}

func freebind(raw syscall.RawConn, v6 bool) error {
	var err error
	if controlErr := raw.Control(func(fd uintptr) {
		if v6 {
			err = unix.SetsockoptInt(int(fd), unix.SOL_IPV6, unix.IPV6_FREEBIND, 1)
		} else {
			err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1)
		}
	}); controlErr != nil {
		return controlErr
	}
	return err
}
