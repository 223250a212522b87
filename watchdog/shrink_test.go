package watchdog

import (
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/howdah/howdah/watchdog/core"
)

// One of two is lost, and the operator has the other one go on alone. What was agreed on stays. When the lost one is started
// with its old directory it does not write; without that it joins again.
func TestShrink(t *testing.T) {
	t.Parallel()
	q := newQuorum(t, "p1", "p2")
	q.leads(func(m *member) error { return m.w.Record(core.Primary{Node: "d1", Timeline: 4}, "found") })
	survivor, lost := q.members[0], q.members[1]
	eventually(t, func() string {
		for _, m := range q.members {
			if m.w.State().Primary.Node != "d1" || len(m.w.State().Members) != 2 {
				return m.cfg.Name + " does not know all yet"
			}
		}
		return ""
	})
	if err := Shrink(survivor.cfg, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a member that runs was made the only one")
	}
	lost.end()
	survivor.end()
	if err := Shrink(survivor.cfg, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	q.restart(0)
	survivor = q.members[0]
	eventually(t, func() string {
		s := survivor.w.Standing()
		switch {
		case !s.Leads:
			return "it does not lead"
		case s.State.Primary.Node != "d1" || len(s.State.Members) != 1:
			return "it has lost what was agreed on, or has not forgotten the other one"
		case !s.Permission.Writes:
			return "it may not write: " + s.Permission.Reason
		}
		return ""
	})
	survivor.see("d1", core.SeesDown)
	f, err := survivor.w.Consent(t.Context(), "d1", "it is dead", false)
	if err != nil {
		t.Fatalf("it cannot fail over alone: %v", err)
	}
	if err := survivor.w.Abort(f, "only tried"); err != nil {
		t.Fatal(err)
	}
	q.restart(1)
	lost = q.members[1]
	eventually(t, func() string {
		select {
		case <-lost.w.started:
		default:
			return "it does not run"
		}
		if p := lost.w.Permission(); p.Writes || !strings.Contains(p.Reason, "remove its data directory") {
			return "it would write: " + p.Reason
		}
		return ""
	})
	lost.end()
	if err := os.RemoveAll(lost.cfg.DataDir); err != nil {
		t.Fatal(err)
	}
	q.restart(1)
	lost = q.members[1]
	eventually(t, func() string {
		select {
		case <-lost.w.started:
		default:
			return "it does not run"
		}
		if s := lost.w.Status(); len(s.Voters) != 2 || s.State == nil || len(s.State.Members) != 2 || !lost.w.Permission().Writes {
			return "it has not joined again: " + lost.w.Permission().Reason
		}
		return ""
	})
}
