package mutants

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// failover are the rules of the failover machine and of what a view says: each is taken away, and the
// simulation must miss it. The order is that of the code: is the primary lost, may it be replaced, by whom, how, and what then.
var failover = []mutant{
	// Is the primary lost? (loss.go)
	{"a primary that answers is no veto", "loss.go", `return fmt.Sprintf("%s answers", n.Name)`, `return ""`, ""},
	{"one that is full is dead", "loss.go", `return fmt.Sprintf("%s is alive: %s", n.Name, o.why)`, `return ""`, ""},
	{"one that recovers is dead", "loss.go", "if g := s.in.settings.recoveryGrace; g == 0 || since < g {", "if false {", ""},
	{"the first silence is enough", "loss.go", "if !o.mute(s.in.settings.silences) {", "if false {", ""},
	{"a server that answers sessions is lost", "observation.go", "&& o.quiet >= max(silences-1, 1)", "", ""},
	{"one that is stopped in order has no grace", "loss.go", "case o.stopped && since < s.in.settings.shutdownGrace:", "case false:", ""},
	{"the first refusal is enough", "loss.go", "case since < s.in.settings.confirm:", "case false:", ""},
	{"what standbys hear is no veto", "loss.go", "if why := s.heard(old); why != \"\" {", "if why := s.heard(old); false {", ""},
	{"a standby whose walreceiver was ended has no time to find the primary", "loss.go", "return s.bouncing(old)", "return \"\"", ""},
	{"a bounce that seems to have failed had no effect", "loss.go", "(t.running || s.age(t.ended) < bounceWait)", "t.done && s.age(t.ended) < bounceWait", ""},

	// May it be replaced? (watch.go)
	{"a paused machine promotes", "watch.go", "case !ordered && r.Paused:", "case false:", ""},
	{"there is no cooldown", "watch.go", "case !ordered && s.changed > 0 && s.age(s.changed) < set.cooldown:", "case false:", ""},

	// By whom? (candidate.go)
	{"a detached standby is a candidate", "candidate.go", "case slices.Contains(r.Detached, n.Name):", "case false:", ""},
	{"one of priority 0 is a candidate", "candidate.go", "case listed && p == 0:", "case false && listed && p == 0:", ""},
	{"one whose replay is paused is a candidate", "candidate.go", "case sv.detail.paused:", "case false:", ""},
	{"max_loss is no limit", "candidate.go", "case r.OldLSN > 0 && set.maxLoss > 0 && sv.received+set.maxLoss < r.OldLSN:", "case false:", ""},
	{"who has received most does not matter", "candidate.go", "if x.received != y.received {", "if false {", ""},
	{"one synchronous standby of any is enough", "candidate.go", "max(len(r.Sync)-r.Quorum+1, 1)", "1", ""},

	// How? (change.go)
	{"follow_primary_command runs for all nodes at once", "change.go", "&& s.runs(actionFollow)", "&& false", ""},
	{"a switchover does not wait for open transactions", "change.go", "switch s.ensure(a, 1) {", "switch s.ensure(a, 1); succeeded {", ""},
	{"a switchover does not wait for its target", "change.go", "o.server.received < s.final", "false", ""},
	{"a successor promotes though the old primary is back", "change.go", "if s.tasks[a] == nil && s.isTooLate() {", "if false {", ""},
	{"two attempts in one epoch", "machine.go", "\tr.Epoch++\n\tr.Kind", "\tr.Kind", ""},
	{"a candidate that was given up may be the primary", "machine.go", "put(&o.barred, name, \"false primary: it was promoted beside", "put(&map[string]string{}, name, \"false primary: it was promoted beside", ""},
	{"views go on while a change is under way", "machine.go", "case PhaseFence, PhaseChoose, PhasePromote:\n\t\to.unsettled = fmt", "case PhaseFence, PhaseChoose, PhasePromote:\n\t\t_ = fmt", ""},
	{"new transactions begin while a switchover waits", "machine.go", "o.holding = true", "o.holding = false", ""},

	// What then? (decide.go, orders.go)
	{"an older timeline than the recorded one is good enough", "orders.go", "case n.Timeline < o.floor:", "case false:", ""},
	{"another system is good enough after a restart", "orders.go", "if o.floorSystem != \"\" && isForeign(n, o.floorSystem) && v.mayHave(o.floorSystem) {", "if false {", ""},
	{"a server that was promoted beside the primary is one", "decide.go", "if why := d.disown(n); why != \"\" {", "if why := d.disown(n); false {", ""},
	{"a follower that is detached proves nothing", "decide.go", "if d.drafts[i].state != StateQuarantine && o.server.role", "if d.usable(n.ID) && o.server.role", ""},
	{"who is the primary is decided before the last one was asked", "decide.go", "d.known[last.ID].evidence == evidenceNone {", "false {", ""},
	{"who is the primary is decided before its followers were asked", "decide.go", "if o.evidence == evidenceNone && n.ID != claimant.ID {", "if false {", ""},
	{"a forked standby is read", "decide.go", "\t\td.checkFork(NodeID(i))\n", "", ""},
}

// notTried are rules whose loss the simulation does not notice: without them the cluster is as safe, since another rule covers it, or
// the case is not modelled or too rare; why says which.
var notTried = []struct{ rule, file, text, why string }{
	{"the recorded primary refutes the record only from a timeline before", "orders.go", "&& n.Timeline <= timeline", "no record of the simulation is wrong; decide_wrong_record.txt holds it"},
	{"the old primary is no candidate", "candidate.go", "case n.Name == r.Old:", "the loop of candidateOf leaves it out as well"},
	{"a candidate answers", "candidate.go", "case o.evidence != evidenceAnswered:", "telling it fails, and the next one is taken; it costs time"},
	{"a candidate is a standby", "candidate.go", "case sv.role != RoleStandby:", "pg_promote() refuses elsewhere; it costs time"},
	{"a candidate is of the system", "candidate.go", "sv.systemID != r.SystemID:\n\t\treturn \"is of another", "such a node is in quarantine, and a primary"},
	{"a candidate is not in quarantine", "candidate.go", "case n.State == StateQuarantine:", "a forked one is on another timeline, or does not stream what is compared; it guards against what decide may learn to see"},
	{"a candidate is on the old timeline", "candidate.go", "case r.OldTimeline != 0 && sv.timeline != 0 && sv.timeline != r.OldTimeline:", "the same: decide has it in quarantine as forked, but where there is no primary to compare with; then isPromoted refuses its history"},
	{"a delayed standby is no candidate", "candidate.go", "case sv.detail.delayed:", "promotion ends the delay; it costs time, and is what the operator wants"},
	{"a synchronous standby that is not cut off yet does not count", "candidate.go", "(t == nil || !t.done) {", "feeds lets nobody be promoted while a standby still receives; who does not receive stands still"},
	{"synchronous standbys are preferred", "candidate.go", "if xs != ys {", "only between equals"},
	{"a given-up candidate comes last", "candidate.go", "n, why := s.candidateOf(func", "it may have been promoted by now, on the same log; it costs time"},
	{"standbys are frozen before they are compared", "change.go", "s.in.settings.mode == modeNative && !s.frozen()", "feeds cuts off whoever receives, and isTooLate looks again; that freezing works at all, TestSimulationNotices holds"},
	{"a standby that receives after all is cut off", "change.go", "|| s.feeds(n) {", "frozen has cut off all that answered by then; for who comes later isTooLate looks again"},
	{"a standby that receives is looked for again before the candidate is told", "change.go", "o.server.receiver.streaming && (!known || from == r.Old) {", "too rare to be met: howdah must die between choosing and telling, the old primary live on out of reach, and a standby come back in between"},
	{"a bounce is remembered when the primary is seen", "watch.go", "!t.running && s.age(t.ended) >= bounceWait {", "too rare: the primary must be lost again within two seconds; one schedule in 10,000 met it"},
	{"positions are compared as of after the freezing", "change.go", "s.seen(n).asked <= s.fenced ||", "what is older is lower: a candidate that lacks what is confirmed is refused, not taken"},
	{"a change ends when the old primary is alive after all", "change.go", "s.giveUp(r.Old + \" is alive after all\")\n\t\t\treturn true\n\t\t}\n\t}\n\treturn false", "isTooLate looks again before anybody is told"},
	{"standbys are thawed when a change is given up", "change.go", "action{kind: actionThaw", "tend shows a frozen standby the way"},
	{"a consent is asked for", "watch.go", "if !s.propose(Proposal{Kind: kind, Old: r.Primary", "a howdah alone consents always; with several, the watchdog's simulation holds it"},
	{"mode none promotes nobody", "watch.go", "case !ordered && set.mode == modeNone:", "it is a wish, not a danger; TestExternalPromotion holds it"},
	{"a candidate is looked for before the change begins", "watch.go", "_, why := s.candidate()\n\ts.record = saved", "choose looks again; else writes would be cut off for nothing"},
	{"an operator's promotion needs a dead primary", "watch.go", "return s.refuse(\"the primary may be alive: \" + why)", "the simulation's operator does not promote; TestPromoteByOperator holds it"},
	{"a server that was told stays tainted for a while", "watch.go", "s.age(n.Since) > untaintAfter {", "only whoever hangs for longer than that, while up, could be promoted late, and is seen as false by its timeline then"},
	{"a promotion beside the primary is remembered", "watch.go", "s.age(n.Since) > disownAfter && !slices.Contains", "it decides who is right when the true primary is lost, which is the operator's mistake to mend; TestSecondPrimaryByHand holds it"},
	{"a promoted server's history is looked at", "change.go", "forkedFrom(sv.detail.history, r.OldTimeline, 0) == \"\"", "only a server that another one than this howdah promoted can have another history; decide has seen it as forked before"},
	{"among equals the last primary stays", "decide.go", "return a.ID == last", "two primaries on one timeline: passedBy and the record's floor bar the other"},
	{"a higher timeline anywhere bars a primary", "decide.go", "if n.Timeline > timeline {\n\t\t\treturn n", "the record's floor does, as soon as somebody was followed there; without a record it is the only rule, and TestDecide holds it"},
}

func TestSimulationFindsEveryFailoverMutant(t *testing.T) {
	find(t, "../../cluster", failover, nil, []string{"-args", "-schedules", "4000", "-first"}, "-run TestSimulation -seed")
}

// What is said of rules that are not tried is about code that is there.
func TestRulesThatAreNotTried(t *testing.T) {
	for _, r := range notTried {
		text, err := os.ReadFile(filepath.Join("../../cluster", r.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), r.text); n != 1 {
			t.Errorf("%s (%s): its text is there %d times", r.rule, r.file, n)
		}
		if len(r.why) < 15 {
			t.Errorf("%s: no reason is given", r.rule)
		}
	}
}
