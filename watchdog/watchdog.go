package watchdog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/watchdog/core"
)

// Watchdog is one member. Its methods may be called by any goroutine, from the start of Run on.
type Watchdog struct {
	cfg    configs.Watchdog
	self   core.MemberID
	timing core.Timing
	keys   *keys
	parts  Parts
	log    *slog.Logger
	now    func() time.Duration

	identity *identity
	port     *port
	warm     *warm
	store    *parkedStore
	rafts    atomic.Pointer[raft.Raft] // replaced when this member goes on alone
	// raftConfig and snapshots are what raft was started with.
	raftConfig *raft.Config
	snapshots  *raft.FileSnapshotStore
	// renewing is held while raft is replaced, and when it ends.
	renewing sync.Mutex
	lease    *leaseTransport
	fsm      *fsm
	gossip   *gossip
	caller   *caller

	// commands are what this version understands.
	commands core.Commands

	events  chan any // core.Event, or inspection
	started chan struct{}
	done    chan struct{}
	work    sync.WaitGroup // everything that Run started
	// born is when Run began.
	born time.Duration
	// old is the last index that was stored when this process started.
	old uint64

	status  atomic.Pointer[Status]
	prompt  atomic.Bool // the last ticks came in time
	gateway atomic.Bool
	owner   atomic.Bool // what the commands were last run for
	joining atomic.Bool // a member is being let in
	joined  atomic.Bool // identity.Joined, for other goroutines than begin's
	// generations are the identity's, []string.
	generations atomic.Value
	// rules is why it is not known that the other members have the same rules, or empty.
	rules atomic.Pointer[string]
	// wantLock is the last order about the lock of two members' address.
	wantLock atomic.Pointer[core.WantLock]
	// plan is the hash of the identity's plan.
	plan atomic.Value
	// requests numbers requests for failovers.
	requests atomic.Uint64
	// decisions are the last answers to requests for failovers.
	decisions decisions
	// changed is closed and replaced when what Standing says changes.
	changedMu sync.Mutex
	changed   chan struct{}

	loop loop
}

// snapshots kept, raft connections per member, and how long raft waits for one answer.
const (
	keptSnapshots = 2
	raftConns     = 3
)

// New checks what a member needs and reads its keys. Nothing is opened or started.
func New(cfg configs.Watchdog, parts Parts, log *slog.Logger) (*Watchdog, error) {
	timing, ok := core.Profiles()[cfg.Profile]
	if !ok {
		return nil, fmt.Errorf("watchdog.profile %q is unknown", cfg.Profile)
	}
	timing.Cooldown = parts.Cooldown
	if err := timing.Check(); err != nil {
		return nil, fmt.Errorf("watchdog.profile %s: %w", cfg.Profile, err)
	}
	k, err := loadKeys(cfg.Keys, cfg.Name, cfg.Cluster)
	if err != nil {
		return nil, err
	}
	w := &Watchdog{cfg: cfg, self: core.MemberID(cfg.Name), timing: timing, keys: k, parts: parts, now: boottime,
		log: log.With("member", cfg.Name), commands: core.Builtin(), events: make(chan any, 256), started: make(chan struct{}), done: make(chan struct{}),
		changed: make(chan struct{})}
	if w.parts.Tie == nil {
		w.parts.Tie = NoTie{}
	}
	w.loop = newLoop(w.self, w.timing)
	w.loop.machine.UsePair(pairRules(&cfg))
	w.rules.Store(&neverAsked)
	w.wantLock.Store(&core.WantLock{})
	w.prompt.Store(true)
	w.gateway.Store(true)
	w.status.Store(&Status{Member: w.self, Cluster: cfg.Cluster})
	return w, nil
}

// Run takes part until ctx ends. A member that leads then gives leadership away first.
// What is missing at the start (an interface, a name, the other members) is waited for.
func (w *Watchdog) Run(ctx context.Context) error {
	defer close(w.done)
	w.born = w.now()
	if err := w.open(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w.port.start()
	w.goDo(func() { w.runLoop(background) })
	w.goDo(func() { w.gossip.run(background, w.say) })
	w.goDo(func() { w.begin(background) })
	w.goDo(func() { w.keepWarm(background) })
	w.goDo(func() { w.watchGenerations(background) })
	w.goDo(func() { w.watchHealth(background) })
	w.goDo(func() { w.beat(background) })
	w.goDo(func() { w.announce(background) })
	w.goDo(func() { w.runCommands(background) })
	w.goDo(func() { w.serveControl(background) })
	if cfg := &w.cfg; cfg.IsPair() {
		w.goDo(func() { w.keepLock(background) })
		w.goDo(func() { w.gatherEvidence(background) })
	}
	close(w.started)
	<-ctx.Done()
	w.log.Info("the watchdog stops")
	w.handOver(background)
	cancel()
	w.close()
	return nil
}

// goDo runs do in a goroutine that Run waits for.
func (w *Watchdog) goDo(do func()) { w.work.Go(do) }

// openRetry is how often what cannot be had yet is tried.
const openRetry = 500 * time.Millisecond

// open opens the disk, the port and raft. What depends on the network is tried for ever.
func (w *Watchdog) open(ctx context.Context) (err error) {
	if w.identity, err = loadIdentity(w.cfg.DataDir, w.cfg.Cluster, w.self); err != nil {
		return err
	}
	w.plan.Store(w.identity.Plan.hash())
	w.joined.Store(w.identity.Joined)
	w.generations.Store(w.identity.Generations)
	if w.store, err = openStore(w.cfg.DataDir, w.log, w.now); err != nil {
		return err
	}
	self := w.cfg.Self()
	err = w.persist(ctx, "listen for members", func() error {
		w.port, err = listen(net.JoinHostPort(self.Host, strconv.Itoa(self.Port)), w.cfg.Cluster, w.self, w.keys, w.log)
		return err
	})
	if err != nil {
		return err
	}
	w.caller = newCaller(func(ctx context.Context, peer core.MemberID) (net.Conn, error) {
		address, ok := w.addressOf(peer)
		if !ok {
			return nil, fmt.Errorf("no address of member %s is known", peer)
		}
		return w.port.dial(ctx, rpcProtocol(w.cfg.Cluster), peer, address)
	})
	w.caller.now, w.caller.answered = w.now, func(peer core.MemberID, asked time.Duration) { w.feed(core.Heard{From: peer, Asked: asked}) }
	w.port.rpc = func(ctx context.Context, peer core.MemberID, conn net.Conn) {
		serveRequests(ctx, conn, func(ctx context.Context, q request) answer {
			if q.Dead == nil { // that comes from a guardian, which outlives its member
				w.feed(core.Heard{From: peer})
			}
			return w.answer(ctx, peer, q)
		})
	}
	if w.old, err = w.store.LastIndex(); err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	err = w.persist(ctx, "start gossip", func() (err error) {
		w.gossip, err = newGossip(&w.cfg, w.keys, w.log, nil, func(m gossiped) { w.feed(core.PeerHealth{Peer: m.From, Fitness: m.Fitness}) })
		return err
	})
	if err != nil {
		return err
	}
	return w.openRaft()
}

// persist tries until it succeeds; the error is ctx's.
func (w *Watchdog) persist(ctx context.Context, what string, try func() error) error {
	for first := true; ; first = false {
		err := try()
		if err == nil {
			return nil
		}
		if first {
			w.log.Warn("not possible yet, trying on", "what", what, "error", err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(openRetry):
		}
	}
}

func (w *Watchdog) openRaft() error {
	output := slogWriter{w.log}
	stream := newRaftStream(w.port, w.memberAt)
	w.warm = stream.warm
	stored, err := w.store.term()
	if err != nil {
		return err
	}
	w.lease = newLeaseTransport(raft.NewNetworkTransport(stream, raftConns, w.timing.Election, output), w.timing, stored, w.now,
		func(peer raft.ServerID, term uint64, sent time.Duration) {
			w.feed(core.Acked{Peer: memberOf(peer), Term: term, Sent: sent})
		})
	w.lease.heard = func(peer raft.ServerID) { w.feed(core.Heard{From: memberOf(peer)}) }
	w.lease.joined, w.lease.votes = w.joined.Load, func() bool { return w.votes(w.identity.Server) }
	w.lease.leads = func() bool { r := w.raft(); return r != nil && r.State() == raft.Leader }
	if w.cfg.Self().Role == string(core.RoleWitness) {
		w.lease.reluctance = 2 * w.timing.Election
	}
	snapshots, err := raft.NewFileSnapshotStore(w.cfg.DataDir, keptSnapshots, output)
	if err != nil {
		return fmt.Errorf("open the snapshots: %w", err)
	}
	w.fsm = newFSM(w.commands, w.log, func(s *core.State, index uint64) {
		w.feed(core.Applied{State: s, Index: index, Old: index <= w.old})
	})
	w.loop.machine.Step(w.now(), core.Restarted{Index: w.old})
	c := raft.DefaultConfig()
	c.LocalID = w.identity.Server
	c.HeartbeatTimeout, c.ElectionTimeout = w.timing.Election, w.timing.Election
	c.LeaderLeaseTimeout, c.CommitTimeout = w.timing.Election, 20*time.Millisecond
	c.TrailingLogs, c.SnapshotThreshold = 1024, 4096
	c.LogOutput, c.LogLevel = output, "WARN"
	c.NoLegacyTelemetry = true
	leads := make(chan bool, 16)
	c.NotifyCh = leads
	w.goDo(func() { w.watchLeadership(leads) })
	w.raftConfig, w.snapshots = c, snapshots
	return w.newRaft()
}

// newRaft starts raft with what is stored.
func (w *Watchdog) newRaft() error {
	// The transport outlives raft, which would close it.
	transport := struct {
		raft.Transport
		raft.WithPreVote
	}{w.lease, w.lease}
	r, err := raft.NewRaft(w.raftConfig, w.fsm, w.store, w.store, w.snapshots, transport)
	if err != nil {
		return fmt.Errorf("start raft: %w", err)
	}
	w.rafts.Store(r)
	return nil
}

func (w *Watchdog) raft() *raft.Raft { return w.rafts.Load() }

// close ends everything, in the order in which nobody waits for one that is gone.
func (w *Watchdog) close() {
	w.gossip.stop()
	w.renewing.Lock()
	defer w.renewing.Unlock()
	stuck := false
	stopped := make(chan error, 1)
	go func() { stopped <- w.raft().Shutdown().Error() }() // ends with raft, which a broken disk may keep
	select {
	case err := <-stopped:
		if err != nil {
			w.log.Warn("raft did not stop well", "error", err)
		}
		if err := errors.Join(w.lease.Close(), w.store.close()); err != nil {
			w.log.Warn("the watchdog's files were not closed", "error", err)
		}
	case <-time.After(5 * time.Second):
		w.log.Warn("raft does not stop: its disk does not answer")
		stuck = true
	}
	w.caller.close()
	w.port.close()
	close(w.loop.ended)
	if !stuck {
		w.work.Wait()
		return
	}
	waited := make(chan struct{})
	go func() { w.work.Wait(); close(waited) }() // ends with those who wait for raft, or with the process
	select {
	case <-waited:
	case <-time.After(time.Second):
	}
}

// memberAt is the member that an address belongs to.
func (w *Watchdog) memberAt(address string) (core.MemberID, bool) {
	for id, m := range w.fsm.current().Members {
		if m.Address == address {
			return id, true
		}
	}
	for _, p := range w.cfg.Peers {
		if net.JoinHostPort(p.Host, strconv.Itoa(p.Port)) == address {
			return core.MemberID(p.Name), true
		}
	}
	return "", false
}

// addressOf is where a member is reached.
func (w *Watchdog) addressOf(id core.MemberID) (string, bool) {
	if m, ok := w.fsm.current().Members[id]; ok {
		return m.Address, true
	}
	for _, p := range w.cfg.Peers {
		if core.MemberID(p.Name) == id {
			return net.JoinHostPort(p.Host, strconv.Itoa(p.Port)), true
		}
	}
	return "", false
}

// ControlSocket is the Unix socket for the operator of the member with this data directory.
func ControlSocket(dataDir string) string { return filepath.Join(dataDir, "control.sock") }
