package proxy_test

import (
	"strings"
	"testing"
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
