package core

import (
	"testing"
	"time"
)

// Raft refuses commands at once while leadership is given away, and what is refused is proposed again: but not without end at one moment.
func TestRefusedCommandsWait(t *testing.T) {
	m := New("p1", Profiles()["lan"], []MemberID{"p1", "p2"})
	now := time.Hour
	step := func(e Event) (proposed int) {
		for _, a := range m.Step(now, e) {
			if p, ok := a.(Propose); ok && p.Command.Kind == KindOwner {
				proposed++
			}
		}
		return proposed
	}
	total := 0
	for _, e := range []Event{Health{Fit()}, Won{Term: 2}, CaughtUp{Term: 2}, Acked{Peer: "p2", Term: 2, Sent: now}} {
		total += step(e)
	}
	if total != 1 {
		t.Fatalf("the new owner was proposed %d times, not once", total)
	}
	for range 100 {
		total += step(Unproposed{Kind: KindOwner, Reason: "leadership is given away"})
	}
	if total != 1 {
		t.Errorf("one that is refused is proposed %d times at once", total)
	}
	now += 100 * time.Millisecond
	if total += step(Tick{}); total != 2 {
		t.Errorf("after 100 ms it was proposed %d times in all, not twice", total)
	}
}
