package cluster

import (
	"fmt"
	"sync/atomic"
)

// hotStandby is the setting by which a server tells whoever logs in whether it is a standby, and later that it is one no more
// (PostgreSQL manual 55.2.7, from PostgreSQL 14 on). Between a server and howdah somebody else may answer (a pooler that
// remembers): a node's reports are believed when the probe's own connection was told the truth.
const hotStandby = "in_hot_standby"

// told is what sessions tell of a node.
type told struct {
	// heard is when (Now) one last got an answer from it, as far as that is noted.
	heard atomic.Int64
	// other: who connects now finds another server than the one that the probe is connected to.
	other atomic.Bool
}

// Contradiction is a new connection whose server is not what the view says of the node: it has changed since, or another server
// answers at the node's address.
type Contradiction struct {
	Node string
	Role Role // what the server is
}

func (e *Contradiction) Error() string {
	return fmt.Sprintf("%s says at the login that it is a %v", e.Node, e.Role)
}

// Contradicts compares what a server reported as in_hot_standby when a connection to the node was opened with what
// is known of the node: nil, or a *Contradiction, with which the connection must not be used. It costs no
// question to the server; one that reports nothing is not doubted.
func (n *Node) Contradicts(inHotStandby string) error {
	role := roleTold(inHotStandby)
	if !n.TellsRole || role == RoleUnknown || n.Role == RoleUnknown || n.Role == role {
		return nil
	}
	return &Contradiction{Node: n.Name, Role: role}
}

// roleTold is what a report of in_hot_standby says.
func roleTold(inHotStandby string) Role {
	switch inHotStandby {
	case "on":
		return RoleStandby
	case "off":
		return RolePrimary
	}
	return RoleUnknown
}

// NoteReport takes in that a connection's server reported another value of a setting. If that says that the node's role has
// changed, the node is probed at once: a promotion by somebody else is then seen before the next probe is due.
func (c *Cluster) NoteReport(id NodeID, name, value string) {
	if name != hotStandby {
		return
	}
	if n := c.View().Node(id); n != nil && n.Contradicts(value) != nil {
		c.wake(id)
	}
}

// IsPast reports whether a connection that was opened at a run of the node (Node.Run) leads to a server that is not the node
// any more.
func (v *View) IsPast(id NodeID, run uint64) bool {
	n := v.Node(id)
	return n != nil && n.Run > run
}

// isOther reports whether s, which answers now, is certainly another server than old, which did before, or another run of it.
func (s *server) isOther(old *server) bool {
	switch {
	case old.role == RoleUnknown:
		return false
	case s.systemID != old.systemID && s.systemID != "" && old.systemID != "":
		return true
	case s.started != "" && old.started != "":
		return s.started != old.started
	case old.role == RolePrimary && s.role == RoleStandby:
		return true // no server becomes that without a restart
	}
	return old.role == RolePrimary && s.role == RolePrimary && s.timeline < old.timeline && s.timeline != 0
}
