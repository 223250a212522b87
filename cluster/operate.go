package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// This file is what operators can order. Every method may be called from any goroutine, blocks until the order is
// recorded (and Switchover, Promote and Recover until it is carried out) or ctx ends, and says in its error why not.
// Nodes go by their names. An order whose ctx ends is carried out all the same; Failover shows what became of it.

// operatorOrder is an order on its way to the conductor.
type operatorOrder struct {
	change func(*machine)
	order  *order
	answer chan error // capacity 1
}

// ErrUnknownNode is an order about a node that is not configured.
var ErrUnknownNode = errors.New("no such node")

// ErrIsPrimary is an order that cannot be given for the primary.
var ErrIsPrimary = errors.New("the node is the primary: switch over first")

// ErrNotRunning is an order to a Cluster that does not run.
var ErrNotRunning = errors.New("the cluster is not being watched")

// Failover is what is known now of changes of the primary; never nil.
func (c *Cluster) Failover() *Failover { return c.failover.Load() }

// Detach takes a standby out of use until it is attached again, whatever its state. Statements that run
// on it come to their end. It survives a restart of howdah. Pgpool-II: pcp_detach_node.
func (c *Cluster) Detach(ctx context.Context, node string) error {
	if err := c.mustKnow(node); err != nil {
		return err
	}
	if v := c.View(); name(v, v.Primary) == node {
		return ErrIsPrimary
	}
	return c.order(ctx, operatorOrder{change: func(m *machine) {
		if !slices.Contains(m.record.Detached, node) {
			m.record.Detached = append(m.record.Detached, node)
		}
	}})
}

// Drain waits, for failover.switchover_wait at most, until no client's transaction is open on a node that was detached,
// whether it came by howdah or not. Pgpool-II: pcp_detach_node --gracefully.
func (c *Cluster) Drain(ctx context.Context, node string) error {
	w, v := c.settings(), c.View()
	d := &doer{wanted: w, view: v}
	n := v.Node(d.id(node))
	if n == nil || n.Role == RoleUnknown {
		return nil // nothing runs there
	}
	wait := w.failover.SwitchoverWait
	ctx, cancel := context.WithTimeoutCause(ctx, wait, fmt.Errorf("not at rest within %s (failover.switchover_wait)", wait))
	defer cancel()
	b, ok := d.backend(node)
	if !ok {
		return nil
	}
	conn, err := command(ctx, b, &w)
	if err != nil {
		return err
	}
	defer conn.close()
	return conn.drain(ctx, func() bool { return c.busyOn(n.ID) }, false)
}

// Attach takes a node in again that was detached, or is left out because failover.auto_failback is off or it
// failed too often. It is read once it streams and has caught up. A false primary stays in quarantine, but one that was
// promoted by hand is accepted when nobody follows the other one any more.
// Pgpool-II: pcp_attach_node.
func (c *Cluster) Attach(ctx context.Context, node string) error {
	if err := c.mustKnow(node); err != nil {
		return err
	}
	return c.order(ctx, operatorOrder{change: func(m *machine) {
		m.record.Detached = slices.DeleteFunc(m.record.Detached, func(n string) bool { return n == node })
		m.record.Tainted = slices.DeleteFunc(m.record.Tainted, func(n string) bool { return n == node })
		attached := map[string]int64{node: Now()}
		for n, at := range m.attached {
			if n != node {
				attached[n] = at
			}
		}
		m.attached = attached
	}})
}

// Pause stops howdah from promoting by itself; Resume lets it again. Both survive a restart. A change that is under way
// goes on. The servers are watched and followed as ever.
func (c *Cluster) Pause(ctx context.Context) error { return c.setPaused(ctx, true) }

// Resume undoes Pause.
func (c *Cluster) Resume(ctx context.Context) error { return c.setPaused(ctx, false) }

func (c *Cluster) setPaused(ctx context.Context, paused bool) error {
	return c.order(ctx, operatorOrder{change: func(m *machine) { m.record.Paused = paused }})
}

// SwitchoverOptions say how a switchover is made.
type SwitchoverOptions struct {
	// Target is the standby that becomes the primary; empty for the best one.
	Target string
	// Cut ends transactions that are open when half of failover.switchover_wait is over; without it the switchover is
	// given up when they do not end by themselves.
	Cut bool
}

// Switchover makes a standby the primary while the primary is well: new transactions wait, open ones end, the old
// primary becomes read-only, the target gets everything it has, and is promoted. No statement fails. It returns how that ended when the
// others follow. What becomes of the old primary is up to failover.follow_primary; without that it stays in quarantine.
// Pgpool-II: pcp_promote_node --switchover.
func (c *Cluster) Switchover(ctx context.Context, options SwitchoverOptions) (Outcome, error) {
	reason := "ordered by the operator"
	return c.change(ctx, order{kind: KindSwitchover, target: options.Target, reason: reason, cut: options.Cut})
}

// Promote makes a standby the primary when there is none, however long ago the primary was lost, and also with failover.mode
// none and while automatic failover is paused. What the primary had acknowledged and the standby has not is lost. It is
// refused as long as the primary may be alive. Pgpool-II: pcp_promote_node.
func (c *Cluster) Promote(ctx context.Context, node string) (Outcome, error) {
	return c.change(ctx, order{kind: KindPromotion, target: node, reason: "ordered by the operator"})
}

// change gives an order for a new primary and waits for its outcome.
func (c *Cluster) change(ctx context.Context, o order) (Outcome, error) {
	if o.target != "" {
		if err := c.mustKnow(o.target); err != nil {
			return Outcome{}, err
		}
	}
	o.number = c.orders.Add(1)
	if err := c.order(ctx, operatorOrder{order: &o}); err != nil {
		return Outcome{}, err
	}
	ticker := time.NewTicker(hurryEvery)
	defer ticker.Stop()
	for {
		if last := c.Failover().Last; last.Number == o.number {
			if last.Err != "" {
				return last, fmt.Errorf("%s: %s", o.kind, last.Err)
			}
			return last, nil
		}
		select {
		case <-ctx.Done():
			return Outcome{}, context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// mustKnow is an error unless the node is configured.
func (c *Cluster) mustKnow(node string) error {
	if !c.View().has(node) {
		return fmt.Errorf("%w: %s", ErrUnknownNode, strings.ToValidUTF8(node, "?"))
	}
	return nil
}

// order hands an order to the conductor and waits until it is recorded.
func (c *Cluster) order(ctx context.Context, o operatorOrder) error {
	o.answer = make(chan error, 1)
	select {
	case c.operator <- o:
	case <-c.stopped:
		return ErrNotRunning
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-o.answer:
		return err
	case <-c.stopped:
		return ErrNotRunning
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
