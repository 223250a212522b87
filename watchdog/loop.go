package watchdog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/howdah/howdah/watchdog/core"
)

// loop is what the one goroutine that owns the machine uses. Nothing else touches it, but
// for ended.
type loop struct {
	machine *core.Machine
	// routes and consents have those who wait for an answer.
	routes   map[core.MemberID]chan core.RouteAnswer
	consents map[string]chan core.Reply
	// asking counts the requests for a route lease that are under way to each member.
	asking   map[core.MemberID]*atomic.Int32
	leader   raft.ServerID
	voters   []core.MemberID
	lastTick time.Duration
	poked    time.Duration
	fitness  core.Fitness
	// address is the last order given.
	address core.SetAddress
	// willed is the term of the last will, and told the members in it.
	willed uint64
	told   map[core.MemberID]string
	ended  chan struct{} // closed when nothing feeds the loop any more
}

func newLoop(self core.MemberID, timing core.Timing) loop {
	return loop{machine: core.New(self, timing, nil), routes: map[core.MemberID]chan core.RouteAnswer{}, asking: map[core.MemberID]*atomic.Int32{}, consents: map[string]chan core.Reply{}, ended: make(chan struct{})}
}

// inspection is something to be done by the goroutine that owns the machine.
type inspection func(l *loop)

// tickEvery is how often the loop looks at the time; a tick later than Election/4 shows that
// this host is too busy to be a good leader.
const tickEvery = 20 * time.Millisecond

// feed gives the loop an event. Events of one goroutine keep their order.
func (w *Watchdog) feed(e any) {
	select {
	case w.events <- e:
	case <-w.loop.ended:
	}
}

// inspect does something in the loop and waits for it. When it returns it is done, or, as the loop has ended, never will be.
func (w *Watchdog) inspect(do func(l *loop)) {
	var mu sync.Mutex
	late := false
	finished := make(chan struct{})
	w.feed(inspection(func(l *loop) {
		mu.Lock()
		defer mu.Unlock()
		if !late {
			do(l)
			close(finished)
		}
	}))
	select {
	case <-finished:
	case <-w.loop.ended:
		mu.Lock() // it may be at it
		late = true
		mu.Unlock()
	}
}

// runLoop owns the machine. It lives until nothing feeds it any more, so that nobody is stuck.
func (w *Watchdog) runLoop(ctx context.Context) {
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	l := &w.loop
	l.lastTick = w.now()
	for {
		select {
		case e := <-w.events:
			if do, ok := e.(inspection); ok {
				do(l)
			} else {
				w.step(ctx, e.(core.Event))
			}
		case <-t.C:
			w.tick(ctx)
		case <-l.ended:
			return
		}
		w.publish()
	}
}

func (w *Watchdog) step(ctx context.Context, e core.Event) {
	for _, a := range w.loop.machine.Step(w.now(), e) {
		w.act(ctx, a)
	}
}

// tick looks at what nobody reports: the time, who leads, who votes.
func (w *Watchdog) tick(ctx context.Context) {
	l, now := &w.loop, w.now()
	prompt := now-l.lastTick < tickEvery+w.timing.Election/4
	if w.prompt.Store(prompt); !prompt {
		w.lease.late(w.timing.Election)
	}
	l.lastTick = now
	if _, leader := w.raft().LeaderWithID(); leader != l.leader {
		l.leader = leader
		w.log.Info("another member leads", "leader", string(memberOf(leader)))
		w.step(ctx, core.Leads{Leader: memberOf(leader)})
	}
	if voters := w.voters(); !slices.Equal(voters, l.voters) {
		l.voters = voters
		w.step(ctx, core.Voters{IDs: voters})
	}
	w.step(ctx, core.Contact{At: w.lease.contact()})
	w.lease.defers.Store(l.machine.Defers(now))
	w.poke(now)
	w.step(ctx, core.Tick{})
}

// voters are raft's, by their members' names, in order.
func (w *Watchdog) voters() []core.MemberID {
	f := w.raft().GetConfiguration()
	if f.Error() != nil {
		return w.loop.voters
	}
	var ids []core.MemberID
	for _, s := range f.Configuration().Servers {
		if s.Suffrage == raft.Voter {
			ids = append(ids, memberOf(s.ID))
		}
	}
	slices.Sort(ids)
	return ids
}

// poke has raft look at its heartbeat timer as soon as the guard lets this member campaign.
// Left alone, raft looks after one to two election timeouts, and again as much later if a contact
// was younger; and voters' timers must have run out, too. Members poke in the order of their
// rank, so that they do not compete. A lowered timeout is what makes raft look.
func (w *Watchdog) poke(now time.Duration) {
	l := &w.loop
	if l.leader == w.identity.Server || now-l.poked < w.timing.Election/4 || w.lease.mayCampaign() != nil {
		return
	}
	// Another voter may have heard the leader later, by the time between two heartbeats. A
	// candidate that comes too early is refused and loses another election timeout.
	wait := w.timing.Election*6/5 + tickEvery + w.timing.Election/6*time.Duration(w.rank())
	if now-w.lease.contact() < wait {
		return
	}
	l.poked = now
	c := raft.ReloadableConfig{TrailingLogs: 1024, SnapshotThreshold: 4096, SnapshotInterval: 2 * time.Minute,
		HeartbeatTimeout: w.timing.Election + time.Millisecond, ElectionTimeout: w.timing.Election + time.Millisecond}
	err := w.raft().ReloadConfig(c)
	c.HeartbeatTimeout, c.ElectionTimeout = w.timing.Election, w.timing.Election
	if err = errors.Join(err, w.raft().ReloadConfig(c)); err != nil {
		w.log.Debug("raft was not poked", "error", err)
	}
}

// rank is this member's place among those who may succeed the leader.
func (w *Watchdog) rank() int {
	rank, _ := w.heirs()
	return rank
}

// heirs are those who may succeed the leader, in their order, and this member's place among them.
func (w *Watchdog) heirs() (rank int, heirs []core.MemberID) {
	s := w.loop.machine.State()
	fit := map[core.MemberID]core.Fitness{}
	for id := range s.Members {
		if id != memberOf(w.loop.leader) {
			fit[id] = core.Fit()
		}
	}
	heirs = core.Rank(s, fit)
	if i := slices.Index(heirs, w.self); i >= 0 {
		return i, heirs
	}
	return len(fit), heirs
}

// act carries out an action. What takes time gets a goroutine and comes back as an event.
func (w *Watchdog) act(ctx context.Context, a core.Action) {
	l := &w.loop
	switch a := a.(type) {
	case core.SetAddress:
		w.setAddress(a)
	case core.AskPoll:
		w.poll(ctx, a.Poll)
	case core.AskRoute:
		asking, ok := l.asking[a.To]
		if !ok {
			asking = &atomic.Int32{}
			l.asking[a.To] = asking
		}
		if asking.Add(1) > maxAsking { // it does not answer those before
			asking.Add(-1)
			return
		}
		w.goDo(func() { defer asking.Add(-1); w.askRoute(ctx, a) })
	case core.ReplyRoute:
		if c, ok := l.routes[a.To]; ok {
			delete(l.routes, a.To)
			c <- a.Answer
		}
	case core.Propose:
		w.goDo(func() {
			if err := w.propose(a.Command); err != nil {
				w.log.Warn("a command was not committed", "kind", string(a.Command.Kind), "error", err)
				w.feed(core.Unproposed{Kind: a.Command.Kind, Reason: err.Error()})
			}
		})
	case core.StopWrites:
		w.goDo(func() { w.stopWrites(ctx, a) })
	case core.Transfer:
		w.log.Warn("giving leadership away", "to", string(a.To), "reason", a.Reason)
		w.goDo(func() { w.transfer(ctx, a) })
	case core.Reply:
		w.log.Info("a failover was asked for", "granted", a.Granted, "reason", a.Reason)
		w.decisions.add(a)
		if c, ok := l.consents[a.Request]; ok {
			delete(l.consents, a.Request)
			c <- a
		}
	case core.WantLock:
		w.wantLock.Store(&a)
	case core.Together:
		w.log.Warn("this member does not go on alone", "reason", a.Reason)
		w.decisions.add(core.Reply{Reason: "not alone: " + a.Reason})
	case core.Fence:
		w.goDo(func() { w.fence(ctx, a) })
	case core.GoAlone:
		w.decisions.add(core.Reply{Granted: true, Reason: "going on alone: " + a.Reason})
		w.goDo(func() { w.goAlone(ctx, a) })
	case core.Resume:
		w.decisions.add(core.Reply{Granted: true, Reason: "gone on with, in phase " + a.Failover.Phase.String(), Failover: a.Failover})
		w.log.Warn("a failover is gone on with", "from", string(a.Failover.From), "phase", a.Failover.Phase.String())
		w.parts.Nodes.Resume(a.Failover)
	}
}

func (w *Watchdog) setAddress(a core.SetAddress) {
	if old := w.loop.address; old.Want != a.Want || !a.Want && old.Reason != a.Reason {
		w.log.Info("the address follows the lease", "holder", a.Want, "reason", a.Reason)
	}
	w.loop.address = a
	if a.Want {
		w.writeWill()
	}
	w.parts.Address.Want(AddressWant{Holder: a.Want, Until: time.Now().Add(a.Until - w.now()), Term: w.loop.machine.Lease().Term(), Reason: a.Reason})
}

// members are all others that can be asked.
func (w *Watchdog) members() []core.MemberID {
	var ids []core.MemberID
	for id := range w.loop.machine.State().Members {
		ids = append(ids, id)
	}
	ids = append(ids, w.loop.voters...)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	return slices.DeleteFunc(ids, func(id core.MemberID) bool { return id == w.self })
}

func (w *Watchdog) poll(ctx context.Context, p core.Poll) {
	w.goDo(func() { w.feed(core.Voted{Poll: p.ID, Vote: w.vote(ctx, p)}) })
	for _, id := range w.members() {
		w.goDo(func() {
			ctx, cancel := context.WithTimeout(ctx, w.timing.Poll)
			defer cancel()
			if a, err := w.caller.call(ctx, id, request{Poll: &p}); err == nil && a.Vote != nil && a.Vote.From == id {
				w.feed(core.Voted{Poll: p.ID, Vote: *a.Vote})
			}
		})
	}
}

// vote is this member's own answer to a poll.
func (w *Watchdog) vote(ctx context.Context, p core.Poll) core.Vote {
	ctx, cancel := context.WithTimeout(ctx, w.timing.Poll*3/4)
	defer cancel()
	sight, reason := w.parts.Nodes.Sight(ctx, p.Node)
	return core.Vote{From: w.self, Sight: sight, Reason: reason}
}

// maxAsking is how many requests of one member for a route lease may be under way.
const maxAsking = 4

func (w *Watchdog) askRoute(ctx context.Context, a core.AskRoute) {
	ctx, cancel := context.WithTimeout(ctx, w.timing.Route)
	defer cancel()
	r, err := w.caller.call(ctx, a.To, request{Route: &routeRequest{Ask: a.Ask, Fitness: w.fitness()}})
	if err == nil && r.Route != nil {
		w.feed(core.RouteReply{From: a.To, Answer: *r.Route})
	}
}

func (w *Watchdog) stopWrites(ctx context.Context, a core.StopWrites) {
	for {
		err := w.parts.Nodes.StopWrites(ctx, a.Node, fmt.Sprintf("failover %d", a.Failover))
		if err == nil {
			w.feed(core.Stopped{Failover: a.Failover})
			return
		}
		w.log.Warn("the old primary may still be written to", "node", string(a.Node), "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// proposeTimeout is how long a command may take to be committed.
const proposeTimeout = 5 * time.Second

// propose has a command committed. The error says why it has no effect, or that this is not known.
func (w *Watchdog) propose(c core.Command) error {
	text, err := w.fsm.commands.Propose(w.fsm.current(), c)
	if err != nil {
		return err
	}
	f := w.raft().Apply(text, proposeTimeout)
	done := make(chan error, 1)
	go func() { done <- f.Error() }() // ends with raft, which a broken disk may keep
	select {
	case err = <-done:
	case <-w.loop.ended:
		err = ErrStopped
	}
	if err != nil {
		return fmt.Errorf("commit %s: %w", c.Kind, err)
	}
	if err, ok := f.Response().(error); ok {
		return err
	}
	return nil
}

// transfer gives leadership away: address, then lease, then leadership.
func (w *Watchdog) transfer(ctx context.Context, a core.Transfer) {
	release, cancel := context.WithTimeout(ctx, w.timing.Lease)
	if err := w.parts.Address.Release(release, a.Reason); err != nil {
		<-release.Done() // the lease that the address was held by has ended then
	}
	cancel()
	w.lease.yieldedBy(a.Term)
	w.tellYielded(ctx, a.Term)
	w.lease.yielded.Store(true)
	err := errors.New("no member is fit to lead")
	if id, address, ok := w.server(a.To); ok {
		err = transferred(w.raft().LeadershipTransferToServer(id, address), 2*w.timing.Election)
	}
	if err != nil && w.raft().State() == raft.Leader {
		w.log.Warn("leadership was not taken over; the members elect", "error", err)
		w.lease.silent.Store(true) // until raft notices that nobody answers
	}
}

// transferred waits for raft's word about a transfer. Raft itself gives one up after an election timeout, but never says so (1.7.3)
// if it is shut down meanwhile, and nobody must wait for that.
func transferred(f raft.Future, limit time.Duration) error {
	said := make(chan error, 1)
	go func() { said <- f.Error() }() // ends with raft's word
	select {
	case err := <-said:
		return err
	case <-time.After(limit):
		return fmt.Errorf("raft says nothing of the transfer for %s", limit)
	}
}

// tellYielded tells the voters that they may elect another member at once.
func (w *Watchdog) tellYielded(ctx context.Context, term uint64) {
	ctx, cancel := context.WithTimeout(ctx, w.timing.Election/2)
	defer cancel()
	var ids []core.MemberID
	w.inspect(func(*loop) { ids = w.members() })
	told := make(chan struct{}, len(ids))
	for _, id := range ids {
		w.goDo(func() {
			if _, err := w.caller.call(ctx, id, request{Yielded: term}); err != nil {
				w.log.Debug("a member did not hear that the lease was given up", "peer", string(id), "error", err)
			}
			told <- struct{}{}
		})
	}
	for range ids {
		select {
		case <-told:
		case <-ctx.Done():
			return
		}
	}
}

// server is a member's voter as raft knows it.
func (w *Watchdog) server(id core.MemberID) (raft.ServerID, raft.ServerAddress, bool) {
	f := w.raft().GetConfiguration()
	if f.Error() != nil {
		return "", "", false
	}
	for _, s := range f.Configuration().Servers {
		if memberOf(s.ID) == id && s.Suffrage == raft.Voter && id != w.self {
			return s.ID, s.Address, true
		}
	}
	return "", "", false
}
