package watchdog

import (
	"context"
	"errors"
	"os/exec"
	"syscall"
	"time"

	"github.com/hashicorp/raft"

	"github.com/howdah/howdah/watchdog/core"
)

// watchLeadership turns raft's word about leadership into events. It may come late, which is
// why nothing but the lease says who may act.
func (w *Watchdog) watchLeadership(leads <-chan bool) {
	for {
		select {
		case leading := <-leads:
			if !leading {
				w.lease.silent.Store(false)
				w.lease.yielded.Store(false)
				w.feed(core.Lost{})
				continue
			}
			w.lease.yielded.Store(false)
			term := w.raft().CurrentTerm()
			w.feed(core.Won{Term: term})
			w.goDo(func() { w.catchUp(term) })
		case <-w.loop.ended:
			return
		}
	}
}

// catchUp has everything applied that was committed before this term.
func (w *Watchdog) catchUp(term uint64) {
	for w.raft().State() == raft.Leader && w.raft().CurrentTerm() == term {
		if err := w.raft().Barrier(proposeTimeout).Error(); err != nil {
			continue
		}
		if err := w.fsm.isBehind(); err != nil {
			w.feed(core.Yield{Reason: err.Error()})
			return
		}
		w.feed(core.CaughtUp{Term: term})
		w.forgetOthers()
		return
	}
}

// A leader must commit something every beatEvery; after commitLimit without, it stops to
// send heartbeats, so that the others elect. Raft alone would let it lead for ever: its heartbeats
// do not touch the disk.
const (
	beatEvery   = time.Second
	commitLimit = 2 * time.Second
)

func (w *Watchdog) beat(ctx context.Context) {
	t := time.NewTicker(beatEvery / 4)
	defer t.Stop()
	last, sent := w.now(), time.Duration(0)
	done := make(chan bool, 1)
	pending := false
	for {
		select {
		case <-ctx.Done():
			return
		case ok := <-done:
			pending = false
			if ok {
				last = w.now()
			}
			continue
		case <-t.C:
		}
		now := w.now()
		if w.raft().State() != raft.Leader {
			last = now
			continue
		}
		if !pending && now-sent >= beatEvery {
			pending, sent = true, now
			s := w.fsm.current()
			w.goDo(func() {
				err := w.propose(s.Make(core.KindBeat, struct{}{}))
				select {
				case done <- err == nil:
				default:
				}
			})
		}
		if now-last > commitLimit && !w.lease.silent.Swap(true) {
			w.log.Error("this leader cannot commit anything: it stops to lead", "for", (now - last).String())
		}
	}
}

// runCommands runs the operator's commands after the address came or went. They never stand in
// its way: it is there, or gone, before they start, however long they take.
func (w *Watchdog) runCommands(ctx context.Context) {
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			if w.owner.Load() && !w.parts.Address.Held() {
				w.runCommand(context.WithoutCancel(ctx), "deescalation_command", w.cfg.DeescalationCommand)
			}
			return
		case <-t.C:
		}
		held := w.parts.Address.Held()
		if held == w.owner.Load() {
			continue
		}
		w.owner.Store(held)
		if held {
			w.log.Info("this member has the address")
			w.runCommand(ctx, "escalation_command", w.cfg.EscalationCommand)
		} else {
			w.log.Info("this member does not have the address any more")
			w.runCommand(ctx, "deescalation_command", w.cfg.DeescalationCommand)
		}
	}
}

// maxOutput bounds what is logged of a command.
const maxOutput = 4 << 10

func (w *Watchdog) runCommand(ctx context.Context, name string, command []string) {
	if len(command) == 0 {
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, w.cfg.CommandTimeout, errors.New("it ran longer than watchdog.command_timeout"))
	defer cancel()
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = time.Second
	out, err := c.CombinedOutput()
	if len(out) > maxOutput {
		out = out[:maxOutput]
	}
	if err != nil {
		w.log.Error("a command failed", "command", name, "error", errors.Join(err, context.Cause(ctx)), "output", string(out))
		return
	}
	w.log.Info("a command was run", "command", name, "output", string(out))
}
