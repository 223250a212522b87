package vip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/howdah/howdah/configs"
)

// ErrStopped is why Release failed: Run has returned.
var ErrStopped = errors.New("vip: not running")

// errStops is why a Manager gives the addresses up when its Run is to end.
var errStops = errors.New("howdah stops")

// Want says who shall hold the addresses.
type Want struct {
	// Holder is whether this host shall.
	Holder bool
	// Until is when that ends if it is not said again: the end of the lease, with a
	// monotonic reading. The addresses are off this host a few milliseconds later.
	Until time.Time
	// Epoch goes to hooks and events: the fence against an older holder, where the
	// network has one.
	Epoch uint64
	// Released is whether the former holder has said that it has given the addresses
	// up, or there was none. Without it a strict takeover waits for vip.lifetime.
	Released bool
	// Peers are the other members' addresses on the clients' network: who claims the
	// address and is one of them is a former holder, not a stranger. May be empty.
	Peers []netip.Addr
	// Reason is shown where this host gives the addresses up.
	Reason string
}

// Manager is the addresses on this host. All methods may be called by any goroutine.
//
// A watchdog uses it like this: with every renewal of its lease
//
//	m.Want(vip.Want{Holder: true, Until: leaseEnd, Epoch: epoch})
//
// when it shall not hold them any more m.Release(ctx), before anything else; and when
// Changed is closed, State says whether they are held, gone, or this host is unfit.
type Manager struct {
	cfg  configs.VIP
	logs configs.Log
	log  *slog.Logger
	mail mailbox
	// guardian is how to start one.
	guardian []string

	mu      sync.Mutex
	state   State
	changed chan struct{} // closed at the next change
	stopped bool          // Run has returned
	// guardians counts those that were started.
	guardians uint64
}

// mailbox holds the last order: older ones that nobody took do not matter.
type mailbox struct {
	mu      sync.Mutex
	order   order
	clients []Connection
	will    []byte
	ready   chan struct{}
}

func (b *mailbox) put(change func(*order, *[]Connection)) (seq uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.order, &b.clients)
	b.order.Seq++
	select {
	case b.ready <- struct{}{}:
	default:
	}
	return b.order.Seq
}

func (b *mailbox) take() (order, []Connection) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.order, b.clients
}

func (b *mailbox) testament() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.will
}

// New makes a Manager of a valid section. logs is for the guardian, which writes its own
// log to standard error. Nothing is started.
func New(cfg configs.VIP, logs configs.Log, log *slog.Logger) *Manager {
	m := &Manager{cfg: cfg, logs: logs, log: log, changed: make(chan struct{}), guardian: []string{"/proc/self/exe", GuardianCommand},
		mail: mailbox{ready: make(chan struct{}, 1)}}
	m.state = newCore(coreSettings(&cfg)).status(Now())
	m.state.Mode, m.state.Interface = cfg.Mode, cfg.Interface
	return m
}

// Run keeps the addresses as wanted until ctx ends; then it takes them off and
// returns. The error is that they could not be taken off. To be called once.
func (m *Manager) Run(ctx context.Context) error {
	defer func() {
		m.mu.Lock()
		m.stopped = true
		m.mu.Unlock()
		m.notify(func(s *State) { s.Held, s.Wanted = false, false })
	}()
	if m.cfg.Guardian && m.cfg.Mode != "none" {
		return (&remote{m, m.guardian}).run(ctx)
	}
	return m.runHere(ctx)
}

// runHere runs the engine in this process.
func (m *Manager) runHere(ctx context.Context) error {
	e, err := newEngine(m.cfg, m.log, m.update)
	if err != nil {
		return err
	}
	inner, cancel := context.WithCancelCause(context.Background())
	var feeder sync.WaitGroup
	feeder.Go(func() {
		defer cancel(errStops)
		m.feed(ctx, inner, e)
	})
	first, _ := m.mail.take()
	err = e.run(inner, first)
	cancel(nil)
	feeder.Wait()
	m.update(e.state())
	return err
}

// feed hands orders to the engine until ctx ends.
func (m *Manager) feed(ctx, inner context.Context, e *engine) {
	held := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-inner.Done():
			return
		case <-m.mail.ready:
		}
		o, clients := m.mail.take()
		select {
		case e.orders <- o:
		case <-ctx.Done():
			return
		case <-inner.Done():
			return
		}
		if o.Holder && !held && len(clients) > 0 {
			select {
			case e.clients <- clients:
			case <-ctx.Done():
				return
			case <-inner.Done():
				return
			}
		}
		held = o.Holder
	}
}

// Will leaves something to be done by the guardian when this process has died while it held the addresses: once it is surely dead,
// and they are surely off this host, RunGuardian's executor gets text, which must be short of maxMessage by far. Empty takes
// it back. It does not wait, and reaches the guardian with the next Want, before it. Without a guardian nothing is done.
func (m *Manager) Will(text []byte) {
	m.mail.mu.Lock()
	defer m.mail.mu.Unlock()
	m.mail.will = text
}

// Want says who shall hold the addresses. It does not wait.
func (m *Manager) Want(w Want) { m.want(w) }

func (m *Manager) want(w Want) uint64 {
	o := order{Holder: w.Holder, Epoch: w.Epoch, Released: w.Released, Peers: w.Peers, Reason: w.Reason}
	if w.Holder {
		o.Until = instantOf(w.Until)
	}
	return m.mail.put(func(kept *order, _ *[]Connection) {
		o.Seq = kept.Seq
		*kept = o
	})
}

// Release gives the addresses up and waits until they are off this host. Whoever passes
// the leadership on calls it first. The error is ctx's, or ErrStopped.
func (m *Manager) Release(ctx context.Context, epoch uint64, reason string) error {
	seq := m.want(Want{Epoch: epoch, Reason: reason})
	for {
		changed := m.Changed()
		s := m.State()
		if s.Order >= seq && s.Gone {
			return nil
		}
		m.mu.Lock()
		stopped := m.stopped
		m.mu.Unlock()
		if stopped {
			return ErrStopped
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("release the address: %w (%s)", context.Cause(ctx), s.describe())
		case <-changed:
		}
	}
}

// SetClients says which clients are connected to the addresses on the host that holds
// them. If this host takes over, they are made to notice at once. At most 20,000 count.
// The Manager keeps the list, which must not be changed.
func (m *Manager) SetClients(list []Connection) {
	m.mail.mu.Lock()
	defer m.mail.mu.Unlock()
	m.mail.clients = list[:min(len(list), maxClients)]
}

// Connections lists the clients that are connected to the addresses on this host, for
// SetClients on the others.
func (m *Manager) Connections() ([]Connection, error) {
	return Connections(m.cfg.Prefixes(), maxClients)
}

// State is what is known now.
func (m *Manager) State() State {
	m.mu.Lock()
	s := m.state
	m.mu.Unlock()
	s.Now = Now()
	if s.Until <= s.Now { // the engine knows it too, but may not have said so yet
		s.Wanted, s.Held = false, false
	}
	return s
}

// Changed is closed at the next change of the State.
func (m *Manager) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

func (m *Manager) update(s State) {
	m.notify(func(state *State) {
		*state = s
		state.Guardians = m.guardians
	})
}

// started counts a guardian.
func (m *Manager) started() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.guardians++
}

// lost says that nobody knows how the addresses are.
func (m *Manager) lost(why string) {
	m.notify(func(s *State) { s.Held, s.Gone, s.Fit, s.Unfit, s.Process = false, false, false, why, 0 })
}

func (m *Manager) notify(change func(*State)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(&m.state)
	close(m.changed)
	m.changed = make(chan struct{})
}

// newLogger makes the log that a section says.
func newLogger(c configs.Log, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // validated; the zero level is info
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
