package proxy_test

import (
	"strings"
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

// What a session loses with a process that ends when it has nothing to do, and what its client is told: no less than amid a statement, and the process's
// last words, if it had any.
func TestProcessEndsAtRest(t *testing.T) {
	killed := failure("FATAL", "57P01")
	for _, tc := range []struct {
		name   string
		before []string
		words  []byte
		want   string
	}{
		{"nothing", nil, nil, "C(INSERT) Z(I)"},
		{"nothing, last words", nil, killed, "C(INSERT) Z(I)"},
		{"block", []string{"BEGIN", "INSERT INTO a DEFAULT VALUES"}, nil, "E(ERROR 40001) Z(E)"},
		{"block, last words", []string{"BEGIN", "INSERT INTO a DEFAULT VALUES"}, killed, "E(FATAL 57P01) EOF"},
		{"temporary table", []string{"CREATE TEMP TABLE a (b int)"}, nil, "E(FATAL 08006) EOF"},
		{"temporary table, last words", []string{"CREATE TEMP TABLE a (b int)"}, killed, "E(FATAL 57P01) EOF"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			primary := newFake(t, "primary", false)
			h := start(t, nil, primary)
			status, hung := idle, make(chan struct{})
			if tc.before != nil && tc.before[0] == "BEGIN" {
				status = wire.AppendReady(nil, wire.TxOpen)
			}
			primary.scripted(func(c *fakeConn, typ byte, body []byte) answer {
				if string(body) != "INSERT INTO last VALUES (1)\x00" {
					return pass
				}
				c.Write(join(wire.AppendMessage(nil, wire.CommandComplete, "INSERT 0 1\x00"), status, tc.words))
				c.Close()
				close(hung)
				return hangUp
			})
			c := connectAs(t, h.addr, "u")
			for _, sql := range append(tc.before, "INSERT INTO last VALUES (1)") {
				if got := c.query(sql); strings.Contains(got, "E(") {
					t.Fatalf("%s: %s", sql, got)
				}
			}
			<-hung
			time.Sleep(10 * time.Millisecond) // from 5 ms on it is looked at
			if got := c.query("INSERT INTO x VALUES (1)"); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}
