package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"
)

const (
	// stepEvery is how often the machine is stepped when nothing has happened, hurryEvery the same, and how
	// often the nodes are probed, while a change of the primary is under way.
	stepEvery  = 100 * time.Millisecond
	hurryEvery = 10 * time.Millisecond
	// arbiterTimeout is for one question to the arbiter.
	arbiterTimeout = 10 * time.Second
	// saveRetry is how long after a record could not be saved that is tried again.
	saveRetry = 500 * time.Millisecond
)

// conductor is the shell of the failover machine: it feeds it, keeps its record, and has its actions done. It is
// owned by one goroutine.
type conductor struct {
	seat
	cluster *Cluster
	arbiter Arbiter
	log     *slog.Logger
	machine *machine
	wanted  wanted
	set     settings

	// in collects what the next step is told.
	results []result
	answer  *Answer
	done    chan result
	answers chan Answer
	applied orders
	// unsaved is when a record could not be saved last; refused: one was not saved in the last steps.
	unsaved time.Time
	refused bool
	workers sync.WaitGroup
}

func (c *Cluster) newConductor(ctx context.Context) *conductor {
	k := &conductor{cluster: c, arbiter: c.arbiter, log: c.log, done: make(chan result), answers: make(chan Answer)}
	k.council, _ = c.arbiter.(Council)
	record, err := k.arbiter.Recall(ctx)
	if err != nil {
		k.log.Error("what was known of the primary cannot be recalled; the servers are asked as if howdah had never run", "error", err)
		record = Record{}
	}
	if record.underWay() && k.council == nil {
		k.log.Warn("a change of the primary was under way when howdah ended; it goes on", "kind", string(record.Kind),
			"phase", record.Phase.String(), "epoch", record.Epoch, "old", record.Old, "candidate", record.Candidate)
	}
	k.machine = newMachine(record, Now())
	return k
}

// run steps the machine until ctx ends, and waits for the actions under way, which end with ctx too.
func (k *conductor) run(ctx context.Context) {
	defer k.workers.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		changed, stands := k.cluster.Changed(), k.changed()
		hurry := k.steps(ctx, nil, nil)
		if hurry {
			timer.Reset(hurryEvery)
			changed = nil // what is found is looked at with the next tick
		} else {
			timer.Reset(stepEvery)
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-changed:
		case <-stands:
		case r := <-k.done:
			k.report(r)
			k.results = append(k.results, r)
		case a := <-k.answers:
			k.answer = &a
		case o := <-k.cluster.operator:
			k.operate(ctx, o)
		}
	}
}

// operate takes in an operator's order and answers when it is recorded.
func (k *conductor) operate(ctx context.Context, o operatorOrder) {
	k.refused = false
	k.steps(ctx, o.change, o.order)
	var err error
	switch {
	case k.council != nil && !k.leads:
		err = &NotLeader{k.leader}
	case k.refused:
		err = errors.New("it could not be recorded; nothing was changed")
	}
	o.answer <- err // capacity 1
}

// steps makes steps until nothing more is to be recorded, and reports whether the nodes are to be probed fast.
func (k *conductor) steps(ctx context.Context, change func(*machine), o *order) bool {
	k.configure()
	if !k.sit(ctx) {
		k.obey(ctx)
		return false
	}
	for range 8 {
		p := k.cluster.current.Load()
		in := input{now: Now(), view: p.view, known: p.known, settings: &k.set, answer: k.answer, results: k.results, change: change, order: o}
		next, out := k.machine.step(&in)
		if out.save && !k.save(ctx, &next.record) {
			k.refused = true
			return out.hurry
		}
		k.tell(next)
		k.machine = next
		k.results, k.answer, change, o = nil, nil, nil, nil
		k.cluster.failover.Store(k.status())
		if !reflect.DeepEqual(out.orders, k.applied) {
			if !k.cluster.apply(ctx, out.orders) {
				return false
			}
			k.applied = out.orders
		}
		for _, a := range out.actions {
			k.start(k.acting, a)
		}
		if out.ask != nil {
			k.consult(k.acting, *out.ask)
		}
		if out.hurry {
			k.cluster.wakeAll()
		}
		if !out.save {
			return out.hurry
		}
	}
	return true
}

// save makes the record durable. After a failure it does not try again for a moment.
func (k *conductor) save(ctx context.Context, r *Record) bool {
	if time.Since(k.unsaved) < saveRetry {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, arbiterTimeout)
	defer cancel()
	if err := k.arbiter.Record(ctx, r.clone()); err != nil {
		k.log.Error("the state cannot be recorded; nothing is done before it is", "phase", r.Phase.String(), "error", err)
		k.unsaved = time.Now()
		return false
	}
	return true
}

// consult asks the arbiter, in a goroutine that ends with the answer or after arbiterTimeout.
func (k *conductor) consult(ctx context.Context, p Proposal) {
	k.log.Info("consent is asked for", "kind", string(p.Kind), "epoch", p.Epoch, "old", p.Old, "target", p.Target, "reason", p.Reason)
	k.workers.Go(func() {
		asking, cancel := context.WithTimeout(ctx, arbiterTimeout)
		defer cancel()
		a, err := k.arbiter.Consent(asking, p)
		if err != nil {
			a = Answer{Reasons: []string{err.Error()}}
		}
		select {
		case k.answers <- a:
		case <-ctx.Done():
		}
	})
}

// tell logs what the step changed.
func (k *conductor) tell(next *machine) {
	r, old := &next.record, &k.machine.record
	switch {
	case r.Phase != old.Phase || r.Epoch != old.Epoch:
		level := slog.LevelWarn
		if r.Phase == PhaseWatch && old.Phase == PhaseWatch {
			level = slog.LevelInfo
		}
		k.log.Log(context.Background(), level, "failover", "phase", r.Phase.String(), "epoch", r.Epoch, "kind", string(r.Kind), "old", r.Old,
			"candidate", r.Candidate, "primary", r.Primary, "why", next.noted)
	case next.noted != k.machine.noted && next.noted != "":
		level := slog.LevelWarn
		if r.Primary == "" { // none was seen yet, as at each start
			level = slog.LevelInfo
		}
		k.log.Log(context.Background(), level, "failover waits", "phase", r.Phase.String(), "why", next.noted)
	}
	if next.outcome != k.machine.outcome {
		o := next.outcome
		if o.Err != "" {
			k.log.Error("the primary was not changed, or not wholly", "kind", string(o.Kind), "epoch", o.Epoch, "primary", o.Primary, "why", o.Err)
		} else {
			k.log.Info("the primary was changed", "kind", string(o.Kind), "epoch", o.Epoch, "primary", o.Primary)
		}
	}
}

// configure takes over new settings.
func (k *conductor) configure() {
	w := k.cluster.settings()
	if k.set.priority != nil && reflect.DeepEqual(w.failover, k.wanted.failover) && w.check == k.wanted.check && slices.Equal(w.backends, k.wanted.backends) {
		k.wanted.tls = w.tls
		return
	}
	k.wanted = w
	f := &w.failover
	k.set = settings{
		mode: map[string]mode{"command": modeCommand, "native": modeNative}[f.Mode], silences: w.check.Silences,
		confirm: f.Confirm, shutdownGrace: f.ShutdownGrace, recoveryGrace: f.RecoveryGrace, isolatedAfter: f.IsolatedAfter,
		cooldown: f.Cooldown, searchTimeout: f.SearchTimeout, drainWait: f.SwitchoverWait, actionTimeout: nativeTimeout,
		tries: f.Tries, requireSync: f.RequireSync, maxLoss: LSN(f.MaxLoss), softFence: f.SoftFence,
		hooks:    hookSet{command: len(f.Command) > 0, follow: len(f.FollowPrimary) > 0, failback: len(f.Failback) > 0, fence: len(f.Fence) > 0},
		priority: map[string]int{}, address: map[string]string{},
	}
	for _, b := range w.backends {
		k.set.priority[b.Name] = b.Priority
		host, port := replicationAddress(b)
		k.set.address[fmt.Sprintf("%s:%d", host, port)] = b.Name
	}
}

// Failover is what is known of changes of the primary, for operators.
type Failover struct {
	Record Record
	// Waiting says what is waited for, or why nothing is done about a lost primary; empty if all is well.
	Waiting string
	// Last is how the last change, or an order for one, ended.
	Last Outcome
	// Actions are those of the phase, in no order.
	Actions []ActionStatus
	// Succession is of a howdah that does not lead.
	Succession Succession
}

// ActionStatus is how far an action is.
type ActionStatus struct {
	Action, Node string
	Tries        int
	Done         bool
	Err          string
}

func (k *conductor) status() *Failover {
	m := k.machine
	f := &Failover{Record: m.record.clone(), Waiting: m.noted, Last: m.outcome}
	for a, t := range m.tasks {
		s := ActionStatus{Action: a.kind.String(), Node: a.node, Tries: t.tries, Done: t.done}
		if t.err != nil {
			s.Err = t.err.Error()
		}
		f.Actions = append(f.Actions, s)
	}
	slices.SortFunc(f.Actions, func(a, b ActionStatus) int {
		if a.Node+a.Action < b.Node+b.Action {
			return -1
		}
		return 1
	})
	return f
}
