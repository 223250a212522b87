package cluster

import (
	"sync"
	"time"
)

// Checks are what a node's probes have found since howdah started. Pgpool-II: SHOW pool_health_check_stats.
type Checks struct {
	Total, Success, Fail uint64
	// Max, Min and Sum are of the time that probes took.
	Max, Min, Sum time.Duration
	// Last, LastSuccess and LastFail are when; zero is never.
	Last, LastSuccess, LastFail time.Time
	// Changed is when the node's state or role changed last, or howdah began to watch it.
	Changed time.Time
}

// checks are all nodes' by their ids. Only the writer changes them, a few times a second.
type checks struct {
	mu    sync.Mutex
	nodes []Checks
}

// Checks returns a node's; the zero Checks if there is no such node.
func (c *Cluster) Checks(id NodeID) Checks {
	c.checks.mu.Lock()
	defer c.checks.mu.Unlock()
	if id < 0 || int(id) >= len(c.checks.nodes) {
		return Checks{}
	}
	return c.checks.nodes[id]
}

func (cs *checks) of(id NodeID) *Checks {
	for len(cs.nodes) <= int(id) {
		cs.nodes = append(cs.nodes, Checks{Changed: time.Now()})
	}
	return &cs.nodes[id]
}

// probed takes note of a probe.
func (cs *checks) probed(id NodeID, ok bool, took time.Duration) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	n := cs.of(id)
	n.Total++
	n.Last = time.Now()
	if ok {
		n.Success++
		n.LastSuccess = n.Last
	} else {
		n.Fail++
		n.LastFail = n.Last
	}
	if n.Total == 1 || took < n.Min {
		n.Min = took
	}
	n.Max = max(n.Max, took)
	n.Sum += took
}

// changed takes note of the nodes whose state or role is another in a new view.
func (cs *checks) changed(from, to *View) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for i := range to.Nodes {
		n, old := &to.Nodes[i], from.Node(to.Nodes[i].ID)
		c := cs.of(n.ID)
		if old != nil && (old.State != n.State || old.Role != n.Role) {
			c.Changed = time.Now()
		}
	}
}
