package cluster

import (
	"fmt"
	"slices"
	"strings"
)

// unfit says why the node must not be promoted, or nothing.
func (s *stepping) unfit(n *Node) string {
	r, o, set := &s.record, s.seen(n), s.in.settings
	sv := &o.server
	p, listed := set.priority[n.Name]
	switch {
	case n.Name == r.Old:
		return "is the old primary"
	case n.State == StateUnused:
		return "is not configured"
	case slices.Contains(r.Detached, n.Name):
		return "is detached"
	case listed && p == 0:
		return "has priority 0"
	case o.evidence != evidenceAnswered:
		return "does not answer: " + o.why
	case sv.role != RoleStandby:
		return "is no standby"
	case r.SystemID != "" && sv.systemID != "" && sv.systemID != r.SystemID:
		return "is of another database system"
	case n.State == StateQuarantine:
		return n.Reason
	case r.OldTimeline != 0 && sv.timeline != 0 && sv.timeline != r.OldTimeline:
		return fmt.Sprintf("is on timeline %d, the primary was on %d", sv.timeline, r.OldTimeline)
	case sv.detail.paused:
		return "its replay is paused"
	case sv.detail.delayed:
		return "its replay is delayed (recovery_min_apply_delay)"
	case r.OldLSN > 0 && set.maxLoss > 0 && sv.received+set.maxLoss < r.OldLSN:
		return fmt.Sprintf("lacks %d bytes of the log, more than failover.max_loss", r.OldLSN-sv.received)
	}
	return ""
}

// candidate is the standby that should be promoted: the operator's target, or the one that has
// received most, then a synchronous one, then of the highest priority, then of the lowest id. One that an attempt has failed with is
// taken only if there is no other. Without one it says why.
func (s *stepping) candidate() (*Node, string) {
	n, why := s.candidateOf(func(n *Node) bool { return !slices.Contains(s.record.Tainted, n.Name) })
	if n == nil && len(s.record.Tainted) > 0 {
		n, why = s.candidateOf(func(*Node) bool { return true })
	}
	return n, why
}

func (s *stepping) candidateOf(among func(*Node) bool) (*Node, string) {
	r, set := &s.record, s.in.settings
	needed, why := s.confirmed()
	if why != "" {
		return nil, why
	}
	var best *Node
	var reasons []string
	for i := range s.in.view.Nodes {
		n := &s.in.view.Nodes[i]
		if n.State == StateUnused || n.Name == r.Old || r.Target != "" && n.Name != r.Target || !among(n) {
			continue
		}
		why := s.unfit(n)
		if why == "" && s.seen(n).server.received < needed {
			why = fmt.Sprintf("lacks what a synchronous standby has confirmed, up to %v (failover.require_sync)", needed)
		}
		if why != "" {
			reasons = append(reasons, n.Name+" "+why)
			continue
		}
		if best == nil || s.better(n, best, set.priority) {
			best = n
		}
	}
	if best == nil {
		return nil, "no standby is fit to be promoted: " + strings.Join(reasons, "; ")
	}
	return best, ""
}

func (s *stepping) better(a, b *Node, priority map[string]int) bool {
	x, y := &s.seen(a).server, &s.seen(b).server
	if x.received != y.received {
		return x.received > y.received
	}
	xs, ys := slices.Contains(s.record.Sync, x.detail.name), slices.Contains(s.record.Sync, y.detail.name)
	if xs != ys {
		return xs
	}
	return priority[a.Name] > priority[b.Name]
}

// confirmed is up to where commits may have been acknowledged, as the synchronous standbys tell; or it says that
// commits may be on servers out of reach only. Where k of N must confirm (all of them, or ANY k), and U are out of reach,
// at least k-U of those in reach have every acknowledged commit: what the one that is (k-U)th of them has.
func (s *stepping) confirmed() (LSN, string) {
	r := &s.record
	if !s.in.settings.requireSync || len(r.Sync) == 0 || r.Kind == KindPromotion {
		return 0, ""
	}
	var reached []LSN
	for i := range s.in.view.Nodes {
		n := &s.in.view.Nodes[i]
		o := s.seen(n)
		if o.evidence != evidenceAnswered || o.server.role != RoleStandby || n.Name == r.Old || !slices.Contains(r.Sync, o.server.detail.name) {
			continue
		}
		if t := s.tasks[s.freezing(n)]; s.in.settings.mode == modeNative && r.Phase == PhaseChoose && (t == nil || !t.done) {
			continue // it could still confirm what the old primary sends it
		}
		reached = append(reached, o.server.received)
	}
	need := 1
	if r.Quorum > 0 {
		need = max(len(r.Sync)-r.Quorum+1, 1)
	}
	switch {
	case len(reached) < need:
		return 0, fmt.Sprintf("commits may have been confirmed by synchronous standbys out of reach: %d of %s answer, %d must (failover.require_sync)",
			len(reached), strings.Join(r.Sync, ", "), need)
	case r.Phase != PhaseChoose: // they move still
		return 0, ""
	}
	slices.Sort(reached)
	return reached[need-1], ""
}
