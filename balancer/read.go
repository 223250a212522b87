package balancer

import "github.com/howdah/howdah/cluster"

// decideRead chooses the node of a read that may run anywhere.
func decideRead(in *Input) Decision {
	s, v := &in.Session, in.View
	id, reason := cluster.NoNode, ReasonKept
	if s.Settings.Balance == BalanceSession {
		id = s.ReadNode
	}
	if !usable(v, v.Node(id)) {
		// The draw does not look at horizons: a session that has just written would
		// otherwise always draw the primary, and keep it.
		id, reason = draw(in, false), ReasonDrawn
	}
	if id == cluster.NoNode {
		return toPrimary(in, ReasonNoReadNode, "", false)
	}
	if reached(s, v.Node(id)) {
		return toRead(in, id, reason)
	}
	if v.Primary != cluster.NoNode {
		d := toPrimary(in, ReasonHorizon, v.Node(id).Name, false)
		d.ReadNode = id
		return d
	}
	// Without a primary no horizon grows: a standby that has enough is better than waiting.
	if other := draw(in, true); other != cluster.NoNode {
		return toRead(in, other, ReasonDrawn)
	}
	d := toPrimary(in, ReasonHorizon, "", false)
	d.ReadNode = id
	return d
}

func toRead(in *Input, id cluster.NodeID, reason Reason) Decision {
	d := Decision{Node: id, Target: ToRead, Reason: reason, ReadNode: id}
	if id == in.View.Primary {
		d.Target = ToPrimary
	}
	return d
}

// usable is whether reads may go to n. A node that claims to be a primary but is not the primary never is.
func usable(v *cluster.View, n *cluster.Node) bool {
	if n == nil || n.State != cluster.StateUp || !(n.Weight > 0) {
		return false
	}
	return n.Role == cluster.RoleStandby || n.ID == v.Primary
}

// reached is whether n shows all that the session wrote or saw.
func reached(s *Session, n *cluster.Node) bool {
	if s.Settings.Consistency == ConsistencyNone || n.Role == cluster.RolePrimary {
		return true
	}
	if n.Horizon < s.FloorPrimary {
		return false
	}
	return n.ID == s.LastReadNode || n.Horizon >= s.LastReadTime
}

// draw picks a usable node by weight, or NoNode; with onlyReached one that shows all the session needs.
func draw(in *Input, onlyReached bool) cluster.NodeID {
	eligible := func(n *cluster.Node) bool {
		return usable(in.View, n) && (!onlyReached || reached(&in.Session, n))
	}
	total := 0.0
	for i := range in.View.Nodes {
		if n := &in.View.Nodes[i]; eligible(n) {
			total += n.Weight
		}
	}
	// 53 bits: all that a float64 holds, so that at < total.
	at := float64(in.Random>>11) / (1 << 53) * total
	last := cluster.NoNode
	for i := range in.View.Nodes {
		n := &in.View.Nodes[i]
		if !eligible(n) {
			continue
		}
		last = n.ID
		if at -= n.Weight; at < 0 {
			break
		}
	}
	return last
}
