package cluster

import "github.com/howdah/howdah/wire"

// Now is the monotonic time since the process started, in nanoseconds, and
// always greater than 0. It is the only clock that horizons, floors and
// samples are measured with: the servers' clocks are never compared with it.
func Now() int64 { return wire.Now() }
