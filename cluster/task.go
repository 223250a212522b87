package cluster

import "time"

// action is one thing that the machine wants done. It is a value: two that are the same are one.
type action struct {
	kind actionKind
	// node is whom it concerns, target the primary that it shall follow or that is lost with it.
	node, target string
	epoch        uint64
	// cut: actionDrain ends what is open for too long.
	cut bool
}

// actionKind is what is done. All may be done twice without harm: after a crash they are.
type actionKind uint8

const (
	_ actionKind = iota
	// actionBounce ends the node's walreceiver, so that it has to find its upstream anew.
	actionBounce
	// actionDrain waits until no transaction is open on the node, but for what the operator allows to be cut.
	actionDrain
	// actionReadOnly makes the node read-only and ends its sessions; it tells its last position.
	actionReadOnly
	// actionWritable undoes actionReadOnly.
	actionWritable
	// actionFreeze cuts the standby off from its upstream, so that its position stands still.
	actionFreeze
	// actionThaw undoes actionFreeze; a standby that is not frozen stays as it is.
	actionThaw
	// actionFence runs fence_command for the node.
	actionFence
	// actionPromote promotes the node by pg_promote().
	actionPromote
	// actionCommand runs failover_command for the loss of node, with target as the new main node.
	actionCommand
	// actionRepoint makes the standby follow target.
	actionRepoint
	// actionFollow runs follow_primary_command for node, target being the new primary.
	actionFollow
	// actionFailback runs failback_command for the node.
	actionFailback
	actionKinds
)

var actionNames = [actionKinds]string{"none", "bounce walreceiver", "drain", "make read-only", "make writable", "freeze standby", "thaw standby",
	"fence_command", "promote", "failover_command", "repoint standby", "follow_primary_command", "failback_command"}

func (k actionKind) String() string {
	if k < actionKinds {
		return actionNames[k]
	}
	return "invalid"
}

// result is what became of an action.
type result struct {
	action action
	err    error
	// lsn is the position that actionReadOnly tells.
	lsn LSN
}

// task is an action's progress.
type task struct {
	tries   int
	running bool
	done    bool
	failed  bool // given up after the last try
	err     error
	retry   int64 // when it may be tried again
	ended   int64
}

// progress is how far an action is.
type progress uint8

const (
	pending progress = iota
	succeeded
	failed
)

// retryPause is how long after a failure an action is tried again; it doubles up to a minute.
const retryPause = 200 * time.Millisecond

// ensure has an action done, tries times at most, and says how far it is.
func (s *stepping) ensure(a action, tries int) progress {
	t := s.tasks[a]
	if t == nil {
		t = &task{}
		s.tasks[a] = t
	}
	switch {
	case t.done:
		return succeeded
	case t.failed:
		return failed
	case t.running, t.tries > 0 && s.in.now < t.retry:
		return pending
	case t.tries >= tries:
		t.failed = true
		return failed
	}
	t.tries++
	t.running = true
	s.actions = append(s.actions, a)
	return pending
}

// again has an action that has ended done once more, after pause.
func (s *stepping) again(a action, pause time.Duration) {
	if t := s.tasks[a]; t != nil && !t.running && (t.done || t.failed) && s.in.now-t.ended >= int64(pause) {
		delete(s.tasks, a)
	}
}

// take notes what became of an action; one of a phase that is over means nothing any more.
func (s *stepping) take(r result) {
	t := s.tasks[r.action]
	if t == nil {
		return
	}
	t.running, t.ended, t.err = false, s.in.now, r.err
	if r.err == nil {
		t.done = true
		if r.action.kind == actionReadOnly {
			s.final = max(s.final, r.lsn)
		}
		return
	}
	t.retry = s.in.now + int64(min(retryPause<<min(t.tries-1, 8), time.Minute))
}

// runs is whether an action of that kind is under way.
func (s *stepping) runs(kind actionKind) bool {
	for a, t := range s.tasks {
		if a.kind == kind && t.running {
			return true
		}
	}
	return false
}

// state is what a task has come to; nil if it was not asked for in this phase.
func (s *stepping) state(a action) *task { return s.tasks[a] }
