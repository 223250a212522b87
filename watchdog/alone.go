package watchdog

import (
	"context"
	"errors"
	"time"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/watchdog/core"
)

// neverAsked is why the other member's rules are not known at first.
var neverAsked = "it has not answered since this member was started"

// pairRules are the rules for two members without a third, as configured.
func pairRules(c *configs.Watchdog) core.PairRules {
	if !c.IsPair() {
		return core.PairRules{}
	}
	r := core.PairRules{Policy: core.Policy(c.Pair.OnLoss), Lock: c.Pair.DatabaseLock, After: c.Pair.After}
	if r.Policy == core.PolicyUnsafe {
		r.SelfFence = c.Pair.SelfFenceAfter
	}
	return r
}

// keepLock asks for the lock of the address, again and again, while it is wanted.
func (w *Watchdog) keepLock(ctx context.Context) {
	every := w.timing.Lock / 4
	t := time.NewTicker(every)
	defer t.Stop()
	held := core.WantLock{}
	failing := false
	for {
		want := *w.wantLock.Load()
		if held.Want && want != held {
			w.askLock(ctx, core.WantLock{Node: held.Node})
		}
		if held = want; want.Want {
			sent := w.now()
			answer, err := w.askLock(ctx, want)
			if err != nil && !failing {
				w.log.Warn("the lock of the address cannot be asked for", "node", string(want.Node), "error", err)
			}
			failing = err != nil
			w.feed(core.Locked{Node: want.Node, Answer: answer, Sent: sent})
		}
		select {
		case <-ctx.Done():
			if held.Want {
				w.askLock(context.WithoutCancel(ctx), core.WantLock{Node: held.Node})
			}
			return
		case <-t.C:
		}
	}
}

func (w *Watchdog) askLock(ctx context.Context, want core.WantLock) (core.LockAnswer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, w.timing.Lock, errors.New("it does not answer in time"))
	defer cancel()
	return w.parts.Tie.Lock(ctx, want.Node, want.Want)
}

// evidenceEvery is how often one of two looks at what it would have to decide by.
const evidenceEvery = 250 * time.Millisecond

// gatherEvidence looks, while this member hears no leader, at what is left.
func (w *Watchdog) gatherEvidence(ctx context.Context) {
	t := time.NewTicker(evidenceEvery)
	defer t.Stop()
	claims := uint64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		before := claims
		if c, ok := w.parts.Address.(claimed); ok {
			claims = c.Claims()
		}
		s := w.status.Load()
		if s.State == nil || s.leads || len(s.Voters) != 2 || s.State.Primary.Node == "" || w.now()-w.lease.contact() < w.timing.Election {
			continue
		}
		l := w.look(ctx, s.State.Primary.Node)
		if claims > before {
			l.Address = "another host says that it has it"
		}
		w.feed(core.Evidence{Loss: l})
	}
}

// look is what this member can say of the node's loss.
func (w *Watchdog) look(ctx context.Context, node core.NodeID) core.Loss {
	ctx, cancel := context.WithTimeout(ctx, w.timing.Poll)
	defer cancel()
	l := core.Loss{Node: node, Rules: *w.rules.Load()}
	l.Sight, l.Why = w.parts.Nodes.Sight(ctx, node)
	if w.cfg.Pair.OnLoss == string(core.PolicyWait) || l.Sight != core.SeesDown {
		return l
	}
	l.Successor, l.Unconfirmed = w.parts.Tie.Successor(node)
	if w.cfg.Pair.OnLoss == string(core.PolicyUnsafe) {
		for _, p := range w.cfg.Peers {
			if core.MemberID(p.Name) != w.self {
				l.Peer, l.Address = w.parts.Tie.Signs(ctx, p.Host)
			}
		}
		if w.parts.Address.Held() {
			l.Address = ""
		}
	}
	return l
}

// fence has the other host and the node turned off.
func (w *Watchdog) fence(ctx context.Context, a core.Fence) {
	ctx, cancel := context.WithTimeoutCause(ctx, w.cfg.CommandTimeout, errors.New("it ran longer than watchdog.command_timeout"))
	defer cancel()
	w.log.Warn("the other member's host and the primary are turned off", "peer", string(a.Member), "node", string(a.Node))
	e := core.Fenced{Node: a.Node}
	if err := w.parts.Tie.Fence(ctx, a.Member, a.Node); err != nil {
		w.log.Error("they were not turned off", "peer", string(a.Member), "node", string(a.Node), "error", err)
		e.Failed = err.Error()
	}
	w.feed(e)
}

// aloneRetry is how often what went wrong half way is tried again.
const aloneRetry = time.Second

// goAlone makes this member the only one while it runs. Raft is ended and started again, a matter of a moment; clients do not
// notice.
func (w *Watchdog) goAlone(ctx context.Context, a core.GoAlone) {
	w.renewing.Lock()
	defer w.renewing.Unlock()
	if ctx.Err() != nil {
		return
	}
	w.log.Error("this member goes on alone", "reason", a.Reason)
	if err := w.identity.nextGeneration(w.cfg.DataDir); err != nil {
		w.feed(core.NotAlone{Reason: err.Error()})
		return
	}
	w.generations.Store(w.identity.Generations)
	if err := w.raft().Shutdown().Error(); err != nil {
		w.log.Warn("raft did not stop well", "error", err)
	}
	for {
		err := recoverAlone(w.identity, w.cfg.Self(), w.commands, w.store, w.snapshots, w.log)
		if err == nil {
			err = w.newRaft()
		}
		if err == nil {
			return
		}
		w.log.Error("this member is the only one, and cannot go on yet", "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(aloneRetry):
		}
	}
}
