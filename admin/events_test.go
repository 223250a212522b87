package admin

import (
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/cluster"
)

func TestEventsBetween(t *testing.T) {
	node := func(id cluster.NodeID, s cluster.State, r cluster.Role, why string) cluster.Node {
		return cluster.Node{ID: id, Name: []string{"a", "b"}[id], State: s, Role: r, Reason: why}
	}
	both := &cluster.View{Primary: 0, Epoch: 1, Nodes: []cluster.Node{node(0, cluster.StateUp, cluster.RolePrimary, ""), node(1, cluster.StateUp, cluster.RoleStandby, "")}}
	down := &cluster.View{Primary: cluster.NoNode, Epoch: 2, Nodes: []cluster.Node{node(0, cluster.StateDown, cluster.RoleUnknown, "refused"), node(1, cluster.StateUp, cluster.RoleStandby, "")}}
	promoted := &cluster.View{Primary: 1, Epoch: 3, Nodes: []cluster.Node{node(0, cluster.StateDown, cluster.RoleUnknown, "refused"), node(1, cluster.StateUp, cluster.RolePrimary, "")}}
	for _, tt := range []struct {
		name     string
		old, new *cluster.View
		want     string
	}{
		{"the first", nil, both, "a: up primary, was new ()\nb: up standby, was new ()\n: primary is a (epoch 1)"},
		{"nothing", both, both, ""},
		{"the primary dies", both, down, "a: down, was up primary (refused)\n: primary is none (epoch 2)"},
		{"a standby is promoted", down, promoted, "b: up primary, was up standby ()\n: primary is b (epoch 3)"},
	} {
		var got []string
		for _, e := range eventsBetween(tt.old, tt.new, time.Now()) {
			got = append(got, e.Node+": "+e.What+" ("+e.Why+")")
		}
		if text := strings.Join(got, "\n"); text != tt.want {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, text, tt.want)
		}
	}
}

func TestEventsAreCounted(t *testing.T) {
	view := func(primary cluster.NodeID, a, b cluster.State) *cluster.View {
		return &cluster.View{Primary: primary, Nodes: []cluster.Node{{ID: 0, Name: "a", State: a}, {ID: 1, Name: "b", State: b}}}
	}
	var admin Admin
	var last *cluster.View
	for _, v := range []*cluster.View{view(0, cluster.StateUp, cluster.StateUp), view(cluster.NoNode, cluster.StateDown, cluster.StateUp),
		view(1, cluster.StateDown, cluster.StateUp), view(cluster.NoNode, cluster.StateDown, cluster.StateDown), view(1, cluster.StateDown, cluster.StateUp)} {
		admin.events.count(last, v)
		last = v
	}
	if changes, downs := admin.Lost(); changes != 1 || downs["a"] != 1 || downs["b"] != 1 {
		t.Errorf("%d changes, %v", changes, downs)
	}
}

func TestEventsAreBounded(t *testing.T) {
	var e events
	for range 3 * maxEvents {
		e.add(Event{What: "x"})
	}
	if n := len(e.list()); n != maxEvents {
		t.Errorf("%d events are kept", n)
	}
}
