package core

import (
	"fmt"
	"time"
)

// Timing are the durations that the members of one cluster must agree on.
type Timing struct {
	// Election is how long a member that acknowledged an append helps nobody else to
	// leadership. It is raft's heartbeat and election timeout.
	Election time.Duration
	// Lease is how long after an append was sent its acknowledgement lets the leader act.
	Lease time.Duration
	// Release is the longest that it takes to remove the address once the lease ended.
	Release time.Duration
	// Route is how long after it was asked for a route lease lasts. It is longer than another
	// member usually needs to become the leader, so that writes through the others go on meanwhile.
	Route time.Duration
	// Poll is how long members have to answer a poll; older answers do not count.
	Poll time.Duration
	// Lock is how long after its holder last asked the primary for it the lock of two members' address lasts.
	Lock time.Duration
	// Cooldown is the time between two failovers.
	Cooldown time.Duration
	// Fitter is how long another member must be fitter before leadership goes to it,
	// and Settle how long a leader then stays.
	Fitter, Settle time.Duration
	// Drift is the most that a clock runs fast or slow, as a share.
	Drift float64
}

// drift is far more than a quartz clock has, and more than NTP ever slews (0.05 %).
const drift = 0.005

// Profiles are the timings that can be chosen by name.
func Profiles() map[string]Timing {
	base := Timing{Poll: time.Second, Cooldown: 60 * time.Second, Fitter: 2 * time.Second, Settle: 30 * time.Second, Drift: drift}
	lan, wan, fast := base, base, base
	lan.Lock, wan.Lock, fast.Lock = time.Second, 3*time.Second, 500*time.Millisecond
	lan.Election, lan.Lease, lan.Release, lan.Route = 600*time.Millisecond, 400*time.Millisecond, 100*time.Millisecond, 1500*time.Millisecond
	wan.Election, wan.Lease, wan.Release, wan.Route = 3*time.Second, 1500*time.Millisecond, 500*time.Millisecond, 5*time.Second
	wan.Poll = 3 * time.Second
	fast.Election, fast.Lease, fast.Release, fast.Route = 250*time.Millisecond, 150*time.Millisecond, 50*time.Millisecond, 600*time.Millisecond
	return map[string]Timing{"lan": lan, "wan": wan, "fast": fast}
}

// Check says why the timing is not safe, or nil. A new leader exists no earlier than
// Election after the last append that a majority acknowledged was sent, by the voters' clocks;
// the lease must have ended by then, by the old leader's clock, with the address gone.
func (t Timing) Check() error {
	if longest := time.Duration(float64(t.Election)*(1-2*t.Drift)) - t.Release; t.Lease > longest {
		return fmt.Errorf("a lease of %s is too long: with an election timeout of %s and %s to remove the address it may last %s", t.Lease, t.Election, t.Release, longest)
	}
	for name, d := range map[string]time.Duration{"election": t.Election, "lease": t.Lease, "route": t.Route, "poll": t.Poll, "lock": t.Lock} {
		if d <= 0 {
			return fmt.Errorf("the %s time is %s: it must be more than 0", name, d)
		}
	}
	return nil
}

// stretched is how long to wait here so that d has surely passed everywhere.
func (t Timing) stretched(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 + 2*t.Drift))
}
