package cluster

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/howdah/howdah/auth"
)

// NodeID is a node's place in View.Nodes: that in the configuration's list of
// backends at start. A node keeps it through reloads, known by its name; new
// ones come after the last, and a removed node's place stays its own.
type NodeID int

// NoNode is the NodeID of no node.
const NoNode NodeID = -1

// Role is what a server says it is.
type Role uint8

const (
	RoleUnknown Role = iota // not reached yet, or not lately
	RolePrimary
	RoleStandby
)

// LSN is a position in the write-ahead log, in bytes.
type LSN uint64

// Node is what is known of one server. It is part of a View and never changes.
type Node struct {
	ID   NodeID
	Name string
	Host string // a host, or a directory of a Unix socket if it starts with '/'
	Port int
	// TLS is how to encrypt a connection to it; nil: not at all.
	TLS *auth.BackendTLS
	// ProxyProtocol is the version of the header that a connection to it begins with; 0: none.
	ProxyProtocol int
	Weight        float64
	State         State
	Role          Role
	// Reason says why State is what it is, for logs and operators; Since is when (Now) it became so.
	Reason   string
	Since    int64
	SystemID string
	Timeline uint32
	// LSN is the insert position of a primary, the replayed one of a standby.
	LSN LSN
	// Horizon is, for a standby, the latest time (see Now) before which all that
	// the primary had acknowledged is known to be visible on it; 0 is never.
	// A primary's is unlimited (math.MaxInt64).
	Horizon int64
	// Behind is a standby's lag behind the latest known position of the primary.
	Behind Lag
	// Lagging says why the node is over a limit of lag and not to be read now; empty if it is not.
	Lagging string
	// MaxConnections is how many ordinary connections the server takes
	// (max_connections less superuser_reserved_connections and reserved_connections); 0 is not known yet.
	MaxConnections int
	// ServerVersion is server_version_num; 0 is not known yet.
	ServerVersion int
	// Started tells one run of the server from the next (see Commit); empty is not known.
	Started string
	// Run counts the runs of the node's servers that were seen: it grows when the server was started anew, or another one answers
	// at the node's address. A connection that was opened before leads to one that is not the node any more.
	Run uint64
	// TellsRole: what the server reports as in_hot_standby at a login is true (see Contradicts).
	TellsRole bool
	// Streams: a standby that gets the log from its upstream, as far as may be seen.
	Streams bool
	// Sender is what the primary says of its connection to this standby; empty if it has none, or the role may not see.
	Sender Sender

	past past
	link *link // see Vouches
}

// Sender is the primary's end of a standby's replication (pg_stat_replication): State is its state, as streaming or catchup,
// and Sync its sync_state: async, potential, sync or quorum.
type Sender struct{ State, Sync string }

// past is what is remembered of a node's ups and downs.
type past struct {
	// up: it was up once. flaps counts the times it went down within flapWindow of the time before.
	up    bool
	flaps int
	// down and well are when (Now) it went down last, and since when it has been well again.
	down, well int64
	// target is the primary's position when the node got well: what it must have replayed.
	target LSN
}

// View is what is known of all nodes at one moment. It is immutable: one
// writer replaces it whole, everybody reads it through Cluster.View.
type View struct {
	// Epoch grows with every change of a node's state or role (not with positions).
	Epoch uint64
	Nodes []Node
	// Primary is the one node to write to, or NoNode.
	Primary NodeID
	// Orders are the operator's that all sessions obey.
	Orders Orders
	// SystemID is the database system identifier that the cluster's nodes share; empty is not known yet.
	SystemID string
	// settled: SystemID is that of a primary that was, and not only of most nodes.
	settled bool
	// last is the node that was the primary last, or NoNode; writable is the last one that sessions could use as such.
	last, writable NodeID
}

// Node returns the node, or nil if there is none of that id.
func (v *View) Node(id NodeID) *Node {
	if id < 0 || int(id) >= len(v.Nodes) {
		return nil
	}
	return &v.Nodes[id]
}

func (r Role) String() string {
	switch r {
	case RolePrimary:
		return "primary"
	case RoleStandby:
		return "standby"
	}
	return "unknown"
}

// String is the usual notation of a position, as 0/16B3748.
func (l LSN) String() string { return fmt.Sprintf("%X/%X", uint32(l>>32), uint32(l)) }

// ParseLSN reads a position as PostgreSQL writes it (type pg_lsn).
func ParseLSN(s string) (LSN, error) {
	high, low, ok := strings.Cut(s, "/")
	h, err1 := strconv.ParseUint(high, 16, 32)
	l, err2 := strconv.ParseUint(low, 16, 32)
	if !ok || err1 != nil || err2 != nil {
		return 0, fmt.Errorf("parse log position: %q is not of the form 0/16B3748", s)
	}
	return LSN(h<<32 | l), nil
}
