package core

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// MemberID names a member of the watchdog, NodeID a node that it watches.
type (
	MemberID string
	NodeID   string
)

// State is what the members have agreed on. It is immutable: a command makes a new
// one. A field that comes with a later level is left out of the text while it is empty, so that
// members of the old version can read snapshots. The state holds what must survive a change of leader, and nothing that can be measured again.
type State struct {
	// Level is the highest command level that every member understands; see [Spec].
	Level int `json:"level"`
	// Epoch counts the changes of the primary.
	Epoch uint64 `json:"epoch"`
	// Primary is the only node that may be written to; the zero value until one is recorded.
	Primary Primary `json:"primary"`
	// Members are the members as they announced themselves. Who votes is raft's own configuration.
	Members map[MemberID]Member `json:"members,omitempty"`
	Nodes   map[NodeID]Node     `json:"nodes,omitempty"`
	// Failover is the failover under way; its phase is PhaseNone if there is none.
	Failover Failover `json:"failover"`
	// Attempt counts the candidates that were chosen in this epoch. It never goes back
	// within an epoch, so that (Epoch, Attempt) names one candidate for ever.
	Attempt int     `json:"attempt"`
	Intents Intents `json:"intents"`
	// Owner had the address last.
	Owner MemberID `json:"owner,omitempty"`
	// Note is the user's: a text that the members keep for whoever leads.
	Note string `json:"note,omitempty"`
	// History are the latest changes of primary, oldest first, at most maxHistory.
	History []Change `json:"history,omitempty"`
	// Requests are the latest requests that were carried out, oldest first, at most
	// maxRequests: one that arrives twice has its effect once.
	Requests []string `json:"requests,omitempty"`
}

// Limits of what is kept of the past.
const (
	maxHistory  = 16
	maxRequests = 64
)

// Primary is one incarnation of a node as the primary.
type Primary struct {
	Node NodeID `json:"node"`
	// System and Timeline tell the incarnation from others under the same name. They are the
	// user's: for PostgreSQL the system identifier and the timeline.
	System   string `json:"system,omitempty"`
	Timeline uint32 `json:"timeline,omitempty"`
}

// Role is what a member is for.
type Role string

// The roles of members.
const (
	RoleProxy   Role = "proxy"
	RoleWitness Role = "witness" // votes and answers polls; never holds the address
)

// Member is a member as it announced itself.
type Member struct {
	Address  string `json:"address"`
	Role     Role   `json:"role"`
	Priority int    `json:"priority"`
	// Level is the highest command level that it understands.
	Level int `json:"level"`
}

// Desired is what the operator wants of a node.
type Desired string

// What an operator may want of a node.
const (
	Attached    Desired = "attached"
	Detached    Desired = "detached"
	Maintenance Desired = "maintenance"
)

// NodeStatus is what the members agreed that a node is.
type NodeStatus string

// The statuses of nodes.
const (
	NodeUp   NodeStatus = "up"
	NodeDown NodeStatus = "down"
	// NodeTainted may have been promoted without anybody seeing it. It is never used until
	// an operator, or the user's check, says what it is.
	NodeTainted NodeStatus = "tainted"
)

// Node is what was agreed about a node.
type Node struct {
	Desired Desired    `json:"desired"`
	Status  NodeStatus `json:"status"`
	Reason  string     `json:"reason,omitempty"`
}

// Intents are the operator's standing orders.
type Intents struct {
	// Paused stops everything automatic.
	Paused bool `json:"paused,omitempty"`
	// Preferred is the member that the address goes to while it is as fit as the owner.
	Preferred MemberID `json:"preferred,omitempty"`
}

// Change is one change of the primary.
type Change struct {
	Epoch  uint64  `json:"epoch"`
	From   NodeID  `json:"from,omitempty"`
	To     Primary `json:"to"`
	Reason string  `json:"reason"`
}

// clone is a copy that can be changed.
func (s *State) clone() *State {
	c := *s
	c.Members, c.Nodes = maps.Clone(s.Members), maps.Clone(s.Nodes)
	c.History, c.Requests = slices.Clone(s.History), slices.Clone(s.Requests)
	c.Failover.Votes = slices.Clone(s.Failover.Votes)
	if c.Members == nil {
		c.Members = map[MemberID]Member{}
	}
	if c.Nodes == nil {
		c.Nodes = map[NodeID]Node{}
	}
	return &c
}

// Encode is the state as a snapshot holds it. Equal states have equal texts.
func (s *State) Encode() ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode state: %w", err)
	}
	return b, nil
}

// DecodeState reads what Encode wrote. Fields that a newer version added are an error: a
// member that does not know them would lose them.
func DecodeState(b []byte) (*State, error) {
	s := &State{}
	if err := strict(b, s); err != nil {
		return nil, fmt.Errorf("decode state: %w", err)
	}
	return s.clone(), nil
}
