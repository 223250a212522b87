package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/configs"
)

// Cluster watches the servers and publishes what is known of them as a View.
// All methods may be called at any time from any goroutine.
type Cluster struct {
	log     *slog.Logger
	current atomic.Pointer[published]
	checks  checks
	runs    commandRuns

	// idle: the probers go slowly. used: a session has used the primary since the
	// writer looked. Both are read per statement and hardly ever written.
	idle, used atomic.Bool

	// doubted: a node is silent, so that sessions tell whom they hear. told[id] is what they told; replaced as wakes is.
	doubted atomic.Bool
	told    atomic.Pointer[[]*told]

	mu       sync.Mutex // guards wanted
	wanted   wanted
	reloaded chan struct{} // capacity 1: wanted has changed

	arbiter  Arbiter
	failover atomic.Pointer[Failover]
	operator chan operatorOrder
	ordered  chan ordersRequest
	// warrant is what Run begins with, nil if none is needed; given was set last, by SetWarrant's one caller.
	// writeUntil is when (Now) the right to use the primary ends; sessions look at it before they send.
	warrant    *Warrant
	given      Warrant
	warranted  chan warrantRequest
	writeUntil atomic.Int64
	stopped    chan struct{} // closed when Run ends
	orders     atomic.Uint64 // numbers orders
	busy       atomic.Pointer[func(NodeID) bool]

	// wakes[id] asks that node's prober to probe now. Replaced whole by the
	// writer when nodes are added; read without a lock by Report and Refresh.
	wakes atomic.Pointer[[]chan struct{}]
}

// wanted is what the configuration asks for.
type wanted struct {
	backends []configs.Backend
	check    configs.ReplicationCheck
	tls      map[string]*auth.BackendTLS // by the backend's name
	failover configs.Failover
}

// ordersRequest asks the writer to obey orders from its next view on; done is closed when that is published.
type ordersRequest struct {
	orders orders
	done   chan struct{}
}

// published is a view, what it was made from, and the channel that is closed when the next replaces it.
type published struct {
	view  *View
	known []observation // of view.Nodes
	next  chan struct{}
}

// New checks the settings, reads the files that backends' tls names, and makes a Cluster
// whose View shows every backend waiting. It opens no connection; Run does. The backends are
// as configs.BackendsInEffect has them.
func New(backends []configs.Backend, check configs.ReplicationCheck, log *slog.Logger) (*Cluster, error) {
	want, err := prepare(backends, check)
	if err != nil {
		return nil, err
	}
	c := &Cluster{
		log:       log,
		wanted:    want,
		reloaded:  make(chan struct{}, 1),
		arbiter:   StateFile{},
		operator:  make(chan operatorOrder),
		ordered:   make(chan ordersRequest),
		warranted: make(chan warrantRequest),
		stopped:   make(chan struct{}),
	}
	c.wanted.failover = configs.Default().Failover
	c.failover.Store(&Failover{})
	c.writeUntil.Store(math.MaxInt64)
	view := configure(&View{Primary: NoNode, last: NoNode, writable: NoNode}, want)
	known := make([]observation, len(view.Nodes))
	view = decide(view, known, rules{}, Now())
	c.current.Store(&published{view: view, known: known, next: make(chan struct{})})
	c.grow(len(view.Nodes))
	return c, nil
}

// prepare checks the settings and reads the files that they name.
func prepare(backends []configs.Backend, check configs.ReplicationCheck) (wanted, error) {
	w := wanted{backends: backends, check: check, tls: make(map[string]*auth.BackendTLS, len(backends))}
	if err := validate(backends, check); err != nil {
		return w, err
	}
	for _, b := range backends {
		tls, err := auth.LoadBackendTLS(b.TLS, b.Host)
		if err != nil {
			return w, fmt.Errorf("backend %q: tls: %w", b.Name, err)
		}
		w.tls[b.Name] = tls
	}
	return w, nil
}

// UseFailover says what to do when the primary is lost, and whom to ask for consent. It must be called before Run; without it
// nobody is promoted.
func (c *Cluster) UseFailover(f configs.Failover, arbiter Arbiter) {
	c.arbiter = arbiter
	c.wanted.failover = f
}

// ReconfigureFailover takes new settings while running; a change of the primary that is under way goes on with them.
func (c *Cluster) ReconfigureFailover(f configs.Failover) {
	c.mu.Lock()
	c.wanted.failover = f
	c.mu.Unlock()
	select {
	case c.reloaded <- struct{}{}:
	default: // one is waiting already and will read this
	}
}

// OnDrain takes a function that says whether a statement runs on the node, or is about to and has not seen the latest
// view: a switchover waits for it. It is called from another goroutine.
func (c *Cluster) OnDrain(busy func(NodeID) bool) { c.busy.Store(&busy) }

func (c *Cluster) busyOn(id NodeID) bool {
	busy := c.busy.Load()
	return busy != nil && (*busy)(id)
}

// validate says what is wrong with the settings, or nil.
func validate(backends []configs.Backend, check configs.ReplicationCheck) error {
	if len(backends) == 0 {
		return errors.New("backends: none is configured")
	}
	names := make(map[string]bool, len(backends))
	for _, b := range backends {
		switch {
		case b.Name == "":
			return errors.New("backends: a backend has no name")
		case names[b.Name]:
			return fmt.Errorf("backends: two are named %q", b.Name)
		case b.Host == "":
			return fmt.Errorf("backend %q: no host", b.Name)
		case b.Port < 1 || b.Port > 65535:
			return fmt.Errorf("backend %q: port %d is not between 1 and 65535", b.Name, b.Port)
		case !(b.Weight >= 0 && b.Weight < maxWeight):
			return fmt.Errorf("backend %q: weight %v is not between 0 and %d", b.Name, b.Weight, maxWeight)
		}
		if _, err := connectionConfig(b, b.Check.Over(check), nil); err != nil {
			return err
		}
		names[b.Name] = true
	}
	if check.Interval <= 0 || check.Timeout <= 0 { // IdleInterval counts at least as Interval
		return errors.New("replication_check: interval and timeout must be greater than 0")
	}
	return nil
}

// maxWeight bounds a weight, so that their sum stays exact enough to draw from.
const maxWeight = 1 << 20

// View is what is known now. It never blocks and never is nil.
func (c *Cluster) View() *View { return c.current.Load().view }

// WaitFor returns the first view, from the current one on, that satisfies ok,
// or ctx's cause. ok is called in the caller's goroutine; it may miss views
// that were replaced at once, never the latest.
func (c *Cluster) WaitFor(ctx context.Context, ok func(*View) bool) (*View, error) {
	for {
		p := c.current.Load()
		if ok(p.view) {
			return p.view, nil
		}
		select {
		case <-p.next:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Changed is closed when the view that View returns now, or one later, has been replaced.
// Call it before View to miss nothing.
func (c *Cluster) Changed() <-chan struct{} { return c.current.Load().next }

// Report says that a session saw an I/O error or a refusal on the node. It is
// no verdict: the node is probed at once, and what the probe finds counts; on a new connection, if
// err is a Contradiction. It never blocks; reports that come together cause one probe.
func (c *Cluster) Report(id NodeID, err error) {
	n := c.View().Node(id)
	if n == nil {
		return
	}
	c.log.Debug("session reported node", "node", n.Name, "error", err)
	var other *Contradiction
	if told := *c.told.Load(); errors.As(err, &other) && int(id) < len(told) {
		told[id].other.Store(true)
	}
	c.wake(id)
}

// Refresh asks for a new sample of the primary's position now; the standbys
// are asked right after it, as after every sample. It never blocks; requests that come together cause one probe.
func (c *Cluster) Refresh() {
	if p := c.View().Primary; p != NoNode {
		c.wake(p)
	}
}

// NoteAnswer notes that a session that waited for a node's answer got the beginning of one just now. It
// costs next to nothing unless a node is silent.
func (c *Cluster) NoteAnswer(id NodeID) {
	if !c.doubted.Load() {
		return
	}
	if told := *c.told.Load(); int(id) < len(told) {
		told[id].heard.Store(Now())
	}
}

// NoteUse says that a session has used the primary, so that horizons are asked
// for often again. It costs two loads of memory that all processors share.
func (c *Cluster) NoteUse() {
	if !c.used.Load() {
		c.used.Store(true)
	}
	if c.idle.Load() {
		c.idle.Store(false)
		c.Refresh()
	}
}

// Reconfigure takes new settings while running. Nodes are known by name and
// keep their ids: a new name gets the next free id, a removed one stays in the
// view, down, with weight 0, and gets its id back if it returns. It returns
// before the change shows in the view; on an error nothing changes.
func (c *Cluster) Reconfigure(backends []configs.Backend, check configs.ReplicationCheck) error {
	want, err := prepare(backends, check)
	if err != nil {
		return err
	}
	c.mu.Lock()
	want.failover = c.wanted.failover
	c.wanted = want
	c.mu.Unlock()
	select {
	case c.reloaded <- struct{}{}:
	default: // one is waiting already and will read this
	}
	return nil
}

func (c *Cluster) settings() wanted {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wanted
}

func (c *Cluster) wake(id NodeID) {
	wakes := *c.wakes.Load()
	if int(id) >= len(wakes) {
		return
	}
	select {
	case wakes[id] <- struct{}{}:
	default: // asked already
	}
}

// wakeAll has all nodes probed now.
func (c *Cluster) wakeAll() {
	for id := range *c.wakes.Load() {
		c.wake(NodeID(id))
	}
}

// apply has the writer obey orders, and returns when the view does; false if ctx ended before.
func (c *Cluster) apply(ctx context.Context, o orders) bool {
	r := ordersRequest{orders: o, done: make(chan struct{})}
	select {
	case c.ordered <- r:
	case <-ctx.Done():
		return false
	}
	select {
	case <-r.done:
		return true
	case <-ctx.Done():
		return false
	}
}

// grow makes the wake channels of nodes up to n. Only New and Run call it.
func (c *Cluster) grow(n int) {
	var wakes []chan struct{}
	var all []*told
	if old := c.wakes.Load(); old != nil {
		wakes, all = append(wakes, *old...), append(all, *c.told.Load()...)
	}
	for len(wakes) < n {
		wakes, all = append(wakes, make(chan struct{}, 1)), append(all, new(told))
	}
	c.told.Store(&all)
	c.wakes.Store(&wakes)
}

// publish replaces the view and wakes all who wait for that. Only Run calls it.
func (c *Cluster) publish(v *View, known []observation) {
	old := c.current.Swap(&published{view: v, known: slices.Clone(known), next: make(chan struct{})})
	c.checks.changed(old.view, v)
	logChanges(c.log, old.view, v)
	close(old.next)
}
