package core

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// schedules is how many fault schedules a plain test run plays; HOWDAH_SCHEDULES says another number.
const schedules = 300

// TestSimulation plays random faults against whole clusters: partitions in one and both
// directions, lost and late messages, crashes, pauses, fast and slow clocks, leaders that are
// told to go, nodes that die and come back. After every event the invariants of
// invariants_test.go must hold; after the faults end the cluster must come to work again.
// A failure prints the seed; HOWDAH_SEED plays that one alone and prints what happened.
func TestSimulation(t *testing.T) {
	if text := os.Getenv("HOWDAH_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(seed)
		w.verbose = func(line string) { t.Log(line) }
		if err := w.play(); err != nil {
			t.Fatal(err)
		}
		return
	}
	n := uint64(schedules)
	if text := os.Getenv("HOWDAH_SCHEDULES"); text != "" {
		var err error
		if n, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	var next, failed atomic.Uint64
	var sum totals
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for seed := next.Add(1); seed <= n && failed.Load() == 0; seed = next.Add(1) {
				w := newWorld(seed)
				err := w.play()
				mu.Lock()
				sum.add(w.totals)
				mu.Unlock()
				if err != nil {
					failed.Add(1)
					t.Errorf("seed %d: %v\nthe last that happened:\n%s", seed, err, w.told())
				}
			}
		})
	}
	workers.Wait()
	t.Logf("%d schedules: %+v", n, sum)
	if failed.Load() == 0 && (sum.byLock == 0 || sum.alone == 0 || sum.forks == 0 || sum.fences == 0 && n >= 1000) {
		t.Errorf("the schedules of two do not reach everything: %+v", sum)
	}
	// What never happened was not tested.
	if failed.Load() == 0 && (sum.elections < int(n) || sum.begun == 0 || sum.committed == 0 || sum.aborted == 0 || sum.vetoed == 0 || sum.yields == 0 || sum.refusedVotes == 0 || sum.certified == 0 || sum.hangs == 0) {
		t.Errorf("the schedules do not reach everything: %+v", sum)
	}
}

// totals count what happened, to see that a simulation does reach it.
type totals struct{ elections, begun, committed, aborted, vetoed, yields, refusedVotes, attempts, handled, byLock, alone, fences, forks, certified, hangs int }

func (t *totals) add(o totals) {
	t.elections += o.elections
	t.begun += o.begun
	t.committed += o.committed
	t.aborted += o.aborted
	t.vetoed += o.vetoed
	t.yields += o.yields
	t.refusedVotes += o.refusedVotes
	t.attempts += o.attempts
	t.handled += o.handled
	t.byLock += o.byLock
	t.alone += o.alone
	t.fences += o.fences
	t.forks += o.forks
	t.certified += o.certified
	t.hangs += o.hangs
}

// The length of a schedule: faults until calm, then the cluster must recover until end.
const (
	calm = 12 * time.Second
	end  = 26 * time.Second
)

// world is one simulated cluster. All of it runs in one goroutine on virtual time.
type world struct {
	rng     *rand.Rand
	now     time.Duration // the real time
	events  queue
	count   int
	timing  Timing
	members []*simMember
	nodes   []*simNode
	// cut[a][b]: nothing gets from a to b. Places are members, then nodes.
	cut  [][]bool
	loss float64
	late time.Duration // the longest delay of a message

	// What the cluster as a whole did: see invariants_test.go.
	committed []simEntry
	truth     *State // after committed
	texts     map[uint64]string
	promoted  map[string]NodeID
	begun     time.Duration // when the last failover was
	changed   time.Duration // when the last one ended with another primary

	pair simPair

	totals  totals
	recent  []string
	verbose func(string)
	err     error
}

func newWorld(seed uint64) *world {
	w := build(seed)
	w.schedule()
	return w
}

// build is a cluster in which nothing goes wrong yet.
func build(seed uint64) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 17)), texts: map[uint64]string{}, promoted: map[string]NodeID{}}
	w.timing = Profiles()["lan"]
	// As sharp as is legal: the lease as long as it may be, nothing to spare.
	w.timing.Release = 0
	w.timing.Route = time.Second // grants run out more often than they should
	w.timing.Lease = time.Duration(float64(w.timing.Election) * (1 - 2*w.timing.Drift))
	w.timing.Cooldown, w.timing.Settle, w.timing.Fitter = 2*time.Second, 2*time.Second, 500*time.Millisecond
	w.late = []time.Duration{2 * time.Millisecond, 30 * time.Millisecond, 300 * time.Millisecond}[w.rng.IntN(3)]
	n := []int{2, 2, 3, 3, 3, 4, 5, 5}[w.rng.IntN(8)]
	witness := n == 3 && w.rng.IntN(2) == 0
	var ids []MemberID
	for i := range n {
		ids = append(ids, MemberID(fmt.Sprintf("p%d", i+1)))
	}
	first := (&State{}).clone()
	log := []simEntry{}
	put := func(c Command) {
		text, err := Builtin().Propose(first, c)
		if err != nil {
			panic(err)
		}
		log = append(log, simEntry{term: 1, text: text})
		if first, err = Builtin().Apply(first, uint64(len(log)), text); err != nil {
			panic(err)
		}
	}
	for i, id := range ids {
		role := RoleProxy
		if witness && i == n-1 {
			role = RoleWitness
		}
		put(first.Make(KindMember, MemberBody{id, Member{Address: string(id), Role: role, Level: 1, Priority: 10 - i}}))
	}
	put(first.Make(KindPrimary, PrimaryBody{Primary: Primary{Node: "d1", Timeline: 1}, Reason: "found"}))
	for i := range 3 {
		w.nodes = append(w.nodes, &simNode{id: NodeID(fmt.Sprintf("d%d", i+1)), up: true, primary: i == 0, timeline: 1})
	}
	w.truth, w.committed = first, log
	if n == 2 {
		w.usePair()
	}
	places := n + len(w.nodes)
	w.cut = make([][]bool, places)
	for i := range w.cut {
		w.cut[i] = make([]bool, places)
	}
	for i, id := range ids {
		m := &simMember{w: w, place: i, id: id, ids: ids, log: append([]simEntry(nil), log...), term: 1,
			rate: 1 + w.timing.Drift*(2*w.rng.Float64()-1), offset: time.Duration(w.rng.Int64N(int64(time.Hour)))}
		w.members = append(w.members, m)
		m.start(0)
		w.at(time.Duration(w.rng.Int64N(int64(tick))), m.ticks(m.life))
	}
	return w
}

func (w *world) logf(format string, args ...any) {
	line := fmt.Sprintf("%8.3f  %s", w.now.Seconds(), fmt.Sprintf(format, args...))
	if w.verbose != nil {
		w.verbose(line)
	}
	if w.recent = append(w.recent, line); len(w.recent) > 60 {
		w.recent = w.recent[1:]
	}
}

// told is the last that happened.
func (w *world) told() string { return strings.Join(w.recent, "\n") }

// play runs the schedule to its end, or to the first broken invariant.
func (w *world) play() error {
	for w.err == nil && w.events.Len() > 0 {
		e := w.events.pop()
		if e.at > end {
			break
		}
		w.now = e.at
		w.totals.handled++
		e.do()
	}
	if w.err == nil {
		w.err = w.recovered()
	}
	return w.err
}

// at does something at a time to come.
func (w *world) at(when time.Duration, do func()) {
	w.count++
	w.events.push(simEvent{when, w.count, do})
}

// send brings a message from one place to another, unless it is lost on the way.
func (w *world) send(from, to int, deliver func()) {
	if w.cut[from][to] || w.rng.Float64() < w.loss {
		return
	}
	w.at(w.now+time.Millisecond/2+time.Duration(w.rng.Int64N(int64(w.late))), func() {
		if !w.cut[from][to] {
			deliver()
		}
	})
}

// chance is true with probability p.
func (w *world) chance(p float64) bool { return w.rng.Float64() < p }

// schedule plans the faults.
func (w *world) schedule() {
	faults := 3 + w.rng.IntN(25)
	if len(w.members) == 2 && w.chance(0.5) {
		faults = w.rng.IntN(4) // whoever goes on alone does so after a while of peace
	}
	// A mix in which a few kinds dominate finds more than one in which all are alike.
	weights := make([]float64, len(faultKinds))
	for i := range weights {
		weights[i] = w.rng.Float64() * w.rng.Float64()
	}
	for range faults {
		kind := w.pick(weights)
		w.at(time.Duration(w.rng.Int64N(int64(calm))), func() { faultKinds[kind](w) })
	}
	if len(w.members) == 2 && w.chance(0.7) {
		alone := []func(){w.leaveAlone, w.leaveAlone, w.killOwner, w.fork}[w.rng.IntN(4)]
		w.at(time.Duration(w.rng.Int64N(int64(calm))), alone)
	}
	w.at(calm, w.heal)
}

func (w *world) pick(weights []float64) int {
	sum := 0.0
	for _, x := range weights {
		sum += x
	}
	x := w.rng.Float64() * sum
	for i, weight := range weights {
		if x -= weight; x < 0 {
			return i
		}
	}
	return len(weights) - 1
}

// heal ends all faults.
func (w *world) heal() {
	w.logf("all faults end")
	for i := range w.cut {
		clear(w.cut[i])
	}
	w.loss, w.late = 0, 2*time.Millisecond
	for _, m := range w.members {
		m.fitness = Fit()
		m.disk.until = min(m.disk.until, w.now)
		if !m.alive {
			m.start(0)
		}
	}
	for _, d := range w.nodes {
		d.up = true
	}
	w.pair.calm = w.now
}
