package vip

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Now is the present time of CLOCK_BOOTTIME.
func Now() Instant {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic(fmt.Sprintf("vip: read CLOCK_BOOTTIME: %v", err)) // Linux 2.6.39 has it
	}
	return Instant(t.Nano())
}

// instantOf is when a time with a monotonic reading comes, as an Instant. Both clocks
// are read, this one first: whatever happens in between, the result is not too late.
func instantOf(t time.Time) Instant {
	now := Now()
	return now.Add(time.Until(t))
}
