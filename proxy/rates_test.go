package proxy

import (
	"net/netip"
	"testing"
	"time"
)

func TestRates(t *testing.T) {
	var r rates
	limits := rateLimits{logins: 5, failed: 2}
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	now := time.Unix(1000, 0)
	admitted := func(addr netip.Addr, tries int) (n int) {
		for range tries {
			if r.admit(addr, now, limits) {
				n++
			}
		}
		return n
	}
	if n := admitted(a, 100); n != 5 {
		t.Errorf("%d of 100 at once, want 5", n)
	}
	if n := admitted(b, 1); n != 1 {
		t.Error("another address pays for it")
	}
	now = now.Add(400 * time.Millisecond)
	if n := admitted(a, 100); n != 2 {
		t.Errorf("%d after 400 ms, want 2", n)
	}
	now = now.Add(time.Hour)
	for range 19 {
		r.fail(a, now, limits)
	}
	if n := admitted(a, 1); n != 1 {
		t.Error("refused before the burst is used up")
	}
	r.fail(a, now, limits)
	if n := admitted(a, 1); n != 0 {
		t.Error("admitted after 20 failures at 2 per second")
	}
	now = now.Add(time.Second)
	if n := admitted(a, 1); n != 1 {
		t.Error("still refused a second later")
	}
	if !r.admit(a, now, rateLimits{}) {
		t.Error("refused without limits")
	}
	// A host of IPv6 has a whole network of addresses.
	for range 20 {
		r.fail(netip.MustParseAddr("2001:db8::1"), now, limits)
	}
	if n := admitted(netip.MustParseAddr("2001:db8::ffff:1"), 1); n != 0 {
		t.Error("another address of the same network is admitted")
	}
	if n := admitted(netip.MustParseAddr("2001:db8:0:1::1"), 1); n != 1 {
		t.Error("another network is refused")
	}
}

func TestRatesAreBounded(t *testing.T) {
	var r rates
	limits := rateLimits{logins: 5, failed: 2}
	now := time.Unix(1000, 0)
	for i := range 3 * maxRated {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		r.admit(addr, now, limits)
		r.fail(addr, now, limits)
		now = now.Add(time.Millisecond)
	}
	if n := len(r.known); n > maxRated {
		t.Errorf("%d addresses are known, want at most %d", n, maxRated)
	}
}
