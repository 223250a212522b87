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
		down   time.Duration // from the end of the change
		now    time.Duration
		want   bool
	}{
		{"restarted amid the change", true, -time.Second, bounceWait - time.Millisecond, false},
		{"and it does not come back", true, -time.Second, bounceWait, true},
		{"it goes down afterwards", true, time.Millisecond, time.Millisecond, true},
		{"nobody restarts it", false, -time.Second, 0, true},
	} {
		set := &settings{tries: 1, hooks: hookSet{command: true, follow: tc.follow}}
		view := &View{Nodes: []Node{{ID: 0, Name: "a", State: StateUp, Role: RolePrimary}, {ID: 1, Name: "b", State: StateDown, Role: RoleStandby, Since: changed + int64(tc.down), past: past{up: true}}}}
		s := &stepping{machine: &machine{changed: changed, out: map[string]bool{}, tasks: map[action]*task{}},
			in: &input{now: changed + int64(tc.now), view: view, settings: set, known: make([]observation, 2)}}
		s.tendHooks(&view.Nodes[1], &view.Nodes[0])
		if s.out["b"] != tc.want || (len(s.actions) == 1) != tc.want {
			t.Errorf("%s: told %v by %v", tc.name, s.out["b"], s.actions)
		}
	}
}
