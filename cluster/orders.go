package cluster

import "fmt"

// orders is what operators, and a failover in progress, ask of the next views. The
// maps are by node name and never changed, only replaced.
type orders struct {
	// detached are nodes not to be used, with the reason.
	detached map[string]string
	// attached says when (Now) a node was last attached.
	attached map[string]int64
	// barred are nodes that must not be the primary whatever they say, with the reason.
	barred map[string]string
	// unsettled, if not empty, says why no node may be the primary now.
	unsettled string
	// floor is the timeline, of the system floorSystem, on which floorNode was the primary last: a server on an
	// older one is not the primary any more, even if nobody else is there, and another one on the same is a false one.
	floor                  uint32
	floorSystem, floorNode string
	// holding: a switchover waits for open transactions to end, and none may begin.
	holding bool
	// paused: no failover by itself.
	paused bool
}

// Orders is what of the operator's orders shows in a View.
type Orders struct {
	// Holding: a switchover is about to begin. What needs the primary and is not in a transaction
	// already waits, as while there is no primary.
	Holding bool
	// Paused: howdah promotes nobody by itself.
	Paused bool
	// Stopped: the primary must not be used, as the other howdahs do not know that this one uses it (Warrant). What
	// needs it waits, also in a transaction.
	Stopped bool
}

func (o *orders) shown() Orders { return Orders{Holding: o.holding, Paused: o.paused} }

// bar says why the node of v must not be the primary, or nothing.
func (o *orders) bar(v *View, n *Node) string {
	if why := o.barred[n.Name]; why != "" {
		return why
	}
	if o.floorSystem != "" && isForeign(n, o.floorSystem) && v.mayHave(o.floorSystem) {
		return fmt.Sprintf("foreign: system identifier %s, the cluster's was %s, and not all nodes have been seen without it", n.SystemID, o.floorSystem)
	}
	if n.Timeline != 0 && n.SystemID == o.floorSystem && n.SystemID != "" {
		switch {
		case v.follows(o.floorNode, min(n.Timeline, o.floor)):
			// The recorded primary is a standby by its own account: the record is wrong, as after a restore of all servers.
		case n.Timeline < o.floor:
			return fmt.Sprintf("false primary: on timeline %d, but %s was the primary on timeline %d", n.Timeline, o.floorNode, o.floor)
		case n.Timeline == o.floor && n.Name != o.floorNode && v.has(o.floorNode):
			return fmt.Sprintf("false primary: on timeline %d, whose primary is %s", n.Timeline, o.floorNode)
		}
	}
	return o.unsettled
}

// follows reports whether the node receives, as a standby, the log of a timeline up to that one.
func (v *View) follows(name string, timeline uint32) bool {
	for i := range v.Nodes {
		if n := &v.Nodes[i]; n.Name == name {
			return n.Role == RoleStandby && n.Streams && n.Timeline != 0 && n.Timeline <= timeline
		}
	}
	return false
}

// mayHave reports whether a node of that database system is configured, as far as is known.
func (v *View) mayHave(system string) bool {
	for i := range v.Nodes {
		if n := &v.Nodes[i]; n.State != StateUnused && (n.SystemID == "" || n.SystemID == system) {
			return true
		}
	}
	return false
}

// has reports whether a node of that name is configured.
func (v *View) has(name string) bool {
	for i := range v.Nodes {
		if v.Nodes[i].Name == name && v.Nodes[i].State != StateUnused {
			return true
		}
	}
	return false
}
