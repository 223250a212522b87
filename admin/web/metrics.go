package web

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/howdah/howdah/admin"
	"github.com/howdah/howdah/cluster"
)

// metricsHandler answers Prometheus. Everything is read when it asks: nothing is kept twice.
func metricsHandler(a *admin.Admin) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &collector{a})
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}

// collector reads a running howdah.
type collector struct{ admin *admin.Admin }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("howdah_"+name, help, labels, nil)
}

var (
	descInfo       = desc("info", "1, with howdah's version", "version")
	descClients    = desc("clients", "client connections")
	descMaxClients = desc("max_clients", "limits.max_clients")
	descSessions   = desc("sessions", "sessions by state", "state")
	descHeld       = desc("held_statements", "statements that wait for a primary")
	descEpoch      = desc("cluster_epoch", "grows with every change of a node's state or role")
	descPhase      = desc("failover_phase", "1 for the phase of the change of the primary that is under way; watch is none", "phase")
	descFailovers  = desc("failover_epoch", "grows with every change of the primary")
	descPaused     = desc("failover_paused", "1 while nobody is promoted unasked")
	descUp         = desc("node_up", "1 if the node may be used", "node")
	descPrimary    = desc("node_primary", "1 if the node is the primary", "node")
	descWeight     = desc("node_weight", "the node's weight for reads", "node")
	descLag        = desc("node_lag_bytes", "how much of the primary's log a standby has not replayed; only if it is known", "node")
	descHorizon    = desc("node_horizon_age_seconds", "how old what a standby shows may be", "node")
	descStatements = desc("statements_total", "statements that completed", "node", "kind")
	descErrors     = desc("errors_total", "errors that servers reported to clients", "node", "severity")
	descProbes     = desc("probes_total", "probes of the node", "node", "result")
	descProbeTime  = desc("probe_seconds_total", "time that probes took", "node")
	descPool       = desc("pool_connections", "server connections", "node", "state")
	descWaiters    = desc("pool_waiters", "sessions that wait for a server connection", "node")
	descWaited     = desc("pool_longest_wait_seconds", "how long the first of those who wait for a server connection has waited", "node")
	descPinned     = desc("pinned_sessions", "sessions that cannot be moved, by why", "reason")
	descLatency    = desc("statement_duration_seconds", "from a statement's sending to the end of its answer", "node", "route")
	descCache      = desc("cache_bytes", "what is remembered of statements and databases", "cache")
	descChanges    = desc("primary_changes_total", "how often the primary became another server since howdah started")
	descDowns      = desc("node_downs_total", "how often the node was lost since howdah started", "node")
	descMembers    = desc("watchdog_members", "members of the watchdog", "state")
	descLeader     = desc("watchdog_leader", "1 if this howdah leads the watchdog")
	descQuorum     = desc("watchdog_quorum", "1 if a majority of the members works together")
	descHolds      = desc("vip_held", "1 if this howdah has the floating address")
	descTerm       = desc("watchdog_term", "the term of the last election that this member won")
	descLease      = desc("watchdog_lease_seconds", "how long the lease lasts that this member holds; 0 if it holds none")
	descMayWrite   = desc("watchdog_writes", "1 if this member's clients may write")
	descAgreed     = desc("watchdog_epoch", "changes of the primary that the members agreed on")
	descDecisions  = desc("decisions_total", "routing decisions by their reason", "reason")
	descCounters   = desc("counter", "the counters of SHOW howdah.stats", "name")
)

// Describe says nothing, so that the registry takes the metrics as they come.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

func (c *collector) Collect(out chan<- prometheus.Metric) {
	st := c.admin.State
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	counts, view := st.Counts(), st.View()
	gauge(descInfo, 1, c.admin.Version)
	gauge(descClients, float64(counts.Clients))
	gauge(descMaxClients, float64(st.Config().Limits.MaxClients))
	gauge(descHeld, float64(counts.Held))
	gauge(descEpoch, float64(view.Epoch))
	for reason, n := range st.Decisions() {
		counter(descDecisions, float64(n), reason)
	}
	for _, row := range st.Counters() {
		if v, err := strconv.ParseFloat(row[1], 64); err == nil {
			gauge(descCounters, v, row[0])
		}
	}
	c.sessions(gauge)
	c.watchdog(gauge)
	for _, cache := range st.Caches() {
		gauge(descCache, float64(cache.Bytes), cache.Name)
	}
	changes, downs := c.admin.Lost()
	counter(descChanges, float64(changes))
	for i := range view.Nodes {
		counter(descDowns, float64(downs[view.Nodes[i].Name]), view.Nodes[i].Name)
		c.latency(&view.Nodes[i], out)
	}
	longest := map[cluster.NodeID]time.Time{}
	for _, w := range st.Waiters() {
		if first, ok := longest[w.Node]; !ok || w.Since.Before(first) {
			longest[w.Node] = w.Since
		}
	}
	for i := range view.Nodes {
		waited := 0.0
		if since, ok := longest[view.Nodes[i].ID]; ok {
			waited = time.Since(since).Seconds()
		}
		gauge(descWaited, waited, view.Nodes[i].Name)
	}
	failover := st.Failover()
	for _, phase := range cluster.Phases() {
		gauge(descPhase, bit(phase == failover.Record.Phase), phase.String())
	}
	gauge(descFailovers, float64(failover.Record.Epoch))
	gauge(descPaused, bit(failover.Record.Paused))
	now := cluster.Now()
	for i := range view.Nodes {
		c.node(&view.Nodes[i], view, now, gauge, counter)
	}
}

// sessions collects what the clients' sessions do, and what binds them.
func (c *collector) sessions(gauge func(*prometheus.Desc, float64, ...string)) {
	states := map[string]int{"Idle": 0, "Idle in transaction": 0, "Execute command": 0, "Waiting": 0}
	pinned := map[string]int{}
	for _, s := range c.admin.State.Sessions() {
		states[s.State]++
		for _, reason := range []string{s.Pinned, s.Keeps} {
			if reason != "" {
				pinned[reason]++
			}
			if s.Pinned == s.Keeps {
				break // the same temporary objects
			}
		}
	}
	for state, n := range states {
		gauge(descSessions, float64(n), state)
	}
	for reason, n := range pinned {
		gauge(descPinned, float64(n), reason)
	}
}

// watchdog collects what this howdah knows of the others; nothing if it is alone.
func (c *collector) watchdog(gauge func(*prometheus.Desc, float64, ...string)) {
	w, err := c.admin.Watchdog()
	if err != nil || len(w.Members) == 0 {
		return
	}
	states := map[string]int{}
	for _, m := range w.Members {
		states[m.StateTxt]++
	}
	for state, n := range states {
		gauge(descMembers, float64(n), state)
	}
	gauge(descLeader, bit(w.Leader == w.Members[0].Name))
	gauge(descQuorum, bit(w.Quorum >= 0))
	gauge(descHolds, bit(w.Holds))
	gauge(descTerm, float64(w.Agreed.Term))
	gauge(descLease, w.Agreed.Left.Seconds())
	gauge(descMayWrite, bit(w.Agreed.Writes))
	gauge(descAgreed, float64(w.Agreed.Epoch))
}

// latency collects a node's histograms.
func (c *collector) latency(n *cluster.Node, out chan<- prometheus.Metric) {
	for i, route := range [...]string{"read", "write"} {
		h := c.admin.State.Latency(n.ID, i == 1)
		upTo, below := make(map[float64]uint64, len(h.Bounds)), uint64(0)
		for j, bound := range h.Bounds {
			below += h.Buckets[j]
			upTo[bound.Seconds()] = below
		}
		out <- prometheus.MustNewConstHistogram(descLatency, h.Count(), h.Sum.Seconds(), upTo, n.Name, route)
	}
}

// node collects what there is of one node.
func (c *collector) node(n *cluster.Node, view *cluster.View, now int64, gauge, counter func(*prometheus.Desc, float64, ...string)) {
	st := c.admin.State
	gauge(descUp, bit(n.State == cluster.StateUp), n.Name)
	gauge(descPrimary, bit(n.ID == view.Primary), n.Name)
	gauge(descWeight, n.Weight, n.Name)
	if n.Role == cluster.RoleStandby && n.State == cluster.StateUp {
		if n.Behind.Known {
			gauge(descLag, float64(n.Behind.Bytes), n.Name)
		}
		if n.Horizon > 0 {
			gauge(descHorizon, float64(now-n.Horizon)/1e9, n.Name)
		}
	}
	t := st.Traffic(n.ID)
	for kind, v := range map[string]uint64{"select": t.Select, "insert": t.Insert, "update": t.Update, "delete": t.Delete, "ddl": t.DDL, "other": t.Other} {
		counter(descStatements, float64(v), n.Name, kind)
	}
	for severity, v := range map[string]uint64{"error": t.Error, "fatal": t.Fatal, "panic": t.Panic} {
		counter(descErrors, float64(v), n.Name, severity)
	}
	checks, p := st.Checks(n.ID), st.Pool(n.ID)
	counter(descProbes, float64(checks.Success), n.Name, "ok")
	counter(descProbes, float64(checks.Fail), n.Name, "failed")
	counter(descProbeTime, checks.Sum.Seconds(), n.Name)
	gauge(descPool, float64(p.Idle), n.Name, "idle")
	gauge(descPool, float64(p.Open-p.Idle), n.Name, "lent")
	gauge(descWaiters, float64(p.Waiting), n.Name)
}

func bit(on bool) float64 {
	if on {
		return 1
	}
	return 0
}
