package configs

import (
	"fmt"
	"time"
)

// DefaultResetQuery is pool.reset_query's default.
const DefaultResetQuery = "DISCARD ALL"

// Pool says how sessions share server connections, and bounds them.
type Pool struct {
	// Mode is how long a session keeps a server connection: for good (session), or until
	// its transaction ends and nothing is left that another connection would not have
	// (transaction). With statement, transaction blocks are refused too.
	// It counts from the next login on. PgBouncer: pool_mode.
	Mode string `yaml:"mode" enum:"session,transaction,statement"`
	// Rules give some users and databases something else; the first that matches counts.
	Rules []PoolRule `yaml:"rules"`
	// MaxPerNode is the most server connections to one node; 0 takes what the
	// server allows (max_connections less superuser_reserved_connections and
	// what howdah itself uses). PgBouncer: max_db_connections.
	MaxPerNode int `yaml:"max_per_node" min:"0"`
	// MaxPerUser is the most server connections of one user and database to one
	// node; 0 is no limit. PgBouncer: default_pool_size.
	MaxPerUser int `yaml:"max_per_user" min:"0"`
	// MaxDBConnections and MaxUserConnections are the most server connections of each database, and of each
	// user in all databases, to one node; 0 is no limit. PgBouncer has both names.
	MaxDBConnections   int `yaml:"max_db_connections" min:"0"`
	MaxUserConnections int `yaml:"max_user_connections" min:"0"`
	// ReservedPerNode is how many of the connections to one node are for superusers only.
	ReservedPerNode int `yaml:"reserved_per_node" min:"0"`
	// MinPerUser is how many connections of a user, database and startup parameters stay
	// open although nobody uses them, and are opened ahead of need once there is one.
	// PgBouncer: min_pool_size.
	MinPerUser int `yaml:"min_per_user" min:"0"`
	// MaxLogins is how many connections to one node may be being opened at a time; 0 is no limit.
	MaxLogins int `yaml:"max_logins" min:"0"`
	// MaxPrepared is the most prepared statements on one connection that sessions
	// share; the least recently used one gives way. PgBouncer: max_prepared_statements.
	MaxPrepared int `yaml:"max_prepared" min:"1" max:"100000"`
	// BackendPIDs says which process id a client is told at its login: howdah's own number of the
	// session, or that of its server process on the primary, which is opened at the login then. Programs that
	// look for the id in pg_stat_activity or pg_locks want the latter. Sessions that share their connections get the former.
	BackendPIDs string `yaml:"backend_pids" enum:"own,server"`
	// ApplicationNameAddHost appends the client's address and port to its application_name, so that
	// pg_stat_activity shows them. PgBouncer: application_name_add_host.
	ApplicationNameAddHost bool `yaml:"application_name_add_host"`
	// MaxWaiters is how many sessions may wait for a connection to one node. When so many do, each user that
	// waits still has an equal share of the places.
	MaxWaiters int `yaml:"max_waiters" min:"0"`
	// WaitTimeout is how long each of them waits before error 53300.
	// PgBouncer: query_wait_timeout.
	WaitTimeout time.Duration `yaml:"wait_timeout" min:"1ms"`
	// NoticeAfter is how long a session waits before its client gets a NOTICE; 0 never.
	// PgBouncer: query_wait_notify.
	NoticeAfter time.Duration `yaml:"notice_after" min:"0"`
	// IdleTimeout closes a server connection that nobody used for so long; 0 never.
	// Pgpool-II: connection_life_time.
	IdleTimeout time.Duration `yaml:"idle_timeout" min:"0"`
	// MaxAge closes a server connection at its first return after so long, or up to a
	// tenth sooner; 0 never. PgBouncer: server_lifetime.
	MaxAge time.Duration `yaml:"max_age" min:"0"`
	// ResetQuery makes a server connection clean before another session gets it. DefaultResetQuery is not sent where it
	// would find nothing.
	// Pgpool-II: reset_query_list.
	ResetQuery string `yaml:"reset_query"`
}

// The values of Pool.Mode.
const (
	PoolSession     = "session"
	PoolTransaction = "transaction"
	PoolStatement   = "statement"
)

// PoolRule is one of Pool.Rules. An empty name matches all; an empty mode and a limit of
// 0 are those of Pool. MaxConnections and MaxClients bound all together that the rule matches, whatever
// rules stand before it: the server connections to one node, and the clients.
type PoolRule struct {
	User       string `yaml:"user"`
	Database   string `yaml:"database"`
	Mode       string `yaml:"mode" enum:",session,transaction,statement"`
	MaxPerUser int    `yaml:"max_per_user" min:"0"`

	MaxConnections int `yaml:"max_connections" min:"0"`
	MaxClients     int `yaml:"max_clients" min:"0"`
}

// maxPoolRules bounds what every login looks through.
const maxPoolRules = 1000

func (p *Pool) rule(user, database string) *PoolRule {
	for i := range p.Rules {
		r := &p.Rules[i]
		if r.matches(user, database) && (r.Mode != "" || r.MaxPerUser > 0) {
			return r
		}
	}
	return &PoolRule{}
}

// ModeOf is the mode of a user's sessions in a database.
func (p *Pool) ModeOf(user, database string) string {
	if mode := p.rule(user, database).Mode; mode != "" {
		return mode
	}
	return p.Mode
}

// MaxOf is the most connections of a user and database to one node; 0 is no limit.
func (p *Pool) MaxOf(user, database string) int {
	if n := p.rule(user, database).MaxPerUser; n > 0 {
		return n
	}
	return p.MaxPerUser
}

// Bound is a limit on what is counted by a user and a database: an empty one stands for all.
type Bound struct {
	User, Database string
	Max            int
	Setting        string // where it comes from
}

// For says whose it is, for messages.
func (b *Bound) For() string {
	switch {
	case b.User == "":
		return fmt.Sprintf("database %q", b.Database)
	case b.Database == "":
		return fmt.Sprintf("role %q", b.User)
	}
	return fmt.Sprintf("role %q in database %q", b.User, b.Database)
}

// Connections calls yield with the bounds on a user's server connections to one node in a database.
func (p *Pool) Connections(user, database string, yield func(Bound) bool) {
	bounds := [...]Bound{
		{user, database, p.MaxOf(user, database), "pool.max_per_user"},
		{"", database, p.MaxDBConnections, "pool.max_db_connections"},
		{user, "", p.MaxUserConnections, "pool.max_user_connections"},
	}
	for _, b := range bounds {
		if b.Max > 0 && !yield(b) {
			return
		}
	}
	for i := range p.Rules {
		if r := &p.Rules[i]; r.MaxConnections > 0 && r.matches(user, database) && !yield(Bound{r.User, r.Database, r.MaxConnections, "max_connections in pool.rules"}) {
			return
		}
	}
}

// Clients calls yield with the bounds on the clients of a user in a database.
func (p *Pool) Clients(l *Limits, user, database string, yield func(Bound) bool) {
	if l.MaxDBClients > 0 && !yield(Bound{"", database, l.MaxDBClients, "limits.max_db_client_connections"}) {
		return
	}
	if l.MaxUserClients > 0 && !yield(Bound{user, "", l.MaxUserClients, "limits.max_user_client_connections"}) {
		return
	}
	for i := range p.Rules {
		if r := &p.Rules[i]; r.MaxClients > 0 && r.matches(user, database) && !yield(Bound{r.User, r.Database, r.MaxClients, "max_clients in pool.rules"}) {
			return
		}
	}
}

func (r *PoolRule) matches(user, database string) bool {
	return (r.User == "" || r.User == user) && (r.Database == "" || r.Database == database)
}

func validatePool(p *Pool, list *faultList) {
	needText(list, "pool.reset_query", p.ResetQuery, "DISCARD ALL makes a connection clean for the next session")
	if n := len(p.Rules); n > maxPoolRules {
		list.addAt("pool.rules", fmt.Sprintf("has %d entries", n), fmt.Sprintf("give at most %d", maxPoolRules))
	}
	if p.MaxPerNode > 0 && p.ReservedPerNode >= p.MaxPerNode && !list.isBad("pool.reserved_per_node") {
		list.addAt("pool.reserved_per_node", fmt.Sprintf("leaves none of %d connections for others than superusers", p.MaxPerNode), "give fewer than pool.max_per_node")
	}
	for i := range p.Rules {
		if r := &p.Rules[i]; r.User == "" && r.Database == "" {
			list.addAt(fmt.Sprintf("pool.rules[%d]", i), "names neither a user nor a database", "set what is for all in the pool section itself")
		}
	}
}
