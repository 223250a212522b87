package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/watchdog"
	"github.com/howdah/howdah/watchdog/core"
)

// council lets the failover machine (package cluster) ask the quorum (package watchdog). The
// machine's record is the quorum's note; what the quorum itself must know of it, which
// node may be written to and whether a failover is under way, is kept in its state besides.
//
//	machine                      quorum
//	Consent for a failover       poll, begin, barrier: nobody writes to the old primary any more
//	Record in fence, switchover  begin without a poll, barrier
//	Record in promote            the candidate is chosen
//	Record in follow             the new primary is committed; from then on it is written to
//	Record in abort              the failover is aborted; the old primary is written to again
//	Record of another primary    begin, barrier, choose, commit: somebody else promoted it
//
// The order in each is such that a leader may end between any two steps and the next one
// finds its way: the barrier is there before the note says so, and what the quorum has
// decided is never undone by an older note.
type council struct {
	watchdog *watchdog.Watchdog
	log      *slog.Logger
	// asking: the machine waits for an answer of Consent or Record.
	asking atomic.Bool

	mu   sync.Mutex
	note string // of which record is the meaning
	last cluster.Record
}

// Standing is this howdah's place.
func (c *council) Standing() cluster.Standing {
	s := c.watchdog.Standing()
	st := cluster.Standing{Leads: s.Leads, Term: s.Term, Leader: string(s.Leader)}
	if s.State != nil {
		st.Record = c.read(s.State.Note)
	}
	return st
}

// Changed is closed when Standing may be another.
func (c *council) Changed() <-chan struct{} { return c.watchdog.Changed() }

// read is the record that a note holds. One that cannot be read is none: then the servers are asked.
func (c *council) read(note string) cluster.Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	if note == c.note {
		return c.last
	}
	var r cluster.Record
	if err := json.Unmarshal([]byte(note), &r); err != nil {
		c.log.Error("the members' record of the primary cannot be read", "error", err)
		r = cluster.Record{}
	}
	c.note, c.last = note, r
	return r
}

// Recall is the record as far as this member knows. A new leader gets it by Standing.
func (c *council) Recall(context.Context) (cluster.Record, error) { return c.Standing().Record, nil }

// Consent asks the members. A switchover needs no poll: the primary lives, and its sessions
// are stopped when nothing is open there any more.
func (c *council) Consent(ctx context.Context, p cluster.Proposal) (cluster.Answer, error) {
	c.asking.Store(true)
	defer c.asking.Store(false)
	f := c.watchdog.State().Failover
	switch {
	case !c.watchdog.MayAct():
		return cluster.Answer{Reasons: []string{"this howdah does not lead"}}, nil
	case p.Kind == cluster.KindSwitchover || p.Old == "":
		return cluster.Answer{Granted: true, Reasons: []string{"this howdah leads"}}, nil
	case f.Phase != core.PhaseNone && f.From == core.NodeID(p.Old):
		f, err := c.barred(ctx, f)
		return answerOf(f, err)
	}
	return answerOf(c.watchdog.Consent(ctx, core.NodeID(p.Old), p.Reason, p.Kind == cluster.KindPromotion))
}

func answerOf(f core.Failover, err error) (cluster.Answer, error) {
	var refused *watchdog.Refusal
	switch {
	case errors.As(err, &refused):
		return cluster.Answer{Reasons: []string{refused.Reason}}, nil
	case err != nil:
		return cluster.Answer{}, err
	}
	a := cluster.Answer{Granted: true, Reasons: []string{f.Reason}}
	for _, v := range f.Votes {
		a.Reasons = append(a.Reasons, fmt.Sprintf("%s: %s (%s)", v.From, v.Sight, v.Reason))
	}
	return a, nil
}

// barredPoll is how often it is looked whether a failover's barrier is passed.
const barredPoll = 10 * time.Millisecond

// barred waits until nobody writes to the old primary of the failover under way, which an
// earlier leader has begun.
func (c *council) barred(ctx context.Context, f core.Failover) (core.Failover, error) {
	for {
		now := c.watchdog.State().Failover
		switch {
		case now.ID != f.ID:
			return now, &watchdog.Refusal{Reason: "the failover under way was aborted"}
		case now.Phase >= core.PhaseBarred:
			return now, nil
		}
		select {
		case <-ctx.Done():
			return now, fmt.Errorf("wait until nobody writes to %s: %w", f.From, context.Cause(ctx))
		case <-time.After(barredPoll):
		}
	}
}

// Record has the members keep the record, after what it says is true among them.
func (c *council) Record(ctx context.Context, r cluster.Record) error {
	c.asking.Store(true)
	defer c.asking.Store(false)
	if !c.watchdog.MayAct() {
		return &cluster.NotLeader{Leader: string(c.watchdog.Standing().Leader)}
	}
	if err := c.prepare(ctx, &r); err != nil {
		return fmt.Errorf("agree on phase %v: %w", r.Phase, err)
	}
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write the record: %w", err)
	}
	if err := c.watchdog.Keep(string(text)); err != nil {
		return fmt.Errorf("keep the record: %w", err)
	}
	if r.Phase == cluster.PhaseDrain { // the others hold new transactions by it
		spread, cancel := context.WithTimeout(ctx, spreadTimeout)
		defer cancel()
		c.watchdog.Spread(spread)
	}
	return nil
}

// spreadTimeout is how long a switchover waits for members that are slow to hear of it.
const spreadTimeout = 2 * time.Second

// prepare brings the quorum's own state to where the record says it is.
func (c *council) prepare(ctx context.Context, r *cluster.Record) error {
	s := c.watchdog.State()
	f := s.Failover
	switch r.Phase {
	case cluster.PhaseFence, cluster.PhaseChoose, cluster.PhasePromote:
		if r.Old == "" || s.Primary.Node == "" {
			return nil // nobody could write before, nor can now
		}
		if f.Phase == core.PhaseNone {
			// The poll of a failover was asked before; if there is none under way it was aborted since, and is asked anew.
			var err error
			if f, err = c.watchdog.Consent(ctx, s.Primary.Node, r.Reason, r.Kind != cluster.KindFailover); err != nil {
				return err
			}
		}
		f, err := c.barred(ctx, f)
		if err != nil || r.Phase != cluster.PhasePromote {
			return err
		}
		return c.choose(f, core.NodeID(r.Candidate), r.Reason)
	case cluster.PhaseAbort:
		if f.Phase != core.PhaseNone {
			return c.watchdog.Abort(f, r.Reason)
		}
	case cluster.PhaseFollow, cluster.PhaseWatch:
		return c.settle(ctx, r, s)
	}
	return nil
}

// choose commits the candidate, if it is not chosen already. The machine knows of taints itself, and when
// there is nobody else.
func (c *council) choose(f core.Failover, candidate core.NodeID, reason string) error {
	if f.Phase == core.PhaseChosen && f.Candidate == candidate {
		return nil
	}
	if n, ok := c.watchdog.State().Nodes[candidate]; ok && n.Status == core.NodeTainted {
		n.Status, n.Reason = core.NodeUp, "the failover machine takes it all the same"
		if err := c.watchdog.SetNode(candidate, n); err != nil {
			return err
		}
	}
	_, err := c.watchdog.Choose(f, candidate, reason)
	return err
}

// settle commits the primary that the record has.
func (c *council) settle(ctx context.Context, r *cluster.Record, s *core.State) error {
	p := core.Primary{Node: core.NodeID(r.Primary), System: r.SystemID, Timeline: r.Timeline}
	f := s.Failover
	switch {
	case p.Node == "":
		return nil
	case f.Phase == core.PhaseNone && (s.Primary.Node == "" || s.Primary.Node == p.Node):
		if s.Primary == p {
			return nil
		}
		return c.watchdog.Record(p, "the servers show it")
	case f.Phase != core.PhaseNone && f.From == p.Node:
		return c.watchdog.Abort(f, "the primary is the same")
	}
	if f.Phase == core.PhaseNone {
		var err error
		if f, err = c.watchdog.Consent(ctx, s.Primary.Node, "somebody else promoted "+r.Primary, true); err != nil {
			return err
		}
	}
	f, err := c.barred(ctx, f)
	if err == nil {
		err = c.choose(f, p.Node, "it is the primary")
	}
	if err == nil {
		err = c.watchdog.Commit(c.watchdog.State().Failover, p)
	}
	return err
}

// warrantMargin is how long before its end the right to write is given up unless it was renewed.
const warrantMargin = 50 * time.Millisecond

// obey has the sessions use the primary exactly while the members allow it, until ctx ends.
func (c *council) obey(ctx context.Context, nodes *cluster.Cluster) {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		changed := c.watchdog.Changed()
		s := c.watchdog.Standing()
		w := cluster.Warrant{Writes: s.Permission.Writes, Node: string(s.Permission.Target.Node), Finds: s.Leads, Reason: s.Permission.Reason}
		if w.Writes {
			w.Reason = "" // it changes, and the view does not
		}
		until := int64(math.MaxInt64)
		t.Reset(time.Hour)
		if w.Writes && s.Left >= 0 {
			left := s.Left - warrantMargin
			if left <= 0 {
				w = cluster.Warrant{Finds: s.Leads, Reason: "the right to write ran out and was not renewed"}
			}
			until = cluster.Now() + int64(left)
			t.Reset(max(left, warrantMargin))
		}
		if !nodes.SetWarrant(ctx, w, until) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-t.C:
		}
	}
}

// abandonedAfter is how long a failover that nobody goes on with is left alone.
const abandonedAfter = 3 * time.Second

// tidy aborts a failover that the quorum has begun and the machine knows nothing of, until ctx
// ends: its leader ended before it recorded anything, and the primary is well after all.
func (c *council) tidy(ctx context.Context, nodes *cluster.Cluster) {
	t := time.NewTicker(abandonedAfter / 6)
	defer t.Stop()
	var since time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		f := c.watchdog.State().Failover
		v := nodes.View()
		primary := v.Node(v.Primary)
		abandoned := f.Phase != core.PhaseNone && f.Phase < core.PhaseChosen && !c.asking.Load() && c.watchdog.MayAct() &&
			nodes.Failover().Record.Phase == cluster.PhaseWatch && primary != nil && core.NodeID(primary.Name) == f.From
		switch {
		case !abandoned:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) > abandonedAfter:
			since = time.Time{}
			if err := c.watchdog.Abort(f, "nobody goes on with it, and the primary serves"); err != nil {
				c.log.Warn("a failover that nobody goes on with was not aborted", "error", err)
			}
		}
	}
}
