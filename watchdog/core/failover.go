package core

import "fmt"

// Phase is how far a failover has come.
type Phase int

// The phases, in order.
const (
	PhaseNone Phase = iota
	// PhaseBegun: members stop to write to the old primary.
	PhaseBegun
	// PhaseBarred: none writes to it any more, nor will.
	PhaseBarred
	// PhaseChosen: a candidate was chosen and may have been promoted.
	PhaseChosen
)

var phaseNames = [...]string{"none", "begun", "barred", "chosen"}

func (p Phase) String() string {
	if p < 0 || int(p) >= len(phaseNames) {
		return fmt.Sprintf("phase %d", int(p))
	}
	return phaseNames[p]
}

// MarshalText writes the phase as its name.
func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a phase's name.
func (p *Phase) UnmarshalText(b []byte) error {
	for i, name := range phaseNames {
		if name == string(b) {
			*p = Phase(i)
			return nil
		}
	}
	return fmt.Errorf("unknown phase %q", b)
}

// Failover is a failover under way.
type Failover struct {
	Phase Phase `json:"phase"`
	// ID is the index of the command that began it: no two failovers have the same.
	ID uint64 `json:"id,omitempty"`
	// From is the primary that is given up.
	From   NodeID `json:"from,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Planned: the operator asked for it, and no poll was needed.
	Planned bool `json:"planned,omitempty"`
	// Votes are the answers of the poll that allowed it.
	Votes []Vote `json:"votes,omitempty"`
	// Candidate and Attempt are set in PhaseChosen.
	Candidate NodeID `json:"candidate,omitempty"`
	Attempt   int    `json:"attempt,omitempty"`
}

// failoverStep is a command on the way of a failover.
type failoverStep string

const (
	stepBegin  failoverStep = "failover.begin"
	stepBar    failoverStep = "failover.bar"
	stepChoose failoverStep = "failover.choose"
	stepCommit failoverStep = "failover.commit"
	stepAbort  failoverStep = "failover.abort"
)

// phaseTransitions is the whole machine: what is not in it is refused.
var phaseTransitions = []struct {
	from Phase
	step failoverStep
	to   Phase
	why  string
}{
	{PhaseNone, stepBegin, PhaseBegun, "the members found that the primary has failed, or the operator wants another"},
	{PhaseBegun, stepBar, PhaseBarred, "no member writes to the old primary any more"},
	{PhaseBarred, stepChoose, PhaseChosen, "what the standbys have was compared"},
	{PhaseChosen, stepChoose, PhaseChosen, "the candidate failed; it is tainted, and another one gets the next attempt"},
	{PhaseChosen, stepCommit, PhaseNone, "the candidate is seen to be the primary"},
	{PhaseBegun, stepAbort, PhaseNone, "nothing was done yet"},
	{PhaseBarred, stepAbort, PhaseNone, "nothing was promoted yet"},
	{PhaseChosen, stepAbort, PhaseNone, "the candidate is tainted, the old primary is served again"},
}

// next is the phase after step, or an error if the step is not legal now.
func (p Phase) next(step failoverStep) (Phase, error) {
	for _, t := range phaseTransitions {
		if t.from == p && t.step == step {
			return t.to, nil
		}
	}
	return p, fmt.Errorf("%s is not possible in phase %s", step, p)
}
