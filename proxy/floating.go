package proxy

import (
	"context"
	"errors"
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
	config := net.ListenConfig{KeepAlive: -1} // that is, it is not set anew for each client
	addr, err := netip.ParseAddr(host)
	floats := err == nil && slices.Contains(floating, addr)
	config.Control = func(_, _ string, raw syscall.RawConn) error {
		if err := errors.Join(inherited(raw), deferred(raw)); err != nil || !floats {
			return err
		}
		return freebind(raw, addr.Is6())
	}
	return config.Listen(context.Background(), "tcp", net.JoinHostPort(host, port))
}

// What Go sets for each connection by default (net.KeepAliveConfig), in seconds, besides TCP_NODELAY.
const (
	keepAliveIdle     = 15
	keepAliveInterval = 15
	keepAliveCount    = 9
)

// inherited sets the options of a listener that its connections inherit (tcp(7)): they find out that their client is gone, and send at once.
func inherited(raw syscall.RawConn) error {
	var err error
	if controlErr := raw.Control(func(fd uintptr) {
		err = errors.Join(unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, keepAliveIdle),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, keepAliveInterval),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAliveCount))
	}); controlErr != nil {
		return controlErr
	}
	return err
}

// deferFor is for how long the kernel keeps a client that is silent, in seconds (TCP_DEFER_ACCEPT, tcp(7)).
const deferFor = 1

// deferred has the kernel hand over a client when its first packet is there, which saves waiting for that. Who says nothing
// is handed over a little later.
func deferred(raw syscall.RawConn) error {
	var err error
	if controlErr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, deferFor)
	}); controlErr != nil {
		return controlErr
	}
	return err
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
