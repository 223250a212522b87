package admin

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
)

func runStatus(_ context.Context, a *Admin, _ []string) (*Table, error) {
	v, counts, c := a.State.View(), a.State.Counts(), a.State.Config()
	primary := "none"
	if n := v.Node(v.Primary); n != nil {
		primary = n.Name
	}
	state := "serving"
	if counts.Stopping {
		state = "stopping"
	}
	t := &Table{Columns: []string{"item", "value"}}
	t.add("version", a.Version)
	t.add("state", state)
	t.add("up since", a.Started)
	t.add("listens on", fmt.Sprintf("%s port %d", strings.Join(append(slices.Clone(c.Listen.Addresses), c.Listen.UnixDirs...), ", "), c.Listen.Port))
	t.add("primary", primary)
	t.add("epoch", v.Epoch)
	up := 0
	for i := range v.Nodes {
		if v.Nodes[i].State == cluster.StateUp {
			up++
		}
	}
	t.add("nodes up", fmt.Sprintf("%d of %d", up, len(v.Nodes)))
	t.add("clients", fmt.Sprintf("%d of %d", counts.Clients, c.Limits.MaxClients))
	t.add("waiting for a primary", counts.Held)
	t.add("failover", failoverText(a))
	watch := "none"
	if w, err := a.Watchdog(); err == nil {
		watch = fmt.Sprintf("%d members, leader %s", len(w.Members), w.Leader)
	}
	t.add("watchdog", watch)
	if len(c.VIP.Addresses) > 0 {
		t.add("floating address", addressText(a))
	}
	return t, nil
}

// addressText is a line about the floating address and who has it.
func addressText(a *Admin) string {
	owner := "nobody's"
	if w, err := a.Watchdog(); err == nil && w.Holds {
		owner = "here"
	} else if err == nil && w.Leader != "" {
		owner = "on " + w.Leader
	}
	return strings.Join(a.State.Config().VIP.Addresses, ", ") + " " + owner
}

// failoverText is a line about changes of the primary.
func failoverText(a *Admin) string {
	f := a.State.Failover()
	text := a.State.Config().Failover.Mode
	if f.Record.Paused {
		text += ", paused"
	}
	if f.Record.Phase != cluster.PhaseWatch {
		text += fmt.Sprintf(", %s in phase %s", f.Record.Kind, f.Record.Phase)
	}
	if f.Waiting != "" {
		text += ": " + f.Waiting
	}
	return text
}

func runNodes(_ context.Context, a *Admin, _ []string) (*Table, error) {
	t := &Table{Columns: []string{"node", "name", "host", "port", "state", "role", "weight", "position", "lag_bytes", "horizon_ms", "replication",
		"reads", "writes", "errors", "since", "reason"}}
	v := a.State.View()
	now := cluster.Now()
	for i := range v.Nodes {
		n := &v.Nodes[i]
		traffic, checks := a.State.Traffic(n.ID), a.State.Checks(n.ID)
		reason := n.Reason
		if n.Lagging != "" {
			reason = n.Lagging
		}
		t.add(int64(n.ID), n.Name, n.Host, int64(n.Port), n.State.String(), n.Role.String(), n.Weight, n.LSN.String(), lagBytes(n),
			horizonAge(n, now), strings.TrimSpace(n.Sender.State+" "+n.Sender.Sync), traffic.Reads(), traffic.Writes(), traffic.Error+traffic.Fatal+traffic.Panic, checks.Changed, reason)
	}
	return t, nil
}

// lagBytes is a standby's lag; 0 if it is not known, and of a primary.
func lagBytes(n *cluster.Node) int64 {
	if n.Role != cluster.RoleStandby || !n.Behind.Known {
		return 0
	}
	return int64(n.Behind.Bytes)
}

// horizonAge is how long ago, in milliseconds, the time is up to which a standby shows all; empty if not known.
func horizonAge(n *cluster.Node, now int64) string {
	if n.Role != cluster.RoleStandby || n.State != cluster.StateUp || n.Horizon == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f", float64(now-n.Horizon)/1e6)
}

func runSessions(_ context.Context, a *Admin, _ []string) (*Table, error) {
	t := &Table{Columns: []string{"session", "user", "database", "application", "client", "since", "state", "mode", "servers"}}
	v := a.State.View()
	for _, s := range a.sortedSessions() {
		var servers []string
		for _, c := range s.Servers {
			if n := v.Node(c.Node); n != nil {
				servers = append(servers, fmt.Sprintf("%s:%d", n.Name, c.PID))
			}
		}
		t.add(int64(s.PID), s.User, s.Database, s.Application, clientText(s), s.Started, s.State, s.Mode, strings.Join(servers, " "))
	}
	return t, nil
}

func clientText(s Session) string {
	if s.Client == nil || s.Client.Network() == "unix" {
		return "[local]"
	}
	return s.Client.String()
}

func runPools(_ context.Context, a *Admin, _ []string) (*Table, error) {
	t := &Table{Columns: []string{"node", "name", "open", "idle", "lent", "waiting"}}
	v := a.State.View()
	for i := range v.Nodes {
		n := &v.Nodes[i]
		p := a.State.Pool(n.ID)
		t.add(int64(n.ID), n.Name, int64(p.Open), int64(p.Idle), int64(p.Open-p.Idle), int64(p.Waiting))
	}
	return t, nil
}

func runChecks(_ context.Context, a *Admin, _ []string) (*Table, error) {
	t := &Table{Columns: []string{"node", "name", "total", "ok", "failed", "max_ms", "min_ms", "average_ms", "last", "last_ok", "last_failed"}}
	v := a.State.View()
	for i := range v.Nodes {
		n := &v.Nodes[i]
		c := a.State.Checks(n.ID)
		t.add(int64(n.ID), n.Name, c.Total, c.Success, c.Fail, ms(c.Max), ms(c.Min), ms(average(c)), c.Last, c.LastSuccess, c.LastFail)
	}
	return t, nil
}

// ms is a duration in milliseconds, to the microsecond.
func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func average(c cluster.Checks) time.Duration {
	if c.Total == 0 {
		return 0
	}
	return c.Sum / time.Duration(c.Total)
}

func runDecisions(_ context.Context, a *Admin, _ []string) (*Table, error) {
	t := &Table{Columns: []string{"reason", "statements", "meaning"}}
	all := a.State.Decisions()
	for _, reason := range slices.Sorted(maps.Keys(all)) {
		t.add(reason, all[reason], balancer.Meaning(reason))
	}
	return t, nil
}

func runCounters(_ context.Context, a *Admin, _ []string) (*Table, error) {
	t := &Table{Columns: []string{"name", "value"}}
	for _, row := range a.State.Counters() {
		t.add(row[0], row[1])
	}
	return t, nil
}
