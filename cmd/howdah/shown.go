package main

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/howdah/howdah/admin"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/watchdog"
	"github.com/howdah/howdah/watchdog/core"
)

// Pgpool-II's numbers of a member's state (WD_STATES in watchdog.h), which its tools print and monitoring looks at.
const (
	wdDead    = 0
	wdLeader  = 4
	wdStandby = 7
	wdLost    = 8
)

// shown is what operators see of the quorum.
func (q *quorum) shown(c *configs.Config) admin.Watchdog {
	s := q.Status()
	w := admin.Watchdog{Leader: string(s.Leader), Holds: s.Address, Agreed: agreed(s)}
	own := slices.IndexFunc(c.Watchdog.Peers, func(p configs.Peer) bool { return p.Name == c.Watchdog.Name })
	voters := 0
	for i, p := range c.Watchdog.Peers {
		m := admin.WatchdogMember{ID: i, Name: p.Name, Host: p.Host, WDPort: p.Port, Port: c.Listen.Port, Priority: p.Priority,
			Address: strings.Join(c.VIP.Addresses, ","), State: wdDead, StateTxt: "DEAD", Alive: i == own}
		if p.Role == string(core.RoleWitness) {
			m.Address, m.Port = "", 0
		}
		known := slices.IndexFunc(s.Members, func(m watchdog.MemberStatus) bool { return string(m.ID) == p.Name })
		if known >= 0 {
			k := s.Members[known]
			m.Alive, m.Fitness, m.Priority = m.Alive || k.Alive, k.Fitness, k.Priority
			if host, port, err := net.SplitHostPort(k.Address); err == nil {
				m.Host = host
				m.WDPort, _ = strconv.Atoi(port) // it was listened on
			}
			m.State, m.StateTxt = wdLost, "LOST"
			if k.Votes && m.Alive {
				voters++
			}
		}
		switch {
		case p.Name == string(s.Leader):
			m.State, m.StateTxt = wdLeader, "LEADER"
		case m.Alive:
			m.State, m.StateTxt = wdStandby, "STANDBY"
		}
		if m.Alive {
			w.Alive++
		}
		w.Members = append(w.Members, m)
	}
	if own > 0 { // the clients of Pgpool-II expect the one that answers first
		m := w.Members[own]
		w.Members = slices.Insert(slices.Delete(w.Members, own, own+1), 0, m)
	}
	switch need := core.Quorum(len(s.Voters)); {
	case s.Leader == "":
		w.Quorum = -2
	case voters < need:
		w.Quorum = -1
	case voters == need && len(s.Voters) > 1:
		w.Quorum = 0
	default:
		w.Quorum = 1
	}
	return w
}

func agreed(s *watchdog.Status) admin.Quorum {
	q := admin.Quorum{Member: string(s.Member), Cluster: s.Cluster, Term: s.Term, Lease: s.Lease, Left: s.Left, AddressWhy: s.AddressReason,
		Writes: s.Writes, Why: s.Reason, Failover: "none"}
	for _, v := range s.Voters {
		q.Voters = append(q.Voters, string(v))
	}
	if st := s.State; st != nil {
		q.Owner, q.Epoch, q.Primary, q.Paused, q.Preferred = string(st.Owner), st.Epoch, string(st.Primary.Node), st.Intents.Paused, string(st.Intents.Preferred)
		if f := st.Failover; f.Phase != core.PhaseNone {
			q.Failover = fmt.Sprintf("from %s, %s: %s", f.From, f.Phase, f.Reason)
		}
		for _, c := range st.History {
			q.Decisions = append(q.Decisions, admin.QuorumDecision{What: fmt.Sprintf("epoch %d, the primary is %s", c.Epoch, c.To.Node), Why: c.Reason})
		}
	}
	for _, d := range s.Decisions {
		what := "a failover was refused"
		if d.Granted {
			what = "a failover was granted"
		}
		why := d.Reason
		for _, v := range d.Votes {
			why += fmt.Sprintf("; %s: %s (%s)", v.From, v.Sight, v.Reason)
		}
		q.Decisions = append(q.Decisions, admin.QuorumDecision{At: d.At, What: what, Why: why})
	}
	return q
}
