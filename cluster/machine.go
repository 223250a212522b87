package cluster

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// machine is the failover machine: it takes what is known of the nodes, what became of its
// actions and what operators ask, and says what to record and to do next. It is a pure state machine:
// no clock, socket or goroutine; what it must not forget is in record, and the rest is made again
// after a crash. TestMachinePicture draws its phases into docs/FAILOVER.md.
type machine struct {
	record Record
	// tasks are the actions under way and done, by what they do; dropped when the phase changes.
	tasks map[action]*task
	// entered is when (Now) the phase was entered, or howdah started.
	entered int64
	// lost is when the primary was first missed; 0 while it is there.
	lost int64
	// asking: a proposal is with the arbiter; asked again not before retry.
	asking bool
	retry  int64
	// changed is when the last change of the primary was complete, for the cooldown; 0 is never.
	changed int64
	// fenced is when the standbys had stopped receiving: positions count from then on.
	fenced int64
	// final is the old primary's last position in a switchover, known once it is read-only.
	final LSN
	// attached says when nodes were attached.
	attached map[string]int64
	// out are the nodes of whose going down was told by failover_command.
	out map[string]bool
	// order is what an operator has asked for and is not begun; number is that of the one
	// under way; outcome is how the last one, or the last change at all, ended. noted says why nothing happens.
	order   *order
	number  uint64
	cut     bool
	outcome Outcome
	noted   string
}

// order is an operator's request to change the primary.
type order struct {
	number uint64
	kind   Kind
	target string
	reason string
	cut    bool // end what does not end by itself
}

// Outcome is how a change of the primary ended.
type Outcome struct {
	// Number is that of the operator's order, 0 if nobody ordered it.
	Number  uint64
	Kind    Kind
	Epoch   uint64
	Primary string
	// Err says why it was refused or given up; empty if it succeeded.
	Err string
}

func newMachine(r Record, now int64) *machine {
	return &machine{record: r, entered: now, tasks: map[action]*task{}, out: map[string]bool{}}
}

// input is all that a step depends on besides the machine.
type input struct {
	now      int64
	view     *View
	known    []observation
	settings *settings
	// answer is the arbiter's to the proposal, nil if there is none.
	answer  *Answer
	results []result
	// change is what an operator orders for the record, nil for nothing; order a change of the primary.
	change func(*machine)
	order  *order
}

// settings are the machine's.
type settings struct {
	mode          mode
	silences      int
	confirm       time.Duration // failover.confirm
	shutdownGrace time.Duration
	recoveryGrace time.Duration
	isolatedAfter time.Duration
	cooldown      time.Duration
	searchTimeout time.Duration
	drainWait     time.Duration
	actionTimeout time.Duration
	tries         int
	requireSync   bool
	maxLoss       LSN
	softFence     bool
	hooks         hookSet
	// priority is the nodes', by name; 0 is never promoted.
	priority map[string]int
	// address says which node is meant by host:port, as walreceivers give it.
	address map[string]string
}

// hookSet says which commands are configured.
type hookSet struct{ command, follow, failback, fence bool }

// mode is failover.mode.
type mode uint8

const (
	modeNone mode = iota
	modeCommand
	modeNative
)

// output is what a step asks for. If save is set, machine.record must be made durable
// before anything of the rest is done.
type output struct {
	save    bool
	ask     *Proposal
	actions []action
	orders  orders
	// hurry: the nodes are to be probed as fast as can be.
	hurry bool
}

// step makes the machine's next move. It returns a new machine; the old one is as it was, so
// that a step whose record could not be saved can be forgotten.
func (m *machine) step(in *input) (*machine, output) {
	next := m.copy()
	s := &stepping{machine: next, in: in}
	for _, r := range in.results {
		s.take(r)
	}
	if in.change != nil {
		in.change(next)
	}
	if in.order != nil {
		s.order = in.order
		if next.record.underWay() {
			s.refuse(fmt.Sprintf("a %s is under way (%v)", next.record.Kind, next.record.Phase))
		}
	}
	for range phases { // a phase that has nothing to do goes on to the next at once
		before := next.record.Phase
		s.move()
		if next.record.Phase == before {
			break
		}
		if !next.record.same(&m.record) {
			break // what follows is done when this is on disk
		}
	}
	if in.answer != nil { // it came when something else stood in the way: the question is asked again then
		next.asking, in.answer = false, nil
	}
	out := output{save: !next.record.same(&m.record), ask: s.ask, orders: next.orders(), hurry: s.hurry}
	out.actions = s.actions
	return next, out
}

func (m *machine) copy() *machine {
	c := *m
	c.record = m.record.clone()
	c.attached, c.out = maps.Clone(m.attached), maps.Clone(m.out)
	c.tasks = make(map[action]*task, len(m.tasks))
	for a, t := range m.tasks {
		copied := *t
		c.tasks[a] = &copied
	}
	return &c
}

// stepping is one call of step.
type stepping struct {
	*machine
	in      *input
	ask     *Proposal
	actions []action
	hurry   bool
}

// move does what the phase asks for.
func (s *stepping) move() {
	switch s.record.Phase {
	case PhaseWatch:
		s.watch()
	case PhaseDrain:
		s.drain()
	case PhaseFence:
		s.fence()
	case PhaseChoose:
		s.choose()
	case PhasePromote:
		s.promote()
	case PhaseFollow:
		s.follow()
	case PhaseAbort:
		s.abort()
	}
}

// enter goes on to another phase.
func (s *stepping) enter(to Phase, why string) {
	if !s.record.Phase.may(to) {
		panic(fmt.Sprintf("cluster: no way from phase %v to %v (%s)", s.record.Phase, to, why)) // a hole in the machine
	}
	s.record.Phase, s.entered, s.noted = to, s.in.now, why
	s.tasks = map[action]*task{}
	s.actions, s.ask, s.asking = nil, nil, false
	s.hurry = to != PhaseWatch
}

// orders are what the next views must obey.
func (m *machine) orders() orders {
	r := &m.record
	o := orders{attached: m.attached, paused: r.Paused, floor: r.Timeline, floorSystem: r.SystemID, floorNode: r.Primary}
	for _, name := range r.Detached {
		put(&o.detached, name, "detached by the operator")
	}
	for _, name := range r.Tainted {
		put(&o.barred, name, "false primary: it was promoted beside the primary, or in an attempt that was given up; attach it to accept it")
	}
	switch r.Phase {
	case PhaseDrain:
		o.holding = true
	case PhaseFence, PhaseChoose, PhasePromote:
		o.unsettled = fmt.Sprintf("a %s is under way (epoch %d, %v)", r.Kind, r.Epoch, r.Phase)
	case PhaseAbort:
		if slices.Contains(r.Fenced, r.Old) {
			o.unsettled = fmt.Sprintf("a %s was given up; %s is made writable again", r.Kind, r.Old)
		}
	case PhaseFollow:
		if r.Old != "" && r.Old != r.Primary {
			put(&o.barred, r.Old, fmt.Sprintf("false primary: %s has replaced it in epoch %d", r.Primary, r.Epoch))
		}
	}
	return o
}

func put(m *map[string]string, key, value string) {
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[key] = value
}

// node finds a node by name; nil if it is not configured.
func (s *stepping) node(name string) *Node {
	for i := range s.in.view.Nodes {
		if n := &s.in.view.Nodes[i]; n.Name == name && n.State != StateUnused {
			return n
		}
	}
	return nil
}

// seen is what is known of the node.
func (s *stepping) seen(n *Node) *observation { return &s.in.known[n.ID] }

// nameOf is a node's name, empty for none.
func (s *stepping) nameOf(id NodeID) string {
	if n := s.in.view.Node(id); n != nil {
		return n.Name
	}
	return ""
}

// for how long something has been so.
func (s *stepping) age(since int64) time.Duration { return time.Duration(s.in.now - since) }

// propose asks the arbiter, unless it has just been asked, and reports its consent.
func (s *stepping) propose(p Proposal) bool {
	if a := s.in.answer; a != nil && s.asking {
		s.asking, s.in.answer = false, nil
		if a.Granted {
			return true
		}
		s.retry = s.in.now + int64(refusedPause)
		s.noted = fmt.Sprintf("the arbiter refuses: %v", a.Reasons)
		return false
	}
	if s.asking || s.in.now < s.retry {
		return false
	}
	p.Epoch = s.record.Epoch + 1
	p.Evidence = s.evidence()
	s.asking, s.ask = true, &p
	return false
}

// refusedPause is how long after a refusal the arbiter is asked again.
const refusedPause = 500 * time.Millisecond

// evidence is what is known of the nodes, for the arbiter.
func (s *stepping) evidence() []Evidence {
	var all []Evidence
	for i := range s.in.view.Nodes {
		n := &s.in.view.Nodes[i]
		if n.State == StateUnused {
			continue
		}
		o := s.seen(n)
		all = append(all, Evidence{Node: n.Name, State: n.State, Role: n.Role, Why: n.Reason, For: s.age(n.Since),
			Streams: o.server.receiver.streaming, Timeline: n.Timeline, Received: max(o.server.received, o.server.lsn)})
	}
	return all
}

// begin records that a change has begun, in a new epoch.
func (s *stepping) begin(kind Kind, to Phase, target, reason string) {
	r := &s.record
	if r.Phase == PhaseWatch {
		s.lookBack()
	}
	r.Epoch++
	r.Kind, r.Target, r.Candidate, r.Reason = kind, target, "", reason
	s.fenced, s.final, s.order = 0, 0, nil
	s.enter(to, reason)
}

// lookBack notes what is known of the primary that is to be replaced.
func (s *stepping) lookBack() {
	r := &s.record
	r.Old, r.OldTimeline, r.OldLSN = r.Primary, r.Timeline, 0
	if n := s.node(r.Primary); n != nil && s.seen(n).server.role == RolePrimary {
		r.OldLSN = s.seen(n).server.lsn
	}
}

// noteSync keeps who the primary's synchronous standbys are. That it has lost them does not mean that none of its commits
// waited for them.
func (s *stepping) noteSync(p *Node) {
	r, d := &s.record, &s.seen(p).server.detail
	switch {
	case !d.syncKnown:
	case !d.syncAsked:
		r.Sync, r.Quorum = nil, 0
	case len(d.sync) > 0 && (!slices.Equal(d.sync, r.Sync) || d.quorum != r.Quorum):
		r.Sync, r.Quorum = d.sync, d.quorum
	}
}

// adopt takes note of a primary that the servers show.
func (s *stepping) adopt(n *Node) {
	r := &s.record
	r.SystemID, r.Primary, r.Timeline = n.SystemID, n.Name, max(n.Timeline, s.seen(n).server.timeline)
	r.Tainted = slices.DeleteFunc(r.Tainted, func(name string) bool { return name == n.Name })
	r.Sync, r.Quorum = nil, 0
	s.noteSync(n)
	s.lost = 0
}
