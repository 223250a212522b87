package cluster

import (
	"flag"
	"runtime"
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

// sabotage removes a safety rule at the seam between the machine and its world.
type sabotage struct {
	deaf      bool // standbys never say that they stream
	lame      bool // freezing does nothing
	forgetful bool // records are not durable
	lawless   bool // the view does not obey the machine's orders
	careless  bool // synchronous standbys do not matter
}

// play runs one schedule and returns what is wrong with it.
func play(seed uint64, broken sabotage, trace func(string, ...any)) (wrong string, changes int) {
	s := newSim(seed, broken, func(string, ...any) {})
	s.trace = func(format string, args ...any) {
		trace("%8.2fs "+format, append([]any{time.Duration(s.now).Seconds()}, args...)...)
	}
	for range int(30 * time.Second / simTick) {
		if wrong = s.step(); wrong != "" {
			s.trace("%s", wrong)
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
