package cluster

import (
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/configs"
)

// lagWorld is a primary (node 0) and a standby (node 1) whose probes are made up.
type lagWorld struct {
	h *horizons
	v *View
}

func newLagWorld() *lagWorld {
	return &lagWorld{h: newHorizons(), v: &View{Primary: 0, Nodes: []Node{
		{ID: 0, State: StateUp, Role: RolePrimary}, {ID: 1, State: StateUp, Role: RoleStandby, Weight: 1}}}}
}

func (w *lagWorld) sample(timeline uint32, lsn LSN, at time.Duration) {
	w.h.sampled(w.v.Primary, &server{timeline: timeline, lsn: lsn}, int64(at))
}

func (w *lagWorld) replay(timeline uint32, lsn LSN) {
	w.h.replayed(1, &server{timeline: timeline, lsn: lsn})
	w.v.Nodes[1].Timeline, w.v.Nodes[1].LSN = timeline, lsn
}

func (w *lagWorld) at(now time.Duration, check configs.ReplicationCheck) *Node {
	w.h.show(w.v)
	w.h.showLag(w.v, &check, int64(now))
	return &w.v.Nodes[1]
}

const second = time.Second

func TestLag(t *testing.T) {
	inBytes := configs.ReplicationCheck{MaxLagBytes: 100}
	inTime := configs.ReplicationCheck{MaxLag: 2 * second}
	both := configs.ReplicationCheck{MaxLagBytes: 100, MaxLag: 2 * second}
	tests := []struct {
		name  string
		world func(*lagWorld)
		now   time.Duration
		check configs.ReplicationCheck
		why   string // a part of Lagging
		known bool
		bytes uint64
		time  time.Duration
	}{
		{"nothing is known", func(w *lagWorld) {}, second, both, "not known", false, 0, -1},
		{"nothing is known and nothing limited", func(w *lagWorld) {}, second, configs.ReplicationCheck{}, "", false, 0, -1},
		{"no sample of the primary yet", func(w *lagWorld) { w.replay(1, 500) }, second, inBytes, "not known", false, 0, -1},
		{"a standby that has replayed nothing yet", func(w *lagWorld) { w.sample(1, 500, second); w.replay(1, 0) }, second, inBytes, "not known", false, 0, -1},
		{"caught up", func(w *lagWorld) { w.sample(1, 500, second); w.replay(1, 500) }, second, both, "", true, 0, 0},
		{"caught up with an idle primary, for hours", func(w *lagWorld) { w.sample(1, 500, second); w.replay(1, 500) }, 10000 * second, both, "", true, 0, 0},
		{"ahead of the sample", func(w *lagWorld) { w.sample(1, 500, second); w.replay(1, 600) }, second, both, "", true, 0, 0},
		{"behind, within the limits", func(w *lagWorld) { w.sample(1, 500, second); w.replay(1, 500); w.sample(1, 600, 2*second) },
			2 * second, both, "", true, 100, second},
		{"over the limit of bytes", func(w *lagWorld) { w.sample(1, 500, second); w.replay(1, 500); w.sample(1, 601, 2*second) },
			2 * second, both, "101 bytes behind, over replication_check.max_lag_bytes (100)", true, 101, second},
		{"over the limit of time", func(w *lagWorld) { w.sample(1, 500, second); w.replay(1, 500); w.sample(1, 501, 2*second) },
			4 * second, both, "3s behind, over replication_check.max_lag (2s)", true, 1, 3 * second},
		{"the idle time before a write is no lag", func(w *lagWorld) {
			w.sample(1, 500, second)
			w.replay(1, 500)
			w.sample(1, 500, 1000*second) // nothing was written for so long
			w.replay(1, 500)
			w.sample(1, 501, 1001*second)
		}, 1001 * second, inTime, "", true, 1, second},
		{"paused replay ages while the primary writes", func(w *lagWorld) {
			w.sample(1, 500, second)
			w.replay(1, 500)
			for i := range 10 {
				w.sample(1, 501+LSN(i), time.Duration(2+i)*second)
				w.replay(1, 500)
			}
		}, 11 * second, inTime, "10s behind", true, 10, 10 * second},
		{"paused replay of an idle primary does not", func(w *lagWorld) {
			for i := range 10 {
				w.sample(1, 500, time.Duration(1+i)*second)
				w.replay(1, 500)
			}
		}, 11 * second, inTime, "", true, 0, 0},
		{"the time is not known below the first sample", func(w *lagWorld) { w.sample(1, 500, second); w.replay(1, 450) },
			second, inTime, "in time is not known", true, 50, -1},
		{"but the bytes are", func(w *lagWorld) { w.sample(1, 500, second); w.replay(1, 450) }, second, inBytes, "", true, 50, -1},
		{"the primary is away: measured by its last sample", func(w *lagWorld) {
			w.sample(1, 500, second)
			w.replay(1, 500)
			w.v.Primary = NoNode
		}, 100 * second, both, "", true, 0, 0},
		{"another timeline's position says nothing", func(w *lagWorld) { w.sample(2, 500, second); w.replay(1, 900) }, second, both, "not known", false, 0, -1},
		{"a promotion begins again", func(w *lagWorld) {
			w.sample(1, 500, second)
			w.replay(1, 500)
			w.sample(2, 500, 2*second)
		}, 2 * second, both, "not known", false, 0, -1},
		{"and is over when the standby follows", func(w *lagWorld) {
			w.sample(1, 500, second)
			w.sample(2, 510, 2*second)
			w.replay(2, 510)
		}, 3 * second, both, "", true, 0, 0},
		{"a standby that started again less far", func(w *lagWorld) {
			w.sample(1, 500, second)
			w.sample(1, 600, 2*second)
			w.replay(1, 600)
			w.replay(1, 550)
		}, 3 * second, both, "", true, 50, 2 * second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newLagWorld()
			test.world(w)
			n := w.at(test.now, test.check)
			if (n.Lagging == "") != (test.why == "") || !strings.Contains(n.Lagging, test.why) {
				t.Errorf("lagging is %q, want %q", n.Lagging, test.why)
			}
			if n.Behind.Known != test.known || n.Behind.Bytes != test.bytes {
				t.Errorf("lag is %+v, want known %v, %d bytes", n.Behind, test.known, test.bytes)
			}
			behind, known := n.Behind.Time(int64(test.now))
			if !known {
				behind = -1
			}
			if behind != test.time {
				t.Errorf("lag in time is %v, want %v", behind, test.time)
			}
		})
	}
}

// A cascading standby is measured by its own replay against the primary's log, not
// against the standby that it streams from.
func TestLagOfCascade(t *testing.T) {
	w := newLagWorld()
	w.v.Nodes = append(w.v.Nodes, Node{ID: 2, State: StateUp, Role: RoleStandby, Timeline: 1})
	w.sample(1, 500, second)
	w.replay(1, 500)
	w.h.replayed(2, &server{timeline: 1, lsn: 500})
	w.sample(1, 900, 2*second)
	w.replay(1, 700)
	w.h.replayed(2, &server{timeline: 1, lsn: 600})
	w.at(2*second, configs.ReplicationCheck{})
	if first, second := w.v.Nodes[1].Behind, w.v.Nodes[2].Behind; first.Bytes != 200 || second.Bytes != 300 || !first.Less(second) || second.Less(first) {
		t.Errorf("lags are %+v and %+v", first, second)
	}
}

// Only nodes that are up standbys have a lag: a false primary's says nothing.
func TestLagIsOfStandbysOnly(t *testing.T) {
	w := newLagWorld()
	w.sample(1, 500, second)
	w.replay(1, 500)
	for _, change := range []func(*Node){
		func(n *Node) { n.State = StateDown }, func(n *Node) { n.State, n.Role = StateUp, RolePrimary }} {
		change(&w.v.Nodes[1])
		if n := w.at(second, configs.ReplicationCheck{MaxLag: second}); n.Behind.Known || n.Lagging != "" {
			t.Errorf("%v %v: lag %+v, lagging %q", n.State, n.Role, n.Behind, n.Lagging)
		}
	}
}

func TestPace(t *testing.T) {
	newWriter := func() *writer {
		w := &writer{cluster: &Cluster{}, horizons: newHorizons()}
		w.written, w.lsn = int64(second), 500
		return w
	}
	view := func() *View {
		return &View{Primary: 0, Nodes: []Node{{ID: 0, State: StateUp, Role: RolePrimary, LSN: 500}, {ID: 1, State: StateUp, Role: RoleStandby, LSN: 500}}}
	}
	later := int64(second) + idleAfter + 1
	tests := []struct {
		name   string
		change func(*writer, *View)
		idle   bool
	}{
		{"nothing happens", func(*writer, *View) {}, true},
		{"the log grew", func(_ *writer, v *View) { v.Nodes[0].LSN = 501 }, false},
		{"a session used the primary", func(w *writer, _ *View) { w.cluster.used.Store(true) }, false},
		{"a node is down", func(_ *writer, v *View) { v.Nodes[1].State = StateDown }, false},
		{"a node was removed", func(_ *writer, v *View) { v.Nodes[1].State, v.Nodes[1].Reason = StateUnused, reasonRemoved }, true},
		{"there is no primary", func(_ *writer, v *View) { v.Primary = NoNode }, false},
		{"a standby has not replayed all", func(_ *writer, v *View) { v.Nodes[1].Behind = Lag{Known: true, Bytes: 1} }, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w, v := newWriter(), view()
			test.change(w, v)
			w.pace(v, later)
			if got := w.cluster.idle.Load(); got != test.idle {
				t.Errorf("idle is %v, want %v", got, test.idle)
			}
		})
	}
	t.Run("not at once", func(t *testing.T) {
		w, v := newWriter(), view()
		w.pace(v, int64(second)+idleAfter)
		if w.cluster.idle.Load() {
			t.Error("idle before idleAfter")
		}
	})
}
