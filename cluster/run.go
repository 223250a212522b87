package cluster

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/howdah/howdah/configs"
)

// writer is the one goroutine that makes views. Only Run uses it.
type writer struct {
	cluster  *Cluster
	known    []observation // by NodeID
	running  []*probing    // by NodeID; nil if the node is removed
	horizons *horizons
	check    configs.ReplicationCheck
	failover configs.Failover
	orders   orders
	warrant  *Warrant
	// lsn is the primary's position at its last sample, written when (Now) that
	// last moved or a session last used the primary.
	lsn      LSN
	written  int64
	findings chan finding
	probers  sync.WaitGroup
}

// probing is a prober's goroutine as its owner, the writer, sees it.
type probing struct {
	prober  *prober
	backend configs.Backend
	check   configs.ReplicationCheck
	settle  chan struct{} // capacity 1
	stop    context.CancelFunc
}

// Run probes the servers and publishes views until ctx ends. It must be
// called once. The last view stays.
func (c *Cluster) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	w := &writer{cluster: c, warrant: c.warrant, horizons: newHorizons(), findings: make(chan finding)}
	defer close(c.stopped)
	defer w.probers.Wait()
	defer cancel()
	if err := w.reconfigure(ctx); err != nil {
		return err
	}
	conductor := c.newConductor(ctx)
	w.orders = conductor.machine.orders()
	conductor.applied = w.orders
	w.probers.Go(func() { conductor.run(ctx) })
	for {
		select {
		case <-ctx.Done():
			return nil
		case r := <-c.ordered:
			w.orders = r.orders
			w.next()
			close(r.done)
		case r := <-c.warranted:
			w.warrant = &r.warrant
			w.next()
			close(r.done)
		case <-c.reloaded:
			if err := w.reconfigure(ctx); err != nil {
				return err
			}
		case f := <-w.findings:
			w.take(f)
		}
	}
}

// reconfigure brings nodes and probers to what the settings ask for.
func (w *writer) reconfigure(ctx context.Context) error {
	want := w.cluster.settings()
	view := configure(w.cluster.View(), want)
	for len(w.known) < len(view.Nodes) {
		w.known = append(w.known, observation{})
		w.running = append(w.running, nil)
	}
	w.cluster.grow(len(view.Nodes))
	wanted := make(map[string]configs.Backend, len(want.backends))
	for _, b := range want.backends {
		wanted[b.Name] = b
	}
	for i := range view.Nodes {
		b, ok := wanted[view.Nodes[i].Name]
		if err := w.arrange(ctx, NodeID(i), b, ok, want); err != nil {
			return err
		}
	}
	w.check, w.failover = want.check, want.failover
	w.cluster.idle.Store(false)
	w.written = Now()
	next := decide(view, w.known, w.rules(), w.written)
	w.horizons.show(next)
	w.horizons.showLag(next, &w.check, w.written)
	w.cluster.publish(next, w.known)
	return nil
}

// rules are what decide obeys now.
func (w *writer) rules() rules {
	return rules{silences: w.check.Silences, autoFailback: w.failover.AutoFailback, holdDown: w.failover.HoldDown, orders: w.orders, warrant: w.warrant}
}

// arrange sees that a node is probed as configured, or not at all.
func (w *writer) arrange(ctx context.Context, id NodeID, b configs.Backend, named bool, want wanted) error {
	check, tls := want.check, want.tls[b.Name]
	old := w.running[id]
	if !named {
		if old != nil {
			old.stop()
		}
		w.running[id], w.known[id] = nil, observation{evidence: evidenceRemoved, run: w.known[id].run}
		return nil
	}
	sameServer := old != nil && old.backend.Host == b.Host && old.backend.Port == b.Port && old.backend.ProxyProtocol == b.ProxyProtocol
	// What its files say may have changed, whatever the settings say.
	sameTLS := old != nil && old.backend.TLS == b.TLS && b.TLS.CA == "" && b.TLS.Cert == ""
	check = b.Check.Over(check)
	if sameServer && sameTLS && old.check == check {
		return nil
	}
	config, err := connectionConfig(b, check, tls)
	if err != nil {
		return err
	}
	if old != nil {
		old.stop()
	}
	if !sameServer {
		w.known[id] = observation{run: w.known[id].run + 1}
		w.horizons.forget(id)
	}
	w.running[id] = w.start(ctx, id, b, check, &prober{id: id, config: config, check: check, idle: &w.cluster.idle, told: (*w.cluster.told.Load())[id]})
	return nil
}

// start starts a prober's goroutine, which w.probers waits for.
func (w *writer) start(ctx context.Context, id NodeID, b configs.Backend, check configs.ReplicationCheck, p *prober) *probing {
	ctx, stop := context.WithCancel(ctx)
	settle := make(chan struct{}, 1)
	p.wake, p.settle, p.out = (*w.cluster.wakes.Load())[id], settle, w.findings
	w.probers.Go(func() { p.run(ctx) })
	w.probers.Go(func() { p.runFresh(ctx) })
	return &probing{prober: p, backend: b, check: check, settle: settle, stop: stop}
}

// take makes the next view from what a prober found.
func (w *writer) take(f finding) {
	id := f.from.id
	if w.running[id] == nil || w.running[id].prober != f.from {
		return // a prober that was stopped had this in its hands
	}
	if f.fresh {
		if known := &w.known[id].server; f.server.role != RoleUnknown && (f.server.isOther(known) || f.server.role != known.role) {
			f.from.told.other.Store(true)
			w.cluster.wake(id)
		}
		w.known[id] = mergeFresh(w.known[id], f.observation)
	} else {
		w.cluster.checks.probed(id, f.evidence == evidenceAnswered, f.took)
		w.known[id] = merge(w.known[id], f.observation)
	}
	doubted := false
	for i := range w.known {
		doubted = doubted || w.known[i].evidence == evidenceSilent
	}
	if doubted != w.cluster.doubted.Load() {
		w.cluster.doubted.Store(doubted)
	}
	prev := w.cluster.View()
	next := decide(prev, w.known, w.rules(), Now())
	n := &next.Nodes[id]
	if !f.fresh && f.evidence == evidenceAnswered && (n.State == StateUp || n.State == StateSuspect) {
		if id == next.Primary {
			w.horizons.sampled(id, &f.server, f.asked)
			w.settle(id)
		} else {
			w.horizons.replayed(id, &f.server)
		}
	}
	w.horizons.show(next)
	now := Now()
	w.horizons.showLag(next, &w.check, now)
	w.pace(next, now)
	w.cluster.publish(next, w.known)
}

// next makes a view from what is known already, since the orders are others.
func (w *writer) next() {
	now := Now()
	next := decide(w.cluster.View(), w.known, w.rules(), now)
	w.horizons.show(next)
	w.horizons.showLag(next, &w.check, now)
	w.cluster.publish(next, w.known)
}

// idleAfter is how long nothing must have been written before the nodes are
// probed at replication_check.idle_interval.
const idleAfter = int64(time.Second)

// pace says whether the probers may go slowly: all nodes are up, and neither has
// the primary's log grown nor a session used the primary for a while.
func (w *writer) pace(v *View, now int64) {
	if w.cluster.used.Swap(false) {
		w.written = now
	}
	if p := v.Node(v.Primary); p == nil || p.LSN != w.lsn {
		w.written = now
		if p != nil {
			w.lsn = p.LSN
		}
	}
	quiet := now-w.written > idleAfter
	for i := range v.Nodes {
		n := &v.Nodes[i]
		if n.State != StateUp && n.State != StateUnused || n.Behind.Bytes > 0 {
			quiet = false
		}
	}
	if quiet != w.cluster.idle.Load() {
		w.cluster.idle.Store(quiet)
	}
}

// settle has the other nodes probed a little after a sample of the primary.
func (w *writer) settle(primary NodeID) {
	for i, r := range w.running {
		if r == nil || NodeID(i) == primary {
			continue
		}
		select {
		case r.settle <- struct{}{}:
		default: // asked already
		}
	}
}

// configure is the view with the nodes that the settings name, and those they
// no longer name at their places.
func configure(prev *View, want wanted) *View {
	next := *prev
	next.Nodes = append([]Node(nil), prev.Nodes...)
	byName := make(map[string]int, len(next.Nodes))
	for i := range next.Nodes {
		byName[next.Nodes[i].Name] = i
	}
	for _, b := range want.backends {
		i, ok := byName[b.Name]
		if !ok {
			i = len(next.Nodes)
			next.Nodes = append(next.Nodes, Node{ID: NodeID(i), Name: b.Name})
		}
		n := &next.Nodes[i]
		n.Host, n.Port, n.Weight, n.TLS = b.Host, b.Port, b.Weight, want.tls[b.Name]
		n.ProxyProtocol = proxyVersion(b)
	}
	return &next
}

// logChanges writes what changed between two views, once.
func logChanges(log *slog.Logger, from, to *View) {
	for i := range to.Nodes {
		n := &to.Nodes[i]
		before := "new"
		if old := from.Node(n.ID); old != nil {
			logLag(log, old, n)
			if n.Run != old.Run && old.Run > 0 {
				log.Info("another run of the server, or another server, is at the node's address; connections to the one before are given up", "node", n.Name)
			}
			if old.State == n.State && old.Role == n.Role {
				if old.Reason != n.Reason {
					log.Debug("node's reason changed", "node", n.Name, "state", n.State.String(), "why", n.Reason)
				}
				continue
			}
			before = describe(old)
		}
		level := slog.LevelInfo
		if n.State == StateDown || n.State == StateQuarantine || n.State == StateSuspect {
			level = slog.LevelWarn
		}
		log.Log(context.Background(), level, "node changed", "node", n.Name, "from", before, "to", describe(n), "why", n.Reason)
	}
	if from.Primary != to.Primary {
		log.Info("primary changed", "from", name(from, from.Primary), "to", name(to, to.Primary), "epoch", to.Epoch)
	}
}

// logLag tells of a node that went over a limit of lag, or came back. That nothing is
// known of a node that has just come up is no news.
func logLag(log *slog.Logger, old, n *Node) {
	switch {
	case n.Lagging != "" && (old.Lagging == "" && old.State == StateUp || !old.Behind.Known && n.Behind.Known):
		log.Warn("node lags and is not read", "node", n.Name, "why", n.Lagging)
	case old.Lagging != "" && n.Lagging == "" && n.State == StateUp && old.Behind.Known:
		log.Info("node is within the limits of lag again", "node", n.Name)
	}
}

func describe(n *Node) string {
	if n.Role == RoleUnknown {
		return n.State.String()
	}
	return n.State.String() + " " + n.Role.String()
}

func name(v *View, id NodeID) string {
	if n := v.Node(id); n != nil {
		return n.Name
	}
	return "none"
}
