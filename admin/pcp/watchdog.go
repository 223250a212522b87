package pcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/howdah/howdah/admin"
)

// watchdogJSON is what Pgpool-II's clients read, key by key; one that is missing is an error to them.
type watchdogJSON struct {
	RemoteNodeCount, QuorumStatus, AliveNodeCount, NodeCount, Escalated int
	MemberRemoteNodeCount, NodesRequireForQuorum                        int
	LeaderNodeName, LeaderHostName                                      string
	WatchdogNodes                                                       []watchdogNode
}

type watchdogNode struct {
	ID, State                                 int
	StateName, NodeName, HostName, DelegateIP string
	WdPort, PgpoolPort, Priority              int
	Membership                                int
	MembershipString                          string
	LifecheckStarted                          int
}

// watchdogInfo answers with all members, the own one first, or with the one asked for.
func watchdogInfo(_ context.Context, s *Server, _ admin.Caller, payload []byte) ([]byte, error) {
	id, err := number(payload)
	if err != nil {
		return nil, err
	}
	w, err := s.Admin.Watchdog()
	var unavailable *admin.Unavailable
	if errors.As(err, &unavailable) {
		return nil, errors.New("watchdog is not enabled") // clients look for the words
	} else if err != nil {
		return nil, err
	}
	out := watchdogJSON{RemoteNodeCount: len(w.Members) - 1, QuorumStatus: w.Quorum, AliveNodeCount: max(0, w.Alive-1), // of the others
		MemberRemoteNodeCount: len(w.Members) - 1, NodesRequireForQuorum: len(w.Agreed.Voters)/2 + 1,
		LeaderNodeName: "Not Set", LeaderHostName: "Not Set", WatchdogNodes: []watchdogNode{}}
	if w.Holds {
		out.Escalated = 1
	}
	for _, m := range w.Members {
		if w.Leader != "" && m.Name == w.Leader {
			out.LeaderNodeName, out.LeaderHostName = m.Name, m.Host
		}
		if id >= 0 && m.ID != id {
			continue
		}
		out.WatchdogNodes = append(out.WatchdogNodes, watchdogNode{ID: m.ID, State: m.State, StateName: m.StateTxt, NodeName: m.Name,
			HostName: m.Host, DelegateIP: m.Address, WdPort: m.WDPort, PgpoolPort: m.Port, Priority: m.Priority, MembershipString: "MEMBER", LifecheckStarted: 1})
	}
	if out.NodeCount = len(out.WatchdogNodes); out.NodeCount == 0 {
		return nil, errors.New("invalid watchdog node ID")
	}
	text, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return appendMessage(nil, 'w', complete, string(text)), nil
}
