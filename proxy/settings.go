package proxy

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/pool"
)

// settings are the configuration as sessions use it: read, checked and
// immutable. A reload makes new ones; a session takes them with its next unit.
type settings struct {
	hba         *auth.HBA
	passwd      *auth.Passwd   // nil: no file
	tls         *auth.FrontTLS // nil: none for clients
	tlsRequired bool
	ident       *auth.Ident
	forwarders  []netip.Prefix // who speaks the PROXY protocol to howdah
	ldapTLS     *tls.Config    // towards LDAP servers
	auth        configs.Auth
	timeouts    configs.Timeouts
	failover    configs.Failover
	limits      *configs.Limits
	// maxUnauthenticated is how many connections may not have logged in yet.
	maxUnauthenticated int
	rates              rateLimits
	maxBuffered        int
	maxStatements      int
	maxStatementMemory int
	maxPrepared        int
	pool               configs.Pool
	debug              bool // decisions are logged
	balancer           balancer.Settings
	redirects          Redirects
	lessonTTL          time.Duration
	// notices and logsStatements: each statement is announced, to its client or in the log.
	notices, logsStatements bool
	// log has what else is logged of sessions; logsUnits is whether it or PGPOOL SET may ask for statements or messages.
	log configs.Log
	// serverMessages is log.server_messages.
	serverMessages verbosity
	// consistencyWait is routing.consistency_wait.
	consistencyWait time.Duration
	catalog         configs.Catalog
	check           configs.ReplicationCheck // who reads the catalogs
	routing         configs.Routing          // what rules were made from
	rules           *parser.Rules
}

// tracksWrites reports whether reads look at what others wrote.
func (set *settings) tracksWrites() bool {
	return set.balancer.Consistency == balancer.ConsistencyCluster
}

// readForeign is whether foreign tables may be read through standbys.
func (set *settings) readForeign() bool { return set.catalog.ForeignTables == "read" }

// newSettings reads the files that the configuration names.
func newSettings(c *configs.Config) (*settings, error) {
	set := &settings{auth: c.Auth, timeouts: c.Timeouts, failover: c.Failover,
		limits: &c.Limits, maxBuffered: int(c.Limits.MaxBuffered),
		maxStatements: c.Limits.MaxStatements, maxStatementMemory: int(c.Limits.MaxStatementMemory), maxPrepared: c.Pool.MaxPrepared, pool: c.Pool, debug: c.Log.Level == "debug"}
	set.maxUnauthenticated = c.Limits.MaxUnauthenticated
	if set.maxUnauthenticated == 0 {
		set.maxUnauthenticated = max(1, set.limits.MaxClients/2)
	}
	set.rates = rateLimits{logins: c.Limits.LoginRate, failed: c.Limits.FailedLoginRate}
	var err error
	if c.Auth.HBAFile != "" {
		set.hba, err = auth.LoadHBAFile(c.Auth.HBAFile)
	} else {
		set.hba, err = auth.ParseHBALines(c.Auth.HBA)
	}
	if err != nil {
		return nil, fmt.Errorf("read HBA rules: %w", err)
	}
	if c.Auth.PasswdFile != "" {
		if set.passwd, err = auth.LoadPasswdFile(c.Auth.PasswdFile, c.Auth.KeyFile); err != nil {
			return nil, fmt.Errorf("read auth.passwd_file: %w", err)
		}
	}
	if set.forwarders, err = c.ProxyProtocol.Networks(); err != nil {
		return nil, err
	}
	if c.Auth.IdentFile != "" {
		set.ident, err = auth.LoadIdentFile(c.Auth.IdentFile)
	} else {
		set.ident, err = auth.ParseIdentLines(c.Auth.Ident)
	}
	if err != nil {
		return nil, fmt.Errorf("read user name maps: %w", err)
	}
	if set.ldapTLS, err = auth.LoadLDAPTLS(c.Auth.LDAPCA); err != nil {
		return nil, fmt.Errorf("read auth.ldap_ca: %w", err)
	}
	if set.tls, _, err = auth.LoadFrontTLS(&c.TLS.Client); err != nil {
		return nil, fmt.Errorf("read tls.client: %w", err)
	}
	set.tlsRequired = c.TLS.Client.Mode == "require"
	set.balancer = RoutingSettings(c)
	set.consistencyWait = c.Routing.ConsistencyWait
	set.log = c.Log
	set.serverMessages = verbosities[c.Log.ServerMessages]
	set.lessonTTL, set.notices, set.logsStatements = c.Routing.LessonTTL, c.Log.NoticePerNodeStatement, c.Log.PerNodeStatement
	if set.redirects, err = NewRedirects(c.Routing.Redirect); err != nil {
		return nil, err
	}
	set.catalog, set.check, set.routing = c.Catalog, c.ReplicationCheck, c.Routing
	set.rules, err = parser.NewRules(c.Routing.Functions.ReadOnly, c.Routing.Functions.Write, c.Routing.PrimaryPatterns)
	if err != nil {
		return nil, fmt.Errorf("read routing rules: %w", err)
	}
	return set, nil
}

// keepRules takes over the rules of older settings if they were made from the
// same words, and says whether the databases mean the same by both settings.
func (set *settings) keepRules(old *settings) bool {
	sameRules := slices.Equal(set.routing.Functions.ReadOnly, old.routing.Functions.ReadOnly) &&
		slices.Equal(set.routing.Functions.Write, old.routing.Functions.Write) &&
		slices.Equal(set.routing.PrimaryPatterns, old.routing.PrimaryPatterns)
	if sameRules {
		set.rules = old.rules
	}
	return sameRules && set.catalog == old.catalog && set.check == old.check
}

// RoutingSettings translates the configuration's words, which Validate has checked.
func RoutingSettings(c *configs.Config) balancer.Settings {
	r := &c.Routing
	var b balancer.Settings
	switch r.Balance {
	case "off":
		b.Balance = balancer.BalanceOff
	case "transaction":
		b.Balance = balancer.BalanceTransaction
	case "statement":
		b.Balance = balancer.BalanceStatement
	}
	switch r.Choice {
	case "least_connections":
		b.Choice = balancer.ChoiceLeastConnections
	case "fastest":
		b.Choice = balancer.ChoiceFastest
	}
	switch r.Comments {
	case "ignore":
		b.Comments = balancer.CommentsIgnore
	case "primary":
		b.Comments = balancer.CommentsPrimary
	}
	if r.Transactions == "primary" {
		b.Transactions = balancer.PrimaryOnly
	}
	switch r.Consistency {
	case "none":
		b.Consistency = balancer.ConsistencyNone
	case "cluster":
		b.Consistency = balancer.ConsistencyCluster
	}
	switch r.AfterWrite {
	case "off":
		b.AfterWrite = balancer.AfterWriteOff
	case "trans_transaction":
		b.AfterWrite = balancer.AfterWriteTransTransaction
	case "always":
		b.AfterWrite = balancer.AfterWriteAlways
	case "dml_adaptive":
		b.AfterWrite = balancer.AfterWriteDMLAdaptive
	case "dml_adaptive_global":
		// Pgpool-II guesses how long a relation that somebody wrote is stale on
		// standbys; the horizon knows.
		b.AfterWrite, b.Consistency = balancer.AfterWriteDMLAdaptive, balancer.ConsistencyCluster
	}
	b.Dependencies = dependencies(r.DMLDependencies)
	b.PreferLowerLag = c.ReplicationCheck.PreferLowerLag
	return b
}

// dependencies reads routing.dml_dependencies.
func dependencies(pairs []string) *balancer.Dependencies {
	var all []balancer.Dependency
	for _, text := range pairs {
		if d, err := configs.ParseDependency(text); err == nil { // Validate has refused others
			all = append(all, balancer.Dependency(d))
		}
	}
	return balancer.NewDependencies(all)
}

// PoolSettings are the parts of the configuration that the pool obeys.
func PoolSettings(c *configs.Config) pool.Settings {
	return pool.Settings{Pool: c.Pool, Connect: c.Timeouts.Connect}
}
