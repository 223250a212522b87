package proxy_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/wire"
)

// resting counts the sessions that went on in another goroutine.
func resting() int { return len(restingIDs()) }

// restingIDs are those goroutines.
func restingIDs() (ids []string) {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, "created by github.com/howdah/howdah/proxy.(*visit).attend") {
			id, _, _ := strings.Cut(stack, " [")
			ids = append(ids, id)
		}
	}
	return ids
}

// A session that rests is as it was: idle, in a block, amid messages without a Sync, at fast reads, listening or not.
func TestSessionsRest(t *testing.T) {
	for _, mode := range []string{configs.PoolSession, configs.PoolTransaction} {
		t.Run(mode, func(t *testing.T) {
			primary, standby := newFake(t, "primary", false), newFake(t, "standby", true)
			h := start(t, func(c *configs.Config) { c.Pool.Mode = mode }, primary, standby)
			const onStandby = "T D(standby) C(SELECT 1) Z(I)"
			before := resting()
			fresh, block, fast, amid := connectAs(t, h.addr, "u"), connectAs(t, h.addr, "u"), connectAs(t, h.addr, "u"), connectAs(t, h.addr, "u")
			clients := []*client{fresh, block, fast, amid}
			block.query("BEGIN")
			block.query("INSERT INTO x DEFAULT VALUES")
			fast.goFast("SELECT x")
			amid.send(wire.AppendMessage(wire.AppendMessage(nil, wire.Parse, "p\x00SELECT 1\x00\x00\x00"), wire.Flush))
			amid.Need(wire.HeaderSize)
			amid.Discard(wire.HeaderSize)
			for round := range 2 {
				for end := time.Now().Add(patience); resting() < before+len(clients); {
					if time.Now().After(end) {
						t.Fatalf("%d of %d sessions rest", resting()-before, len(clients))
					}
					time.Sleep(10 * time.Millisecond)
				}
				if got := fresh.query("SELECT x"); got != onStandby {
					t.Errorf("round %d: a session that only logged in: %s", round, got)
				}
				if got := block.query("INSERT INTO x DEFAULT VALUES"); got != "C(INSERT) Z(T)" {
					t.Errorf("round %d: in a block: %s", round, got)
				}
				if got := fast.query("SELECT x"); got != onStandby {
					t.Errorf("round %d: after reads: %s", round, got)
				}
				amid.send(join(wire.AppendMessage(nil, wire.Bind, "\x00p\x00\x00\x00\x00\x00\x00\x00"),
					wire.AppendMessage(nil, wire.Execute, "\x00\x00\x00\x00\x00"), wire.AppendMessage(nil, wire.Sync)))
				if got := amid.answer(); got != "2 D(standby) C(SELECT 1) Z(I)" {
					t.Errorf("round %d: amid messages: %s", round, got)
				}
			}
			if got := block.query("COMMIT"); got != "C(COMMIT) Z(I)" {
				t.Errorf("the end of the block: %s", got)
			}
			for _, c := range clients {
				c.send(wire.AppendMessage(nil, wire.Terminate))
				if got := c.answer(); got != "EOF" {
					t.Errorf("the end: %s", got)
				}
			}
			h.settled(t, 0)
			h.settled(t, 1)
		})
	}
}
