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

// Where sessions share connections the first read goes the fast way too, to a node that is drawn for it, if there is a connection that
// suits the session as it is.
func TestFirstReadGoesFast(t *testing.T) {
	for name, tc := range map[string]struct {
		names  []string
		params []string
		fast   bool
	}{
		"standbys":           {[]string{"primary", "a", "b"}, nil, true},
		"primary alone":      {[]string{"primary"}, nil, true},
		"a route of its own": {[]string{"primary", "a"}, []string{"howdah.route", "primary"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var fakes []*fake
			for _, name := range tc.names {
				fakes = append(fakes, newFake(t, name, name != "primary"))
			}
			h := start(t, func(c *configs.Config) {
				if c.Pool.Mode = configs.PoolTransaction; len(fakes) == 1 {
					c.Backends[0].Weight = 1
				}
			}, fakes...)
			for range 20 { // which opens connections
				c := dial(t, h.addr)
				c.login("u")
				c.query("SELECT 1")
			}
			other := dial(t, h.addr)
			other.login("u")
			other.query("SELECT 1")
			before, drawn := other.fastReads(), h.proxy.Decisions()["drawn"]
			const sessions = 30
			served := map[string]int{}
			for range sessions {
				c := dial(t, h.addr)
				c.login("u", tc.params...)
				served[c.query("SELECT 1")]++
			}
			if fast := other.fastReads() - before; (fast >= sessions/2) != tc.fast { // a probe may come in between
				t.Errorf("the first read of %d of %d sessions went the fast way", fast, sessions)
			}
			if n := h.proxy.Decisions()["drawn"] - drawn; tc.params == nil && n != sessions {
				t.Errorf("%d decisions of %d say that the node was drawn", n, sessions)
			}
			if want := max(1, len(tc.names)-1); tc.params == nil && len(served) != want {
				t.Errorf("%d nodes were to be drawn: %v", want, served)
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
