package balancer

import (
	"time"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
)

// decideRead chooses the node of a read that may run anywhere.
func decideRead(in *Input) Decision {
	v := in.View
	id, reason := keptNode(in), ReasonKept
	if !usable(v, v.Node(id)) {
		// The choice does not look at horizons: a session that has just written would
		// otherwise always choose the primary, and keep it.
		id, reason = choose(in, func(n *cluster.Node) bool { return usable(v, n) && n.Lagging == "" }), ReasonDrawn
	}
	n := v.Node(id)
	switch {
	case n == nil:
		return noReadNode(in)
	case n.Lagging != "":
		return decideLagging(in, n)
	case reached(in, n):
		return toRead(in, id, reason)
	}
	return decideBehind(in, n)
}

// plainlyKept is the kept node of a read for which no rule can speak, outside of blocks, if that can serve it; else
// nil, and the rules decide, to the same end. Most reads are such, and asking every rule costs them more than the rest of the decision.
func plainlyKept(in *Input) *cluster.Node {
	s, v := &in.Session, in.Verdict
	if !isRead(v) || v.Commented || in.Learned || s.Tx != TxNone || s.Pinned != PinNone ||
		s.Settings.Balance != BalanceSession || s.Settings.AfterWrite == AfterWriteAlways ||
		s.RouteLocal.Route != parser.RouteNone || s.Route.Route != parser.RouteNone || s.Redirect.Route != parser.RouteNone {
		return nil
	}
	if n := in.View.Node(s.ReadNode); Serves(in, n) {
		return n
	}
	return nil
}

// keptNode is the read node that the session has and keeps, or NoNode.
func keptNode(in *Input) cluster.NodeID {
	s := &in.Session
	switch s.Settings.Balance {
	case BalanceSession:
		return s.ReadNode
	case BalanceTransaction:
		if s.Tx != TxNone { // forgotten when the block began
			return s.ReadNode
		}
	}
	return cluster.NoNode
}

// noReadNode decides for the primary as no node can be chosen.
func noReadNode(in *Input) Decision {
	for i := range in.View.Nodes {
		if n := &in.View.Nodes[i]; usable(in.View, n) {
			return toPrimary(in, ReasonLag, n.Lagging, false)
		}
	}
	return toPrimary(in, ReasonNoReadNode, "", false)
}

// decideLagging decides for a session whose read node is over a limit of lag.
func decideLagging(in *Input, n *cluster.Node) Decision {
	if in.Session.Settings.PreferLowerLag || in.View.Primary == cluster.NoNode {
		if best := leastLagging(in); best != nil {
			return toRead(in, best.ID, ReasonLag)
		}
	}
	d := toPrimary(in, ReasonLag, n.Lagging, false)
	d.ReadNode = n.ID
	return d
}

// leastLagging is the standby that lags least, within the limits and with all that
// the read needs, or nil.
func leastLagging(in *Input) *cluster.Node {
	var best *cluster.Node
	for i := range in.View.Nodes {
		n := &in.View.Nodes[i]
		if n.Role == cluster.RoleStandby && Serves(in, n) && (best == nil || n.Behind.Less(best.Behind)) {
			best = n
		}
	}
	return best
}

// moveAfter is how much a session's read node must be behind what a read needs
// before the session moves to another node that is not: a change of connections
// costs more than a few reads on the primary.
const moveAfter = int64(500 * time.Millisecond)

// decideBehind decides for a read whose node does not show yet all that it must.
func decideBehind(in *Input, n *cluster.Node) Decision {
	s, v := &in.Session, in.View
	other := cluster.NoNode
	switch needs := needed(in, n); {
	case needs == WriteInFlight && v.Primary != cluster.NoNode:
	case v.Primary == cluster.NoNode || s.Settings.Balance == BalanceSession && (s.WaitedInVain || needs-n.Horizon > moveAfter):
		// Without a primary no horizon grows: a standby that has enough is better than waiting.
		other = choose(in, func(n *cluster.Node) bool { return n.Role == cluster.RoleStandby && Serves(in, n) })
	case s.Settings.Balance != BalanceSession:
		if last := v.Node(s.LastReadNode); last != nil && last.Role == cluster.RoleStandby && Serves(in, last) {
			return toRead(in, last.ID, ReasonKept)
		}
		other = choose(in, func(n *cluster.Node) bool { return n.Role == cluster.RoleStandby && Serves(in, n) })
	}
	if other != cluster.NoNode {
		return toRead(in, other, ReasonMoved)
	}
	d := toPrimary(in, ReasonHorizon, n.Name, false)
	d.ReadNode = n.ID
	return d
}

func toRead(in *Input, id cluster.NodeID, reason Reason) Decision {
	d := Decision{Node: id, Target: ToRead, Reason: reason, ReadNode: id}
	if id == in.View.Primary {
		d.Target = ToPrimary
	}
	return d
}

// Serves is whether n may serve the read now: it is usable for reads, within the
// limits of lag, and shows all that the read needs.
func Serves(in *Input, n *cluster.Node) bool {
	return usable(in.View, n) && n.Lagging == "" && reached(in, n)
}

// usable is whether reads may go to n. A node that claims to be a primary but is not the primary never is.
func usable(v *cluster.View, n *cluster.Node) bool {
	if n == nil || n.State != cluster.StateUp || !(n.Weight > 0) {
		return false
	}
	return n.Role == cluster.RoleStandby || n.ID == v.Primary
}

// reached is whether n shows all that the read needs.
func reached(in *Input, n *cluster.Node) bool {
	if in.Session.Settings.Consistency == ConsistencyNone || n.Role == cluster.RolePrimary {
		return true
	}
	return n.Horizon >= needed(in, n)
}

// needed is the horizon that a read on n needs.
func needed(in *Input, n *cluster.Node) int64 {
	s := &in.Session
	needs := s.FloorPrimary
	if n.ID != s.LastReadNode {
		needs = max(needs, s.LastReadTime)
	}
	if s.Settings.Consistency == ConsistencyCluster {
		needs = max(needs, in.Written)
	}
	return needs
}
