package proxy_test

import (
	"testing"
	"time"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/wire"
)

// A server's process that ends while it has nothing to do costs its session nothing, also if that has just used it, as soon as the end is heard of.
func TestProcessEndsAfterUse(t *testing.T) {
	for _, mode := range []string{configs.PoolSession, configs.PoolTransaction} {
		t.Run(mode, func(t *testing.T) {
			primary := newFake(t, "primary", false)
			h := start(t, func(c *configs.Config) { c.Pool.Mode = mode }, primary)
			primary.scripted(func(c *fakeConn, typ byte, body []byte) answer {
				if string(body) != "INSERT INTO last VALUES (1)\x00" {
					return pass
				}
				c.Write(join(wire.AppendMessage(nil, wire.CommandComplete, "INSERT 0 1\x00"), idle))
				time.Sleep(500 * time.Microsecond)
				c.Write(wire.AppendError(nil, "FATAL", &wire.Error{Code: "57P01", Message: "terminating connection due to administrator command"}))
				return hangUp
			})
			const tries = 30
			lost := 0
			for range tries {
				c := connectAs(t, h.addr, "u")
				c.query("INSERT INTO last VALUES (1)")
				time.Sleep(2 * time.Millisecond) // it is not looked at yet
				if got := c.query("INSERT INTO x VALUES (1)"); got != "C(INSERT) Z(I)" {
					lost++
				}
				c.Close()
			}
			if lost > tries/3 { // a loop may be late, for once
				t.Errorf("%d of %d sessions saw that a process ended", lost, tries)
			}
		})
	}
}
