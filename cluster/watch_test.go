package cluster

import (
	"testing"
	"time"
)

// failover_command tells of a standby that went down, but not while follow_primary_command may just have started it anew.
func TestStandbyThatFollowsIsNotOut(t *testing.T) {
	const changed = int64(time.Hour)
	for _, tc := range []struct {
		name   string
		follow bool
		after  time.Duration // since the change
		want   bool
	}{
		{"just restarted", true, bounceWait - time.Millisecond, false},
		{"it does not come back", true, bounceWait, true},
		{"nobody restarts it", false, 0, true},
	} {
		set := &settings{tries: 1, hooks: hookSet{command: true, follow: tc.follow}}
		view := &View{Nodes: []Node{{ID: 0, Name: "a", State: StateUp, Role: RolePrimary}, {ID: 1, Name: "b", State: StateDown, Role: RoleStandby, past: past{up: true}}}}
		s := &stepping{machine: &machine{changed: changed, out: map[string]bool{}, tasks: map[action]*task{}},
			in: &input{now: changed + int64(tc.after), view: view, settings: set, known: make([]observation, 2)}}
		s.tendHooks(&view.Nodes[1], &view.Nodes[0])
		if s.out["b"] != tc.want || (len(s.actions) == 1) != tc.want {
			t.Errorf("%s: told %v by %v", tc.name, s.out["b"], s.actions)
		}
	}
}
