package proxy

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// maxRated bounds the addresses that are known at one time.
	maxRated = 10_000
	// failedBurst is how many seconds' worth of failed logins an address may have at once.
	failedBurst = 10
	// sweepEvery is how often addresses that have been quiet are forgotten when the table is full.
	sweepEvery = time.Second
)

// rates count logins and failed logins by address. Each is a bucket that leaks at the
// rate allowed, so that nothing has to be done as time passes.
type rates struct {
	mu    sync.Mutex
	known map[netip.Prefix]rated
	swept time.Time
}

type rated struct{ logins, failed bucket }

// bucket is what was in it at a time.
type bucket struct {
	fill float64
	at   time.Time
}

// now is what is left of it; rate is per second.
func (b bucket) now(t time.Time, rate int) float64 {
	return max(0, b.fill-t.Sub(b.at).Seconds()*float64(rate))
}

// origins of IPv6 are counted by network: one host has many addresses.
const originBits6 = 64

func originOf(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = originBits6
	}
	p, _ := addr.Prefix(bits) // never fails for these lengths
	return p
}

// limits are limits.login_rate and limits.failed_login_rate, per second; 0 is none.
type rateLimits struct{ logins, failed int }

// admit reports whether a connection from addr may try to log in at t, and counts it.
func (r *rates) admit(addr netip.Addr, t time.Time, limits rateLimits) bool {
	if limits == (rateLimits{}) {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := originOf(addr)
	e := r.known[key]
	if limits.failed > 0 && e.failed.now(t, limits.failed) >= float64(failedBurst*limits.failed) {
		return false
	}
	if limits.logins == 0 {
		return true
	}
	fill := e.logins.now(t, limits.logins)
	if fill+1 > float64(limits.logins) {
		return false
	}
	e.logins = bucket{fill + 1, t}
	r.keep(key, e, t, limits)
	return true
}

// fail counts a failed login from addr at t.
func (r *rates) fail(addr netip.Addr, t time.Time, limits rateLimits) {
	if limits.failed == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := originOf(addr)
	e := r.known[key]
	e.failed = bucket{e.failed.now(t, limits.failed) + 1, t}
	r.keep(key, e, t, limits)
}

// keep remembers e; the caller holds mu.
func (r *rates) keep(key netip.Prefix, e rated, t time.Time, limits rateLimits) {
	if r.known == nil {
		r.known = map[netip.Prefix]rated{}
	}
	if _, known := r.known[key]; !known && len(r.known) >= maxRated {
		r.makeRoom(t, limits)
	}
	r.known[key] = e
}

// makeRoom forgets addresses of which nothing is left, or else any.
func (r *rates) makeRoom(t time.Time, limits rateLimits) {
	if t.Sub(r.swept) >= sweepEvery {
		r.swept = t
		for k, e := range r.known {
			if e.logins.now(t, limits.logins) == 0 && e.failed.now(t, limits.failed) == 0 {
				delete(r.known, k)
			}
		}
	}
	for k := range r.known {
		if len(r.known) < maxRated {
			return
		}
		delete(r.known, k)
	}
}
