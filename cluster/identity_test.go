package cluster

import (
	"errors"
	"testing"
)

// Which answers are certainly of another server than the one before, or of another run of it.
func TestIsOther(t *testing.T) {
	primary := func(system, started string, timeline uint32) server {
		return server{role: RolePrimary, systemID: system, started: started, timeline: timeline}
	}
	standby := func(system, started string, timeline uint32) server {
		return server{role: RoleStandby, systemID: system, started: started, timeline: timeline}
	}
	for _, tt := range []struct {
		name     string
		old, now server
		want     bool
	}{
		{"nobody answered before", server{}, primary("A", "1", 1), false},
		{"the same", primary("A", "1", 1), primary("A", "1", 1), false},
		{"promoted", standby("A", "1", 1), primary("A", "1", 2), false},
		{"started anew", primary("A", "1", 1), primary("A", "2", 1), true},
		{"a copy of it", primary("A", "1", 1), standby("A", "2", 1), true},
		{"another system", standby("A", "", 1), standby("B", "", 1), true},
		{"a primary became a standby, the role may not see more", primary("", "", 0), standby("", "", 0), true},
		{"a primary behind the one before", primary("A", "", 3), primary("A", "", 2), true},
		{"a standby's timeline is not always known", standby("A", "", 3), standby("A", "", 2), false},
		{"the role may not see it any more", primary("A", "1", 1), primary("", "", 1), false},
	} {
		if got := tt.now.isOther(&tt.old); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
		old := observation{evidence: evidenceAnswered, server: tt.old, run: 7}
		lost := merge(old, observation{evidence: evidenceRefused})
		again := merge(lost, observation{evidence: evidenceAnswered, server: tt.now})
		if lost.run != 7 || again.run != 7+map[bool]uint64{true: 1}[tt.want] {
			t.Errorf("%s: run 7 became %d when it was away and %d after it", tt.name, lost.run, again.run)
		}
	}
}

// What a server reports at a login counts if the probe was told the truth, and something is known of the node.
func TestContradicts(t *testing.T) {
	for _, tt := range []struct {
		role     Role
		tells    bool
		reported string
		want     bool
	}{
		{RolePrimary, true, "off", false},
		{RolePrimary, true, "on", true},
		{RoleStandby, true, "off", true},
		{RoleStandby, true, "on", false},
		{RolePrimary, true, "", false},    // before PostgreSQL 14
		{RolePrimary, false, "on", false}, // a pooler in between says what it remembers
		{RoleUnknown, true, "on", false},
	} {
		n := Node{Name: "pg0", Role: tt.role, TellsRole: tt.tells}
		err := n.Contradicts(tt.reported)
		var c *Contradiction
		if errors.As(err, &c) != tt.want || (err != nil) != tt.want {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}
