package proxy_test

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/wire"
)

// lagging makes a primary on which a transaction still runs that the standby shows as
// committed, for so many questions. seen is what the primary was asked, in order.
type lagging struct {
	mu   sync.Mutex
	seen []string
	left int
}

func (g *lagging) note(what string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen = append(g.seen, what)
	if what == "still" {
		g.left--
	}
	return g.left
}

func (g *lagging) script(c *fakeConn, typ byte, body []byte) answer {
	switch {
	case typ == wire.Query && bytes.Contains(body, []byte("pg_catalog.array_agg")):
		g.note("running")
		b := appendRow(appendColumns(nil, 1), "{7}")
		c.Write(join(b, wire.AppendMessage(nil, wire.CommandComplete, "SELECT 1\x00"), idle))
		return done
	case typ == wire.Execute && strings.HasPrefix(c.portal, "SELECT 1 FROM pg_catalog.pg_snapshot_xip"):
		if g.note("still") > 0 {
			return pass // a row: it runs
		}
		c.Write(append(c.out, wire.AppendMessage(nil, wire.CommandComplete, "SELECT 0\x00")...))
		c.out = c.out[:0]
		return done
	case typ == wire.Query && bytes.Contains(body, []byte("refused")):
		g.note("read")
	}
	return pass
}

// TestHealedReadDoesNotGoBack: a read that a standby refuses runs on the primary only once that
// shows what the session has seen on the standby.
func TestHealedReadDoesNotGoBack(t *testing.T) {
	for _, test := range []struct {
		consistency string
		want        []string
	}{
		{"session", []string{"running", "still", "still", "still", "read"}},
		{"none", []string{"read"}},
	} {
		primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
		h := start(t, func(c *configs.Config) { c.Routing.Consistency = test.consistency }, primary, standby)
		g := &lagging{left: 3}
		var tried atomic.Int64
		primary.scripted(g.script)
		standby.scripted(refuses("25006", &tried))
		c := connectAs(t, h.addr, "u")
		if got := c.query("SELECT 1"); got != "T D(standby) C(SELECT 1) Z(I)" {
			t.Errorf("%s: the first read: %s", test.consistency, got)
		}
		if got := c.query("SELECT * FROM refused"); got != "T D(primary) C(SELECT 1) Z(I)" || tried.Load() != 1 {
			t.Errorf("%s: the healed read: %s after %d attempts", test.consistency, got, tried.Load())
		}
		g.mu.Lock()
		if !slices.Equal(g.seen, test.want) {
			t.Errorf("%s: the primary was asked %q, want %q", test.consistency, g.seen, test.want)
		}
		g.mu.Unlock()
	}
}

// A standby that hangs, or is known to be lost, does not delay a read on the primary for long: what runs there then is waited for
// as if the standby had shown all of it.
func TestHungStandbyIsNotWaitedFor(t *testing.T) {
	primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
	h := start(t, func(c *configs.Config) { c.Routing.Consistency = "session" }, primary, standby)
	g := &lagging{left: 3}
	primary.scripted(g.script)
	var tried atomic.Int64
	refuse := refuses("25006", &tried)
	standby.scripted(func(c *fakeConn, typ byte, body []byte) answer {
		if (typ == wire.Execute || typ == wire.Sync) && strings.HasPrefix(c.portal, committedQuestion) {
			return done // it hangs
		}
		return refuse(c, typ, body)
	})
	c := connectAs(t, h.addr, "u")
	if got := c.query("SELECT 1"); got != "T D(standby) C(SELECT 1) Z(I)" {
		t.Fatalf("the first read: %s", got)
	}
	began := time.Now()
	if got := c.query("SELECT * FROM refused"); got != "T D(primary) C(SELECT 1) Z(I)" {
		t.Errorf("the read on the primary: %s", got)
	}
	if took := time.Since(began); took > patience/2 {
		t.Errorf("it took %v", took)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if want := []string{"running", "still", "still", "still", "read"}; !slices.Equal(g.seen, want) {
		t.Errorf("the primary was asked %q, want %q", g.seen, want)
	}
}

// committedQuestion is how a standby is asked what it shows.
const committedQuestion = "SELECT pg_catalog.array_agg(x)::pg_catalog.text FROM pg_catalog.unnest"
