package admin

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Quorum is what a member of the watchdog knows of the agreement, beyond Pgpool-II's numbers.
type Quorum struct {
	Member, Cluster string
	Term            uint64
	Voters          []string
	// Lease is the lease's state; Left how long it lasts, if this member holds it.
	Lease string
	Left  time.Duration
	// Owner is who has the floating address, or had it last; AddressWhy why this member wants it or not.
	Owner, AddressWhy string
	// Writes: clients of this member may write; Why says why or why not.
	Writes bool
	Why    string
	// Epoch counts changes of the primary; Failover is how far one under way is.
	Epoch             uint64
	Primary, Failover string
	Paused            bool
	// Preferred is where the operator wants the address.
	Preferred string
	// Decisions are the last ones of this member and what was agreed on, oldest first.
	Decisions []QuorumDecision
}

// QuorumDecision is a decision with the votes it rests on. At is zero for what was agreed on in other members' words.
type QuorumDecision struct {
	At        time.Time
	What, Why string
}

// runQuorum shows the quorum as items and values.
func runQuorum(_ context.Context, a *Admin, _ []string) (*Table, error) {
	w, err := a.Watchdog()
	if err != nil {
		return nil, err
	}
	q, t := w.Agreed, &Table{Columns: []string{"item", "value"}}
	yes := map[bool]string{true: "yes", false: "no"}
	leader := w.Leader
	if leader == "" {
		leader = "nobody"
	}
	t.add("member", q.Member)
	t.add("cluster", q.Cluster)
	t.add("leader", leader)
	t.add("term", q.Term)
	t.add("quorum", fmt.Sprintf("%s (%d of %d alive; %s vote)", map[int]string{1: "exists", 0: "on the edge", -1: "absent", -2: "no leader"}[w.Quorum],
		w.Alive, len(w.Members), strings.Join(q.Voters, ", ")))
	t.add("lease", q.Lease)
	t.add("lease left", fmt.Sprintf("%d ms", q.Left.Milliseconds()))
	t.add("address here", fmt.Sprintf("%s (%s)", yes[w.Holds], q.AddressWhy))
	t.add("address owner", q.Owner)
	t.add("preferred owner", q.Preferred)
	t.add("writes here", fmt.Sprintf("%s (%s)", yes[q.Writes], q.Why))
	t.add("epoch", q.Epoch)
	t.add("primary", q.Primary)
	t.add("failover", q.Failover)
	t.add("automatics", map[bool]string{true: "paused", false: "on"}[q.Paused])
	for _, d := range q.Decisions {
		item := "agreed"
		if !d.At.IsZero() {
			item = "decided " + d.At.Format("2006-01-02 15:04:05.000")
		}
		t.add(item, d.What+": "+d.Why)
	}
	return t, nil
}
