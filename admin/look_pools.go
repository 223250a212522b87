package admin

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/pool"
)

// nodeName is a node's name, as long as it is in the view.
func nodeName(v *cluster.View, id cluster.NodeID) string {
	if n := v.Node(id); n != nil {
		return n.Name
	}
	return ""
}

func runPoolUsers(_ context.Context, a *Admin, _ []string) (*Table, error) {
	t := &Table{Columns: []string{"node", "name", "user", "database", "shared", "open", "idle", "lent", "waiting", "longest_wait_ms"}}
	v, now := a.State.View(), time.Now()
	groups := a.State.Groups()
	slices.SortFunc(groups, func(x, y pool.Group) int {
		return cmp.Or(cmp.Compare(x.Node, y.Node), cmp.Compare(x.Database, y.Database), cmp.Compare(x.User, y.User))
	})
	for _, g := range groups {
		longest := 0.0
		if !g.Oldest.IsZero() {
			longest = ms(now.Sub(g.Oldest))
		}
		t.add(int64(g.Node), nodeName(v, g.Node), g.User, g.Database, g.Shared, int64(g.Open), int64(g.Idle), int64(g.Open-g.Idle), int64(g.Waiting), longest)
	}
	return t, nil
}

func runWaiters(_ context.Context, a *Admin, _ []string) (*Table, error) {
	t := &Table{Columns: []string{"node", "name", "place", "user", "database", "since", "waits_ms"}}
	v, now := a.State.View(), time.Now()
	place, of := int64(0), cluster.NoNode
	for _, w := range a.State.Waiters() {
		if w.Node != of {
			place, of = 0, w.Node
		}
		place++
		t.add(int64(w.Node), nodeName(v, w.Node), place, w.User, w.Database, w.Since, ms(now.Sub(w.Since)))
	}
	return t, nil
}

func runPins(_ context.Context, a *Admin, _ []string) (*Table, error) {
	t := &Table{Columns: []string{"session", "user", "database", "application", "mode", "what", "reason"}}
	for _, s := range a.sortedSessions() {
		if s.Pinned != "" {
			t.add(int64(s.PID), s.User, s.Database, s.Application, s.Mode, "reads on the primary", s.Pinned)
		}
		if s.Keeps != "" {
			t.add(int64(s.PID), s.User, s.Database, s.Application, s.Mode, "keeps its connection", s.Keeps)
		}
	}
	return t, nil
}

func runExamples(_ context.Context, a *Admin, _ []string) (*Table, error) {
	t := &Table{Columns: []string{"at", "session", "node", "reason", "detail", "statement"}}
	v := a.State.View()
	for _, e := range a.State.Examples() {
		t.add(e.At, int64(e.PID), nodeName(v, e.Node), e.Reason, e.Detail, e.Text)
	}
	return t, nil
}

func runCaches(_ context.Context, a *Admin, _ []string) (*Table, error) {
	t := &Table{Columns: []string{"cache", "entries", "bytes", "max_bytes", "state"}}
	for _, c := range a.State.Caches() {
		entries := ""
		if c.Entries >= 0 {
			entries = Text(c.Entries)
		}
		t.add(c.Name, entries, c.Bytes, c.MaxBytes, c.State)
	}
	return t, nil
}

// routes are the values of the column and of the label.
var routes = [...]string{"read", "write"}

func runLatency(_ context.Context, a *Admin, _ []string) (*Table, error) {
	t := &Table{Columns: []string{"node", "name", "route", "count", "average_ms", "p50_ms", "p95_ms", "p99_ms"}}
	v := a.State.View()
	for i := range v.Nodes {
		for r, route := range routes {
			h := a.State.Latency(v.Nodes[i].ID, r == 1)
			count, average := h.Count(), 0.0
			if count > 0 {
				average = ms(h.Sum / time.Duration(count))
			}
			t.add(int64(v.Nodes[i].ID), v.Nodes[i].Name, route, count, average, ms(h.Quantile(0.5)), ms(h.Quantile(0.95)), ms(h.Quantile(0.99)))
		}
	}
	return t, nil
}

// Count is how many were counted.
func (h *Histogram) Count() uint64 {
	n := uint64(0)
	for _, b := range h.Buckets {
		n += b
	}
	return n
}

// Quantile is the bound that the share q of all stayed within; 0 if nothing was counted. What took longer than
// all bounds counts as the last of them.
func (h *Histogram) Quantile(q float64) time.Duration {
	all := h.Count()
	if all == 0 {
		return 0
	}
	below := uint64(0)
	for i, n := range h.Buckets {
		below += n
		if float64(below) >= q*float64(all) {
			return h.Bounds[min(i, len(h.Bounds)-1)]
		}
	}
	return h.Bounds[len(h.Bounds)-1]
}
