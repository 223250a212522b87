package cluster

// orders is what operators, and a failover in progress, ask of the next views. The
// maps are by node name and never changed, only replaced.
type orders struct {
	// detached are nodes not to be used, with the reason.
	detached map[string]string
	// attached says when (Now) a node was last attached.
	attached map[string]int64
	// barred are nodes that must not be the primary whatever they say, with the reason.
	barred map[string]string
	// unsettled, if not empty, says why no node may become the primary now but keep.
	unsettled, keep string
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
}

func (o *orders) shown() Orders { return Orders{Holding: o.holding, Paused: o.paused} }

// bar says why the node must not be the primary, or nothing.
func (o *orders) bar(n *Node) string {
	if why := o.barred[n.Name]; why != "" {
		return why
	}
	if o.unsettled != "" && n.Name != o.keep {
		return o.unsettled
	}
	return ""
}
