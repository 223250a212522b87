package proxy_test

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/proxy"
)

// listen is a listener on a port of 127.0.0.1 that is free.
func listen(t testing.TB) net.Listener {
	t.Helper()
	listeners, err := proxy.Listen(&configs.Listen{Addresses: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listeners[0].Close() })
	return listeners[0]
}

func dialListener(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// TestKeepAlive: the kernel looks whether a silent client is still there, as Go would have it.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	l := listen(t)
	client := dialListener(t, l)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	options := func(conn net.Conn) (got [5]int) {
		raw, err := conn.(syscall.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.Control(func(fd uintptr) {
			for i, o := range [...][2]int{{unix.SOL_SOCKET, unix.SO_KEEPALIVE}, {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE}, {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL},
				{unix.IPPROTO_TCP, unix.TCP_KEEPCNT}, {unix.IPPROTO_TCP, unix.TCP_NODELAY}} {
				v, err := unix.GetsockoptInt(int(fd), o[0], o[1])
				if err != nil {
					t.Error(err)
				}
				got[i] = v
			}
		}); err != nil {
			t.Error(err)
		}
		return got
	}
	if got, want := options(conn), options(client); got != want || got[0] == 0 {
		t.Errorf("keepalive, idle, interval, count, nodelay are %v, Go's own %v", got, want)
	}
}

// TestDeferred: a client is handed over when it has said something. A silent one is after a second, so that one try of a slow machine says nothing.
func TestDeferred(t *testing.T) {
	t.Parallel()
	l := listen(t)
	for range 5 {
		client := dialListener(t, l)
		var said atomic.Bool
		time.AfterFunc(100*time.Millisecond, func() {
			said.Store(true)
			client.Write([]byte{0})
		})
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		first := said.Load()
		conn.Close()
		if first {
			return
		}
	}
	t.Error("clients that say nothing are handed over")
}

// Addresses for documentation (RFC 5737, RFC 3849), which no host has.
func TestListenOnAFloatingAddress(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"192.0.2.1", "2001:db8::1"} {
		c := configs.Listen{Addresses: []string{addr}}
		if _, err := proxy.Listen(&c); !errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Errorf("%s, not known to float: got %v", addr, err)
		}
		listeners, err := proxy.Listen(&c, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"))
		if err != nil {
			t.Errorf("%s, known to float: %v", addr, err)
			continue
		}
		for _, l := range listeners {
			l.Close()
		}
	}
}
