package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// notifier tells systemd how the service stands (sd_notify(3)). Without $NOTIFY_SOCKET it tells nobody.
type notifier struct{ socket string }

func newNotifier() notifier { return notifier{os.Getenv("NOTIFY_SOCKET")} }

// tell sends a message; that systemd does not hear it is no reason to do anything else.
func (n notifier) tell(state string) {
	if n.socket == "" {
		return
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"}) // a name that begins with @ is abstract
	if err != nil {
		return
	}
	defer c.Close()
	c.SetWriteDeadline(time.Now().Add(time.Second)) //nolint:errcheck // a socket has deadlines
	c.Write([]byte(state))                          //nolint:errcheck // see above
}

func (n notifier) ready() { n.tell("READY=1\nSTATUS=serving") }

// reloading says so; ready must follow.
func (n notifier) reloading() {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return
	}
	n.tell(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d\nSTATUS=reloading", now.Nano()/1000))
}

func (n notifier) stopping() { n.tell("STOPPING=1\nSTATUS=waiting for sessions to end") }

// watchdog says again and again that the service works, as long as healthy returns, until ctx ends. If it does
// not return, systemd restarts the service (WatchdogSec).
func (n notifier) watchdog(ctx context.Context, healthy func()) {
	micros, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if pid := os.Getenv("WATCHDOG_PID"); err != nil || micros <= 0 || n.socket == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return
	}
	ticker := time.NewTicker(max(time.Duration(micros)*time.Microsecond/3, time.Millisecond))
	defer ticker.Stop()
	for {
		healthy()
		n.tell("WATCHDOG=1")
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
