package cluster

import (
	"fmt"
	"slices"
	"time"
)

const (
	// rebounce is how often a standby that goes on to receive is asked anew to prove it.
	rebounce = 5 * time.Second
	// strayAfter is how long a standby may do without an upstream before it is shown the way to the primary.
	strayAfter = 5 * time.Second
	// tendPause is between attempts at what was given up.
	tendPause = 15 * time.Second
	// untaintAfter is how long a server that was told to promote itself must have been a standby, and up, before it is
	// believed that it does not: one that hung when it was told does it as soon as it goes on.
	untaintAfter = 10 * time.Second
	// disownAfter is how long a server that was promoted by hand has to be followed by the others, before
	// it is never taken for the primary by itself.
	disownAfter = 3 * time.Second
)

// watch looks whether the primary is there, follows one that somebody else promoted, and begins
// what an operator or the loss of the primary asks for.
func (s *stepping) watch() {
	r := &s.record
	if p := s.in.view.Node(s.in.view.Primary); p != nil {
		s.lost = 0
		s.forgetBounces()
		tli := s.seen(p).server.timeline
		if p.Name != r.Primary || p.SystemID != "" && p.SystemID != r.SystemID || tli > r.Timeline {
			if r.Primary != "" && p.Name != r.Primary {
				r.Epoch++
				r.Old, r.Kind, r.Reason = r.Primary, "", p.Name+" was promoted by somebody else"
			}
			s.adopt(p)
		}
		s.noted = ""
		s.noteSync(p)
		s.tend(p)
		s.switchOver(p)
		return
	}
	if s.lost == 0 {
		s.lost = s.in.now
	}
	s.hurry = r.Primary != ""
	s.noted = s.replace()
}

// replace begins a failover if that is allowed, or says why not.
func (s *stepping) replace() string {
	r, set := &s.record, s.in.settings
	ordered := s.order != nil && s.order.kind == KindPromotion
	if s.order != nil && !ordered {
		return s.refuse("there is no primary to switch from; promote a standby instead")
	}
	switch {
	case !ordered && r.Primary == "":
		return "no primary has been seen yet"
	case !ordered && set.mode == modeNone:
		return "failover.mode is none"
	case !ordered && r.Paused:
		return "automatic failover is paused"
	case !ordered && s.changed > 0 && s.age(s.changed) < set.cooldown:
		return "the primary was changed a moment ago (failover.cooldown)"
	}
	if why := s.veto(); why != "" {
		if ordered {
			return s.refuse("the primary may be alive: " + why)
		}
		return why
	}
	kind, target, reason := KindFailover, "", fmt.Sprintf("%s is lost", r.Primary)
	if n := s.node(r.Primary); n != nil && n.Reason != "" {
		reason += ": " + n.Reason
	}
	if ordered {
		kind, target, reason = KindPromotion, s.order.target, s.order.reason
	}
	saved := r.clone()
	s.lookBack()
	r.Target, r.Kind = target, kind
	_, why := s.candidate()
	s.record = saved
	if why != "" {
		if ordered {
			return s.refuse(why)
		}
		return why
	}
	if !s.propose(Proposal{Kind: kind, Old: r.Primary, Target: target, Reason: reason}) {
		if s.asking {
			return "consent is waited for"
		}
		return s.noted
	}
	if ordered {
		s.number = s.order.number
	}
	s.begin(kind, PhaseFence, target, reason)
	return reason
}

// refuse turns an operator's order down.
func (s *stepping) refuse(why string) string {
	s.outcome = Outcome{Number: s.order.number, Kind: s.order.kind, Epoch: s.record.Epoch, Primary: s.record.Primary, Err: why}
	s.order, s.asking = nil, false
	return why
}

// switchOver begins what an operator has ordered while there is a primary.
func (s *stepping) switchOver(p *Node) {
	if s.order == nil {
		return
	}
	r := &s.record
	if s.order.kind != KindSwitchover {
		s.refuse(fmt.Sprintf("%s is the primary and alive; switch over instead", p.Name))
		return
	}
	if s.in.settings.mode == modeNone {
		s.refuse("failover.mode is none: howdah may not promote")
		return
	}
	if s.order.target == p.Name {
		s.refuse(p.Name + " is the primary already")
		return
	}
	saved := r.clone()
	s.lookBack()
	r.Target, r.Kind = s.order.target, KindSwitchover
	target, why := s.candidate()
	s.record = saved
	if target == nil {
		s.refuse(why)
		return
	}
	if r := s.seen(target).server.receiver; r.known && !r.streaming {
		s.refuse(target.Name + " does not stream")
		return
	}
	if s.propose(Proposal{Kind: KindSwitchover, Old: p.Name, Target: target.Name, Reason: s.order.reason}) {
		s.number, s.cut = s.order.number, s.order.cut
		s.begin(KindSwitchover, PhaseDrain, target.Name, s.order.reason)
	} else if !s.asking {
		s.refuse(s.noted)
	}
}

// forgetBounces drops what was asked of standbys while the primary was missed.
func (s *stepping) forgetBounces() {
	for a, t := range s.tasks {
		if a.kind == actionBounce && !t.running && s.age(t.ended) >= bounceWait { // until then the standby may be without its upstream
			delete(s.tasks, a)
		}
	}
}

// tend does what has time: standbys that were left behind are shown the way, servers
// that were made read-only are freed, commands for nodes that come and go are run.
func (s *stepping) tend(p *Node) {
	set := s.in.settings
	for i := range s.in.view.Nodes {
		n := &s.in.view.Nodes[i]
		o := s.seen(n)
		if n.State == StateUnused {
			continue
		}
		if o.evidence == evidenceAnswered && n.State != StateQuarantine && set.mode == modeNative && s.isStray(n, p) {
			s.persist(action{kind: actionRepoint, node: n.Name, target: p.Name})
		}
		if o.evidence == evidenceAnswered && o.server.role == RoleStandby && n.State == StateUp && s.age(n.Since) > untaintAfter {
			s.record.Tainted = slices.DeleteFunc(s.record.Tainted, func(name string) bool { return name == n.Name })
		}
		s.tendFalse(n)
		s.tendFence(n)
		s.tendHooks(n, p)
	}
}

// isStray reports whether a standby does without an upstream, or was left frozen.
func (s *stepping) isStray(n, p *Node) bool {
	sv := &s.seen(n).server
	if sv.role != RoleStandby || n.ServerVersion < nativeVersion || n.ID == p.ID {
		return false
	}
	if sv.detail.frozen {
		return true
	}
	return sv.receiver.known && !sv.receiver.streaming && sv.timeline != 0 && sv.timeline < p.Timeline && s.age(s.entered) > strayAfter && s.age(n.Since) > strayAfter
}

// persist has an action done, and done again some time after it was done or given up, as long as it is asked for.
func (s *stepping) persist(a action) progress {
	s.again(a, tendPause)
	return s.ensure(a, s.in.settings.tries)
}

// tendFalse has fence_command run for an old primary that came back, and remembers servers that were promoted beside the
// primary: when that is lost, the log that they lack must not be lost too. With mode none that is for others to decide.
func (s *stepping) tendFalse(n *Node) {
	r, o, set := &s.record, s.seen(n), s.in.settings
	fence := action{kind: actionFence, node: n.Name, epoch: r.Epoch}
	if o.evidence != evidenceAnswered || o.server.role != RolePrimary || n.State != StateQuarantine || n.SystemID != r.SystemID || r.SystemID == "" {
		if t := s.tasks[fence]; t != nil && !t.running {
			delete(s.tasks, fence)
		}
		return
	}
	switch {
	case o.server.timeline < r.Timeline && set.hooks.fence:
		s.ensure(fence, set.tries)
	case o.server.timeline > r.Timeline && set.mode != modeNone && s.age(n.Since) > disownAfter && !slices.Contains(r.Tainted, n.Name):
		r.Tainted = append(r.Tainted, n.Name)
	}
}

// tendFence makes false primaries read-only if that is wished, and servers that are standbys, or the
// primary, writable again.
func (s *stepping) tendFence(n *Node) {
	r, o := &s.record, s.seen(n)
	if o.evidence != evidenceAnswered {
		return
	}
	if i := slices.Index(r.Fenced, n.Name); i >= 0 {
		if o.server.role == RolePrimary && n.State == StateQuarantine {
			return
		}
		if s.persist(action{kind: actionWritable, node: n.Name}) == succeeded {
			r.Fenced = slices.Delete(r.Fenced, i, i+1)
			delete(s.tasks, action{kind: actionReadOnly, node: n.Name})
			delete(s.tasks, action{kind: actionWritable, node: n.Name})
		}
		return
	}
	if s.in.settings.softFence && o.server.role == RolePrimary && n.State == StateQuarantine &&
		n.SystemID == r.SystemID && o.server.timeline < r.Timeline && r.SystemID != "" {
		r.Fenced = append(r.Fenced, n.Name)
		s.ensure(action{kind: actionReadOnly, node: n.Name}, s.in.settings.tries)
	}
}

// tendHooks runs failover_command for a standby that went down, as Pgpool-II does, and
// failback_command for a node that is taken in again. One that was never up went nowhere, nor has one that
// follow_primary_command has just started anew: Pgpool-II's sample of failover_command would drop its replication slot.
func (s *stepping) tendHooks(n, p *Node) {
	hooks, tries := s.in.settings.hooks, s.in.settings.tries
	switch {
	case n.State == StateDown && n.past.up && n.ID != p.ID && !s.out[n.Name]:
		if hooks.follow && n.Since <= s.changed && s.age(s.changed) < bounceWait {
			break
		}
		s.out[n.Name] = true
		if hooks.command {
			a := action{kind: actionCommand, node: n.Name, target: s.mainNode()}
			delete(s.tasks, a)
			s.ensure(a, tries)
		}
	case n.State == StateUp && s.out[n.Name]:
		delete(s.out, n.Name)
		if hooks.failback {
			a := action{kind: actionFailback, node: n.Name, target: s.mainNode()}
			delete(s.tasks, a)
			s.ensure(a, tries)
		}
	}
	for a, t := range s.tasks { // tries that failed are made again
		if a.node == n.Name && (a.kind == actionCommand || a.kind == actionFailback) && !t.done && !t.failed {
			s.ensure(a, tries)
		}
	}
}

// mainNode is what Pgpool-II calls so: the live node of the lowest id.
func (s *stepping) mainNode() string {
	for i := range s.in.view.Nodes {
		if n := &s.in.view.Nodes[i]; n.State == StateUp || n.State == StateSuspect {
			return n.Name
		}
	}
	return ""
}
