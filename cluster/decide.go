package cluster

import (
	"fmt"
	"math"
	"time"
)

// roleMemory is how long a node's role is believed after its server stopped
// letting the probe in, though it is alive.
const roleMemory = 30 * time.Second

const reasonRemoved = "removed"

// decide makes the next view of prev's nodes from what is known of each
// (known[i] is of node i) at now. It is a pure function; horizons are kept as
// they are. These are its rules, in order:
//
//  1. A node is up if its last probe was answered, or if the probe was not
//     let in and the answer before is younger than roleMemory.
//  2. A node of another database system than the cluster's is down (foreign).
//  3. Of the nodes up that are not in recovery the one on the highest timeline
//     is the primary, the last primary among equals. The others are down (false
//     primary), and so is that one if another node was seen on a higher timeline, or
//     if it is not the last primary and on no higher timeline than that: then
//     no promotion can have made it one. Removing the other node from the configuration overrules this.
func decide(prev *View, known []observation, now int64) *View {
	next := &View{Primary: NoNode, Nodes: append([]Node(nil), prev.Nodes...)}
	for i := range next.Nodes {
		observe(&next.Nodes[i], &known[i], now)
	}
	next.SystemID = chooseSystem(prev, next.Nodes)
	for i := range next.Nodes {
		n := &next.Nodes[i]
		if n.State == StateUp && isForeign(n, next.SystemID) {
			n.State = StateDown
			n.Reason = fmt.Sprintf("foreign: system identifier %s, the cluster's is %s", n.SystemID, next.SystemID)
		}
	}
	next.Primary = choosePrimary(prev, next, known)
	next.settled = next.Primary != NoNode || prev.settled && next.SystemID == prev.SystemID
	for i := range next.Nodes {
		if n := &next.Nodes[i]; n.ID == next.Primary {
			n.Horizon = math.MaxInt64
		} else if n.Horizon == math.MaxInt64 {
			n.Horizon = 0
		}
	}
	next.Epoch = prev.Epoch
	if changed(prev, next) {
		next.Epoch++
	}
	return next
}

// observe fills the node from what is known of it alone.
func observe(n *Node, o *observation, now int64) {
	n.Role, n.Reason = RoleUnknown, o.why
	s := &o.server
	n.SystemID, n.Timeline, n.LSN = s.systemID, s.timeline, s.lsn
	n.MaxConnections, n.ServerVersion = s.maxConnections, s.version
	switch o.evidence {
	case evidenceNone:
		n.State, n.Reason = StateWaiting, "not probed yet"
	case evidenceAnswered:
		n.State, n.Role = StateUp, s.role
	case evidenceLogin:
		n.State = StateDown
		if o.asked > 0 && now-o.asked <= int64(roleMemory) {
			n.State, n.Role = StateUp, s.role
		}
	case evidenceRemoved:
		n.State, n.Reason, n.Weight = StateDown, reasonRemoved, 0
	default:
		n.State = StateDown
	}
}

// chooseSystem says which database system is the cluster's. Once there was a
// primary its system stays as long as any node is known to be of it; until
// then it is the one with most nodes, of the lowest id among equals.
func chooseSystem(prev *View, nodes []Node) string {
	best, most := "", 0
	for i := range nodes {
		id := nodes[i].SystemID
		if id == "" {
			continue
		}
		if id == prev.SystemID && prev.settled {
			return id
		}
		count := 0
		for j := range nodes {
			if nodes[j].SystemID == id {
				count++
			}
		}
		if count > most {
			best, most = id, count
		}
	}
	return best
}

func isForeign(n *Node, system string) bool {
	return n.SystemID != "" && system != "" && n.SystemID != system
}

// choosePrimary finds the one primary and turns the false ones down.
func choosePrimary(prev, next *View, known []observation) NodeID {
	next.last = prev.last
	best := NoNode
	for i := range next.Nodes {
		n := &next.Nodes[i]
		if n.State == StateUp && n.Role == RolePrimary && (best == NoNode || betterPrimary(n, &next.Nodes[best], prev.last)) {
			best = n.ID
		}
	}
	if best == NoNode {
		return NoNode
	}
	why := ""
	if rival := passedBy(next, best, known); rival != nil {
		why = fmt.Sprintf("but %s was seen on timeline %d", rival.Name, rival.Timeline)
		if rival.Timeline == next.Nodes[best].Timeline {
			why = fmt.Sprintf("whose primary was %s and may be still", rival.Name)
		}
		best = NoNode
	} else {
		why = fmt.Sprintf("the primary is %s on timeline %d", next.Nodes[best].Name, next.Nodes[best].Timeline)
		next.last = best
	}
	for i := range next.Nodes {
		n := &next.Nodes[i]
		if n.State == StateUp && n.Role == RolePrimary && n.ID != best {
			n.State = StateDown
			n.Reason = fmt.Sprintf("false primary: on timeline %d, %s", n.Timeline, why)
		}
	}
	return best
}

// passedBy is a node that proves that the claimant is not the primary, or nil:
// one on a higher timeline, or the last primary on the same one, as long as
// it has not said that it is a standby now. A promotion always begins a
// timeline, so two primaries on one are copies that went different ways.
func passedBy(v *View, claimant NodeID, known []observation) *Node {
	timeline := v.Nodes[claimant].Timeline
	if timeline == 0 {
		return nil // not known, proves nothing
	}
	for i := range v.Nodes {
		n := &v.Nodes[i]
		if n.ID == claimant || isForeign(n, v.SystemID) {
			continue
		}
		if n.Timeline > timeline {
			return n
		}
		if n.Timeline == timeline && n.ID == v.last && known[i].server.role == RolePrimary {
			return n
		}
	}
	return nil
}

// betterPrimary is whether a, of a higher id, is the primary rather than b.
func betterPrimary(a, b *Node, last NodeID) bool {
	if a.Timeline != b.Timeline {
		return a.Timeline > b.Timeline
	}
	return a.ID == last
}

// changed is whether next differs in a node's state or role, or in who is the primary.
func changed(prev, next *View) bool {
	if prev.Primary != next.Primary || len(prev.Nodes) != len(next.Nodes) {
		return true
	}
	for i := range next.Nodes {
		if prev.Nodes[i].State != next.Nodes[i].State || prev.Nodes[i].Role != next.Nodes[i].Role {
			return true
		}
	}
	return false
}
