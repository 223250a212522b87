package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/howdah/howdah/cluster"
)

// Refused is an order that was understood and is not carried out, or not to its end.
type Refused struct{ Err error }

func (e *Refused) Error() string { return e.Err.Error() }
func (e *Refused) Unwrap() error { return e.Err }

// ordered is the answer to an order that ended with err.
func ordered(what string, err error) (*Table, error) {
	var own *Mistake
	switch {
	case err == nil:
		return done(what), nil
	case errors.As(err, &own):
		return nil, err
	}
	return nil, &Refused{err}
}

func runAttach(ctx context.Context, a *Admin, args []string) (*Table, error) {
	id, err := a.node(args[0])
	if err != nil {
		return nil, err
	}
	if a.Actions.Attach == nil {
		return nil, &Unavailable{"attach", noFailover}
	}
	return ordered("attached", a.Actions.Attach(ctx, id))
}

func runDetach(ctx context.Context, a *Admin, args []string) (*Table, error) {
	id, err := a.node(args[0])
	if err != nil {
		return nil, err
	}
	gracefully, err := option(args[1:], "gracefully")
	if err != nil {
		return nil, err
	}
	if a.Actions.Detach == nil {
		return nil, &Unavailable{"detach", noFailover}
	}
	return ordered("detached", a.Actions.Detach(ctx, id, gracefully))
}

// option reads what may follow a node.
func option(args []string, word string) (bool, error) {
	if len(args) == 0 {
		return false, nil
	}
	if args[0] != word {
		return false, &Mistake{fmt.Sprintf("%q is not understood: only %q may follow the node", args[0], word)}
	}
	return true, nil
}

// promotable finds a node that is not the primary.
func (a *Admin) promotable(text string) (cluster.NodeID, error) {
	id, err := a.node(text)
	if err == nil && a.State.View().Primary == id {
		return id, &Mistake{"specified node is already primary node"}
	}
	return id, err
}

func runPromote(ctx context.Context, a *Admin, args []string) (*Table, error) {
	id, err := a.promotable(args[0])
	if err != nil {
		return nil, err
	}
	if _, err := option(args[1:], "gracefully"); err != nil { // no statement is cut off anyway
		return nil, err
	}
	if a.Actions.Promote == nil {
		return nil, &Unavailable{"promote", noFailover}
	}
	return ordered("promoted", a.Actions.Promote(ctx, id))
}

func runSwitchover(ctx context.Context, a *Admin, args []string) (*Table, error) {
	id := cluster.NoNode
	if len(args) > 0 && (len(args) > 1 || args[0] != "cut") {
		var err error
		if id, err = a.promotable(args[0]); err != nil {
			return nil, err
		}
		args = args[1:]
	}
	cut, err := option(args, "cut")
	if err != nil {
		return nil, err
	}
	if a.Actions.Switchover == nil {
		return nil, &Unavailable{"switchover", noFailover}
	}
	return ordered("switched over", a.Actions.Switchover(ctx, id, cut))
}

func runRecover(ctx context.Context, a *Admin, args []string) (*Table, error) {
	id, err := a.node(args[0])
	if err != nil {
		return nil, err
	}
	if a.State.View().Primary == id {
		return nil, &Mistake{"primary server cannot be recovered by online recovery"}
	}
	if a.Actions.Recover == nil {
		return nil, &Unavailable{"recover", noFailover}
	}
	return ordered("recovered", a.Actions.Recover(ctx, id))
}

func pauseAs(paused bool, what string) func(context.Context, *Admin, []string) (*Table, error) {
	return func(ctx context.Context, a *Admin, _ []string) (*Table, error) {
		if a.Actions.Pause == nil {
			return nil, &Unavailable{"pause", noFailover}
		}
		return ordered(what, a.Actions.Pause(ctx, paused))
	}
}

func runFailover(_ context.Context, a *Admin, _ []string) (*Table, error) {
	f := a.State.Failover()
	r := &f.Record
	t := &Table{Columns: []string{"item", "value"}}
	t.add("mode", a.State.Config().Failover.Mode)
	t.add("paused", r.Paused)
	t.add("phase", r.Phase.String())
	t.add("waits for", f.Waiting)
	t.add("epoch", r.Epoch)
	t.add("primary", r.Primary)
	t.add("timeline", uint64(r.Timeline))
	t.add("detached", strings.Join(r.Detached, ", "))
	t.add("made read-only", strings.Join(r.Fenced, ", "))
	t.add("given up", strings.Join(r.Tainted, ", "))
	t.add("last change", string(r.Kind))
	t.add("its reason", r.Reason)
	t.add("old primary", r.Old)
	t.add("candidate", r.Candidate)
	t.add("its end", outcome(f))
	for _, s := range f.Actions {
		t.add(strings.TrimSpace(s.Action+" "+s.Node), progress(s))
	}
	return t, nil
}

// outcome is how the last change ended, or an order that was refused.
func outcome(f *cluster.Failover) string {
	switch o := &f.Last; {
	case o.Err != "":
		return fmt.Sprintf("%s, epoch %d: %s", o.Kind, o.Epoch, o.Err)
	case o.Epoch > 0:
		return fmt.Sprintf("%s, epoch %d: %s is the primary", o.Kind, o.Epoch, o.Primary)
	}
	return ""
}

func progress(s cluster.ActionStatus) string {
	switch {
	case s.Done:
		return "done"
	case s.Err != "":
		return fmt.Sprintf("try %d failed: %s", s.Tries, s.Err)
	}
	return fmt.Sprintf("try %d runs", s.Tries)
}

func runCommands(_ context.Context, a *Admin, _ []string) (*Table, error) {
	t := &Table{Columns: []string{"at", "command", "node", "status", "took_ms", "error", "output"}}
	for _, c := range a.State.Commands() {
		t.add(c.At, c.Command, c.Node, int64(c.Status), ms(c.Took), c.Err, strings.ReplaceAll(strings.TrimSpace(c.Output), "\n", " | "))
	}
	return t, nil
}
