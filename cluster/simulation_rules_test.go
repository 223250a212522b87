package cluster

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// look makes the next view and holds it against what was routed to before.
func (s *sim) look() string {
	o := s.orders
	if s.broken.lawless {
		o = orders{}
	}
	s.view = decide(s.view, s.known, rules{silences: 3, autoFailback: true, orders: o}, s.now)
	p := s.view.Node(s.view.Primary)
	if p == nil {
		return ""
	}
	switch {
	case p.Timeline < s.top:
		return fmt.Sprintf("%s on timeline %d is routed to after %s on %d", p.Name, p.Timeline, s.topNode, s.top)
	case p.Timeline == s.top && p.Name != s.topNode:
		return fmt.Sprintf("%s and %s are both routed to on timeline %d", p.Name, s.topNode, s.top)
	}
	if s.topNode != p.Name { // the sessions of the others have been cut off
		for id, by := range s.unacked {
			if by != int(p.ID) {
				delete(s.unacked, id)
			}
		}
	}
	s.top, s.topNode = p.Timeline, p.Name
	return s.routed(p)
}

// consent is granted or refused later. Nobody may be asked while the old primary is certainly heard.
func (s *sim) consent(p *Proposal) string {
	s.answer = &Answer{Granted: s.quiet || s.r.IntN(4) > 0}
	s.answerAt = s.now + int64(time.Duration(s.r.IntN(100))*time.Millisecond)
	if p.Kind != KindFailover || s.m.record.Phase != PhaseWatch {
		return ""
	}
	return s.proposed(p)
}

// begin takes an action on, and looks whether it may be done.
func (s *sim) begin(a action) string {
	s.trace("%v %s %s (epoch %d)", a.kind, a.node, a.target, a.epoch)
	target := ""
	switch {
	case a.kind == actionPromote:
		target = a.node
	case a.kind == actionCommand && s.m.record.Phase == PhasePromote:
		target = a.target
	}
	if target != "" {
		if wrong := s.told(target, a.epoch); wrong != "" {
			return wrong
		}
	}
	if a.kind == actionFollow && slices.ContainsFunc(s.tasks, func(t simTask) bool { return t.a.kind == actionFollow && t.a.epoch == a.epoch && !t.left }) {
		return "follow_primary_command runs for two nodes at once"
	}
	t := simTask{a: a, promotes: target != "", at: s.now + int64(time.Duration(20+s.r.IntN(100))*time.Millisecond), run: true}
	if !s.quiet {
		switch s.r.IntN(12) {
		case 0:
			t.run, t.err = false, errors.New("failed")
		case 1:
			t.err = errors.New("the answer was lost")
		case 2:
			t.at += int64(2 * time.Second)
		}
	}
	s.tasks = append(s.tasks, t)
	return ""
}

// reaction is how long howdah may take to notice what it could.
const reaction = time.Second

// routed holds that the primary of a view is one, as far as can be known.
func (s *sim) routed(p *Node) string {
	v := s.servers[p.ID]
	if v.system != "A" && s.saved.SystemID != "" {
		return fmt.Sprintf("%s is routed to, and is of another system", p.Name)
	}
	if slices.Contains(s.saved.Tainted, p.Name) && s.m != nil && slices.Contains(s.m.record.Tainted, p.Name) {
		return fmt.Sprintf("%s is routed to, and was given up", p.Name)
	}
	for i := range s.view.Nodes {
		n, w := &s.view.Nodes[i], s.servers[i]
		since(&w.apart, n.ID != p.ID && n.State == StateUp && v.primary && v.alive > 0 && w.alive > 0 && !s.follows(w, v), s.now)
		if w.apart > 0 && s.now-w.apart > int64(reaction) {
			return fmt.Sprintf("%s is read, and has what %s has not", n.Name, p.Name)
		}
	}
	if !v.byHand {
		return ""
	}
	for i, old := range s.servers {
		for j, other := range s.servers {
			if i != int(p.ID) && j != int(p.ID) && i != j && old.primary && old.system == "A" && s.alive(old, reaction) && other.upstream == i && other.streaming && s.alive(other, reaction) && other.could > 0 && s.now-other.could > int64(reaction) &&
				s.saved.Primary == old.name {
				s.trace("%+v\n%+v", s.view.Nodes, s.known)
				return fmt.Sprintf("%s was promoted by mistake and is routed to, while %s follows %s", p.Name, other.name, old.name)
			}
		}
	}
	return ""
}

// proposed holds a proposal to replace a lost primary against what is known of that, and what the operator wants.
func (s *sim) proposed(p *Proposal) string {
	i := s.index(p.Old)
	v, k, set := s.servers[i], &s.known[i], &s.set
	switch {
	case s.m.record.Paused:
		return "a failover is proposed, and it is paused"
	case s.finished > 0 && s.now-s.finished < int64(set.cooldown):
		return "a failover is proposed just after another"
	case v.primary && v.system == "A" && s.alive(v, reaction):
		return fmt.Sprintf("a failover is proposed while %s answers", v.name)
	case v.locked && s.up(v) && !v.slow && v.primary && v.answers > 0 && s.now-v.answers > int64(reaction):
		return fmt.Sprintf("a failover is proposed while %s is alive, and full", v.name)
	case v.slow && s.up(v) && v.answers > 0 && s.now-v.answers > int64(reaction) && s.now-v.slowed < int64(set.recoveryGrace):
		return fmt.Sprintf("a failover is proposed while %s recovers", v.name)
	case k.evidence == evidenceRefused && v.dead && v.stopped > 0 && s.now-v.stopped < int64(set.shutdownGrace):
		return fmt.Sprintf("a failover is proposed as soon as %s is stopped", v.name)
	case k.evidence == evidenceRefused && v.dead && s.now-v.died < int64(set.confirm):
		return fmt.Sprintf("a failover is proposed as soon as %s has died", v.name)
	case k.evidence == evidenceSilent && s.unheard[i] < set.silences-1:
		return fmt.Sprintf("a failover is proposed while sessions get answers from %s", v.name)
	case k.evidence == evidenceSilent && s.misses[i] < set.silences:
		return fmt.Sprintf("a failover is proposed after %d silences of %s", s.misses[i], v.name)
	}
	for j, w := range s.servers {
		const long = int64(3 * time.Second)
		if j != i && w.upstream == i && w.could > 0 && s.now-w.could > long && s.alive(w, 0) {
			return fmt.Sprintf("a failover is proposed while %s can hear %s", w.name, v.name)
		}
	}
	return ""
}

// told holds the node that is told to become the primary in an epoch against what a candidate must be.
func (s *sim) told(target string, epoch uint64) string {
	if was, ok := s.promoted[epoch]; ok {
		if was != target {
			return fmt.Sprintf("%s and %s are promoted in epoch %d", was, target, epoch)
		}
		return "" // once more
	}
	s.promoted[epoch] = target
	r, v := &s.m.record, s.servers[s.index(target)]
	old := s.servers[s.index(r.Old)]
	switch {
	case slices.Contains(r.Detached, target) && s.chosen == s.now:
		return fmt.Sprintf("%s is promoted, and is detached", target)
	case s.set.priority[target] == 0:
		return fmt.Sprintf("%s is promoted, and has priority 0", target)
	case v.system != "A" && s.chosen == s.now:
		return fmt.Sprintf("%s is promoted, and is of another system", target)
	case v.paused && s.now-v.pausedAt > int64(reaction) && s.chosen == s.now && s.alive(v, reaction):
		return fmt.Sprintf("%s is promoted, and its replay is paused", target)
	case s.set.maxLoss > 0 && r.OldLSN > 0 && r.Kind == KindFailover && LSN(len(v.log))+s.set.maxLoss < r.OldLSN:
		return fmt.Sprintf("%s is promoted, and lacks %d records", target, int(r.OldLSN)-len(v.log))
	case r.Kind == KindFailover && old.primary && old.system == "A" && s.alive(old, reaction) && s.chosen != s.now:
		return fmt.Sprintf("%s is promoted while %s answers", target, old.name)
	case r.Kind == KindSwitchover && old.ro && len(v.log) < len(old.log) && s.follows(v, old):
		return fmt.Sprintf("%s is promoted in a switchover and has %d of %d records", target, len(v.log), len(old.log))
	}
	if s.set.mode != modeNative || r.Kind == KindSwitchover {
		return ""
	}
	for i, w := range s.servers {
		if w.name == r.Old || w == v {
			continue
		}
		if w.name != r.Old && w.upstream == s.index(r.Old) && w.streaming && s.alive(w, 0) && s.up(old) && s.known[i].evidence == evidenceAnswered &&
			s.known[i].asked > s.now-int64(200*time.Millisecond) && w.heard == s.now && s.now-w.since > int64(500*time.Millisecond) {
			return fmt.Sprintf("%s is promoted while %s receives from %s", target, w.name, r.Old)
		}
		if s.chosen == s.now && s.alive(w, reaction) && !w.primary && w.system == "A" && w.timeline == v.timeline && !w.paused && s.set.priority[w.name] > 0 &&
			!slices.Contains(r.Detached, w.name) && !slices.Contains(r.Tainted, w.name) && s.view.Nodes[i].State != StateQuarantine && len(w.log) > len(v.log) {
			return fmt.Sprintf("%s is promoted with %d records, and %s has %d", target, len(v.log), w.name, len(w.log))
		}
	}
	return ""
}
