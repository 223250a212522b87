package vip

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// AddressState is what one address is doing on this host.
type AddressState uint8

const (
	// Unknown: nothing is known yet, or a hook has failed half-way.
	Unknown AddressState = iota
	// Absent: it is not here, and not wanted.
	Absent
	// Probing: it is wanted, and it is being found out whether another host has it.
	Probing
	// Adding: it is being put on this host, or that failed and is tried again soon.
	Adding
	// Held: this host has it, and is right to.
	Held
	// Removing: it is being taken off, or that failed and is tried again soon.
	Removing
	// Blocked: it is wanted, and cannot be held, or it is here and not howdah's to remove.
	Blocked
)

var addressStateNames = [...]string{"unknown", "absent", "probing", "adding", "held", "removing", "blocked"}

func (s AddressState) String() string { return addressStateNames[s] }

// MarshalText writes the state's name.
func (s AddressState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a state's name.
func (s *AddressState) UnmarshalText(text []byte) error {
	i := slices.Index(addressStateNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("read address state: %q is none", text)
	}
	*s = AddressState(i)
	return nil
}

// transition is a legal change of an address's state.
type transition struct {
	from, to AddressState
	why      string
}

// transitions are all legal changes.
var transitions = []transition{
	{Unknown, Absent, "it is not here"},
	{Unknown, Removing, "a former howdah left it"},
	{Unknown, Probing, "it is wanted, strictly"},
	{Unknown, Adding, "it is wanted"},
	{Unknown, Blocked, "it cannot be held"},
	{Absent, Probing, "it is wanted, strictly"},
	{Absent, Adding, "it is wanted"},
	{Absent, Removing, "it appeared although nobody wanted it"},
	{Absent, Blocked, "it is wanted and cannot be held"},
	{Probing, Adding, "nobody else has it"},
	{Probing, Absent, "it is no longer wanted"},
	{Probing, Removing, "it appeared although it is no longer wanted"},
	{Probing, Blocked, "the interface went away"},
	{Adding, Held, "it is here"},
	{Adding, Probing, "adding failed; ask again first"},
	{Adding, Absent, "it is no longer wanted"},
	{Adding, Removing, "it is no longer wanted"},
	{Adding, Blocked, "the interface went away"},
	{Held, Adding, "somebody removed it"},
	{Held, Removing, "it is no longer wanted, or the lease ended"},
	{Held, Absent, "the kernel's lifetime ended with the lease"},
	{Held, Blocked, "the interface went away"},
	{Removing, Absent, "it is gone"},
	{Removing, Adding, "it is wanted again"},
	{Removing, Probing, "it is wanted again, strictly"},
	{Removing, Blocked, "it is wanted again and cannot be held"},
	{Blocked, Adding, "the obstacle is gone"},
	{Blocked, Probing, "the obstacle is gone"},
	{Blocked, Removing, "it is no longer wanted"},
	{Blocked, Absent, "it is no longer wanted"},
}

// legal says whether a state may follow another.
func legal(from, to AddressState) bool {
	return slices.ContainsFunc(transitions, func(t transition) bool { return t.from == from && t.to == to })
}

// State is what a Manager knows at one moment.
type State struct {
	// Mode is vip.mode, Interface vip.interface.
	Mode      string `json:"mode"`
	Interface string `json:"interface,omitempty"`
	// Held is whether this host has every address and is right to. With mode none it
	// only says that it would.
	Held bool `json:"held"`
	// Gone is whether this host has none of the addresses, but for those that somebody
	// else put there: whoever waits for that before another host takes them may go on.
	Gone bool `json:"gone"`
	// Fit is whether this host could hold the addresses; if not, Unfit says why.
	Fit   bool   `json:"fit"`
	Unfit string `json:"unfit,omitempty"`
	// Wanted is whether the last Want was for holding and is still good at Now; Epoch
	// is its epoch, Until when it ends.
	Wanted bool    `json:"wanted"`
	Epoch  uint64  `json:"epoch"`
	Until  Instant `json:"until"`
	Now    Instant `json:"now"`
	// Order is the number of the last order that this is the answer to.
	Order uint64 `json:"order"`
	// Process is the guardian's process id; 0 without one. Guardians counts those that
	// were started: one after another, if the former ended.
	Process   int    `json:"process,omitempty"`
	Guardians uint64 `json:"guardians,omitempty"`
	// Addresses are in the order of vip.addresses.
	Addresses []AddressStatus `json:"addresses"`
	// Events are the last ones, oldest first; Seq counts them all.
	Events []Event `json:"events,omitempty"`
}

// describe says in a few words where the addresses are.
func (s State) describe() string {
	words := make([]string, 0, len(s.Addresses))
	for _, a := range s.Addresses {
		words = append(words, fmt.Sprintf("%s is %s (%s)", a.Address, a.State, a.Reason))
	}
	return strings.Join(words, ", ")
}

// AddressStatus is one address in a State.
type AddressStatus struct {
	Address netip.Prefix `json:"address"`
	State   AddressState `json:"state"`
	// Since is when it came to this state, and Reason why.
	Since  Instant `json:"since"`
	Reason string  `json:"reason"`
	// Failures counts attempts in a row that failed.
	Failures int `json:"failures,omitempty"`
	// Restored counts how often it was put back after somebody had removed it.
	Restored uint64 `json:"restored,omitempty"`
	// Claims counts frames of other hosts that said the address is theirs while it was
	// held or asked for here. Claimant is the hardware address of the last host that
	// said so at any time.
	Claims   uint64 `json:"claims,omitempty"`
	Claimant string `json:"claimant,omitempty"`
}

// EventKind says what an Event is about.
type EventKind string

const (
	EventAcquired    EventKind = "acquired"     // this host has the address
	EventReleased    EventKind = "released"     // it is off this host
	EventLeftover    EventKind = "leftover"     // what a former howdah left was removed
	EventRestored    EventKind = "restored"     // somebody removed it, it was put back
	EventBlocked     EventKind = "blocked"      // it cannot be held
	EventFailed      EventKind = "failed"       // an action failed; it is tried again
	EventConflict    EventKind = "conflict"     // another host says that it has the address
	EventStaleHolder EventKind = "stale_holder" // the same, and it is a member of the cluster
)

// Event is something that happened.
type Event struct {
	// Seq counts the events of one engine from 1; a new guardian begins again.
	Seq     uint64     `json:"seq"`
	At      Instant    `json:"at"`
	Kind    EventKind  `json:"kind"`
	Address netip.Addr `json:"address"`
	Epoch   uint64     `json:"epoch,omitempty"`
	Reason  string     `json:"reason"`
}

// Instant is a time of CLOCK_BOOTTIME: how long the machine has been up, suspended
// time included. It can be compared between the processes of one host only.
type Instant time.Duration

// Add is the time d later.
func (t Instant) Add(d time.Duration) Instant { return t + Instant(d) }

// Sub is how much later t is than u.
func (t Instant) Sub(u Instant) time.Duration { return time.Duration(t - u) }
