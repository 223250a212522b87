package cluster

import "time"

// started is the zero of Now: a constant of the process, in a variable only
// because a clock reading cannot be one.
var started = time.Now()

// Now is the monotonic time since the process started, in nanoseconds, and
// always greater than 0. It is the only clock that horizons, floors and
// samples are measured with: the servers' clocks are never compared with it.
func Now() int64 { return int64(time.Since(started)) + 1 }
