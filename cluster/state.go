package cluster

// State is whether a node may be used.
type State uint8

const (
	// StateWaiting: never reached yet, or well again after it was down and not taken in yet.
	StateWaiting State = iota
	// StateUp: the last probe succeeded and its role is certain.
	StateUp
	// StateDown: it cannot be reached, or the operator has detached it.
	StateDown
	// StateSuspect: it was up and its last probes, too few for a verdict, got no
	// answer; or it serves old connections and takes no new ones. It is not
	// chosen for reads. A suspect primary stays the primary.
	StateSuspect
	// StateQuarantine: it is alive and must not be used: a false primary, a forked
	// standby, another database system.
	StateQuarantine
	// StateUnused: it is configured no more.
	StateUnused
	states
)

var stateNames = [states]string{"waiting", "up", "down", "suspect", "quarantine", "unused"}

func (s State) String() string {
	if s < states {
		return stateNames[s]
	}
	return "invalid"
}

// stateSteps says which state may follow which; staying is always allowed. View.enter is the only place
// that changes a state, and holds every change against this table.
var stateSteps = [states][]State{
	StateUnused:     {StateWaiting, StateDown},
	StateWaiting:    {StateUp, StateDown, StateSuspect, StateQuarantine, StateUnused},
	StateUp:         {StateSuspect, StateDown, StateQuarantine, StateWaiting, StateUnused},
	StateSuspect:    {StateUp, StateWaiting, StateDown, StateQuarantine, StateUnused},
	StateDown:       {StateWaiting, StateUp, StateSuspect, StateQuarantine, StateUnused},
	StateQuarantine: {StateWaiting, StateUp, StateSuspect, StateDown, StateUnused},
}

// may reports whether to may follow.
func (s State) may(to State) bool {
	if s == to {
		return true
	}
	for _, next := range stateSteps[s] {
		if next == to {
			return true
		}
	}
	return false
}
