package watchdog

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/watchdog/core"
)

// Members are upgraded one after the other, the leader last, to a version with a command more. It is not proposed before all
// know it; nothing is lost on the way. One that goes back to the old version then takes no part, and says why.
func TestRollingUpgrade(t *testing.T) {
	t.Parallel()
	next := core.Builtin()
	next["node.praise"] = core.Spec{Since: core.Builtin().Level() + 1, Apply: func(s *core.State, _ uint64, _ core.Command) error {
		s.Note = "well done"
		return nil
	}}
	q := newQuorum(t, "p1", "p2", "w1")
	leader := q.leads(func(m *member) error { return m.w.Record(core.Primary{Node: "d1", Timeline: 4}, "found") })
	praise := func(m *member) error {
		return m.w.commitAsLeader(m.w.State().Make("node.praise", struct{}{}))
	}
	// serves waits until somebody leads who knows what was agreed on, and so many of the three are of the new version.
	serves := func(upgraded int) (owner *member) {
		t.Helper()
		eventually(t, func() string {
			owner = nil
			news := 0
			for _, m := range q.members {
				if m.w.MayAct() && m.w.State().Primary.Node == "d1" {
					owner = m
				}
			}
			if owner == nil {
				return "nobody leads"
			}
			for _, m := range owner.w.State().Members {
				if m.Level == next.Level() {
					news++
				}
			}
			if news != upgraded {
				return fmt.Sprintf("%d members are known to be upgraded, not %d", news, upgraded)
			}
			return ""
		})
		return owner
	}
	q.commands = next
	order := []int{2} // the witness first
	for i := range 2 {
		if q.members[i] != leader {
			order = append(order, i)
		}
	}
	for n, i := range order {
		q.members[i].end()
		q.restart(i)
		serves(n + 1)
	}
	var newest *member
	for _, i := range order {
		if q.members[i].cfg.Name[0] != 'w' {
			newest = q.members[i]
		}
	}
	asked := time.Time{}
	eventually(t, func() string {
		if newest.w.MayAct() {
			return ""
		}
		// A transfer that comes to nothing (raft gives it an election timeout) is asked for again, as an operator would.
		if time.Since(asked) > 2*time.Second {
			asked = time.Now()
			for _, m := range q.members {
				if m != newest && m.w.MayAct() {
					m.w.feed(core.Yield{To: newest.w.self, Reason: "upgrade"})
				}
			}
		}
		return "leadership does not go to an upgraded member"
	})
	if err := praise(newest); err == nil || !strings.Contains(err.Error(), "upgrade them first") {
		t.Errorf("a command that one member does not know was proposed: %v", err)
	}
	for i := range 2 {
		if q.members[i] == leader {
			leader.end()
			q.restart(i)
		}
	}
	serves(3)
	eventually(t, func() string {
		owner := serves(3)
		if s := owner.w.State(); s.Level != next.Level() {
			return fmt.Sprintf("the level is %d", s.Level)
		}
		if err := praise(owner); err != nil {
			return err.Error()
		}
		return ""
	})
	eventually(t, func() string {
		for _, m := range q.members {
			if s := m.w.State(); s.Note != "well done" || s.Primary.Node != "d1" {
				return fmt.Sprintf("%s goes by %+v", m.cfg.Name, s)
			}
		}
		return ""
	})
	q.commands = nil
	i := 0
	if q.members[0].w.MayAct() {
		i = 1
	}
	q.members[i].end()
	q.restart(i)
	old := q.members[i]
	eventually(t, func() string {
		select {
		case <-old.w.started:
		default:
			return "it does not run"
		}
		if err := old.w.fsm.isBehind(); err == nil {
			return "it believes that it understands all"
		}
		if s := old.w.Status(); s.Fitness == "fit" {
			return "it would lead"
		}
		return ""
	})
	if owner := serves(3); owner == old {
		t.Error("the member that does not understand all leads")
	}
}
