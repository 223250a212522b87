package proxy_test

import (
	"bytes"
	"sync/atomic"
	"testing"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/wire"
)

// A shared connection gets the application_name of a session once, and again only when another session had it
// meanwhile.
func TestApplicationNameIsSetOnce(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	var sets atomic.Int64
	standby.scripted(func(c *fakeConn, typ byte, body []byte) answer {
		if typ == wire.Query && bytes.HasPrefix(body, []byte("SET application_name")) {
			sets.Add(1)
		}
		return pass
	})
	h := start(t, func(c *configs.Config) { c.Pool.Mode, c.Pool.MaxPerUser = configs.PoolTransaction, 1 }, primary, standby)
	a := connectAs(t, h.addr, "u", "application_name", "a")
	again := connectAs(t, h.addr, "u", "application_name", "a")
	b := connectAs(t, h.addr, "u", "application_name", "b")
	for _, step := range []struct {
		*client
		want int64
	}{{a, 1}, {a, 1}, {again, 1}, {b, 2}, {b, 2}, {a, 3}} {
		step.query("SELECT 1")
		if n := sets.Load(); n != step.want {
			t.Fatalf("the name was set %d times, want %d", n, step.want)
		}
	}
}
