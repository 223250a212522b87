package cluster

import (
	"errors"
	"fmt"
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
	s.top, s.topNode = p.Timeline, p.Name
	return ""
}

// consent is granted or refused later. Nobody may be asked while the old primary is certainly heard.
func (s *sim) consent(p *Proposal) string {
	s.answer = &Answer{Granted: s.quiet || s.r.IntN(4) > 0}
	s.answerAt = s.now + int64(time.Duration(s.r.IntN(100))*time.Millisecond)
	if p.Kind != KindFailover || s.m.record.Phase != PhaseWatch {
		return ""
	}
	old := s.index(p.Old)
	u := s.servers[old]
	if s.up(u) && !u.cut && !u.slow && u.primary && s.known[old].asked == s.now {
		return fmt.Sprintf("a failover is proposed while %s answers", p.Old)
	}
	for i, v := range s.servers {
		const long = int64(3 * time.Second)
		if i != old && v.upstream == old && v.streaming && s.up(u) && s.up(v) && !v.cut && v.heard == s.now && s.now-v.since > long && s.known[i].asked > s.now-long/3 {
			return fmt.Sprintf("a failover is proposed while %s receives from %s", v.name, p.Old)
		}
	}
	return ""
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
		if was, ok := s.promoted[a.epoch]; ok && was != target {
			return fmt.Sprintf("%s and %s are promoted in epoch %d", was, target, a.epoch)
		}
		_, again := s.promoted[a.epoch]
		s.promoted[a.epoch] = target
		if !again && s.set.mode == modeNative && s.m.record.Kind == KindFailover {
			old := s.index(s.m.record.Old)
			for i, v := range s.servers {
				if i != old && old >= 0 && v.upstream == old && v.streaming && s.up(v) && !v.cut && !v.slow && s.up(s.servers[old]) && s.known[i].evidence == evidenceAnswered &&
					s.known[i].asked > s.now-int64(200*time.Millisecond) && v.heard == s.now && s.now-v.since > int64(500*time.Millisecond) {
					return fmt.Sprintf("%s is promoted while %s receives from %s", target, v.name, s.m.record.Old)
				}
			}
		}
	}
	if target != "" && s.m.record.Kind == KindSwitchover {
		old, v := s.servers[s.index(s.m.record.Old)], s.servers[s.index(target)]
		if old.ro && len(v.log) < len(old.log) && s.follows(v, old) {
			return fmt.Sprintf("%s is promoted in a switchover and has %d of %d records", target, len(v.log), len(old.log))
		}
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
