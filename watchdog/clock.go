package watchdog

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// boottime is the time of CLOCK_BOOTTIME. Go's own monotonic clock stands still while
// the host is suspended, and a lease must not.
func boottime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic(fmt.Sprintf("watchdog: read CLOCK_BOOTTIME: %v", err)) // Linux 2.6.39 has it
	}
	return time.Duration(t.Nano())
}
