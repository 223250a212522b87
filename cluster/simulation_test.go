package cluster

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	simSeeds = flag.Int("schedules", 300, "how many random fault schedules TestSimulation runs")
	simFirst = flag.Bool("first", false, "end TestSimulation with the first schedule that is wrong")
	simSeed  = flag.Uint64("seed", 0, "run only this schedule, and tell what happens")
)

// The simulation runs decide and the machine against modelled servers, in virtual time. In every tick each
// server's log flows, it is probed, the view and the machine make a step, actions end, and clients write. Faults come
// at random: servers die, hang, recover, are cut off from howdah or from each other; actions fail, hang, or
// succeed and lose their answer; howdah dies at any point and comes back with the record alone.

const (
	simTick  = 20 * time.Millisecond
	simNodes = 3
)

// sabotage removes a safety rule at the seam between the machine and its world.
type sabotage struct {
	deaf      bool // standbys never say that they stream
	lame      bool // freezing does nothing
	forgetful bool // records are not durable
	lawless   bool // the view does not obey the machine's orders
	careless  bool // synchronous standbys do not matter
}

type simServer struct {
	name                string
	dead, hung, slow    bool // slow: recovering, 57P03
	primary, frozen, ro bool
	timeline            uint32
	history             []fork
	log                 []uint64
	upstream            int // whom it follows; -1 nobody
	streaming           bool
	since               int64 // since when it streams without a pause
	heard               int64 // of its upstream
	promoteAt           int64 // when a promotion under way ends; 0 none
	cut                 bool  // from howdah
}

type simTask struct {
	a   action
	at  int64
	err error
	run bool // it has its effect at its end
	// promotes: failover_command for the primary, which promotes, not for a standby.
	promotes bool
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
	for i := range simNodes {
		name := string(rune('a' + i))
		s.servers = append(s.servers, &simServer{name: name, timeline: 1, upstream: 0})
		s.view.Nodes = append(s.view.Nodes, Node{ID: NodeID(i), Name: name, Weight: 1})
		s.set.priority[name], s.set.address[name] = 100, name
	}
	s.servers[0].primary, s.servers[0].upstream = true, -1
	s.known = make([]observation, simNodes)
	s.m = newMachine(Record{}, s.now)
	return s
}

func (s *sim) up(v *simServer) bool { return !v.dead && !v.hung }

func (s *sim) index(name string) int {
	return slices.IndexFunc(s.servers, func(v *simServer) bool { return v.name == name })
}

// flow moves the log along, ends promotions, and acknowledges.
func (s *sim) flow() {
	for i, v := range s.servers {
		if v.promoteAt > 0 && s.now >= v.promoteAt && s.up(v) {
			v.promoteAt, v.primary, v.streaming = 0, true, false
			top := v.timeline
			v.history = append(slices.Clone(v.history), fork{v.timeline, LSN(len(v.log))})
			v.timeline = top + 1
			s.trace("%s is promoted on timeline %d", v.name, v.timeline)
		}
		if v.primary || v.upstream < 0 || !s.up(v) || v.slow {
			continue
		}
		u := s.servers[v.upstream]
		live := s.up(u) && !u.slow && !v.frozen && !s.links[i][v.upstream] && (u.primary || u.streaming) && s.follows(v, u)
		switch {
		case live:
			if !v.streaming {
				v.since = s.now
			}
			v.streaming, v.heard = true, s.now
			v.timeline, v.history = u.timeline, u.history
			n := min(len(u.log)-len(v.log), 1+s.r.IntN(3))
			v.log = append(v.log, u.log[len(v.log):len(v.log)+n]...)
		case v.frozen, u.dead && !s.links[i][v.upstream]: // it hears the end
			v.streaming = false
		case s.now-v.heard > int64(20*time.Second): // wal_receiver_timeout
			v.streaming = false
		}
	}
	for id, by := range s.unacked {
		p := s.servers[by]
		if !p.primary || !s.up(p) {
			continue
		}
		for i, v := range s.servers {
			if !s.sync || i != by && v.upstream == by && v.streaming && s.up(v) && !v.frozen && !s.links[i][by] && slices.Contains(v.log, id) {
				s.acked = append(s.acked, id)
				delete(s.unacked, id)
				break
			}
		}
	}
}

// follows reports whether v's log is a beginning of u's.
func (s *sim) follows(v, u *simServer) bool {
	if len(v.log) > len(u.log) || v.timeline > u.timeline {
		return false
	}
	return slices.Equal(v.log, u.log[:len(v.log)])
}

// probe is what howdah finds out about a server.
func (s *sim) probe(i int) observation {
	v := s.servers[i]
	o := observation{at: s.now}
	switch {
	case v.cut || v.hung:
		o.evidence, o.why = evidenceSilent, "no answer"
	case v.dead:
		o.evidence, o.why = evidenceRefused, "connection refused"
	case v.slow:
		o.evidence, o.why = evidenceStarting, "recovers"
	default:
		o.evidence, o.asked = evidenceAnswered, s.now
		o.server = server{role: RoleStandby, systemID: "A", timeline: v.timeline, lsn: LSN(len(v.log)), received: LSN(len(v.log)), version: 150000,
			receiver: receiver{known: true, running: v.streaming, streaming: v.streaming && !s.broken.deaf}}
		if v.upstream >= 0 {
			o.server.receiver.sender = s.servers[v.upstream].name
		}
		o.server.detail = detail{name: v.name, frozen: v.frozen, history: v.history}
		if v.primary {
			d := &o.server.detail
			o.server.role, o.server.receiver = RolePrimary, receiver{known: true}
			d.syncKnown, d.syncAsked = true, s.sync
			if s.sync {
				d.quorum = 1
			}
			for j, w := range s.servers {
				if j != i && s.sync { // ANY 1 of the others
					d.sync = append(d.sync, w.name)
				}
			}
		}
	}
	return o
}

// effect has an action done.
func (s *sim) effect(a action, promotes bool) (LSN, error) {
	i := s.index(a.node)
	if a.kind == actionCommand {
		if i = s.index(a.target); !promotes {
			return 0, nil
		}
		a.kind = actionPromote
	}
	v := s.servers[i]
	if !s.up(v) || v.cut || v.slow {
		return 0, errors.New("out of reach")
	}
	switch a.kind {
	case actionFreeze:
		v.frozen = !s.broken.lame
		v.streaming = v.streaming && s.broken.lame
	case actionThaw:
		v.frozen = false
	case actionBounce:
		v.streaming = false
	case actionPromote:
		if !v.primary && v.promoteAt == 0 {
			v.promoteAt = s.now + int64(time.Duration(s.r.IntN(400))*time.Millisecond)
		}
	case actionReadOnly:
		v.ro = true
		return LSN(len(v.log)), nil
	case actionWritable:
		v.ro = false
	case actionRepoint, actionFollow:
		u := s.index(a.target)
		if v.primary && a.kind == actionFollow { // the command rebuilds it
			if !s.up(s.servers[u]) || s.links[i][u] {
				return 0, errors.New("cannot rebuild")
			}
			v.primary, v.ro, v.log = false, false, slices.Clone(s.servers[u].log)
			v.timeline, v.history = s.servers[u].timeline, s.servers[u].history
		}
		v.upstream, v.frozen = u, false
	case actionDrain:
	}
	return 0, nil
}

// step is one tick; it returns what is wrong.
func (s *sim) step() string {
	s.now += int64(simTick)
	s.flow()
	if !s.quiet {
		s.fault()
	}
	s.finishTasks()
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

func (s *sim) finishTasks() {
	s.tasks = slices.DeleteFunc(s.tasks, func(t simTask) bool {
		if s.now < t.at {
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

// dies kills howdah now and then; actions that were begun may have their effect all the same.
func (s *sim) dies() bool {
	if s.quiet || s.r.IntN(12) > 0 {
		return false
	}
	s.trace("howdah dies")
	s.m, s.answer, s.results = nil, nil, nil
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

// fault breaks or mends something now and then.
func (s *sim) fault() {
	if s.r.IntN(40) > 0 {
		return
	}
	i := s.r.IntN(simNodes)
	v := s.servers[i]
	switch s.r.IntN(9) {
	case 0:
		v.dead, v.streaming, v.promoteAt = true, false, 0
		s.trace("%s dies", v.name)
	case 1:
		v.hung = true
		s.trace("%s hangs", v.name)
	case 2:
		v.cut = true
		s.trace("%s is cut off from howdah", v.name)
	case 3:
		j := (i + 1 + s.r.IntN(simNodes-1)) % simNodes
		s.links[i][j], s.links[j][i] = true, true
		s.trace("%s and %s are cut apart", v.name, s.servers[j].name)
	case 4:
		if s.up(v) {
			v.slow, v.streaming = true, false
			s.trace("%s recovers", v.name)
		}
	default:
		s.mend(i)
	}
}

func (s *sim) mend(i int) {
	v := s.servers[i]
	if v.dead || v.hung || v.slow || v.cut {
		s.trace("%s is mended", v.name)
	}
	v.dead, v.hung, v.slow, v.cut = false, false, false, false
	for j := range simNodes {
		s.links[i][j], s.links[j][i] = false, false
	}
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
	for n := range int(2 * time.Minute / simTick) {
		if wrong := s.step(); wrong != "" {
			return wrong
		}
		if s.view.Primary == NoNode && n%1000 == 999 {
			s.rebuild()
		}
		if p := s.view.Node(s.view.Primary); p != nil && s.m != nil && s.m.record.Phase == PhaseWatch && s.now-s.m.entered > int64(5*time.Second) {
			for _, id := range s.acked {
				if s.sync && s.set.mode == modeNative && !slices.Contains(s.servers[p.ID].log, id) {
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
		if u := s.servers[p]; i != p && v.timeline > u.timeline {
			v.primary, v.frozen, v.upstream, v.log, v.timeline, v.history = false, false, p, slices.Clone(u.log), u.timeline, u.history
			s.known[i] = observation{}
		}
	}
}

// play runs one schedule and returns what is wrong with it.
func play(seed uint64, broken sabotage, trace func(string, ...any)) (wrong string, changes int) {
	s := newSim(seed, broken, func(string, ...any) {})
	s.trace = func(format string, args ...any) {
		trace("%8.2fs "+format, append([]any{time.Duration(s.now).Seconds()}, args...)...)
	}
	for range int(30 * time.Second / simTick) {
		if wrong = s.step(); wrong != "" {
			return wrong, s.changes
		}
	}
	wrong = s.heal()
	return wrong, s.changes
}

// TestSimulation plays random schedules of faults; -schedules says how many, -seed shows one.
func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		wrong, _ := play(*simSeed, sabotage{}, t.Logf)
		if wrong != "" {
			t.Error(wrong)
		}
		return
	}
	var last, changes, failed atomic.Int64
	most := int64(10)
	if *simFirst {
		most = 1
	}
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for failed.Load() < most {
				seed := last.Add(1)
				if seed > int64(*simSeeds) {
					return
				}
				wrong, n := play(uint64(seed), sabotage{}, func(string, ...any) {})
				changes.Add(int64(n))
				if wrong != "" {
					failed.Add(1)
					t.Errorf("schedule %d (-run TestSimulation -seed %d): %s", seed, seed, wrong)
				}
			}
		})
	}
	workers.Wait()
	if changes.Load() < int64(*simSeeds/4) && failed.Load() == 0 {
		t.Errorf("the primary changed only %d times", changes.Load())
	}
	t.Logf("%d schedules, %d changes of the primary", *simSeeds, changes.Load())
}

// TestSimulationNotices removes one safety rule after the other: the simulation must fail.
func TestSimulationNotices(t *testing.T) {
	rules := map[string]sabotage{
		"what standbys hear": {deaf: true}, "freezing": {lame: true}, "durable records": {forgetful: true},
		"the machine's orders": {lawless: true}, "synchronous standbys": {careless: true},
	}
	for rule, broken := range rules {
		t.Run(strings.ReplaceAll(rule, " ", "_"), func(t *testing.T) {
			for seed := uint64(1); seed <= 1500; seed++ {
				if wrong, _ := play(seed, broken, func(string, ...any) {}); wrong != "" {
					t.Logf("schedule %d: %s", seed, wrong)
					return
				}
			}
			t.Error("nobody misses it")
		})
	}
}
