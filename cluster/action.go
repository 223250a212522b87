package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/howdah/howdah/configs"
)

// nativeTimeout bounds one action by SQL, and how long a promotion is waited for.
const nativeTimeout = 30 * time.Second

// doer does actions with the settings as they were when it was made.
type doer struct {
	wanted wanted
	view   *View
	record Record
	busy   func(NodeID) bool
	// told gets what a command left behind.
	told func(hookResult, error)
}

// start does an action in a goroutine, which ends with it, within its timeout.
func (k *conductor) start(ctx context.Context, a action) {
	d := &doer{wanted: k.wanted, view: k.cluster.View(), record: k.machine.record.clone(), busy: k.cluster.busyOn}
	d.told = func(h hookResult, err error) { k.cluster.ran(a.kind.String(), a.node, h, err) }
	k.log.Info("failover action", "action", a.kind.String(), "node", a.node, "target", a.target, "epoch", a.epoch)
	k.workers.Go(func() {
		r := result{action: a}
		bounded, cancel := context.WithTimeoutCause(ctx, d.limit(a), fmt.Errorf("not done within %s", d.limit(a)))
		if r.err = k.mayAct(); r.err == nil {
			r.lsn, r.err = d.do(bounded, a)
		}
		cancel()
		select {
		case k.done <- r:
		case <-ctx.Done():
		}
	})
}

// report logs an action that failed.
func (k *conductor) report(r result) {
	if r.err != nil {
		k.log.Error("failover action failed", "action", r.action.kind.String(), "node", r.action.node, "target", r.action.target, "error", r.err)
	}
}

// limit is how long the action may take.
func (d *doer) limit(a action) time.Duration {
	switch a.kind {
	case actionCommand, actionFollow, actionFailback, actionFence:
		return d.wanted.failover.HookTimeout
	case actionDrain:
		return d.wanted.failover.SwitchoverWait
	case actionReadOnly:
		return min(nativeTimeout, max(d.wanted.failover.SwitchoverWait, time.Second)) // writes wait meanwhile
	case actionFreeze, actionThaw, actionBounce:
		return nativeTimeout / 6 // a standby that hangs must not hold up the others' failover for long
	}
	return nativeTimeout
}

// do does the action.
func (d *doer) do(ctx context.Context, a action) (LSN, error) {
	f := &d.wanted.failover
	switch a.kind {
	case actionCommand:
		return 0, d.hook(ctx, f.Command, a)
	case actionFollow:
		return 0, d.hook(ctx, f.FollowPrimary, a)
	case actionFailback:
		return 0, d.hook(ctx, f.Failback, a)
	case actionFence:
		return 0, d.hook(ctx, f.Fence, a)
	}
	b, ok := d.backend(a.node)
	if !ok {
		return 0, fmt.Errorf("%s is not configured any more", a.node)
	}
	c, err := command(ctx, b, &d.wanted)
	if err != nil {
		return 0, err
	}
	defer c.close()
	switch a.kind {
	case actionBounce:
		return 0, c.bounce(ctx)
	case actionDrain:
		return 0, c.drain(ctx, func() bool { return d.busy(d.id(a.node)) }, a.cut)
	case actionReadOnly:
		return c.readOnly(ctx)
	case actionWritable:
		return 0, c.writable(ctx)
	case actionFreeze:
		return 0, c.freeze(ctx)
	case actionThaw:
		return 0, c.thaw(ctx)
	case actionPromote:
		return 0, c.promote(ctx)
	case actionRepoint:
		return 0, d.repoint(ctx, c, a.target)
	}
	return 0, fmt.Errorf("no such action: %v", a.kind) // a hole in this switch
}

func (d *doer) backend(name string) (configs.Backend, bool) {
	for _, b := range d.wanted.backends {
		if b.Name == name {
			return b, true
		}
	}
	return configs.Backend{}, false
}

func (d *doer) id(name string) NodeID {
	for i := range d.view.Nodes {
		if d.view.Nodes[i].Name == name {
			return NodeID(i)
		}
	}
	return NoNode
}

func (d *doer) repoint(ctx context.Context, c *commander, target string) error {
	b, ok := d.backend(target)
	if !ok {
		return fmt.Errorf("%s is not configured any more", target)
	}
	upstream, err := command(ctx, b, &d.wanted)
	if err != nil {
		return err
	}
	defer upstream.close()
	host, port := replicationAddress(b)
	return c.repoint(ctx, host, port, upstream)
}

// hook runs a command about a.node.
func (d *doer) hook(ctx context.Context, command configs.Command, a action) error {
	if len(command) == 0 {
		return errors.New("the command is configured no more")
	}
	primary := d.record.Primary // of a lost standby
	if d.record.underWay() {
		primary = d.record.Old
	}
	call := &hookCall{node: d.hookNode(a.node), main: d.hookNode(a.target), oldPrimary: d.hookNode(primary), epoch: a.epoch}
	call.oldMain = d.oldMain(a.node)
	if a.kind == actionFollow {
		call.oldMain = d.oldMain(d.record.Old)
	}
	h, err := runHook(ctx, command, call)
	d.told(h, err)
	return err
}

// oldMain is the node of the lowest id among those that are alive and the one that was lost.
func (d *doer) oldMain(lost string) hookNode {
	for i := range d.view.Nodes {
		if n := &d.view.Nodes[i]; n.State == StateUp || n.State == StateSuspect || n.Name == lost {
			return d.hookNode(n.Name)
		}
	}
	return hookNode{}
}

func (d *doer) hookNode(name string) hookNode {
	b, ok := d.backend(name)
	if !ok {
		return hookNode{}
	}
	return hookNode{known: true, id: d.id(name), name: name, host: b.Host, port: b.Port, dataDir: b.DataDir}
}

// replicationAddress is where the other servers reach the backend.
func replicationAddress(b configs.Backend) (host string, port int) {
	host, port = b.Host, b.Port
	if b.ReplicationHost != "" {
		host = b.ReplicationHost
	}
	if b.ReplicationPort != 0 {
		port = b.ReplicationPort
	}
	return host, port
}
