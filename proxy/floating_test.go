package proxy_test

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/proxy"
)

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
