package core

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestRollingUpgrade goes from one version to the next, which has a command more. The command
// is proposed only when the last member understands it; a member of the old version never meets it.
func TestRollingUpgrade(t *testing.T) {
	t.Parallel()
	next := Builtin()
	next["node.praise"] = Spec{2, func(s *State, _ uint64, _ Command) error {
		s.Note = "well done"
		return nil
	}}
	if Builtin().Level() != 1 || next.Level() != 2 {
		t.Fatalf("levels %d and %d", Builtin().Level(), next.Level())
	}
	s, index := (&State{}).clone(), uint64(0)
	apply := func(versions []Commands, c Command) {
		t.Helper()
		index++
		text, err := next.Propose(s, c)
		if err != nil {
			t.Fatal(err)
		}
		var first string
		var result *State
		for _, v := range versions {
			after, err := v.Apply(s, index, text)
			if err != nil {
				t.Fatal(err)
			}
			encoded, err := after.Encode()
			if err != nil {
				t.Fatal(err)
			}
			if first == "" {
				first = string(encoded)
			} else if first != string(encoded) {
				t.Fatalf("two versions, two states:\n%s\n%s", first, encoded)
			}
			result = after
		}
		s = result
	}
	announce := func(versions []Commands, id MemberID, level int) {
		apply(versions, s.Make(KindMember, MemberBody{id, Member{Address: "a", Role: RoleProxy, Level: level}}))
	}
	both := []Commands{Builtin(), next}
	announce(both, "p1", 1)
	announce(both, "p2", 1)
	apply(both, s.Make(KindLevel, LevelBody{1}))

	// The leader, p1, is of the new version; p2 is not yet.
	announce(both, "p1", 2)
	m := New("p1", Profiles()["lan"], []MemberID{"p1", "p2"})
	raises := func() bool {
		for _, a := range m.Step(time.Hour, Applied{State: s, Index: index}) {
			if p, ok := a.(Propose); ok && p.Command.Kind == KindLevel {
				return true
			}
		}
		return false
	}
	m.Step(time.Hour, Won{Term: 2})
	m.Step(time.Hour, CaughtUp{Term: 2})
	m.Step(time.Hour, Acked{Peer: "p2", Term: 2, Sent: time.Hour})
	if raises() {
		t.Error("the level rises although p2 does not follow")
	}
	if _, err := next.Propose(s, s.Make("node.praise", struct{}{})); err == nil || !strings.Contains(err.Error(), "upgrade them first") {
		t.Errorf("got %v for a command that p2 does not understand", err)
	}

	// p2 is upgraded; the level rises, and the command can be used.
	announce([]Commands{next}, "p2", 2)
	if !raises() {
		t.Fatal("the level does not rise although all follow")
	}
	apply([]Commands{next}, s.Make(KindLevel, LevelBody{2}))
	apply([]Commands{next}, s.Make("node.praise", struct{}{}))
	if s.Note != "well done" {
		t.Error("the new command had no effect")
	}
	// Who goes back to the old version stands still, and does not guess.
	text, err := next.Propose(s, s.Make("node.praise", struct{}{}))
	if err != nil {
		t.Fatal(err)
	}
	if same, err := Builtin().Apply(s, 99, text); !errors.Is(err, ErrUnknownCommand) || same != s {
		t.Errorf("got %v from the old version", err)
	}
}
