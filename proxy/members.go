package proxy

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"
)

// members remembers which roles users are members of, for +role and samerole in the rules.
type members struct {
	mu    sync.Mutex
	known map[string]membership // by user
}

type membership struct {
	roles []string // with the user itself; none for a user that does not exist
	at    time.Time
}

// maxMembers bounds the users that are remembered.
const maxMembers = 10_000

// rolesSQL are the roles that a user is a member of, itself included. Unlike
// pg_has_role(), and like pg_hba.conf, it takes superusers for no more than they are.
const rolesSQL = `WITH RECURSIVE r (oid) AS (
		SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1
		UNION SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN r ON m.member = r.oid)
	SELECT pg_catalog.json_agg(a.rolname)::pg_catalog.text FROM r JOIN pg_catalog.pg_roles a ON a.oid = r.oid`

// isMember reports whether user is a member of role, as a server said within
// auth.verify_interval.
func (m *members) isMember(ctx context.Context, srv *Server, user, role string, set *settings) (bool, error) {
	m.mu.Lock()
	known, ok := m.known[user]
	m.mu.Unlock()
	if !ok || time.Since(known.at) > set.auth.VerifyInterval {
		roles, err := srv.askRoles(ctx, user, set)
		if err != nil {
			return false, fmt.Errorf("ask for the roles of user %q: %w", user, err)
		}
		known = membership{roles: roles, at: time.Now()}
		m.keep(user, known)
	}
	return slices.Contains(known.roles, role), nil
}

func (m *members) keep(user string, known membership) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || len(m.known) >= maxMembers {
		m.known = map[string]membership{} // all are asked for again
	}
	m.known[user] = known
}

// askRoles asks as the user of auth.query, or else as that of the probes.
func (srv *Server) askRoles(ctx context.Context, user string, set *settings) ([]string, error) {
	q, check := &set.auth.Query, &set.check
	password := q.Password
	if q.User == "" {
		password = check.Password
	}
	row, err := srv.ask(ctx, set, cmp.Or(q.User, check.User), password, cmp.Or(q.Database, check.Database), rolesSQL, user)
	if err != nil || len(row) == 0 || row[0] == nil {
		return nil, err
	}
	var roles []string
	if err := json.Unmarshal(row[0], &roles); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return roles, nil
}
