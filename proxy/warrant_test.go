package proxy_test

import (
	"testing"
	"time"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
)

// No read is sent to a primary that this howdah may not use any more, however many went there before: it may be a false one.
func TestFastReadsNeedTheWarrant(t *testing.T) {
	for _, mode := range []string{configs.PoolSession, configs.PoolTransaction} {
		t.Run(mode, func(t *testing.T) {
			primary := newFake(t, "primary", false)
			h := start(t, func(c *configs.Config) {
				c.Pool.Mode, c.Backends[0].Weight, c.Failover.Hold = mode, 1, 100*time.Millisecond
			}, primary)
			c := connectAs(t, h.addr, "u")
			c.goFast("SELECT x")
			if !h.cluster.SetWarrant(t.Context(), cluster.Warrant{Writes: true, Node: "primary"}, cluster.Now()-1) { // it has run out
				t.Fatal("the warrant is not obeyed")
			}
			primary.scripted(func(c *fakeConn, typ byte, body []byte) answer {
				t.Errorf("message %q reached the primary", typ)
				return pass
			})
			if got := c.query("SELECT x"); got == "T D(primary) C(SELECT 1) Z(I)" {
				t.Errorf("got %s", got)
			}
			primary.scripted(nil)
		})
	}
}
