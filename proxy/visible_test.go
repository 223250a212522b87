package proxy_test

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

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
