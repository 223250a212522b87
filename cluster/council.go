package cluster

import (
	"context"
	"errors"
	"fmt"
	"reflect"
)

// Council is an Arbiter over several howdahs, one of which leads. The others make no steps: they obey the orders that
// follow from the record as it was agreed on.
type Council interface {
	Arbiter
	// Standing is this howdah's place now. It returns at once.
	Standing() Standing
	// Changed is closed when Standing, as it is now, may be another. Call it before Standing to miss nothing.
	Changed() <-chan struct{}
}

// Standing is a howdah's place in a Council.
type Standing struct {
	// Leads: it may act, in Term. Who leads goes on from Record each time that begins.
	Leads bool
	Term  uint64
	// Record is what was agreed on last.
	Record Record
	// Leader names who leads, for people.
	Leader string
}

// seat is the conductor's place in a council; the zero value is that of a howdah alone.
type seat struct {
	council Council
	leads   bool
	term    uint64
	leader  string
	// acting is the context of actions; it ends with the leadership.
	acting context.Context
	retire context.CancelFunc
}

// changed is closed when the place may have changed; nil for a howdah alone.
func (s *seat) changed() <-chan struct{} {
	if s.council == nil {
		return nil
	}
	return s.council.Changed()
}

// sit takes the conductor's place, and reports whether it may make steps. A leader, each time it becomes that, goes on
// from the record; what it did before has ended.
func (k *conductor) sit(ctx context.Context) bool {
	if k.council == nil {
		k.acting = ctx
		return true
	}
	st := k.council.Standing()
	k.leader = st.Leader
	if st.Leads && k.leads && st.Term == k.term {
		return true
	}
	if k.retire != nil {
		k.retire()
		k.retire = nil
	}
	if k.leads = st.Leads; !k.leads {
		if !k.machine.record.same(&st.Record) {
			k.takeUp(st.Record)
		}
		return false
	}
	k.term = st.Term
	k.acting, k.retire = context.WithCancel(ctx)
	k.takeUp(st.Record)
	if st.Record.underWay() {
		k.log.Warn("a change of the primary is under way; this howdah leads now and goes on with it", "kind", string(st.Record.Kind),
			"phase", st.Record.Phase.String(), "epoch", st.Record.Epoch, "old", st.Record.Old, "candidate", st.Record.Candidate)
	}
	return true
}

// takeUp begins with another record.
func (k *conductor) takeUp(r Record) {
	attached := k.machine.attached
	k.machine = newMachine(r.clone(), Now())
	k.machine.attached = attached
	k.results, k.answer = nil, nil
}

// obey has the view follow the record, of a howdah that does not lead.
func (k *conductor) obey(ctx context.Context) {
	k.results, k.answer = nil, nil
	status := k.status()
	status.Succession = k.foresee()
	k.cluster.failover.Store(status)
	if o := k.machine.orders(); !reflect.DeepEqual(o, k.applied) && k.cluster.apply(ctx, o) {
		k.applied = o
	}
}

// errNotLeader is an action that comes too late.
var errNotLeader = errors.New("this howdah does not lead any more")

// mayAct is asked right before what cannot be taken back.
func (s *seat) mayAct() error {
	if s.council != nil && !s.council.Standing().Leads {
		return errNotLeader
	}
	return nil
}

// NotLeader is an order to a howdah that cannot carry it out; Leader can, if it is not empty.
type NotLeader struct{ Leader string }

func (e *NotLeader) Error() string {
	if e.Leader == "" {
		return "this howdah does not lead, and no other does now"
	}
	return fmt.Sprintf("this howdah does not lead: give the order to %s", e.Leader)
}
