package proxy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/wire"
)

// Reads go the fast way in every mode, whatever form they have, and what follows them is right.
func TestReadsGoFast(t *testing.T) {
	for _, mode := range []struct {
		name   string
		change func(c *configs.Config)
	}{
		{"session", func(*configs.Config) {}},
		{"transaction", func(c *configs.Config) { c.Pool.Mode = configs.PoolTransaction }},
		{"encrypted", func(*configs.Config) {}},
		{"encrypted transaction", func(c *configs.Config) { c.Pool.Mode = configs.PoolTransaction }},
		{"idle timeout", func(c *configs.Config) { c.Timeouts.ClientIdle = time.Hour }},
	} {
		for _, st := range steadies() {
			t.Run(mode.name+" "+st.name, func(t *testing.T) {
				primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
				encrypted := strings.HasPrefix(mode.name, "encrypted")
				h := start(t, func(c *configs.Config) {
					if mode.change(c); encrypted {
						encrypt(t, c, primary, standby)
					}
				}, primary, standby)
				c := dial(t, h.addr)
				if encrypted {
					c.secure()
				}
				c.login("u")
				if st.before != nil {
					c.send(st.before)
					c.answer()
				}
				want := "T D(standby) C(SELECT 1) Z(I)"
				switch st.name {
				case "Extended":
					want = "1 2 " + want
				case "Prepared":
					want = "2 " + want
				}
				const reads = 20
				before := c.fastReads()
				for range reads {
					c.send(st.request)
					if got := c.answer(); got != want {
						t.Fatalf("got %s, want %s", got, want)
					}
				}
				if n := c.fastReads() - before; n < reads/2 {
					t.Errorf("%d of %d reads went the fast way", n, reads)
				}
				if got := c.query("INSERT INTO x DEFAULT VALUES"); got != "C(INSERT) Z(I)" {
					t.Errorf("a write after them: %s", got)
				}
			})
		}
	}
}

// A session's second read goes the fast way: thousands of sessions may read seldom.
func TestSecondReadGoesFast(t *testing.T) {
	for _, mode := range []string{configs.PoolSession, configs.PoolTransaction} {
		t.Run(mode, func(t *testing.T) {
			h := start(t, func(c *configs.Config) { c.Pool.Mode = mode }, newFake(t, "primary", false), newFake(t, "standby", true))
			other := dial(t, h.addr)
			other.login("u")
			before := other.fastReads()
			const sessions = 10
			for range sessions {
				c := dial(t, h.addr)
				c.login("u")
				for range 2 {
					if got := c.query("SELECT 1"); got != "T D(standby) C(SELECT 1) Z(I)" {
						t.Fatal(got)
					}
				}
			}
			if fast := other.fastReads() - before; fast < sessions/2 { // a probe may come in between
				t.Errorf("the second read of %d of %d sessions went the fast way", fast, sessions)
			}
		})
	}
}

// The unnamed statement is what the client made it, whichever way it was made, and is ended by a Query.
func TestFastReadsKeepStatements(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, nil, primary, standby)
	c := connectAs(t, h.addr, "u")
	parse := func(sql string) []byte { return wire.AppendMessage(nil, wire.Parse, "\x00", sql, "\x00\x00\x00") }
	run := wire.AppendMessage(wire.AppendMessage(wire.AppendMessage(nil, wire.Bind, "\x00\x00\x00\x00\x00\x00\x00\x00"),
		wire.Execute, "\x00\x00\x00\x00\x00"), wire.Sync)
	step := func(b []byte, want string) {
		t.Helper()
		c.send(b)
		if got := c.answer(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	c.goFast("SELECT x")
	for range 3 {
		step(join(parse("SELECT 1"), run), "1 2 D(standby) C(SELECT 1) Z(I)")
		step(run, "2 D(standby) C(SELECT 1) Z(I)") // the same again
		step(join(parse("INSERT INTO x DEFAULT VALUES"), run), "1 2 C(INSERT) Z(I)")
		step(run, "2 C(INSERT) Z(I)")
		step(join(parse("SELECT 2"), run), "1 2 D(standby) C(SELECT 1) Z(I)")
		step(join(parse("SELECT 2"), run), "1 2 D(standby) C(SELECT 1) Z(I)")
		step(run, "2 D(standby) C(SELECT 1) Z(I)")
		if got := c.query("SELECT x"); got != "T D(standby) C(SELECT 1) Z(I)" {
			t.Error(got)
		}
		c.query("SELECT x")
	}
}
