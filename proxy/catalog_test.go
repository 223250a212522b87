package proxy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/wire"
)

// withCatalog turns on what fakes cannot do; they are asked on connections of their own.
func withCatalog(c *configs.Config) { c.Catalog.Size = 1 << 20 }

// onCatalog makes the fakes answer to the start of a connection that reads catalogs.
func onCatalog(answerTo func(c *fakeConn) answer, fakes ...*fake) {
	login := func(c *fakeConn) answer {
		if strings.Contains(c.startup, "howdah catalog") {
			return answerTo(c)
		}
		c.welcome()
		return done
	}
	for _, f := range fakes {
		f.logins.Store(&login)
	}
}

// TestCatalogRefused: without a catalog, tables are tables and functions writers, and
// the operator is told once.
func TestCatalogRefused(t *testing.T) {
	t.Parallel()
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	onCatalog(func(c *fakeConn) answer {
		c.Write(wire.AppendError(nil, "FATAL", &wire.Error{Code: "28000", Message: "no entry"}))
		return hangUp
	}, primary, standby)
	h := start(t, withCatalog, primary, standby)
	for range 3 {
		c := connectAs(t, h.addr, "u")
		if got := c.query("SELECT a FROM t"); !strings.Contains(got, "D(standby)") {
			t.Errorf("a read of a table: %s", got)
		}
		if got := c.query("SELECT f()"); !strings.Contains(got, "D(primary)") {
			t.Errorf("a call of a function: %s", got)
		}
	}
	if n := strings.Count(h.log.String(), "its catalogs cannot be read"); n != 1 {
		t.Errorf("the log says it %d times", n)
	}
}

// TestCatalogUnreachable: as long as there is hope, nothing is guessed, but for
// what can only be built in.
func TestCatalogUnreachable(t *testing.T) {
	t.Parallel()
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	onCatalog(func(*fakeConn) answer { return hangUp }, primary, standby)
	h := start(t, withCatalog, primary, standby)
	c := connectAs(t, h.addr, "u")
	for sql, want := range map[string]string{
		"SELECT a FROM t":              "D(primary)",
		"SELECT f()":                   "D(primary)",
		"SELECT 1":                     "D(standby)",
		"SELECT pg_catalog.lower('X')": "D(standby)",
	} {
		if got := c.query(sql); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", sql, got, want)
		}
	}
}

// TestCatalogOfNoDatabase: of a database that was dropped nobody needs to be told.
func TestCatalogOfNoDatabase(t *testing.T) {
	t.Parallel()
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	asked := make(chan struct{}, 100)
	onCatalog(func(c *fakeConn) answer {
		asked <- struct{}{}
		c.Write(wire.AppendError(nil, "FATAL", &wire.Error{Code: "3D000", Message: "no such database"}))
		return hangUp
	}, primary, standby)
	h := start(t, withCatalog, primary, standby)
	c := connectAs(t, h.addr, "u")
	<-asked
	for deadline := time.Now().Add(patience); !strings.Contains(c.query("SELECT a FROM t"), "D(standby)"); {
		if time.Now().After(deadline) {
			t.Fatal("a read of a table stays on the primary")
		}
	}
	if strings.Contains(h.log.String(), "catalogs cannot be read") {
		t.Error("the log complains of it")
	}
}
