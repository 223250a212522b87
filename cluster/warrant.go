package cluster

import (
	"context"
	"fmt"
	"math"
)

// Warrant is what several howdahs together allow this one to do with the primary. A howdah
// that is alone needs none.
type Warrant struct {
	// Writes allows to write to Node, and to no other. Without it no node is the primary for sessions.
	Writes bool
	Node   string
	// Finds allows to find out which node is the primary, so that it can be recorded. Sessions still use
	// no other than Node.
	Finds bool
	// Reason says why not, for operators.
	Reason string
}

// warrantRequest asks the writer to obey a warrant; done is closed when the view does.
type warrantRequest struct {
	warrant Warrant
	done    chan struct{}
}

// RequireWarrant has sessions use no primary until SetWarrant allows it. It must be called before Run.
func (c *Cluster) RequireWarrant(reason string) {
	c.warrant = &Warrant{Reason: reason}
	c.writeUntil.Store(0)
}

// SetWarrant says what is allowed from now on, and until when (Now; math.MaxInt64 for no end) writes are. The end
// holds for what is sent after it, whether or not anybody notices in time. It returns when the view obeys;
// false if ctx ended before.
func (c *Cluster) SetWarrant(ctx context.Context, w Warrant, until int64) bool {
	if !w.Writes {
		until = 0
	}
	had := c.writeUntil.Swap(until)
	if w == c.given && Now() < had { // only the end has changed, and nobody can have run into it
		return true
	}
	r := warrantRequest{warrant: w, done: make(chan struct{})}
	select {
	case c.warranted <- r:
	case <-ctx.Done():
		return false
	}
	select {
	case <-r.done:
		c.given = w
		return true
	case <-ctx.Done():
		return false
	}
}

// MayUse reports whether something may be sent to the node now that is meant for the primary (asPrimary), or
// may reach one. v is the latest view.
func (c *Cluster) MayUse(v *View, id NodeID, asPrimary bool) bool {
	until := c.writeUntil.Load()
	if until == math.MaxInt64 && !v.Orders.Stopped || !asPrimary && id != v.Primary && id != v.writable {
		return true
	}
	return !v.Orders.Stopped && id == v.Primary && Now() < until
}

// MayWrite reports whether the primary may be written to now.
func (c *Cluster) MayWrite(v *View) bool {
	return v.Primary != NoNode && c.MayUse(v, v.Primary, true)
}

// IsCut reports whether what runs on the node must be ended: this howdah used it as the primary and may not any more.
func (v *View) IsCut(id NodeID) bool { return v.Orders.Stopped && id == v.writable }

// IsQuiet reports whether nothing is sent to the node as the primary any more, nor runs there.
func (c *Cluster) IsQuiet(node string) bool {
	v := c.View()
	for i := range v.Nodes {
		if n := &v.Nodes[i]; n.Name == node {
			return (v.Orders.Stopped || v.Primary != n.ID) && !c.busyOn(n.ID)
		}
	}
	return true
}

// bar says why the node must not be the primary in a view, or nothing.
func (w *Warrant) bar(n *Node) string {
	switch {
	case w == nil || w.Finds || w.Writes && w.Node == n.Name:
		return ""
	case !w.Writes:
		return "not to be used now: " + w.Reason
	}
	return fmt.Sprintf("false primary: what was agreed on is %s", w.Node)
}

// stops reports whether the sessions of a view must not use its primary.
func (w *Warrant) stops(v *View) bool {
	if w == nil {
		return false
	}
	n := v.Node(v.Primary)
	return !w.Writes || n == nil || n.Name != w.Node
}
