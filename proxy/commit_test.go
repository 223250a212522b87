package proxy_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/wire"
)

// commitMessages are COMMIT in extended messages.
var commitMessages = join(wire.AppendMessage(nil, wire.Parse, "\x00COMMIT\x00\x00\x00"), wire.AppendMessage(nil, wire.Bind, "\x00\x00\x00\x00\x00\x00\x00\x00"),
	wire.AppendMessage(nil, wire.Execute, "\x00\x00\x00\x00\x00"), wire.AppendMessage(nil, wire.Sync))

// With resolve_commits the question for the transaction's number goes before a COMMIT of a block that wrote, and before no
// other; the client does not hear of it, but of its error.
func TestCommitIsAsked(t *testing.T) {
	for name, test := range map[string]struct {
		resolve, writes, fails bool
		asked                  int64
		simple, extended       string
	}{
		"off":             {false, true, false, 0, "C(COMMIT) Z(I)", "1 2 C(COMMIT) Z(I)"},
		"a read":          {true, false, false, 0, "C(COMMIT) Z(I)", "1 2 C(COMMIT) Z(I)"},
		"a write":         {true, true, false, 1, "C(COMMIT) Z(I)", "1 2 C(COMMIT) Z(I)"},
		"it is cancelled": {true, true, true, 1, "E(ERROR 57014) C(COMMIT) Z(I)", "E(ERROR 57014) 1 2 C(COMMIT) Z(I)"}, // a server would say ROLLBACK
	} {
		for protocol, request := range map[string][]byte{"simple": wire.AppendQuery(nil, "COMMIT"), "extended": commitMessages} {
			t.Run(name+"/"+protocol, func(t *testing.T) {
				primary := newFake(t, "primary", false)
				h := start(t, func(c *configs.Config) { c.Failover.ResolveCommits = test.resolve }, primary)
				c := connectAs(t, h.addr, "u")
				var asked atomic.Int64
				fails := parseFails("SELECT x, l, ", "57014")
				primary.scripted(func(c *fakeConn, typ byte, body []byte) answer {
					if typ == wire.Parse && strings.Contains(string(body), "pg_logical_emit_message") {
						asked.Add(1)
						if test.fails {
							return fails(c, typ, body)
						}
					}
					return pass
				})
				statement := map[bool]string{true: "INSERT INTO x DEFAULT VALUES", false: "SELECT 1"}[test.writes]
				c.query("BEGIN")
				c.query(statement)
				c.send(request)
				want := map[string]string{"simple": test.simple, "extended": test.extended}[protocol]
				if got := c.answer(); got != want || asked.Load() != test.asked {
					t.Errorf("got %s, and the question was asked %d times; want %s, %d", got, asked.Load(), want, test.asked)
				}
				if got := c.query("INSERT INTO y DEFAULT VALUES"); got != "C(INSERT) Z(I)" {
					t.Errorf("the next statement: %s", got)
				}
				c.Close()
				h.settled(t, 0)
			})
		}
	}
}
