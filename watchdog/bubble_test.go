package watchdog

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/howdah/howdah/watchdog/core"
)

// bubble is a cluster of real rafts, lease transports and machines, all in memory and on virtual time: an hour passes in seconds. What is
// simulated is the network between them, and their processes' deaths and pauses.
type bubble struct {
	t      *testing.T
	start  time.Time
	timing core.Timing
	random *rand.Rand // of the faults; those of one test run in one goroutine

	mu      sync.Mutex
	members map[raft.ServerID]*bubbled
	order   []raft.ServerID
	cut     map[[2]raft.ServerID]bool
	late    time.Duration
	delays  *rand.Rand
	holders int // how often the address got another holder
	// certificates are on their way; certified counts the campaigns that they led to.
	certificates sync.WaitGroup
	certified    *atomic.Int64
}

// bubbled is one member.
type bubbled struct {
	*bubble
	id        raft.ServerID
	logs      *raft.InmemStore // survives a restart
	snapshots *raft.InmemSnapshotStore

	lease *leaseTransport
	raft  *raft.Raft
	fsm   *fsm
	stop  chan struct{}
	work  sync.WaitGroup
	// transfers are under way. Raft must not be shut down beneath one: it would never answer.
	transfers sync.WaitGroup

	paused chan struct{} // closed when it goes on; nil if it is not paused
	// The machine has one user at a time.
	machineMu sync.Mutex
	machine   *core.Machine
	leader    raft.ServerID
	address   core.SetAddress
}

func (b *bubble) now() time.Duration { return time.Since(b.start) + time.Hour }

// lateWire is a network between members: late, cut, and stopped with them.
type lateWire struct {
	wire
	m    *bubbled
	stop chan struct{} // of the life that it belongs to
}

var errCut = errors.New("the network is cut")

// way waits as long as a message takes from one member to another, and as long as either is paused; but not longer than until stop.
func (b *bubble) way(from, to raft.ServerID, stop chan struct{}) error {
	b.mu.Lock()
	takes := time.Millisecond + time.Duration(b.delays.Int64N(int64(b.late)))
	b.mu.Unlock()
	time.Sleep(takes)
	if !b.members[from].waits(stop) || !b.members[to].waits(stop) {
		return errCut
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cut[[2]raft.ServerID{from, to}] {
		return errCut
	}
	return nil
}

// waits until the member is not paused, and is false if stop came first.
func (m *bubbled) waits(stop chan struct{}) bool {
	m.mu.Lock()
	p := m.paused
	m.mu.Unlock()
	if p == nil {
		return true
	}
	select {
	case <-p:
		return true
	case <-stop:
		return false
	}
}

// exchange is one request and its answer. A request that is cut is a timeout.
func (w lateWire) exchange(to raft.ServerID, call func() error) error {
	if err := w.m.way(w.m.id, to, w.stop); err != nil {
		time.Sleep(w.m.timing.Election)
		return err
	}
	err := call()
	if cut := w.m.way(to, w.m.id, w.stop); cut != nil {
		time.Sleep(w.m.timing.Election)
		return cut
	}
	return err
}

func (w lateWire) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	return w.exchange(id, func() error { return w.wire.AppendEntries(id, target, args, resp) })
}

func (w lateWire) RequestVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return w.exchange(id, func() error { return w.wire.RequestVote(id, target, args, resp) })
}

func (w lateWire) RequestPreVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return w.exchange(id, func() error { return w.wire.RequestPreVote(id, target, args, resp) })
}

func (w lateWire) TimeoutNow(id raft.ServerID, target raft.ServerAddress, args *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return w.exchange(id, func() error { return w.wire.TimeoutNow(id, target, args, resp) })
}

// run starts the member, also one that was killed.
func (m *bubbled) run() {
	address, inner := raft.NewInmemTransport(raft.ServerAddress(m.id))
	stop := make(chan struct{})
	m.mu.Lock()
	for _, o := range m.members {
		if o != m && o.lease != nil {
			if t, ok := o.lease.Transport.(lateWire); ok {
				to := t.wire.(*raft.InmemTransport)
				inner.Connect(raft.ServerAddress(o.id), to)
				to.Connect(address, inner)
			}
		}
	}
	m.mu.Unlock()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	m.machineMu.Lock()
	m.machine, m.leader, m.address = core.New(memberOf(m.id), m.timing, nil), "", core.SetAddress{}
	m.machineMu.Unlock()
	lease := newLeaseTransport(lateWire{inner, m, stop}, m.timing, 0, m.now, func(peer raft.ServerID, term uint64, sent time.Duration) {
		m.step(core.Acked{Peer: memberOf(peer), Term: term, Sent: sent})
	})
	yes := func() bool { return true }
	lease.joined, lease.votes = yes, yes
	old, err := m.logs.LastIndex()
	if err != nil {
		m.t.Error(err)
	}
	m.fsm = newFSM(core.Builtin(), quiet, func(s *core.State, index uint64) { m.step(core.Applied{State: s, Index: index, Old: index <= old}) })
	m.step(core.Restarted{Index: old})
	m.step(core.Health{Fitness: core.Fit()})
	c := raft.DefaultConfig()
	c.LocalID = m.id
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout, c.CommitTimeout = m.timing.Election, m.timing.Election, m.timing.Election, 20*time.Millisecond
	c.LogOutput, c.LogLevel, c.NoLegacyTelemetry = io.Discard, "ERROR", true
	leads := make(chan bool, 64)
	c.NotifyCh = leads
	r, err := raft.NewRaft(c, m.fsm, m.logs, m.logs, m.snapshots, lease)
	if err != nil {
		m.t.Error(err)
		return
	}
	m.mu.Lock()
	m.lease, m.raft, m.stop = lease, r, stop
	m.mu.Unlock()
	m.work.Go(func() { m.follow(leads, r, lease, stop) })
	m.work.Go(func() { m.ticks(r, stop) })
}

// follow turns raft's word about leadership into events, as watchLeadership does.
func (m *bubbled) follow(leads <-chan bool, r *raft.Raft, lease *leaseTransport, stop chan struct{}) {
	for {
		select {
		case leading := <-leads:
			if !m.waits(stop) { // a paused process hears nothing, though its raft goes on here
				return
			}
			lease.yielded.Store(false)
			if !leading {
				lease.silent.Store(false)
				m.step(core.Lost{})
				continue
			}
			term := r.CurrentTerm()
			m.step(core.Won{Term: term})
			m.work.Go(func() {
				if r.Barrier(proposeTimeout).Error() == nil && r.CurrentTerm() == term {
					m.step(core.CaughtUp{Term: term})
				}
			})
		case <-stop:
			return
		}
	}
}

func (m *bubbled) ticks(r *raft.Raft, stop chan struct{}) {
	for {
		select {
		case <-time.After(tickEvery):
		case <-stop:
			return
		}
		if !m.waits(stop) {
			return
		}
		var voters []core.MemberID
		if f := r.GetConfiguration(); f.Error() == nil {
			for _, s := range f.Configuration().Servers {
				voters = append(voters, memberOf(s.ID))
			}
		}
		m.step(core.Voters{IDs: voters})
		_, leader := r.LeaderWithID()
		m.machineMu.Lock()
		changed := leader != m.leader
		m.leader = leader
		m.machineMu.Unlock()
		if changed {
			m.step(core.Leads{Leader: memberOf(leader)})
		}
		m.step(core.Tick{})
	}
}

// step lets the machine see an event. Whatever brings one to a paused process has waited already.
func (m *bubbled) step(e core.Event) {
	m.machineMu.Lock()
	actions := m.machine.Step(m.now(), e)
	m.machineMu.Unlock()
	for _, a := range actions {
		switch a := a.(type) {
		case core.SetAddress:
			m.mu.Lock()
			if a.Want && !m.address.Want {
				m.holders++
			}
			m.address = a
			m.mu.Unlock()
		case core.Propose:
			m.mu.Lock()
			r, stop := m.raft, m.stop
			m.mu.Unlock()
			if r == nil {
				continue
			}
			m.work.Go(func() {
				if text, err := core.Builtin().Propose(m.fsm.current(), a.Command); err == nil && r.Apply(text, proposeTimeout).Error() != nil && m.waits(stop) {
					m.step(core.Unproposed{Kind: a.Command.Kind, Reason: "not committed"})
				}
			})
		case core.Transfer:
			m.work.Go(func() { m.transfer(a) })
		}
	}
}

// transfer gives leadership away, as Watchdog.transfer does.
func (m *bubbled) transfer(a core.Transfer) {
	m.mu.Lock()
	lease, r, stop := m.lease, m.raft, m.stop
	m.mu.Unlock()
	if r == nil {
		return
	}
	lease.yieldedBy(a.Term)
	var told sync.WaitGroup
	for _, id := range m.order {
		if id != m.id {
			told.Go(func() {
				if m.way(m.id, id, stop) == nil {
					m.mu.Lock()
					o := m.members[id].lease
					m.mu.Unlock()
					o.yieldedBy(a.Term)
				}
			})
		}
	}
	told.Wait()
	m.mu.Lock()
	if m.raft != r {
		m.mu.Unlock()
		return // it was killed
	}
	m.transfers.Add(1)
	m.mu.Unlock()
	defer m.transfers.Done()
	lease.yielded.Store(true)
	to := raft.ServerID(a.To)
	if err := r.LeadershipTransferToServer(to, raft.ServerAddress(to)).Error(); err != nil && r.State() == raft.Leader {
		lease.silent.Store(true)
	}
}

// kill ends the member; its address stays until the guardian takes it off, which is at once.
func (m *bubbled) kill() {
	m.resume()
	m.mu.Lock()
	r, lease, stop := m.raft, m.lease, m.stop
	m.raft = nil
	m.mu.Unlock()
	if r == nil {
		return
	}
	close(stop)
	m.transfers.Wait()
	if err := r.Shutdown().Error(); err != nil {
		m.t.Error(err)
	}
	if err := lease.Close(); err != nil {
		m.t.Error(err)
	}
	m.work.Wait()
	m.mu.Lock()
	m.address = core.SetAddress{}
	m.mu.Unlock()
}

// die is kill, and what its guardian does then: the other members hear of it, each when they do, and campaign.
func (m *bubbled) die() {
	m.mu.Lock()
	r := m.raft
	m.mu.Unlock()
	dead, led := core.Certificate{Server: string(m.id), Term: r.CurrentTerm()}, r.State() == raft.Leader
	m.kill()
	if !led {
		return
	}
	for _, id := range m.order {
		if id == m.id {
			continue
		}
		o := m.members[id]
		o.mu.Lock()
		lease, other, stop, wait := o.lease, o.raft, o.stop, time.Duration(m.random.Int64N(int64(50*time.Millisecond)))
		o.mu.Unlock()
		m.certificates.Go(func() {
			if m.way(m.id, id, stop) != nil {
				return
			}
			if fresh, err := lease.died(dead); err != nil || !fresh {
				return
			}
			time.Sleep(wait)
			if other.State() == raft.Follower && other.CurrentTerm() == dead.Term && lease.mayCampaign() == nil {
				m.certified.Add(1)
				lease.campaign()
			}
		})
	}
}

func (m *bubbled) pause() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.paused == nil {
		m.paused = make(chan struct{})
	}
}

func (m *bubbled) resume() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.paused != nil {
		close(m.paused)
		m.paused = nil
	}
}

// holding are the members that have the address by what they last ordered, be it that they are paused.
func (b *bubble) holding() (ids []raft.ServerID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range b.order {
		if m := b.members[id]; m.address.Want && b.now() < m.address.Until {
			ids = append(ids, id)
		}
	}
	return ids
}

func (b *bubble) any() *bubbled {
	if list := b.holding(); len(list) > 0 && b.random.IntN(2) == 0 {
		return b.members[list[0]]
	}
	return b.members[b.order[b.random.IntN(len(b.order))]]
}

// fault does one thing to the cluster.
func (b *bubble) fault() {
	m := b.any()
	switch b.random.IntN(8) {
	case 0:
		m.die()
		m.run()
	case 1:
		m.pause()
	case 2, 3: // cut off, in one direction or both
		both := b.random.IntN(3)
		b.mu.Lock()
		for _, id := range b.order {
			if id != m.id {
				b.cut[[2]raft.ServerID{m.id, id}] = both != 0
				b.cut[[2]raft.ServerID{id, m.id}] = both != 1
			}
		}
		b.mu.Unlock()
	case 4:
		o := b.any()
		b.mu.Lock()
		b.cut[[2]raft.ServerID{m.id, o.id}] = m != o
		b.mu.Unlock()
	case 5:
		b.mu.Lock()
		b.late = []time.Duration{time.Millisecond, 50 * time.Millisecond, 400 * time.Millisecond}[b.random.IntN(3)]
		b.mu.Unlock()
	case 6:
		to := b.any()
		m.step(core.Yield{To: memberOf(to.id), Reason: "the operator says so"})
	case 7:
		b.heal()
	}
}

// heal ends all faults.
func (b *bubble) heal() {
	for _, id := range b.order {
		b.members[id].resume()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.cut)
	b.late = 2 * time.Millisecond
}

// play runs one schedule and says how often the address moved.
func (b *bubble) play(seed uint64) {
	done := make(chan struct{})
	go func() { // ends with the schedule
		for {
			if list := b.holding(); len(list) > 1 {
				b.t.Errorf("seed %d, after %s: %v have the address at once", seed, b.now()-time.Hour, list)
				return
			}
			select {
			case <-time.After(time.Millisecond):
			case <-done:
				return
			}
		}
	}()
	for range 25 {
		time.Sleep(time.Duration(b.random.Int64N(int64(1500 * time.Millisecond))))
		b.fault()
	}
	b.heal()
	time.Sleep(10 * time.Second)
	if list := b.holding(); len(list) != 1 {
		b.t.Errorf("seed %d: long after all faults ended %v have the address", seed, list)
	}
	close(done)
}

// Real rafts with the lease's transport, on virtual time, under random faults: never two have the address, and one has it when all
// is well again. HOWDAH_SEED plays one seed, HOWDAH_SCHEDULES says how many.
func TestRaftOnVirtualTime(t *testing.T) {
	first, count := uint64(1), uint64(15)
	for name, into := range map[string]*uint64{"HOWDAH_SEED": &first, "HOWDAH_SCHEDULES": &count} {
		if text := os.Getenv(name); text != "" {
			var err error
			if *into, err = strconv.ParseUint(text, 10, 64); err != nil {
				t.Fatal(err)
			}
		}
	}
	if os.Getenv("HOWDAH_SEED") != "" {
		count = 1
	}
	moves, certified := 0, &atomic.Int64{}
	for seed := first; seed < first+count && !t.Failed(); seed++ {
		synctest.Test(t, func(t *testing.T) { moves += playBubble(t, seed, certified) })
	}
	t.Logf("%d schedules; the address got a holder %d times, %d campaigns followed a certificate", count, moves, certified.Load())
	if certified.Load() == 0 && count > 1 {
		t.Error("nobody ever campaigns because a leader is dead")
	}
	if moves < 2*int(count) {
		t.Error("the address hardly ever moves")
	}
}

func playBubble(t *testing.T, seed uint64, certified *atomic.Int64) int {
	b := &bubble{t: t, certified: certified, start: time.Now(), timing: core.Profiles()["lan"], random: rand.New(rand.NewPCG(seed, 21)), delays: rand.New(rand.NewPCG(seed, 22)),
		members: map[raft.ServerID]*bubbled{}, cut: map[[2]raft.ServerID]bool{}, late: 2 * time.Millisecond}
	size := []int{3, 3, 5}[b.random.IntN(3)]
	var servers []raft.Server
	for i := range size {
		id := raft.ServerID(fmt.Sprintf("p%d", i+1))
		b.order = append(b.order, id)
		servers = append(servers, raft.Server{ID: id, Address: raft.ServerAddress(id)})
	}
	for _, id := range b.order {
		m := &bubbled{bubble: b, id: id, logs: raft.NewInmemStore(), snapshots: raft.NewInmemSnapshotStore()}
		c := raft.DefaultConfig()
		c.LocalID, c.LogOutput = id, io.Discard
		_, transport := raft.NewInmemTransport(raft.ServerAddress(id))
		if err := raft.BootstrapCluster(c, m.logs, m.logs, m.snapshots, transport, raft.Configuration{Servers: servers}); err != nil {
			t.Fatal(err)
		}
		b.members[id] = m
	}
	for _, id := range b.order {
		b.members[id].run()
	}
	b.play(seed)
	b.certificates.Wait()
	for _, id := range b.order {
		b.members[id].kill()
	}
	return b.holders
}
