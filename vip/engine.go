package vip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/howdah/howdah/configs"
)

const (
	// maxEvents are kept in a State.
	maxEvents = 32
	// maxClients bounds the connections of a former holder that are remembered.
	maxClients = 20_000
	// relist is how often the kernel is looked at although it told of no change.
	relist = time.Second
	// resetBudget bounds the breaking of connections before an address is taken off, and
	// resetMargin is left of the lease after it.
	resetBudget = 200 * time.Millisecond
	resetMargin = 50 * time.Millisecond
	// sweepBudget bounds it afterwards, when it hurries nobody.
	sweepBudget = 5 * time.Second
	// stopSlack is added to a command's timeout when waiting for the last removal.
	stopSlack = 5 * time.Second
	// Waits between attempts.
	retryKernel, retryKernelMost   = 50 * time.Millisecond, time.Second
	retryCommand, retryCommandMost = 500 * time.Millisecond, 10 * time.Second
)

// engine makes the kernel and the network obey the core. One goroutine, run's, owns
// everything here but the channels.
type engine struct {
	cfg     configs.VIP
	log     *slog.Logger
	publish func(State) // called on run's goroutine after every step

	core     *core
	kernel   *kernel // nil if the mode needs none
	frames   *frames // nil if the mode has none
	actuator actuator

	orders  chan order
	clients chan []Connection // whole lists
	inputs  chan any          // heard, done; from other goroutines
	nudges  chan struct{}     // the kernel changed something

	known     []Connection // the former holder's clients
	seq       uint64       // of the last order
	ring      []Event
	running   map[netip.Addr]*running
	tickling  sync.Mutex // held while tickles are sent; who finds it held leaves it to him
	workers   sync.WaitGroup
	lookError string // the last, so that it is told once
}

// running are the programs that run for one address.
type running struct {
	cancel         context.CancelFunc // of the add or remove
	cancelAnnounce context.CancelFunc
	announced      chan struct{} // closed when no announcement runs
}

// newEngine makes an engine of a valid section. publish gets every State.
func newEngine(cfg configs.VIP, log *slog.Logger, publish func(State)) (*engine, error) {
	e := &engine{cfg: cfg, log: log, publish: publish, orders: make(chan order), clients: make(chan []Connection),
		inputs: make(chan any, 64), nudges: make(chan struct{}, 1), running: map[netip.Addr]*running{}}
	e.core = newCore(coreSettings(&cfg))
	if cfg.Mode == "netlink" || cfg.Mode == "commands" {
		var err error
		if e.kernel, err = openKernel(cfg.Interface, cfg.AddressLabel()); err != nil {
			return nil, err
		}
	}
	if e.core.frames {
		e.frames = newFrames(cfg.Prefixes(), func(c claim) {
			if !slices.ContainsFunc(e.core.settings.addresses, func(p netip.Prefix) bool { return p.Addr() == c.addr }) {
				return
			}
			select {
			case e.inputs <- c:
			default: // a flood of claims; the next ones will do
			}
		})
	}
	switch cfg.Mode {
	case "netlink":
		e.actuator = &netlinkActuator{e.kernel, cfg.Lifetime, e.frames}
	case "commands":
		e.actuator = &commandActuator{cfg.Commands, cfg.Interface, log}
	case "hook":
		e.actuator = &hookActuator{cfg.Hook, cfg.Interface, log}
	default:
		e.actuator = noActuator{}
	}
	return e, nil
}

func coreSettings(cfg *configs.VIP) settings {
	s := settings{
		addresses: cfg.Prefixes(), device: cfg.Interface, strict: cfg.Takeover == "strict", refresh: cfg.Refresh,
		probeWait: cfg.ProbeWait, announceInterval: cfg.AnnounceInterval,
		observed: cfg.Mode == "netlink" || cfg.Mode == "commands", needsLink: cfg.Mode == "netlink",
		frames:       cfg.Mode == "netlink" || cfg.Mode == "commands" && cfg.Interface != "",
		resetClients: cfg.ResetClients && cfg.Mode != "none",
		retryFirst:   retryCommand, retryMost: retryCommandMost,
	}
	if cfg.Mode == "netlink" {
		s.lifetime, s.retryFirst, s.retryMost = cfg.Lifetime, retryKernel, retryKernelMost
	}
	return s
}

// run obeys orders until ctx ends; then it takes the addresses off and returns. The
// error is that this could not be done in time.
func (e *engine) run(ctx context.Context, first order) error {
	background, stop := context.WithCancel(context.Background())
	defer e.workers.Wait()
	defer stop()
	if e.kernel != nil {
		defer e.kernel.close()
		e.workers.Go(func() { watchKernel(background, e.nudge) })
	}
	if e.frames != nil {
		defer e.frames.close()
	}
	// The first order comes before the first look: what a guardian before this one left
	// is kept if it is still wanted.
	e.core.want, e.core.until, e.seq = first, first.Until, first.Seq
	timer := time.NewTimer(0)
	defer timer.Stop()
	wake := e.look(background)
	wake = e.earliest(wake, e.sweep(background))
	ended, deadline := ctx.Done(), (<-chan time.Time)(nil)
	for {
		if s := e.state(); ended == nil && s.Gone {
			return nil
		}
		timer.Reset(e.sleep(wake))
		select {
		case o := <-e.orders:
			if ended == nil {
				continue // it is too late for orders
			}
			e.seq = o.Seq
			wake = e.step(background, wanted{o})
		case list := <-e.clients:
			e.known = list[:min(len(list), maxClients)]
			if e.state().Held {
				e.tickle()
			}
		case in := <-e.inputs:
			wake = e.take(background, in)
		case <-e.nudges:
			wake = e.look(background)
		case <-timer.C:
			wake = e.look(background)
		case <-ended:
			ended, deadline = nil, time.After(e.stopWait())
			wake = e.step(background, wanted{order{Reason: context.Cause(ctx).Error(), Epoch: e.core.want.Epoch}})
		case <-deadline:
			return fmt.Errorf("take off the address: %s", e.state().describe())
		}
		e.publish(e.state())
	}
}

func (e *engine) stopWait() time.Duration {
	switch e.cfg.Mode {
	case "commands":
		return 2*e.cfg.Commands.Timeout + stopSlack
	case "hook":
		return 2*e.cfg.Hook.Timeout + stopSlack
	}
	return stopSlack
}

func (e *engine) nudge() {
	select {
	case e.nudges <- struct{}{}:
	default:
	}
}

// sleep is until the core wants to be asked again, or the kernel looked at.
func (e *engine) sleep(wake Instant) time.Duration {
	wait := relist
	if wake != 0 {
		wait = min(wait, wake.Sub(Now()))
	}
	return max(wait, 0)
}

func (*engine) earliest(a, b Instant) Instant {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// take handles what other goroutines found.
func (e *engine) take(ctx context.Context, in any) Instant {
	switch in := in.(type) {
	case claim:
		h := heard{addr: in.addr, mac: in.mac.String()}
		if e.core.find(in.addr) != nil && e.kernel != nil {
			if peer := e.kernel.neighbour(h.mac, e.core.want.Peers); peer.IsValid() {
				h.peer = peer.String()
			}
		}
		return e.step(ctx, h)
	case done:
		if r := e.running[in.addr]; r != nil && r.cancel != nil {
			r.cancel()
			r.cancel = nil
		}
		// A command's success is what the kernel shows.
		if s, err := e.see(); err == nil {
			e.step(ctx, s)
		}
		return e.step(ctx, in)
	}
	panic(fmt.Sprintf("vip: input %T", in))
}

// look asks the kernel and lets the core decide.
func (e *engine) look(ctx context.Context) Instant {
	s, err := e.see()
	if err != nil {
		if e.lookError != err.Error() {
			e.log.Error("the kernel's addresses could not be read", "error", err)
			e.lookError = err.Error()
		}
		return e.step(ctx, tick{}) // what was last seen counts on
	}
	e.lookError = ""
	return e.step(ctx, s)
}

func (e *engine) see() (seen, error) {
	if e.kernel == nil {
		return seen{}, nil
	}
	link, mac, err := e.kernel.link()
	if err != nil {
		return seen{}, err
	}
	if e.frames != nil {
		index := e.kernel.index
		if mac == nil {
			index = 0
		}
		e.frames.follow(index, mac)
		link.deaf = e.frames.deaf()
	}
	list, err := e.kernel.list()
	if err != nil {
		return seen{}, err
	}
	return seen{link: link, sightings: e.kernel.sightings(list, e.core.settings.addresses, e.cfg.Mode == "netlink")}, nil
}

// sweep removes what a former howdah with another configuration left.
func (e *engine) sweep(ctx context.Context) Instant {
	if e.cfg.Mode != "netlink" {
		return 0
	}
	list, err := e.kernel.list()
	if err != nil {
		return 0
	}
	for _, p := range e.kernel.leftovers(list, e.core.settings.addresses) {
		if err := e.kernel.remove(p); err != nil {
			e.log.Error("a leftover address could not be removed", "address", p, "error", err)
			continue
		}
		e.log.Warn("removed an address that a howdah with another configuration left", "address", p, "interface", e.cfg.Interface)
	}
	return e.look(ctx)
}

// step lets the core decide, and does what it decides, until there is nothing left to do
// now.
func (e *engine) step(ctx context.Context, in any) Instant {
	pending := []any{in}
	var wake Instant
	for len(pending) > 0 {
		var actions []action
		var events []Event
		actions, events, wake = e.core.step(Now(), pending[0])
		pending = pending[1:]
		for _, ev := range events {
			e.tell(ev)
		}
		for _, a := range actions {
			if in := e.do(ctx, a); in != nil {
				pending = append(pending, in)
			}
		}
	}
	return wake
}

// tell logs an event and keeps it.
func (e *engine) tell(ev Event) {
	level := slog.LevelInfo
	switch ev.Kind {
	case EventBlocked, EventFailed, EventConflict:
		level = slog.LevelError
	case EventLeftover, EventRestored, EventStaleHolder:
		level = slog.LevelWarn
	}
	e.log.Log(context.Background(), level, "floating address", "event", string(ev.Kind), "address", ev.Address, "interface", e.cfg.Interface,
		"epoch", ev.Epoch, "reason", ev.Reason)
	e.ring = append(e.ring, ev)
	if len(e.ring) > maxEvents {
		e.ring = append([]Event(nil), e.ring[len(e.ring)-maxEvents:]...)
	}
}

// do does one action. It returns its end, if it has ended and is waited for.
func (e *engine) do(ctx context.Context, a action) any {
	e.log.Debug("floating address", "do", a.op.String(), "address", a.addr, "reason", a.reason)
	addr := a.addr.Addr()
	switch a.op {
	case opProbe:
		if err := e.frames.probe(addr); err != nil {
			e.log.Warn("nobody was asked for the address", "address", addr, "error", err)
		}
	case opTickle:
		e.tickle()
	case opCancel:
		if r := e.running[addr]; r != nil && r.cancel != nil {
			r.cancel()
		}
	case opAnnounce:
		e.announce(ctx, a)
	case opRenew:
		if Now() >= a.notAfter {
			return done{addr, a.op, errCancelled}
		}
		return done{addr, a.op, e.actuator.renew(a.addr)}
	case opAdd, opRemove:
		if e.actuator.slow() {
			e.start(ctx, a)
			return nil
		}
		return done{addr, a.op, e.change(ctx, a)}
	}
	return nil
}

// change adds or removes an address.
func (e *engine) change(ctx context.Context, a action) error {
	epoch := e.core.want.Epoch
	if a.op == opAdd {
		// The lease is looked at as late as possible: this host may just have been frozen.
		if Now() >= a.notAfter {
			return errCancelled
		}
		return e.actuator.add(ctx, a.addr, epoch)
	}
	e.breakConnections(a)
	err := e.actuator.remove(ctx, a.addr, epoch)
	e.workers.Go(func() { // run waits for it
		if e.core.resetClients && e.kernel != nil {
			// What is left of the connections must not be there when the address comes back.
			_, _ = resetConnections(a.addr, Now().Add(sweepBudget))
		}
	})
	return err
}

// breakConnections resets the clients while the address is still here, if there is
// time left for it.
func (e *engine) breakConnections(a action) {
	if !a.reset {
		return
	}
	n, err := resetConnections(a.addr, min(Now().Add(resetBudget), a.notAfter.Add(-resetMargin)))
	if err != nil {
		e.log.Warn("clients of the address were not all disconnected", "address", a.addr, "disconnected", n, "error", err)
	} else if n > 0 {
		e.log.Info("disconnected the clients of the address", "address", a.addr, "disconnected", n)
	}
}

// start runs a slow add or remove on a goroutine of its own, after the end of an
// announcement that may run.
func (e *engine) start(ctx context.Context, a action) {
	r := e.running[a.addr.Addr()]
	if r == nil {
		r = &running{}
		e.running[a.addr.Addr()] = r
	}
	own, cancel := context.WithCancel(ctx)
	r.cancel = cancel
	announced := r.announced
	if r.cancelAnnounce != nil {
		r.cancelAnnounce()
	}
	epoch := e.core.want.Epoch
	act := e.actuator.add
	if a.op == opRemove {
		act = e.actuator.remove
	}
	e.workers.Go(func() { // run waits for it
		if announced != nil {
			<-announced
		}
		err := errCancelled
		if a.op == opRemove || Now() < a.notAfter {
			if a.op == opRemove {
				e.breakConnections(a)
			}
			err = act(own, a.addr, epoch)
		}
		if own.Err() != nil && err != nil {
			err = errCancelled
		}
		select {
		case e.inputs <- done{a.addr.Addr(), a.op, err}:
		case <-ctx.Done(): // run gave up waiting
		}
	})
}

// announce tells the neighbours, with frames or by a program; not while the same
// program runs.
func (e *engine) announce(ctx context.Context, a action) {
	if !e.actuator.slow() {
		if err := e.actuator.announce(ctx, a.addr, e.core.want.Epoch); err != nil {
			e.log.Warn("the address was not announced", "address", a.addr, "error", err)
		}
		return
	}
	r := e.running[a.addr.Addr()]
	if r == nil {
		r = &running{}
		e.running[a.addr.Addr()] = r
	}
	if r.announced != nil {
		select {
		case <-r.announced:
		default:
			return
		}
	}
	own, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	r.cancelAnnounce, r.announced = cancel, ended
	epoch := e.core.want.Epoch
	e.workers.Go(func() { // run waits for it
		defer close(ended)
		defer cancel()
		_ = e.actuator.announce(own, a.addr, epoch) // logged by the actuator
	})
}

// tickle makes the former holder's clients notice.
func (e *engine) tickle() {
	list := e.known
	if len(list) == 0 || !e.tickling.TryLock() {
		return
	}
	e.workers.Go(func() { // run waits for it
		defer e.tickling.Unlock()
		if err := sendTickles(list); err != nil {
			e.log.Warn("clients of the former holder were not all told", "clients", len(list), "error", err)
		}
	})
}

// state is what is known now.
func (e *engine) state() State {
	s := e.core.status(Now())
	s.Mode, s.Interface, s.Order = e.cfg.Mode, e.cfg.Interface, e.seq
	s.Events = append([]Event(nil), e.ring...)
	return s
}

// errGone ends an engine whose howdah is gone.
var errGone = errors.New("howdah is gone")
