package cluster

import (
	"fmt"
	"reflect"
	"slices"
)

// Phase is how far a change of the primary has come. It is recorded (Arbiter) before
// what it stands for is done, so that a howdah that is started anew goes on where the last one ended.
type Phase uint8

const (
	// PhaseWatch: nothing is under way.
	PhaseWatch Phase = iota
	// PhaseDrain: a switchover waits for open transactions; no new ones begin.
	PhaseDrain
	// PhaseFence: the old primary is cut off: nobody is sent to it, the operator's command turns it off.
	PhaseFence
	// PhaseChoose: the standbys stop receiving, and what they have then is compared.
	PhaseChoose
	// PhasePromote: the candidate is told to become the primary. From here on it may be one at any time.
	PhasePromote
	// PhaseFollow: the new primary serves; the other nodes are made to follow it.
	PhaseFollow
	// PhaseAbort: the old primary stays; what was done is undone.
	PhaseAbort
	phases
)

// Phases are all of them, in the order of a failover.
func Phases() []Phase {
	all := make([]Phase, phases)
	for i := range all {
		all[i] = Phase(i)
	}
	return all
}

var phaseNames = [phases]string{"watch", "drain", "fence", "choose", "promote", "follow", "abort"}

func (p Phase) String() string {
	if p < phases {
		return phaseNames[p]
	}
	return "invalid"
}

// MarshalText writes the phase's name.
func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads the phase's name.
func (p *Phase) UnmarshalText(text []byte) error {
	for i, name := range phaseNames {
		if name == string(text) {
			*p = Phase(i)
			return nil
		}
	}
	return fmt.Errorf("no such phase: %q", text)
}

// phaseStep is an edge between two phases and when it is taken.
type phaseStep struct {
	from, to Phase
	when     string
}

// phaseSteps are all edges; machine.enter refuses any other.
var phaseSteps = []phaseStep{
	{PhaseWatch, PhaseFence, "the primary is lost beyond doubt, or an operator promotes; the arbiter consents"},
	{PhaseWatch, PhaseDrain, "an operator switches over; the arbiter consents"},
	{PhaseDrain, PhaseFence, "no transaction is open on the primary"},
	{PhaseDrain, PhaseAbort, "transactions stay open for too long, the target is not fit, or the operator gives up"},
	{PhaseFence, PhaseChoose, "the fence command has ended; in a switchover the target has everything"},
	{PhaseFence, PhaseFollow, "another server was promoted by somebody else"},
	{PhaseFence, PhaseAbort, "the old primary is alive after all; or the target of a switchover does not catch up"},
	{PhaseChoose, PhasePromote, "a candidate is found"},
	{PhaseChoose, PhaseFollow, "another server was promoted by somebody else"},
	{PhaseChoose, PhaseAbort, "the old primary is alive after all"},
	{PhasePromote, PhaseFollow, "the candidate is a primary, on a timeline that descends from the old one"},
	{PhasePromote, PhaseFence, "the attempt has failed and the candidate is still, or out of reach: another one, in a new epoch, with a new consent"},
	{PhasePromote, PhaseAbort, "the attempt has failed and the old primary is alive; the candidate is given up for good"},
	{PhaseFollow, PhaseWatch, "the others follow, or will not; or the new primary is lost too"},
	{PhaseAbort, PhaseWatch, "what was done is undone"},
}

func (p Phase) may(to Phase) bool {
	for _, s := range phaseSteps {
		if s.from == p && s.to == to {
			return true
		}
	}
	return false
}

// Kind is why the primary changes.
type Kind string

const (
	// KindFailover: the primary is lost.
	KindFailover Kind = "failover"
	// KindSwitchover: an operator moves it, and nothing is lost.
	KindSwitchover Kind = "switchover"
	// KindPromotion: an operator promotes a standby, there being no primary.
	KindPromotion Kind = "promotion"
)

// Record is what is kept of the primary and of a change under way. Nodes go by their names.
// It survives howdah, and is evidence, not truth: where the servers say otherwise they are right,
// but that a server on a timeline before Timeline is not the primary any more.
type Record struct {
	// Epoch grows by one with every change of the primary that is begun, and when one is found to have happened.
	Epoch uint64 `json:"epoch"`
	// SystemID is the database system that the rest is about.
	SystemID string `json:"system_id"`
	// Primary is the last node known as primary, and Timeline that on which it was.
	Primary  string `json:"primary"`
	Timeline uint32 `json:"timeline"`

	// Phase and what follows are of the change under way, or of the last one.
	Phase Phase `json:"phase"`
	Kind  Kind  `json:"kind,omitempty"`
	// Reason is why it was begun.
	Reason string `json:"reason,omitempty"`
	// Old is the primary before, OldTimeline its timeline, and OldLSN the last position known of it.
	Old         string `json:"old,omitempty"`
	OldTimeline uint32 `json:"old_timeline,omitempty"`
	OldLSN      LSN    `json:"old_lsn,omitempty"`
	// Sync are the synchronous standbys as last seen; Quorum is how many of them had to
	// confirm a commit (0: all).
	Sync   []string `json:"sync,omitempty"`
	Quorum int      `json:"quorum,omitempty"`
	// Target is the node that an operator asked for; Candidate is the one that was chosen.
	Target    string `json:"target,omitempty"`
	Candidate string `json:"candidate,omitempty"`
	// Tainted are the candidates of attempts that were given up: they may have been promoted unseen.
	Tainted []string `json:"tainted,omitempty"`
	// Fenced are servers that howdah has made read-only.
	Fenced []string `json:"fenced,omitempty"`

	// Detached are nodes that operators took out, and Paused says that nothing is done unasked.
	Detached []string `json:"detached,omitempty"`
	Paused   bool     `json:"paused,omitempty"`
}

// clone is a copy that shares nothing.
func (r *Record) clone() Record {
	c := *r
	c.Sync = append([]string(nil), r.Sync...)
	c.Tainted = append([]string(nil), r.Tainted...)
	c.Fenced = append([]string(nil), r.Fenced...)
	c.Detached = append([]string(nil), r.Detached...)
	return c
}

// same reports whether two records say the same.
func (r *Record) same(o *Record) bool {
	a, b := *r, *o
	for _, lists := range [][2]*[]string{{&a.Sync, &b.Sync}, {&a.Tainted, &b.Tainted}, {&a.Fenced, &b.Fenced}, {&a.Detached, &b.Detached}} {
		if !slices.Equal(*lists[0], *lists[1]) {
			return false
		}
		*lists[0], *lists[1] = nil, nil // an empty one is as good as none
	}
	return reflect.DeepEqual(a, b)
}

// underWay reports whether a change of the primary is being made.
func (r *Record) underWay() bool { return r.Phase != PhaseWatch }
