package socket

import "time"

// epoch is the zero of Now: a constant of the process, in a variable only because a clock reading cannot be one.
var epoch = time.Now()

// Now is the monotonic time since the process started, in nanoseconds, and always greater than 0.
func Now() int64 { return int64(time.Since(epoch)) + 1 }
