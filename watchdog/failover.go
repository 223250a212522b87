package watchdog

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/howdah/howdah/watchdog/core"
)

// ErrStopped is the answer of a watchdog whose Run has returned.
var ErrStopped = errors.New("the watchdog is not running")

// Refusal is why a failover may not begin; it says which evidence is missing.
type Refusal struct{ Reason string }

func (r *Refusal) Error() string { return "no failover: " + r.Reason }

// State is what the members agreed on, as far as this member knows. It must not be changed.
func (w *Watchdog) State() *core.State {
	if s := w.status.Load().State; s != nil {
		return s
	}
	return &core.State{}
}

// Permission is what this member may do for its clients right now. It is cheap enough for every
// transaction, not for every query.
func (w *Watchdog) Permission() core.Permission {
	p := w.status.Load().permission
	if p.Writes && p.Until != 0 && w.now() >= p.Until {
		p.Writes, p.Reason = false, "the right to write ran out and was not renewed"
	}
	return p
}

// MayAct says whether this member leads and holds the lease. Who does something that cannot
// be taken back, such as a promotion, asks right before.
func (w *Watchdog) MayAct() bool { return w.mayAct() }

func (w *Watchdog) mayAct() (ok bool) {
	w.inspect(func(l *loop) { ok = l.machine.MayAct(w.now()) })
	return ok
}

// Consent asks the members whether a failover from node may begin, has it begun, and returns
// when no member writes to node any more. A candidate can be chosen then. planned: the
// operator wants it, whatever members see. The error is a *Refusal, or ctx's.
func (w *Watchdog) Consent(ctx context.Context, node core.NodeID, reason string, planned bool) (core.Failover, error) {
	c := make(chan core.Reply, 1)
	id := fmt.Sprintf("%s/%s", w.identity.Server, strconv.FormatUint(w.requests.Add(1)+uint64(w.now()), 36))
	w.feed(inspection(func(l *loop) {
		l.consents[id] = c
		w.step(ctx, core.Consent{Request: id, Node: node, Reason: reason, Planned: planned})
	}))
	select {
	case r := <-c:
		if !r.Granted {
			return core.Failover{}, &Refusal{r.Reason}
		}
		return r.Failover, nil
	case <-ctx.Done():
		w.feed(inspection(func(l *loop) { delete(l.consents, id) }))
		return core.Failover{}, fmt.Errorf("ask for a failover: %w", context.Cause(ctx))
	case <-w.loop.ended:
		return core.Failover{}, ErrStopped
	}
}

// Choose commits the candidate of the next attempt. Only then may it be promoted.
func (w *Watchdog) Choose(f core.Failover, candidate core.NodeID, reason string) (core.Failover, error) {
	s := w.fsm.current()
	c := s.Make(core.KindChoose, core.ChooseBody{Candidate: candidate, Attempt: s.Attempt + 1, Reason: reason})
	c.Failover = f.ID
	if err := w.commitAsLeader(c); err != nil {
		return f, err
	}
	return w.fsm.current().Failover, nil
}

// Commit records the candidate, which is seen to be the primary. From then on all members route to it.
func (w *Watchdog) Commit(f core.Failover, p core.Primary) error {
	c := w.fsm.current().Make(core.KindCommit, core.CommitBody{Primary: p, Attempt: f.Attempt})
	c.Failover = f.ID
	return w.commitAsLeader(c)
}

// Abort ends the failover; the old primary is served again.
func (w *Watchdog) Abort(f core.Failover, reason string) error {
	c := w.fsm.current().Make(core.KindAbort, core.ReasonBody{Reason: reason})
	c.Failover = f.ID
	return w.commitAsLeader(c)
}

// Record notes a primary where none was recorded, or a new incarnation of the same node.
func (w *Watchdog) Record(p core.Primary, reason string) error {
	return w.commitAsLeader(w.fsm.current().Make(core.KindPrimary, core.PrimaryBody{Primary: p, Reason: reason}))
}

// Keep has the members keep a text for whoever leads, instead of the last one (State.Note); at
// most 64 kB.
func (w *Watchdog) Keep(note string) error {
	return w.commitAsLeader(w.fsm.current().Make(core.KindNote, core.NoteBody{Note: note}))
}

// Spread returns when all members that are there go by what is agreed on now, or ctx ends.
func (w *Watchdog) Spread(ctx context.Context) {
	index := w.raft().AppliedIndex()
	for ctx.Err() == nil {
		behind := false
		w.inspect(func(l *loop) {
			acks := l.machine.Lease().Acks(w.now())
			for id := range l.machine.State().Members {
				ago, heard := acks[id]
				behind = behind || id != w.self && heard && ago < w.timing.Election && l.machine.AppliedAt(id) < index
			}
		})
		if !behind {
			return
		}
		select {
		case <-ctx.Done():
		case <-w.loop.ended:
			return
		case <-time.After(tickEvery):
		}
	}
}

// SetNode notes what was decided about a node.
func (w *Watchdog) SetNode(id core.NodeID, n core.Node) error {
	return w.commitAsLeader(w.fsm.current().Make(core.KindNode, core.NodeBody{ID: id, Node: n}))
}

// Pause stops, or resumes, everything automatic.
func (w *Watchdog) Pause(paused bool) error {
	return w.commitAsLeader(w.fsm.current().Make(core.KindPause, core.PauseBody{Paused: paused}))
}

// commitAsLeader commits a command, by a leader with a lease only.
func (w *Watchdog) commitAsLeader(c core.Command) error {
	if !w.mayAct() {
		return errNotLeader
	}
	return w.propose(c)
}
