package main

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// systemd hears what it must, in its words.
func TestNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "30000")
	n := newNotifier()
	n.ready()
	n.reloading()
	n.stopping()
	ctx, cancel := context.WithCancel(t.Context())
	checked := 0
	done := make(chan struct{})
	go func() { defer close(done); n.watchdog(ctx, func() { checked++ }) }()
	for i, want := range []string{"READY=1\n", "RELOADING=1\nMONOTONIC_USEC=", "STOPPING=1\n", "WATCHDOG=1", "WATCHDOG=1"} {
		b := make([]byte, 200)
		l.SetDeadline(time.Now().Add(10 * time.Second))
		size, _, err := l.ReadFrom(b)
		if err != nil || !strings.HasPrefix(string(b[:size]), want) {
			t.Errorf("message %d: %q, %v, want %q", i, b[:size], err, want)
		}
	}
	cancel()
	<-done
	if checked < 2 {
		t.Errorf("checked %d times", checked)
	}
	notifier{}.ready() // without systemd
	t.Setenv("WATCHDOG_PID", "1")
	n.watchdog(t.Context(), func() { t.Error("the watchdog of another process") })
}
