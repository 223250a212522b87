package mutants

import "testing"

// failover are rules of the failover machine and of what a view says.
var failover = []mutant{
	{"what standbys hear is no veto", "loss.go", "if why := s.heard(old); why != \"\" {", "if why := s.heard(old); false {", ""},
	{"standbys are not frozen", "change.go", "s.in.settings.mode == modeNative && !s.frozen()", "false", ""},
	{"a successor promotes though the old primary is back", "change.go", "if s.tasks[a] == nil && s.isTooLate() {", "if false {", ""},
	{"a switchover that does not wait for its target", "change.go", "o.server.received < s.final", "false", ""},
	{"one synchronous standby of any is enough", "candidate.go", "max(len(r.Sync)-r.Quorum+1, 1)", "1", ""},
	{"two attempts in one epoch", "machine.go", "\tr.Epoch++\n\tr.Kind", "\tr.Kind", ""},
	{"a candidate that was given up may be the primary", "machine.go", "put(&o.barred, name, \"false primary: it was promoted beside", "put(&map[string]string{}, name, \"false primary: it was promoted beside", ""},
	{"views go on while a change is under way", "machine.go", "case PhaseFence, PhaseChoose, PhasePromote:\n\t\to.unsettled = fmt", "case PhaseFence, PhaseChoose, PhasePromote:\n\t\t_ = fmt", ""},
	{"an older timeline than the recorded one is good enough", "orders.go", "case n.Timeline < o.floor:", "case false:", ""},
}

func TestSimulationFindsEveryFailoverMutant(t *testing.T) {
	find(t, "../../cluster", failover, nil, []string{"-args", "-schedules", "4000", "-first"}, "-run TestSimulation -seed")
}
