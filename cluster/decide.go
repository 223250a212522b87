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

// rules are what decide obeys besides what is observed. The zero value takes a node for
// down at the first silence and takes it in again only when it is attached.
type rules struct {
	silences     int           // replication_check.silences
	autoFailback bool          // failover.auto_failback
	holdDown     time.Duration // failover.hold_down
	orders       orders
	warrant      *Warrant // nil if none is needed
}

// decision is one call of decide. drafts[i] is what node i is to be; the nodes
// themselves are changed by enter alone, at the end.
type decision struct {
	prev, next *View
	known      []observation
	rules      *rules
	now        int64
	drafts     []draft
	disowned   map[NodeID]bool // claimants on a higher timeline whom the others do not follow
}

type draft struct {
	state  State
	reason string
}

// decide makes the next view of prev's nodes from what is known of each
// (known[i] is of node i) at now. It is a pure function; horizons are kept as
// they are. These are its rules, in order:
//
//  1. A node is up if its last probe was answered, or if the probe was not
//     let in and the answer before is younger than roleMemory. One that was up and is silent
//     is suspect for the first probes; one that the operator detached is down.
//  2. A node of another database system than the cluster's is in quarantine (foreign).
//  3. Of the nodes up that are not in recovery the one on the highest timeline
//     is the primary, the last primary among equals. The others are in quarantine (false
//     primary), and so is that one if another node was seen on a higher timeline, or
//     if it is not the last primary and on no higher timeline than that: then
//     no promotion can have made it one. Removing the other node from the configuration overrules this.
//     One that was promoted while the last primary is up and another standby goes on to receive from that is false too,
//     whatever its timeline: it was promoted by mistake, or the rest has not been moved over yet.
//     What a failover in progress has barred (orders) is not looked at.
//  4. A standby that has log which the primary's history does not have is in quarantine (forked).
//  5. A standby that was down is taken in again when it has been well long enough, streams,
//     and has caught up; at once if no other node is up (see admit).
func decide(prev *View, known []observation, r rules, now int64) *View {
	next := &View{Primary: NoNode, Nodes: append([]Node(nil), prev.Nodes...)}
	d := &decision{prev: prev, next: next, known: known, rules: &r, now: now, drafts: make([]draft, len(next.Nodes))}
	next.Orders = r.orders.shown()
	for i := range next.Nodes {
		d.observe(NodeID(i))
	}
	next.SystemID = chooseSystem(prev, next.Nodes)
	for i := range next.Nodes {
		if n := &next.Nodes[i]; d.usable(n.ID) && isForeign(n, next.SystemID) {
			d.drafts[i] = draft{StateQuarantine, fmt.Sprintf("foreign: system identifier %s, the cluster's is %s", n.SystemID, next.SystemID)}
		}
	}
	next.Primary = d.choosePrimary()
	next.Orders.Stopped = r.warrant.stops(next)
	if next.writable = prev.writable; !next.Orders.Stopped {
		next.writable = next.Primary
	}
	next.settled = next.Primary != NoNode || prev.settled && next.SystemID == prev.SystemID
	for i := range next.Nodes {
		d.checkFork(NodeID(i))
		d.admit(NodeID(i))
	}
	for i := range next.Nodes {
		next.enter(NodeID(i), d.drafts[i], now)
		n := &next.Nodes[i]
		n.Sender = Sender{}
		if n.Role == RoleStandby && next.Primary != NoNode {
			n.Sender = senderOf(known[next.Primary].server.detail.senders, known[i].server.detail.name, n.Host)
		}
	}
	next.Epoch = prev.Epoch
	if changed(prev, next) {
		next.Epoch++
	}
	return next
}

// enter is the one place where a node's state changes.
func (v *View) enter(id NodeID, d draft, now int64) {
	n := &v.Nodes[id]
	if !n.State.may(d.state) {
		panic(fmt.Sprintf("cluster: node %s goes from %v to %v (%s)", n.Name, n.State, d.state, d.reason)) // a hole in decide
	}
	p := &n.past
	if d.state != n.State {
		n.Since = now
		if d.state == StateDown && (n.State == StateUp || n.State == StateSuspect) {
			if p.down > 0 && now-p.down < int64(flapWindow) {
				p.flaps++
			} else {
				p.flaps = 0
			}
			p.down = now
		}
	}
	p.up = p.up && d.state != StateUnused || d.state == StateUp
	n.State, n.Reason = d.state, d.reason
	switch {
	case n.ID == v.Primary:
		n.Horizon = math.MaxInt64
	case n.Horizon == math.MaxInt64:
		n.Horizon = 0
	}
}

// usable reports whether the node is, as far as is known so far, to be used.
func (d *decision) usable(id NodeID) bool {
	s := d.drafts[id].state
	return s == StateUp || s == StateSuspect
}

// observe drafts the node from what is known of it alone.
func (d *decision) observe(id NodeID) {
	n, o := &d.next.Nodes[id], &d.known[id]
	s := &o.server
	n.Role = RoleUnknown
	n.Run, n.TellsRole = o.run, s.tellsRole
	n.SystemID, n.Timeline, n.LSN = s.systemID, s.timeline, s.lsn
	n.MaxConnections, n.ServerVersion, n.Started = s.maxConnections, s.version, s.started
	n.Streams, n.link = s.receiver.streaming, s.link
	d.drafts[id] = draft{StateDown, o.why}
	switch o.evidence {
	case evidenceNone:
		d.drafts[id] = draft{StateWaiting, "not probed yet"}
	case evidenceRemoved:
		d.drafts[id] = draft{StateUnused, reasonRemoved}
		n.Weight = 0
	case evidenceAnswered:
		n.Role = s.role
		d.drafts[id] = draft{StateUp, ""}
		if f := &o.fresh; f.evidence == evidenceRefused || f.evidence == evidenceSilent && f.misses >= d.rules.silences {
			d.drafts[id] = draft{StateSuspect, "it takes no new connections: " + f.why}
		}
	case evidenceSilent:
		if was := n.State; !o.mute(d.rules.silences) && (was == StateUp || was == StateSuspect) {
			n.Role = s.role
			d.drafts[id].state = StateSuspect
		}
	case evidenceLogin:
		if o.asked > 0 && d.now-o.asked <= int64(roleMemory) {
			n.Role = s.role
			d.drafts[id].state = StateUp
		}
	}
	if why := d.rules.orders.detached[n.Name]; why != "" && o.evidence != evidenceRemoved {
		d.drafts[id] = draft{StateDown, why}
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

// choosePrimary finds the one primary and puts the false ones into quarantine.
func (d *decision) choosePrimary() NodeID {
	v := d.next
	v.last = d.prev.last
	best := NoNode
	for i := range v.Nodes {
		n := &v.Nodes[i]
		if !d.usable(n.ID) || n.Role != RolePrimary {
			continue
		}
		why := d.rules.orders.bar(v, n)
		if why == "" {
			why = d.rules.warrant.bar(n)
		}
		if why != "" {
			d.drafts[i] = draft{StateQuarantine, why}
			continue
		}
		if why := d.disown(n); why != "" {
			d.drafts[i] = draft{StateQuarantine, why}
			continue
		}
		if best == NoNode || betterPrimary(n, &v.Nodes[best], d.prev.last) {
			best = n.ID
		}
	}
	if best == NoNode {
		return NoNode
	}
	why := ""
	if rival := d.passedBy(best); rival != nil {
		why = fmt.Sprintf("but %s was seen on timeline %d", rival.Name, rival.Timeline)
		if rival.Timeline == v.Nodes[best].Timeline {
			why = fmt.Sprintf("whose primary was %s and may be still", rival.Name)
		}
		best = NoNode
	} else {
		why = fmt.Sprintf("the primary is %s on timeline %d", v.Nodes[best].Name, v.Nodes[best].Timeline)
		v.last = best
	}
	for i := range v.Nodes {
		n := &v.Nodes[i]
		if d.usable(n.ID) && n.Role == RolePrimary && n.ID != best {
			d.drafts[i] = draft{StateQuarantine, fmt.Sprintf("false primary: on timeline %d, %s", n.Timeline, why)}
		}
	}
	return best
}

// disown says who goes on to follow the last primary, which is not lost, so that the claimant on a higher timeline is none; or nothing.
func (d *decision) disown(claimant *Node) string {
	last := d.next.Node(d.prev.last)
	for i := range d.next.Nodes { // a howdah that has just been started knows it from its record
		if n := &d.next.Nodes[i]; last == nil && n.Name == d.rules.orders.floorNode {
			last = n
		}
	}
	if last != nil && last.ID != claimant.ID && d.known[last.ID].evidence == evidenceNone {
		return fmt.Sprintf("%s, which was the primary last, has not been asked yet", last.Name)
	}
	if last == nil || last.ID == claimant.ID || claimant.Timeline <= last.Timeline || last.Timeline == 0 || !d.usable(last.ID) ||
		last.Role != RolePrimary || d.rules.orders.bar(d.next, last) != "" {
		return ""
	}
	for i := range d.next.Nodes {
		n, o := &d.next.Nodes[i], &d.known[i]
		if o.evidence == evidenceNone && n.ID != claimant.ID {
			return fmt.Sprintf("promoted to timeline %d while %s is a primary on timeline %d, and %s has not been asked yet whom it follows",
				claimant.Timeline, last.Name, last.Timeline, n.Name)
		}
		if d.drafts[i].state != StateQuarantine && o.server.role == RoleStandby && o.server.receiver.streaming && n.Timeline == last.Timeline &&
			o.asked > 0 && d.now-o.asked <= int64(roleMemory) { // also one that is detached, or is silent for a moment
			if d.disowned == nil {
				d.disowned = map[NodeID]bool{}
			}
			d.disowned[claimant.ID] = true
			return fmt.Sprintf("false primary: promoted to timeline %d while %s is the primary on timeline %d and %s follows that",
				claimant.Timeline, last.Name, last.Timeline, n.Name)
		}
	}
	return ""
}

// passedBy is a node that proves that the claimant is not the primary, or nil:
// one on a higher timeline, or the last primary on the same one, as long as
// it has not said that it is a standby now. A promotion always begins a
// timeline, so two primaries on one are copies that went different ways. One that is barred proves nothing.
func (d *decision) passedBy(claimant NodeID) *Node {
	v := d.next
	timeline := v.Nodes[claimant].Timeline
	if timeline == 0 {
		return nil // not known, proves nothing
	}
	for i := range v.Nodes {
		n := &v.Nodes[i]
		if n.ID == claimant || isForeign(n, v.SystemID) || d.disowned[n.ID] || d.rules.orders.barred[n.Name] != "" {
			continue
		}
		if n.Timeline > timeline {
			return n
		}
		if n.Timeline == timeline && n.ID == v.last && d.known[i].server.role == RolePrimary {
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

// checkFork puts a standby into quarantine that has log which is not the primary's.
func (d *decision) checkFork(id NodeID) {
	n, p := &d.next.Nodes[id], d.next.Node(d.next.Primary)
	if p == nil || !d.usable(id) || n.Role != RoleStandby || n.Timeline == 0 || n.Timeline == p.Timeline {
		return
	}
	if n.Timeline > p.Timeline {
		if p.Timeline > 0 {
			d.drafts[id] = draft{StateQuarantine, fmt.Sprintf("forked: it is on timeline %d, and %s on timeline %d", n.Timeline, p.Name, p.Timeline)}
		}
		return
	}
	if why := forkedFrom(d.known[p.ID].server.detail.history, n.Timeline, n.LSN); why != "" {
		d.drafts[id] = draft{StateQuarantine, fmt.Sprintf("forked: %s of %s; rebuild or rewind it", why, p.Name)}
	}
}

// forkedFrom says why a server that replayed up to lsn on a timeline is no ancestor of the
// one with this history, or nothing.
func forkedFrom(history []fork, timeline uint32, lsn LSN) string {
	if history == nil {
		return ""
	}
	for _, f := range history {
		if f.timeline != timeline {
			continue
		}
		if lsn > f.lsn {
			return fmt.Sprintf("it has timeline %d up to %v, which ends at %v in the history", timeline, lsn, f.lsn)
		}
		return ""
	}
	return fmt.Sprintf("its timeline %d is not in the history", timeline)
}

// changed is whether next differs in a node's state or role, or in who is the primary.
func changed(prev, next *View) bool {
	if prev.Primary != next.Primary || len(prev.Nodes) != len(next.Nodes) || prev.Orders != next.Orders {
		return true
	}
	for i := range next.Nodes {
		if prev.Nodes[i].State != next.Nodes[i].State || prev.Nodes[i].Role != next.Nodes[i].Role {
			return true
		}
	}
	return false
}
