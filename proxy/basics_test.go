package proxy_test

import (
	"strings"
	"testing"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/wire"
)

func TestFakesServe(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, nil, primary, standby)
	c := connectAs(t, h.addr, "u")
	if got := c.query("SELECT 1"); got != "T D(standby) C(SELECT 1) Z(I)" {
		t.Errorf("read: %s", got)
	}
	if got := c.query("INSERT INTO t VALUES (1)"); got != "C(INSERT) Z(I)" {
		t.Errorf("write: %s", got)
	}
	c.Close()
	h.settled(t, 0)
	h.settled(t, 1)
	if strings.Contains(h.log.String(), "ERROR") {
		t.Error(h.log.String())
	}
}

// A server may begin a block by itself, as PostgreSQL 18 does for a pipeline with a FunctionCall: then a Sync ends it.
func TestServerBeginsABlock(t *testing.T) {
	for _, mode := range []string{configs.PoolSession, configs.PoolTransaction} {
		t.Run(mode, func(t *testing.T) {
			primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
			h := start(t, func(c *configs.Config) { c.Pool.Mode = mode }, primary, standby)
			c := connectAs(t, h.addr, "u")
			primary.scripted(func(c *fakeConn, typ byte, _ []byte) answer {
				switch typ {
				case wire.FunctionCall:
					c.status = wire.TxOpen
				case wire.Sync:
					c.status = wire.TxIdle
				}
				return pass
			})
			c.send(wire.AppendMessage(nil, wire.FunctionCall, "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"))
			if got := c.answer(); got != "V Z(T)" {
				t.Errorf("the call: %s", got)
			}
			c.send(wire.AppendMessage(nil, wire.Sync))
			if got := c.answer(); got != "Z(I)" {
				t.Errorf("the end: %s", got)
			}
			if got := c.query("SELECT x"); got != "T D(standby) C(SELECT 1) Z(I)" {
				t.Errorf("a read after it: %s", got)
			}
			if mode == configs.PoolTransaction {
				h.settled(t, 0)
				h.settled(t, 1)
			}
		})
	}
}
