package proxy_test

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestSpareGoroutines: goroutines that have served a client serve others, so many are kept and no more, and none after
// the end. It is not parallel, as it counts goroutines.
func TestSpareGoroutines(t *testing.T) {
	waiting := func() int {
		buf := make([]byte, 8<<20)
		return strings.Count(string(buf[:runtime.Stack(buf, true)]), "proxy.(*Server).another(")
	}
	eventually := func(what string, ok func(n int) bool) {
		t.Helper()
		for deadline := time.Now().Add(patience); !ok(waiting()); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: %d goroutines wait", what, waiting())
			}
		}
	}
	eventually("before", func(n int) bool { return n == 0 })
	h := start(t, nil, newFake(t, "primary", false))
	for range 3 {
		var clients []*client
		for range 100 {
			clients = append(clients, connectAs(t, h.addr, "u"))
		}
		// On a slow machine the first ones rest already, and have given theirs back.
		eventually("all serve", func(n int) bool { return n == 0 || resting() > 0 })
		for _, c := range clients {
			c.nc.Close()
		}
		eventually("all are idle", func(n int) bool { return n == 64 })
	}
	for range 200 { // one after another
		c := connectAs(t, h.addr, "u")
		c.nc.Close()
	}
	eventually("idle again", func(n int) bool { return n == 64 })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.proxy.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	eventually("after the end", func(n int) bool { return n == 0 })
}
