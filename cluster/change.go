package cluster

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// followLimit bounds how long any of the other nodes is waited for.
const followLimit = 10 * time.Minute

// drain waits until nothing is open on the primary of a switchover.
func (s *stepping) drain() {
	r := &s.record
	target := s.node(r.Target)
	switch {
	case s.in.view.Primary == NoNode || s.nameOf(s.in.view.Primary) != r.Old:
		s.giveUp(fmt.Sprintf("%s was lost", r.Old))
		return
	case target == nil:
		s.giveUp(r.Target + " is not configured any more")
		return
	}
	if why := s.unfit(target); why != "" {
		s.giveUp(r.Target + " " + why)
		return
	}
	a := action{kind: actionDrain, node: r.Old, epoch: r.Epoch, cut: s.cut}
	switch s.ensure(a, 1) {
	case succeeded:
		s.enter(PhaseFence, "no transaction is open")
	case failed:
		s.giveUp(fmt.Sprintf("open transactions: %v", s.tasks[a].err))
	}
}

// giveUp ends a change before anybody was told to become the primary.
func (s *stepping) giveUp(why string) {
	s.enter(PhaseAbort, why)
}

// fence cuts the old primary off from its clients: no view shows it any more, the operator's command turns it off, and
// in a switchover it becomes read-only.
func (s *stepping) fence() {
	r, set := &s.record, s.in.settings
	s.hurry = true
	if s.settledOtherwise() {
		return
	}
	if r.Kind == KindSwitchover {
		if s.caughtUp() {
			s.enter(PhaseChoose, "")
		}
		return
	}
	if set.hooks.fence && r.Old != "" && s.ensure(action{kind: actionFence, node: r.Old, epoch: r.Epoch}, set.tries) == pending {
		return
	}
	s.enter(PhaseChoose, "")
}

// caughtUp makes the old primary of a switchover read-only and waits until its successor has everything.
func (s *stepping) caughtUp() bool {
	r, set := &s.record, s.in.settings
	if !slices.Contains(r.Fenced, r.Old) {
		r.Fenced = append(r.Fenced, r.Old)
	}
	a := action{kind: actionReadOnly, node: r.Old, epoch: r.Epoch}
	switch s.ensure(a, set.tries) {
	case failed:
		s.giveUp(fmt.Sprintf("%s cannot be made read-only: %v", r.Old, s.tasks[a].err))
		return false
	case pending:
		if !s.tasks[a].running { // or it could have its effect when the change is given up
			s.late()
		}
		return false
	}
	target := s.node(r.Target)
	if target == nil {
		s.giveUp(r.Target + " is not configured any more")
		return false
	}
	if o := s.seen(target); o.evidence != evidenceAnswered || o.server.received < s.final {
		s.noted = fmt.Sprintf("%s has not received the old primary's log up to %v", r.Target, s.final)
		s.late()
		return false
	}
	return true
}

// late gives a switchover up that takes too long.
func (s *stepping) late() {
	if s.age(s.entered) > s.in.settings.drainWait {
		s.giveUp("the target did not catch up in time: " + s.noted)
	}
}

// settledOtherwise ends the change if somebody else has promoted a server, or if the old primary
// is alive after all. A switchover's is, of course.
func (s *stepping) settledOtherwise() bool {
	r := &s.record
	for i := range s.in.view.Nodes {
		if n := &s.in.view.Nodes[i]; s.isPromoted(n) {
			s.adopt(n)
			s.enter(PhaseFollow, fmt.Sprintf("%s was promoted by somebody else", n.Name))
			return true
		}
	}
	if old := s.node(r.Old); old != nil && r.Kind != KindSwitchover {
		if o := s.seen(old); o.evidence == evidenceAnswered && o.server.role == RolePrimary && o.asked > s.entered {
			s.giveUp(r.Old + " is alive after all")
			return true
		}
	}
	return false
}

// isPromoted reports whether the node is a primary that came after the old one.
func (s *stepping) isPromoted(n *Node) bool {
	r, o := &s.record, s.seen(n)
	sv := &o.server
	switch {
	case n.State == StateUnused, n.Name == r.Old, o.evidence != evidenceAnswered, sv.role != RolePrimary:
		return false
	case r.SystemID != "" && sv.systemID != "" && sv.systemID != r.SystemID:
		return false
	case r.OldTimeline != 0 && sv.timeline <= r.OldTimeline:
		return false
	}
	return r.OldTimeline == 0 || forkedFrom(sv.detail.history, r.OldTimeline, 0) == ""
}

// standbys are the nodes that answer as such.
func (s *stepping) standbys() []*Node {
	var all []*Node
	for i := range s.in.view.Nodes {
		n := &s.in.view.Nodes[i]
		if o := s.seen(n); n.State != StateUnused && o.evidence == evidenceAnswered && o.server.role == RoleStandby && n.State != StateQuarantine {
			all = append(all, n)
		}
	}
	return all
}

// choose cuts the standbys off from the old primary, so that their positions stand still and, with synchronous
// replication, it can confirm nothing any more; and compares what they have then.
func (s *stepping) choose() {
	r := &s.record
	s.hurry = true
	if s.settledOtherwise() {
		return
	}
	if s.in.settings.mode == modeNative && !s.frozen() {
		s.fenced = 0
		return
	}
	if s.fenced == 0 {
		s.fenced = s.in.now
	}
	for _, n := range s.standbys() {
		if s.seen(n).asked <= s.fenced || s.feeds(n) {
			return
		}
	}
	n, why := s.candidate()
	if n == nil {
		s.noted = why
		if r.Kind == KindSwitchover {
			s.giveUp(why)
		}
		return
	}
	r.Candidate = n.Name
	s.enter(PhasePromote, fmt.Sprintf("%s has received %v", n.Name, s.seen(n).server.received))
}

// frozen has every standby that answers frozen, and reports whether all are, or cannot be.
func (s *stepping) frozen() bool {
	all := true
	for _, n := range s.standbys() {
		if s.ensure(s.freezing(n), s.in.settings.tries) == pending {
			all = false
		}
	}
	return all
}

func (s *stepping) freezing(n *Node) action {
	return action{kind: actionFreeze, node: n.Name, epoch: s.record.Epoch}
}

// feeds reports whether the standby receives from the old primary after all: it came late, or could not be frozen. Then nobody is
// promoted before it is.
func (s *stepping) feeds(n *Node) bool {
	r := &s.record
	rc := &s.seen(n).server.receiver
	if from, ok := s.in.settings.address[rc.sender]; !rc.streaming || r.Old == "" || ok && from != r.Old {
		return false
	}
	if s.in.settings.mode != modeNative {
		if r.Kind == KindSwitchover {
			return false // it does, of course
		}
		why := s.heard(r.Old)
		s.noted = why
		return why != ""
	}
	s.noted = fmt.Sprintf("%s receives from %s and must be cut off first", n.Name, r.Old)
	s.again(s.freezing(n), 5*retryPause)
	s.ensure(s.freezing(n), s.in.settings.tries)
	return true
}

// promote tells the candidate to become the primary, and looks whether it did whatever the command said of itself.
func (s *stepping) promote() {
	r, set := &s.record, s.in.settings
	s.hurry = true
	for i := range s.in.view.Nodes {
		n := &s.in.view.Nodes[i]
		if !s.isPromoted(n) || slices.Contains(r.Tainted, n.Name) || n.Name != r.Candidate && set.mode == modeNative {
			continue
		}
		s.adopt(n)
		s.enter(PhaseFollow, fmt.Sprintf("%s is the primary on timeline %d", n.Name, r.Timeline))
		return
	}
	a := action{kind: actionPromote, node: r.Candidate, target: r.Old, epoch: r.Epoch}
	limit := set.actionTimeout
	if set.mode == modeCommand {
		a = action{kind: actionCommand, node: r.Old, target: r.Candidate, epoch: r.Epoch}
		limit = set.searchTimeout
	}
	if s.tasks[a] == nil && s.isTooLate() {
		return
	}
	p := s.ensure(a, set.tries)
	t := s.tasks[a]
	switch {
	case p == pending:
		return
	case p == succeeded && (limit == 0 || s.age(t.ended) < limit):
		s.noted = "the new primary is waited for"
		return
	case p == failed && s.age(t.ended) < verifyFor:
		s.noted = fmt.Sprintf("%v has failed (%v); whether %s was promoted all the same is looked at", a.kind, t.err, r.Candidate)
		return
	}
	s.nextCandidate(t)
}

// isTooLate looks once more before the candidate is told, since howdah may have ended and started again in
// between: if the old primary answers as one by now, or a standby that was away and could not be cut off from it receives from it,
// the candidate is given up, for it may have been told before.
func (s *stepping) isTooLate() bool {
	r := &s.record
	if r.Kind == KindSwitchover || r.Old == "" {
		return false
	}
	old := s.node(r.Old)
	if old == nil {
		return false
	}
	switch o := s.seen(old); {
	case o.evidence == evidenceNone:
		return true // soon known
	case o.evidence == evidenceAnswered && o.server.role == RolePrimary:
		s.taint()
		s.giveUp(r.Old + " is alive after all")
		return true
	}
	for i := range s.in.view.Nodes {
		n := &s.in.view.Nodes[i]
		o := s.seen(n)
		if n.State == StateUnused || n.Name == r.Old || n.Name == r.Candidate {
			continue
		}
		if o.evidence == evidenceNone {
			return true // soon known
		}
		from, known := s.in.settings.address[o.server.receiver.sender]
		if o.evidence == evidenceAnswered && o.server.role == RoleStandby && o.server.receiver.streaming && (!known || from == r.Old) {
			s.taint()
			s.giveUp(fmt.Sprintf("%s receives from %s", n.Name, r.Old))
			return true
		}
	}
	return false
}

// verifyFor is how long after the last failure it is looked whether the promotion took place all the same.
const verifyFor = time.Second

// nextCandidate gives an attempt up. What comes next is an epoch of its own and needs a consent of its own.
func (s *stepping) nextCandidate(t *task) {
	r := &s.record
	why := "it did not become the primary in time"
	if t.err != nil {
		why = t.err.Error()
	}
	s.noted = fmt.Sprintf("promoting %s has failed: %s", r.Candidate, why)
	if old := s.node(r.Old); old != nil {
		if o := s.seen(old); o.evidence == evidenceAnswered && o.server.role == RolePrimary && o.asked > s.entered {
			s.taint()
			s.giveUp(s.noted + "; " + r.Old + " is alive")
			return
		}
	}
	saved := r.clone()
	s.taint()
	next, none := s.candidate()
	if next != nil && slices.Contains(s.record.Tainted, next.Name) {
		none = "no other standby is fit"
	}
	s.record = saved
	if none != "" && s.age(t.ended) < tendPause {
		s.noted += "; " + none // the same one is tried again, after a while
		return
	}
	if s.propose(Proposal{Kind: KindFailover, Old: r.Old, Reason: s.noted}) {
		if none == "" {
			s.taint()
		}
		s.begin(KindFailover, PhaseFence, "", s.noted)
	}
}

// taint notes that the candidate may have been promoted unseen.
func (s *stepping) taint() {
	if r := &s.record; !slices.Contains(r.Tainted, r.Candidate) {
		r.Tainted = append(r.Tainted, r.Candidate)
	}
}

// follow has the other nodes follow the new primary, which serves already.
func (s *stepping) follow() {
	r := &s.record
	if s.in.view.Primary == NoNode {
		if n := s.node(r.Primary); s.age(s.entered) > time.Second && (n == nil || s.alive(n) == "") {
			s.finish("it was lost while the others began to follow it")
		}
		return
	}
	settled, latest := true, s.entered
	for _, n := range s.followers() {
		if !s.followed(n) {
			settled = false
		}
	}
	for _, t := range s.tasks {
		latest = max(latest, t.ended)
	}
	if settled || s.age(latest) > followLimit {
		var open []string
		for a, t := range s.tasks {
			if !t.done {
				open = append(open, fmt.Sprintf("%v for %s", a.kind, a.node))
			}
		}
		slices.Sort(open)
		s.noted = strings.Join(open, ", ")
		s.finish("")
	}
}

// followers are the nodes that shall follow the new primary. Those that answer come first: a command for one that is gone may
// take all the time it is given.
func (s *stepping) followers() (list []*Node) {
	var rest []*Node
	for i := range s.in.view.Nodes {
		switch n := &s.in.view.Nodes[i]; {
		case n.State == StateUnused || n.Name == s.record.Primary:
		case s.seen(n).evidence == evidenceAnswered:
			list = append(list, n)
		default:
			rest = append(rest, n)
		}
	}
	return append(list, rest...)
}

// followed has one node follow, and reports whether that is done or given up. follow_primary_command runs for one node after the
// other, as in Pgpool-II: it may copy a whole server from the new primary.
func (s *stepping) followed(n *Node) bool {
	r, set := &s.record, s.in.settings
	o := s.seen(n)
	native := set.mode == modeNative && o.evidence == evidenceAnswered && o.server.role == RoleStandby &&
		n.State != StateQuarantine && n.ServerVersion >= nativeVersion
	if native {
		switch s.ensure(action{kind: actionRepoint, node: n.Name, target: r.Primary, epoch: r.Epoch}, set.tries) {
		case pending:
			return false
		case succeeded:
			return true
		}
	}
	if !set.hooks.follow {
		return true
	}
	a := action{kind: actionFollow, node: n.Name, target: r.Primary, epoch: r.Epoch}
	if t := s.state(a); (t == nil || !t.running && !t.done && !t.failed) && s.runs(actionFollow) {
		return false
	}
	return s.ensure(a, set.tries) != pending
}

// finish ends a change that has a new primary.
func (s *stepping) finish(problem string) {
	r := &s.record
	s.outcome = Outcome{Number: s.number, Kind: r.Kind, Epoch: r.Epoch, Primary: r.Primary, Err: problem}
	s.number = 0
	s.changed = s.in.now
	if r.Old != "" && r.Old != r.Primary {
		s.out[r.Old] = true
	}
	s.enter(PhaseWatch, problem)
}

// abort restores what was: the standbys receive from the old primary again, and that may be written to.
func (s *stepping) abort() {
	r, set := &s.record, s.in.settings
	why := s.noted
	settled := true
	if n := s.node(r.Old); n != nil && slices.Contains(r.Fenced, r.Old) {
		switch s.ensure(action{kind: actionWritable, node: r.Old, epoch: r.Epoch}, set.tries) {
		case pending:
			settled = false
		case succeeded:
			r.Fenced = slices.DeleteFunc(r.Fenced, func(name string) bool { return name == r.Old })
		}
	}
	if set.mode == modeNative {
		for _, n := range s.standbys() {
			if s.ensure(action{kind: actionThaw, node: n.Name, epoch: r.Epoch}, set.tries) == pending {
				settled = false
			}
		}
	}
	s.noted = why
	if settled {
		s.outcome = Outcome{Number: s.number, Kind: r.Kind, Epoch: r.Epoch, Primary: r.Old, Err: why}
		s.number = 0
		s.enter(PhaseWatch, why)
	}
}
