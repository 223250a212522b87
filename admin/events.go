package admin

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/howdah/howdah/cluster"
)

// maxEvents is how many events are kept; older ones are in the log.
const maxEvents = 200

// eventsEvery is how often Watch looks for changes. What changes and changes back in between is no
// event here, but is in the log.
const eventsEvery = 200 * time.Millisecond

// Event is something that happened to the cluster.
type Event struct {
	At   time.Time
	Node string // empty if it is about the cluster
	What string
	Why  string
}

// events are the latest, oldest first.
type events struct {
	mu  sync.Mutex
	all []Event
	// changes counts primaries after the first; downs how often each node was lost.
	changes uint64
	downs   map[string]uint64
	primary string
}

func (e *events) add(new ...Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, new...)
	if n := len(e.all) - maxEvents; n > 0 {
		e.all = append([]Event(nil), e.all[n:]...)
	}
}

// count keeps the numbers of what happened between two views; old may be nil.
func (e *events) count(old, v *cluster.View) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := v.Node(v.Primary); n != nil && n.Name != e.primary {
		if e.primary != "" {
			e.changes++
		}
		e.primary = n.Name
	}
	if old == nil {
		return
	}
	for i := range v.Nodes {
		n := &v.Nodes[i]
		if o := old.Node(n.ID); o != nil && o.State != n.State && n.State == cluster.StateDown {
			if e.downs == nil {
				e.downs = map[string]uint64{}
			}
			e.downs[n.Name]++
		}
	}
}

// Lost is how often another server has become the primary, and how often each node was lost,
// since Watch began.
func (a *Admin) Lost() (changes uint64, downs map[string]uint64) {
	a.events.mu.Lock()
	defer a.events.mu.Unlock()
	return a.events.changes, maps.Clone(a.events.downs)
}

func (e *events) list() []Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]Event(nil), e.all...)
}

// Watch keeps events until ctx ends.
func (a *Admin) Watch(ctx context.Context) {
	ticker := time.NewTicker(eventsEvery)
	defer ticker.Stop()
	var last *cluster.View
	var failover *cluster.Failover
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			v := a.State.View()
			a.events.add(eventsBetween(last, v, now)...)
			a.events.count(last, v)
			last = v
			f := a.State.Failover()
			a.events.add(failoverEvents(failover, f, now)...)
			failover = f
		}
	}
}

// eventsBetween are what a reader of two views must hear of; old may be nil.
func eventsBetween(old, v *cluster.View, now time.Time) []Event {
	if old == nil {
		old = &cluster.View{Primary: cluster.NoNode}
	}
	if old == v {
		return nil
	}
	var all []Event
	for i := range v.Nodes {
		n := &v.Nodes[i]
		before := "new"
		if o := old.Node(n.ID); o != nil {
			if o.State == n.State && o.Role == n.Role {
				continue
			}
			before = stateAndRole(o)
		}
		all = append(all, Event{now, n.Name, fmt.Sprintf("%s, was %s", stateAndRole(n), before), n.Reason})
	}
	if old.Primary != v.Primary {
		name := "none"
		if n := v.Node(v.Primary); n != nil {
			name = n.Name
		}
		all = append(all, Event{At: now, Node: "", What: "primary is " + name, Why: fmt.Sprintf("epoch %d", v.Epoch)})
	}
	return all
}

// failoverEvents are what a reader of two states of the failover must hear of; old may be nil.
func failoverEvents(old, f *cluster.Failover, now time.Time) []Event {
	if old == nil || old == f {
		return nil
	}
	var all []Event
	switch {
	case old.Record.Phase != f.Record.Phase || old.Record.Epoch != f.Record.Epoch && f.Record.Phase != cluster.PhaseWatch:
		all = append(all, Event{At: now, What: fmt.Sprintf("%s: %s, epoch %d", f.Record.Kind, f.Record.Phase, f.Record.Epoch), Why: f.Waiting})
	case old.Waiting != f.Waiting && f.Waiting != "":
		all = append(all, Event{At: now, What: "failover waits", Why: f.Waiting})
	}
	if old.Last != f.Last {
		all = append(all, Event{At: now, What: "the primary was changed or should have been", Why: outcome(f)})
	}
	if old.Record.Paused != f.Record.Paused {
		all = append(all, Event{At: now, What: fmt.Sprintf("automatic failover is paused: %t", f.Record.Paused)})
	}
	return all
}

func stateAndRole(n *cluster.Node) string {
	if n.Role == cluster.RoleUnknown {
		return n.State.String()
	}
	return n.State.String() + " " + n.Role.String()
}

func runEvents(_ context.Context, a *Admin, _ []string) (*Table, error) {
	t := &Table{Columns: []string{"at", "node", "what", "why"}}
	for _, e := range a.events.list() {
		t.add(e.At, e.Node, e.What, e.Why)
	}
	return t, nil
}
