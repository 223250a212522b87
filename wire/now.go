package wire

import "github.com/howdah/howdah/wire/socket"

// Now is the monotonic time since the process started, in nanoseconds, and always greater than 0. [Batch.Now] is the same without a look at the clock.
func Now() int64 { return socket.Now() }
