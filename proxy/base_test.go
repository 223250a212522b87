package proxy_test

import (
	"bytes"
	"strings"
	"sync"
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

// A session without settings takes those of another one off a shared connection, and the other one gets them again.
func TestSettingsOfAnotherSessionAreMadeAgain(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	var ran []string
	var mu sync.Mutex
	note := func(c *fakeConn, typ byte, body []byte) answer {
		if text := string(bytes.TrimRight(body, "\x00")); typ == wire.Query && (strings.HasPrefix(text, "SET") || strings.HasPrefix(text, "RESET")) {
			mu.Lock()
			ran = append(ran, text)
			mu.Unlock()
		}
		return pass
	}
	primary.scripted(note)
	h := start(t, func(c *configs.Config) { c.Pool.Mode, c.Pool.MaxPerUser = configs.PoolTransaction, 1 }, primary, standby)
	set, plain := connectAs(t, h.addr, "u"), connectAs(t, h.addr, "u")
	for _, step := range []struct {
		*client
		sql, want string
	}{
		{set, "SET timezone = 'Asia/Tokyo'", "SET timezone = 'Asia/Tokyo'"},
		{set, "INSERT INTO t VALUES (1)", ""},
		{plain, "INSERT INTO t VALUES (1)", "RESET timezone;"},
		{plain, "INSERT INTO t VALUES (1)", ""},
		{set, "INSERT INTO t VALUES (1)", "SET timezone = 'Asia/Tokyo';"},
		{plain, "INSERT INTO t VALUES (1)", "RESET timezone;"},
	} {
		step.query(step.sql)
		mu.Lock()
		if got := strings.Join(ran, "|"); got != step.want {
			t.Errorf("%s: the connection got %q, want %q", step.sql, got, step.want)
		}
		ran = nil
		mu.Unlock()
	}
}
