package cluster

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	simTick  = 20 * time.Millisecond
	simNodes = 3
)

type simTask struct {
	a   action
	at  int64
	err error
	run bool // it has its effect at its end
	// rested: no transaction was open any more (actionDrain).
	rested bool
	// promotes: failover_command for the primary, which promotes, not for a standby.
	promotes bool
	// left: howdah has died since it began.
	left bool
}

type sim struct {
	r        *rand.Rand
	now      int64
	servers  []*simServer
	links    [simNodes][simNodes]bool // cut between servers
	view     *View
	known    []observation
	m        *machine
	saved    Record
	orders   orders
	set      settings
	tasks    []simTask
	results  []result
	answer   *Answer
	answerAt int64
	sync     bool
	broken   sabotage
	nextID   uint64
	unacked  map[uint64]int // writer's node
	acked    []uint64
	promoted map[uint64]string // by epoch
	top      uint32            // the highest timeline that was routed to, and whose
	topNode  string
	quiet    bool
	downTill int64 // howdah is dead until then
	trace    func(string, ...any)
	switches int
	changes  int
	wrong    string        // what an action broke
	byHand   int           // promotions by hand; what was acknowledged may be lost with them
	misses   [simNodes]int // silent probes in a row
	unheard  [simNodes]int // the same, while which no session got an answer
	finished int64         // when howdah, which has not died since, last ended a change; 0 is not known
	chosen   int64         // the same of its choice of a candidate
}

func newSim(seed uint64, broken sabotage, trace func(string, ...any)) *sim {
	s := &sim{r: rand.New(rand.NewPCG(seed, 7)), now: 1, broken: broken, trace: trace, promoted: map[uint64]string{}, unacked: map[uint64]int{}}
	s.view = &View{Primary: NoNode, last: NoNode}
	s.set = settings{mode: modeNative, silences: 3, confirm: 200 * time.Millisecond, shutdownGrace: time.Second, recoveryGrace: 2 * time.Second,
		actionTimeout: 3 * time.Second, searchTimeout: 3 * time.Second, drainWait: 2 * time.Second, tries: 2, requireSync: !broken.careless, priority: map[string]int{}, address: map[string]string{}}
	if s.r.IntN(3) == 0 {
		s.set.mode = modeCommand
		s.set.hooks = hookSet{command: true, follow: true}
	}
	s.sync = s.r.IntN(2) == 0
	if s.r.IntN(2) == 0 {
		s.set.cooldown = time.Second
	}
	if s.r.IntN(4) == 0 {
		s.set.maxLoss = 3
	}
	for i := range simNodes {
		name := string(rune('a' + i))
		s.servers = append(s.servers, &simServer{name: name, timeline: 1, upstream: 0, system: "A"})
		s.view.Nodes = append(s.view.Nodes, Node{ID: NodeID(i), Name: name, Weight: 1})
		s.set.priority[name], s.set.address[name] = 100, name
	}
	if s.r.IntN(4) == 0 {
		s.set.priority[s.servers[2].name] = 0
	}
	s.servers[0].primary, s.servers[0].upstream = true, -1
	s.known = make([]observation, simNodes)
	s.m = newMachine(Record{}, s.now)
	return s
}

// step is one tick; it returns what is wrong.
func (s *sim) step() string {
	s.now += int64(simTick)
	s.flow()
	if !s.quiet {
		s.fault()
	}
	if s.finishTasks(); s.wrong != "" {
		return s.wrong
	}
	if s.now < s.downTill {
		return ""
	}
	if s.m == nil {
		s.restart()
	}
	for i := range s.servers {
		if s.r.IntN(3) > 0 || s.quiet {
			o := s.probe(i)
			if o.evidence == evidenceSilent && s.r.IntN(5) > 0 {
				continue // a deadline takes its time
			}
			if s.misses[i]++; o.evidence != evidenceSilent {
				s.misses[i] = 0
			}
			if s.unheard[i]++; o.evidence != evidenceSilent || o.heard {
				s.unheard[i] = 0
			}
			s.known[i] = merge(s.known[i], o)
		}
	}
	if wrong := s.look(); wrong != "" {
		return wrong
	}
	if wrong := s.conduct(); wrong != "" {
		return wrong
	}
	s.write()
	return ""
}

// conduct steps the machine as the conductor does, with howdah dying in between at times.
func (s *sim) conduct() string {
	for range 8 {
		in := input{now: s.now, view: s.view, known: s.known, settings: &s.set, results: s.results}
		if s.answer != nil && s.now >= s.answerAt {
			in.answer = s.answer
		}
		if s.r.IntN(400) == 0 && !s.quiet && s.m.order == nil {
			s.switches++
			in.order = &order{number: uint64(s.switches), kind: KindSwitchover, reason: "test"}
		}
		if s.r.IntN(400) == 0 && !s.quiet && s.m.record.Phase == PhaseWatch {
			in.change = s.operate()
		}
		next, out := s.m.step(&in)
		if out.save {
			if s.dies() {
				return ""
			}
			if s.r.IntN(20) == 0 && !s.quiet {
				return "" // the disk is full
			}
			if next.record.Phase != s.m.record.Phase {
				s.trace("%v: %v (epoch %d, primary %s, candidate %s): %s", s.m.record.Phase, next.record.Phase, next.record.Epoch,
					next.record.Primary, next.record.Candidate, next.noted)
			}
			switch r := &next.record; {
			case r.Phase == PhasePromote && s.m.record.Phase != PhasePromote:
				s.chosen = s.now
			case r.Phase == PhaseWatch && s.m.record.Phase == PhaseFollow:
				s.finished = s.now
			}
			if next.record.Primary != s.m.record.Primary && s.m.record.Primary != "" {
				s.changes++
			}
			if !s.broken.forgetful {
				s.saved = next.record.clone()
			}
			if s.dies() {
				return ""
			}
		}
		s.m, s.results = next, nil
		if in.answer != nil {
			s.answer = nil
		}
		s.orders = out.orders
		for _, a := range out.actions {
			if wrong := s.begin(a); wrong != "" {
				return wrong
			}
		}
		if out.ask != nil {
			if wrong := s.consent(out.ask); wrong != "" {
				return wrong
			}
		}
		if wrong := s.look(); wrong != "" {
			return wrong
		}
		if !out.save {
			return ""
		}
	}
	return "the machine does not come to rest"
}

func (s *sim) finishTasks() {
	for i := range s.tasks { // what was seen at rest is told of a moment later
		t := &s.tasks[i]
		if t.a.kind == actionDrain && s.now >= t.at && !t.rested && s.servers[s.index(t.a.node)].open <= s.now {
			t.rested, t.at = true, s.now+3*int64(simTick)
		}
	}
	s.tasks = slices.DeleteFunc(s.tasks, func(t simTask) bool {
		if s.now < t.at || t.a.kind == actionDrain && t.err == nil && !t.rested {
			return false
		}
		r := result{action: t.a, err: t.err}
		if t.run {
			lsn, err := s.effect(t.a, t.promotes)
			if r.err == nil {
				r.lsn, r.err = lsn, err
			}
		}
		s.results = append(s.results, r)
		return true
	})
}

// operate is what an operator does to the record now and then.
func (s *sim) operate() func(*machine) {
	if s.r.IntN(2) == 0 {
		return func(m *machine) { m.record.Paused = !m.record.Paused }
	}
	name := s.servers[s.r.IntN(simNodes)].name
	return func(m *machine) {
		if n := len(m.record.Detached); n > 0 {
			m.record.Detached = nil
		} else if m.record.Primary != "" && m.record.Primary != name {
			m.record.Detached = []string{name}
		}
	}
}

// dies kills howdah now and then; actions that were begun may have their effect all the same.
func (s *sim) dies() bool {
	if s.quiet || s.r.IntN(12) > 0 {
		return false
	}
	s.trace("howdah dies")
	s.m, s.answer, s.results = nil, nil, nil
	s.finished, s.chosen = 0, 0
	for i := range s.tasks { // with its connections what it has begun ends, or is done
		s.tasks[i].left = true
		s.tasks[i].run = s.tasks[i].run && s.r.IntN(2) == 0
		s.tasks[i].at = min(s.tasks[i].at, s.now+int64(simTick))
	}
	if s.saved.Primary != s.topNode { // it followed somebody else's promotion a moment ago, and has not recorded that
		s.top, s.topNode = s.saved.Timeline, s.saved.Primary
	}
	for _, v := range s.servers {
		v.open = 0
	}
	s.downTill = s.now + int64(time.Duration(s.r.IntN(2000))*time.Millisecond)
	return true
}

func (s *sim) restart() {
	s.trace("howdah starts in phase %v", s.saved.Phase)
	s.m = newMachine(s.saved.clone(), s.now)
	s.orders = s.m.orders()
	for i := range s.view.Nodes {
		s.view.Nodes[i] = Node{ID: NodeID(i), Name: s.servers[i].name, Weight: 1}
	}
	s.view = &View{Primary: NoNode, last: NoNode, Nodes: s.view.Nodes}
	s.known = make([]observation, simNodes)
}

// write is a client's insert to whom the view routes it.
func (s *sim) write() {
	p := s.view.Node(s.view.Primary)
	if p == nil || s.view.Orders.Holding || s.r.IntN(3) > 0 {
		return
	}
	v := s.servers[p.ID]
	if !s.up(v) || v.cut || v.slow || !v.primary || v.ro {
		return
	}
	if v.open <= s.now && s.r.IntN(20) == 0 {
		v.open = s.now + int64(time.Duration(s.r.IntN(1500))*time.Millisecond)
	}
	s.nextID++
	v.log = append(v.log, s.nextID)
	s.unacked[s.nextID] = int(p.ID)
}

// heal mends all and has an operator rebuild what is in quarantine; then the cluster must come to rest.
func (s *sim) heal() string {
	s.quiet = true
	for i := range simNodes {
		s.mend(i)
	}
	healed := false
	for n := range int(2 * time.Minute / simTick) {
		if wrong := s.step(); wrong != "" {
			return wrong
		}
		if s.m != nil && !healed {
			healed = true
			s.m.record.Paused, s.m.record.Detached = false, nil
		}
		if s.view.Primary == NoNode && n%1000 == 999 {
			s.rebuild()
		}
		if p := s.view.Node(s.view.Primary); p != nil && s.m != nil && s.m.record.Phase == PhaseWatch && s.now-s.m.entered > int64(5*time.Second) {
			for _, id := range s.acked {
				if s.sync && s.set.mode == modeNative && s.byHand == 0 && !slices.Contains(s.servers[p.ID].log, id) {
					return fmt.Sprintf("write %d was acknowledged and is not on %s", id, p.Name)
				}
			}
			return ""
		}
	}
	return fmt.Sprintf("no rest: primary %s, phase %v, %s", name(s.view, s.view.Primary), s.m.record.Phase, s.m.noted)
}

// rebuild is an operator who sees that the primary is refused for servers that were promoted in an attempt that
// was given up, or follow such a one: he makes them standbys anew.
func (s *sim) rebuild() {
	p := s.index(s.saved.Primary)
	if p < 0 || !s.servers[p].primary {
		return
	}
	for i, v := range s.servers {
		if u := s.servers[p]; i != p && (v.timeline > u.timeline || v.system != u.system) {
			v.system, v.byHand = u.system, false
			v.primary, v.frozen, v.upstream, v.log, v.timeline, v.history = false, false, p, slices.Clone(u.log), u.timeline, u.history
			s.known[i] = observation{}
		}
	}
}
