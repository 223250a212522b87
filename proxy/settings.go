package proxy

import (
	"fmt"

	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/pool"
)

// settings are the configuration as sessions use it: read, checked and
// immutable. A reload makes new ones; a session takes them with its next unit.
type settings struct {
	hba           *auth.HBA
	passwd        *auth.Passwd // nil: no file
	auth          configs.Auth
	timeouts      configs.Timeouts
	failover      configs.Failover
	maxClients    int
	maxBuffered   int
	maxStatements int
	debug         bool // decisions are logged
	balancer      balancer.Settings
}

// newSettings reads the files that the configuration names.
func newSettings(c *configs.Config) (*settings, error) {
	set := &settings{auth: c.Auth, timeouts: c.Timeouts, failover: c.Failover,
		maxClients: c.Limits.MaxClients, maxBuffered: int(c.Limits.MaxBuffered),
		maxStatements: c.Limits.MaxStatements, debug: c.Log.Level == "debug"}
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
	set.balancer = balancerSettings(&c.Routing)
	return set, nil
}

// balancerSettings translates the configuration's words, which Validate has checked.
func balancerSettings(r *configs.Routing) balancer.Settings {
	var b balancer.Settings
	switch r.Balance {
	case "off":
		b.Balance = balancer.BalanceOff
	case "statement":
		b.Balance = balancer.BalanceStatement
	}
	if r.Transactions == "primary" {
		b.Transactions = balancer.PrimaryOnly
	}
	if r.Consistency == "none" {
		b.Consistency = balancer.ConsistencyNone
	}
	return b
}

// PoolSettings are the parts of the configuration that the pool obeys.
func PoolSettings(c *configs.Config) pool.Settings {
	return pool.Settings{Pool: c.Pool, Connect: c.Timeouts.Connect}
}
