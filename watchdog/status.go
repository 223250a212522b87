package watchdog

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/howdah/howdah/watchdog/core"
)

// Status is what a member knows, for operators.
type Status struct {
	Member  core.MemberID `json:"member"`
	Cluster string        `json:"cluster"`
	Leader  core.MemberID `json:"leader"`
	Term    uint64        `json:"term"`
	// Lease is the lease's state, and Left how long it lasts, if this member holds it.
	Lease string        `json:"lease"`
	Left  time.Duration `json:"lease_left_ns"`
	// Address says whether this member has the address, and AddressReason why it wants it or not.
	Address       bool            `json:"address"`
	AddressReason string          `json:"address_reason"`
	Voters        []core.MemberID `json:"voters"`
	Members       []MemberStatus  `json:"members"`
	Fitness       string          `json:"fitness"`
	// Writes says whether this member's clients may write, and Reason why or why not.
	Writes bool        `json:"writes"`
	Reason string      `json:"reason"`
	State  *core.State `json:"state"`
	// Rules is why it is not known that the other one of two goes by the same rules, without which neither goes on alone; empty if it is.
	Rules string `json:"rules,omitempty"`
	// Decisions are this member's last answers to requests for failovers, oldest first.
	Decisions []Decision `json:"decisions,omitempty"`

	permission core.Permission
	leads      bool
}

// MemberStatus is a member as another one sees it.
type MemberStatus struct {
	ID       core.MemberID `json:"id"`
	Role     core.Role     `json:"role"`
	Address  string        `json:"address"`
	Priority int           `json:"priority"`
	Votes    bool          `json:"votes"`
	// Alive and Fitness are from gossip.
	Alive   bool   `json:"alive"`
	Fitness string `json:"fitness"`
}

// Decision is this member's answer to a request for a failover.
type Decision struct {
	At      time.Time   `json:"at"`
	Granted bool        `json:"granted"`
	Reason  string      `json:"reason"`
	Votes   []core.Vote `json:"votes,omitempty"`
}

// maxDecisions is how many are kept.
const maxDecisions = 16

type decisions struct {
	mu  sync.Mutex
	all []Decision
}

// add keeps a decision; one that is like the last one only becomes newer.
func (d *decisions) add(r core.Reply) {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := Decision{time.Now(), r.Granted, r.Reason, r.Failover.Votes}
	if n := len(d.all); n > 0 && d.all[n-1].Reason == next.Reason && d.all[n-1].Granted == next.Granted {
		d.all = d.all[:n-1]
	}
	d.all = append(d.all, next)
	d.all = slices.Clone(d.all[max(0, len(d.all)-maxDecisions):])
}

func (d *decisions) list() []Decision {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.all)
}

// publish makes what is known visible to everybody. Only the loop calls it.
func (w *Watchdog) publish() {
	l, now := &w.loop, w.now()
	m := l.machine
	s := &Status{Member: w.self, Cluster: w.cfg.Cluster, Leader: m.Leader(), Term: m.Lease().Term(), Lease: m.Lease().State().String(),
		AddressReason: l.address.Reason, Voters: l.voters, Fitness: l.fitness.String(), State: m.State(), permission: m.Permission(now)}
	if until, ok := m.Lease().Until(now); ok {
		s.Left = until - now
	}
	s.Writes, s.Reason = s.permission.Writes, s.permission.Reason
	_, s.leads = m.Lease().Until(now)
	if old := w.status.Swap(s); !old.standsLike(s) {
		w.changedMu.Lock()
		close(w.changed)
		w.changed = make(chan struct{})
		w.changedMu.Unlock()
	}
}

// standsLike says whether both have the same Standing.
func (s *Status) standsLike(o *Status) bool {
	return s.State == o.State && s.leads == o.leads && s.Term == o.Term && s.Leader == o.Leader && s.permission == o.permission
}

// Standing is what a member may do, and what it goes by.
type Standing struct {
	// State is what was agreed on; nil before anything was. It must not be changed.
	State *core.State
	// Leads: it holds the lease of Term.
	Leads bool
	Term  uint64
	// Leader is who leads as far as this member knows.
	Leader core.MemberID
	// Permission is what it may do for its clients; Left is how long the right to write lasts from
	// now on if it is not renewed, negative for ever.
	Permission core.Permission
	Left       time.Duration
}

// Standing is what this member may do now.
func (w *Watchdog) Standing() Standing {
	s := w.status.Load()
	st := Standing{State: s.State, Leads: s.leads, Term: s.Term, Leader: s.Leader, Permission: w.Permission(), Left: -1}
	if st.Permission.Writes && st.Permission.Until != 0 {
		st.Left = max(0, st.Permission.Until-w.now())
	}
	return st
}

// Changed is closed when Standing, as it is now, has changed but for what time does to it. Call
// it before Standing to miss nothing.
func (w *Watchdog) Changed() <-chan struct{} {
	w.changedMu.Lock()
	defer w.changedMu.Unlock()
	return w.changed
}

// Status is what this member knows now.
func (w *Watchdog) Status() *Status {
	s := *w.status.Load()
	s.Address, s.Decisions = w.parts.Address.Held(), w.decisions.list()
	if w.cfg.IsPair() {
		s.Rules = *w.rules.Load()
	}
	if s.State == nil {
		return &s
	}
	for id, m := range s.State.Members {
		status := MemberStatus{ID: id, Role: m.Role, Address: m.Address, Priority: m.Priority, Votes: slices.Contains(s.Voters, id), Alive: w.gossip.isAlive(id)}
		if said, ok := w.gossip.view(id); ok {
			status.Fitness = said.Fitness.String()
		} else if id == w.self {
			status.Fitness = s.Fitness
		}
		s.Members = append(s.Members, status)
	}
	slices.SortFunc(s.Members, func(a, b MemberStatus) int { return compareIDs(a.ID, b.ID) })
	return &s
}

func compareIDs(a, b core.MemberID) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Order is something that an operator asks of the member on the same host. At most one field is set.
type Order struct {
	// Yield has the leader give leadership to the member named, or to the fittest for "-".
	Yield core.MemberID
	// Pause and Resume end and begin everything automatic.
	Pause, Resume bool
	// Remove takes a member out.
	Remove core.MemberID
	// Prefer names the member that the address goes to while it is as fit as the owner; "-" none.
	Prefer core.MemberID
}

// Ask carries out an order at the member with this data directory, and answers its status.
func Ask(ctx context.Context, dataDir string, o Order) (*Status, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*proposeTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", ControlSocket(dataDir))
	if err != nil {
		return nil, fmt.Errorf("ask the member on this host (does howdah run?): %w", err)
	}
	defer conn.Close()
	q := request{Status: true}
	yes, no, none := true, false, core.MemberID("")
	switch {
	case o.Yield == "-":
		q = request{Yield: &yieldRequest{Reason: "the operator says so"}}
	case o.Yield != "":
		q = request{Yield: &yieldRequest{To: o.Yield, Reason: "the operator says so"}}
	case o.Pause:
		q = request{Pause: &yes}
	case o.Resume:
		q = request{Pause: &no}
	case o.Remove != "":
		q = request{Remove: o.Remove}
	case o.Prefer == "-":
		q = request{Prefer: &none}
	case o.Prefer != "":
		q = request{Prefer: &o.Prefer}
	}
	for _, q := range []request{q, {Status: true}} {
		a, err := exchange(ctx, conn, q)
		switch {
		case err != nil:
			return nil, fmt.Errorf("ask the member on this host: %w", err)
		case a.Error != "":
			return nil, fmt.Errorf("the member refuses: %s", a.Error)
		case a.Status != nil:
			return a.Status, nil
		}
	}
	return nil, fmt.Errorf("the member did not answer")
}
