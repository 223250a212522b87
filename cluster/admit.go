package cluster

import (
	"fmt"
	"time"
)

const (
	// flapWindow is how near two failures of a node must be for it to flap.
	flapWindow = 5 * time.Minute
	// maxHoldDown bounds what a node that flaps must wait.
	maxHoldDown = 5 * time.Minute
)

// admit keeps a standby that was down waiting until it is fit for reads again. It
// may be up only if, in this order,
//
//   - it was up at the last decision, or never was; or no other node is up: then anything is
//     better than nothing;
//   - failover.auto_failback is on, or it was attached since it went down;
//   - it has been well for as long as its failures in the last minutes ask for;
//   - it streams, if there is a primary and that can be seen;
//   - it has replayed what the primary had written when it got well.
func (d *decision) admit(id NodeID) {
	n := &d.next.Nodes[id]
	was := d.prev.Nodes[id].State
	p := &n.past
	if d.drafts[id].state == StateSuspect && n.Role == RoleStandby && p.up && was != StateUp && was != StateSuspect && !d.alone(id) {
		d.wait(id, d.drafts[id].reason) // or it would be up next without having caught up
	}
	if d.drafts[id].state != StateUp || n.Role != RoleStandby {
		p.well = 0
		return
	}
	if p.well == 0 {
		p.well = d.now
		if primary := d.next.Node(d.next.Primary); primary != nil {
			p.target = primary.LSN
		}
	}
	if was == StateUp || was == StateSuspect || !p.up || d.alone(id) {
		return
	}
	attached := d.rules.orders.attached[n.Name]
	if !d.rules.autoFailback && attached <= p.down {
		d.wait(id, "well again; waits to be attached (failover.auto_failback is off)")
		return
	}
	if hold := d.rules.holdFor(p.flaps); attached <= p.down && d.now-p.well < int64(hold) {
		d.wait(id, fmt.Sprintf("well again; was down %d times lately and must stay well for %s", p.flaps+1, hold))
		return
	}
	primary := d.next.Node(d.next.Primary)
	if primary == nil {
		return
	}
	r := &d.known[id].server.receiver
	switch {
	case r.known && !r.streaming:
		d.wait(id, fmt.Sprintf("well again; does not stream from %s yet", primary.Name))
	case n.Timeline == primary.Timeline && n.LSN < p.target:
		d.wait(id, "well again; catches up")
	}
}

func (d *decision) wait(id NodeID, why string) { d.drafts[id] = draft{StateWaiting, why} }

// alone reports whether no other node can serve.
func (d *decision) alone(id NodeID) bool {
	for i := range d.drafts {
		if NodeID(i) != id && d.usable(NodeID(i)) {
			return false
		}
	}
	return true
}

// holdFor is how long a node that went down so many times more than once must be well.
func (r *rules) holdFor(flaps int) time.Duration {
	if flaps == 0 {
		return 0
	}
	return min(r.holdDown<<min(flaps-1, 16), maxHoldDown)
}
