package configs

import (
	"fmt"
	"net/netip"
	"time"
)

// Config is a whole configuration file. Every package takes only its section.
// It is immutable once loaded: a reload makes a new one.
type Config struct {
	Listen           Listen           `yaml:"listen" reload:"no"`
	Backends         []Backend        `yaml:"backends"`
	Auth             Auth             `yaml:"auth"`
	TLS              TLS              `yaml:"tls"`
	ProxyProtocol    ProxyProtocol    `yaml:"proxy_protocol"`
	Pool             Pool             `yaml:"pool"`
	Routing          Routing          `yaml:"routing"`
	Catalog          Catalog          `yaml:"catalog"`
	ReplicationCheck ReplicationCheck `yaml:"replication_check"`
	Failover         Failover         `yaml:"failover"`
	VIP              VIP              `yaml:"vip" reload:"no"`
	Watchdog         Watchdog         `yaml:"watchdog" reload:"no"`
	Limits           Limits           `yaml:"limits"`
	Timeouts         Timeouts         `yaml:"timeouts"`
	Admin            Admin            `yaml:"admin"`
	Log              Log              `yaml:"log"`
}

// Listen says where clients connect. Needs a restart.
type Listen struct {
	// Addresses are host names or IP addresses; "*" is every address.
	// Pgpool-II: listen_addresses.
	Addresses []string `yaml:"addresses"`
	// Port is also the number in the Unix socket's name. Pgpool-II: port.
	Port int `yaml:"port" min:"1" max:"65535"`
	// UnixDirs are directories that get a socket .s.PGSQL.<port>.
	// Pgpool-II: unix_socket_directories.
	UnixDirs []string `yaml:"unix_dirs"`
	// UnixMode is the sockets' permission bits, octal. Pgpool-II: unix_socket_permissions.
	UnixMode FileMode `yaml:"unix_mode" max:"0777"`
}

// Backend is one PostgreSQL server. Its role is found by asking it.
type Backend struct {
	// Name is unique and shown everywhere: letters, digits, dots, hyphens and
	// underscores, at most 63; not "primary" nor "standby".
	Name string `yaml:"name"`
	// Host is a host name, an IP address, or (starting with '/') a Unix socket
	// directory. Pgpool-II: backend_hostnameN.
	Host string `yaml:"host"`
	// Port is the number in the socket's name if Host is a directory.
	// Pgpool-II: backend_portN.
	Port int `yaml:"port" min:"1" max:"65535"`
	// Weight is this node's share of the reads, relative to the others; 0 means
	// no reads. Pgpool-II: backend_weightN.
	Weight float64 `yaml:"weight" min:"0"`
	// TLS is how this server is connected to; what it leaves empty is as in tls.backend.
	TLS BackendTLS `yaml:"tls"`
	// ProxyProtocol is the version of the PROXY protocol that stands before the server, as
	// HAProxy with accept-proxy; PostgreSQL itself has none. The header names howdah, whose
	// connections serve many clients.
	ProxyProtocol string `yaml:"proxy_protocol" enum:"off,v1,v2"`
	// Priority decides between standbys that have received the same: the highest is promoted. One
	// of 0 never is. Pgpool-II: backend_flagN, DISALLOW_TO_FAILOVER is 0.
	Priority int `yaml:"priority" min:"0" max:"1000000"`
	// DataDir is only handed to commands (%D, %R). Pgpool-II: backend_data_directoryN.
	DataDir string `yaml:"data_dir"`
	// ReplicationHost and ReplicationPort are where the other servers reach this one, if
	// that is not Host and Port.
	ReplicationHost string `yaml:"replication_host"`
	ReplicationPort int    `yaml:"replication_port" min:"0" max:"65535"`
	// Check is what of replication_check is different for this node; 0 and empty
	// texts are not. Pgpool-II: health_check_…N.
	Check NodeCheck `yaml:"check"`
}

// ProxyProtocol says which connections begin with a header of the PROXY protocol.
type ProxyProtocol struct {
	// From are the networks, as 10.0.0.0/24 or 10.0.0.7, whose connections all do, and are
	// believed; others must not.
	From []string `yaml:"from"`
}

// Networks are those of From.
func (p *ProxyProtocol) Networks() ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range p.From {
		n, err := parseNetwork(text)
		if err != nil {
			return nil, fmt.Errorf("read proxy_protocol.from: %w", err)
		}
		all = append(all, n)
	}
	return all, nil
}

// parseNetwork reads a network or a single address.
func parseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	n, err := netip.ParsePrefix(text)
	return n.Masked(), err
}

// NodeCheck is a node's own part of ReplicationCheck.
type NodeCheck struct {
	Interval time.Duration `yaml:"interval" min:"0"`
	Timeout  time.Duration `yaml:"timeout" min:"0"`
	User     string        `yaml:"user"`
	Password string        `yaml:"password" secret:"yes"`
	Database string        `yaml:"database"`
}

// Over returns check with what n has of its own. A user of its own comes with a
// password of its own.
func (n *NodeCheck) Over(check ReplicationCheck) ReplicationCheck {
	if n.Interval > 0 {
		check.Interval = n.Interval
	}
	if n.Timeout > 0 {
		check.Timeout = n.Timeout
	}
	if n.User != "" || n.Password != "" {
		check.Password = n.Password
	}
	if n.User != "" {
		check.User = n.User
	}
	if n.Database != "" {
		check.Database = n.Database
	}
	return check
}

// Auth says who may connect and what is known of them.
type Auth struct {
	// HBA are rules in pg_hba.conf syntax; the first that matches decides.
	// Exactly one of HBA and HBAFile is given.
	HBA     []string `yaml:"hba"`
	HBAFile string   `yaml:"hba_file" path:"yes"`
	// Ident are user name maps in pg_ident.conf syntax, for map= in the rules. At most one of
	// Ident and IdentFile is given.
	Ident     []string `yaml:"ident"`
	IdentFile string   `yaml:"ident_file" path:"yes"`
	// ClearText says where methods that get the password in clear text (password, ldap) are
	// allowed: tls (over TLS, Unix sockets and loopback addresses) or any.
	ClearText string `yaml:"clear_text" enum:"tls,any"`
	// FailDelay is how long the answer to a failed login is held back. PostgreSQL: auth_delay.
	FailDelay time.Duration `yaml:"fail_delay" min:"0" max:"1min"`
	// LDAPCA are the authorities of LDAP servers' certificates, a file or a directory;
	// empty are the system's.
	LDAPCA string `yaml:"ldap_ca" path:"yes"`
	// PasswdFile is a user file: PgBouncer's userlist ("user" "secret") or
	// Pgpool-II's pool_passwd (user:secret). Pgpool-II: pool_passwd.
	PasswdFile string `yaml:"passwd_file" path:"yes"`
	// KeyFile decrypts AES secrets of a pool_passwd. Pgpool-II: .pgpoolkey.
	KeyFile string `yaml:"key_file" path:"yes"`
	// Query asks a backend for the secret of a user who is not in PasswdFile.
	Query AuthQuery `yaml:"query"`
	// VerifyInterval is how long a user and database that a backend accepted
	// are believed without a new login there; 0 asks at every login.
	VerifyInterval time.Duration `yaml:"verify_interval" min:"0"`
}

// AuthQuery is PgBouncer's auth_query: SQL with $1 for the user name, answering
// one row (user, secret). An empty User turns it off.
type AuthQuery struct {
	SQL      string `yaml:"sql"`
	User     string `yaml:"user"`
	Password string `yaml:"password" secret:"yes"`
	Database string `yaml:"database"`
}

// Routing says which statements may be read from standbys.
type Routing struct {
	// Balance is off (everything to the primary), or how long a session keeps the
	// node that was chosen for its reads: session, transaction or statement.
	// Pgpool-II: load_balance_mode, statement_level_load_balance.
	Balance string `yaml:"balance" enum:"off,session,transaction,statement"`
	// Choice is how it is chosen: weight, least_connections or fastest. Weights
	// count in all three.
	Choice string `yaml:"choice" enum:"weight,least_connections,fastest"`
	// Transactions is until_write (reads before the first write may go to a
	// standby) or primary.
	Transactions string `yaml:"transactions" enum:"until_write,primary"`
	// AfterWrite is what a write does to the reads after it. Pgpool-II:
	// disable_load_balance_on_write, with its values.
	AfterWrite string `yaml:"after_write" enum:"off,transaction,trans_transaction,always,dml_adaptive,dml_adaptive_global"`
	// DMLDependencies are pairs object:dependent for the dml_adaptive modes: whoever
	// writes the object (a relation, or a function if it ends with "()") writes
	// the dependent relation too. Pgpool-II: dml_adaptive_object_relationship_list.
	DMLDependencies []string `yaml:"dml_dependencies"`
	// Consistency is session (a session never reads older than it wrote or saw),
	// cluster (nor older than anybody wrote through howdah) or none.
	Consistency string `yaml:"consistency" enum:"session,cluster,none"`
	// ConsistencyWait is how long a read waits for its standby to have what it
	// must show, before it goes to the primary; 0 not at all.
	ConsistencyWait time.Duration `yaml:"consistency_wait" min:"0"`
	// TrackedRelations is how many places there are for the times of writes to
	// relations (consistency: cluster), 16 bytes each. Relations that share a place
	// count as written together. Needs a restart.
	TrackedRelations int `yaml:"tracked_relations" min:"64" max:"16777216" reload:"no"`
	// Comments is what comments that begin a text mean: hint (howdah's hints are
	// obeyed), ignore, or primary (a text with any other comment goes to the primary, too).
	// Pgpool-II: allow_sql_comments, where off is primary.
	Comments string `yaml:"comments" enum:"hint,ignore,primary"`
	// Redirect sends the reads of sessions somewhere; the first entry that matches counts.
	Redirect []Redirect `yaml:"redirect"`
	// LessonTTL is how long a statement that a standby refused goes straight to the
	// primary; 0 learns nothing.
	LessonTTL time.Duration `yaml:"lesson_ttl" min:"0"`
	// CacheSize bounds the memory of the verdict caches, in bytes. Needs a restart.
	CacheSize ByteSize `yaml:"cache_size" min:"1MB" max:"64GB" reload:"no"`
	// Functions are those whose effect the operator knows better than the catalogs.
	Functions Functions `yaml:"functions"`
	// PrimaryPatterns are regular expressions (RE2, case does not matter); a text that
	// has a match of one anywhere goes to the primary.
	// Pgpool-II: primary_routing_query_pattern_list, where ^ and $ are added.
	PrimaryPatterns []string `yaml:"primary_patterns"`
}

// Functions are lists of regular expressions (RE2, case does not matter) that match a
// function's whole name, bare or with its schema. A function in both lists writes.
type Functions struct {
	// ReadOnly only read. Unlike with Pgpool-II's read_only_function_list, others are
	// not writers for not being in it.
	ReadOnly []string `yaml:"read_only"`
	// Write need the primary. Pgpool-II: write_function_list.
	Write []string `yaml:"write"`
}

// Catalog is what howdah learns of the databases' own functions, views and tables.
// replication_check.user reads it, in each database that clients use.
type Catalog struct {
	// TTL is how often it is looked whether the definitions of a database have changed
	// otherwise than through howdah. Pgpool-II: relcache_expire.
	TTL time.Duration `yaml:"ttl" min:"100ms"`
	// Size bounds what is kept of one database, in bytes; of one that has more, as
	// with 0 of all, only built-in names are known. Pgpool-II: relcache_size, in entries.
	Size ByteSize `yaml:"size" min:"0" max:"64GB"`
	// ForeignTables is primary or read: through standbys too.
	ForeignTables string `yaml:"foreign_tables" enum:"primary,read"`
}

// Redirect is a rule about where sessions read. Pgpool-II:
// user_redirect_preference_list, database_redirect_preference_list,
// app_name_redirect_preference_list.
type Redirect struct {
	// Match is what Pattern, a regular expression for the whole name in any case, is held against.
	Match   string `yaml:"match" enum:"user,database,app"`
	Pattern string `yaml:"pattern"`
	// Node is a backend's name, primary or standby (any of them).
	Node string `yaml:"node"`
	// Ratio is the share of the sessions that the rule takes; the others read as without it.
	Ratio float64 `yaml:"ratio" min:"0" max:"1"`
}

// ReplicationCheck is how the nodes are watched: role, position, liveness.
type ReplicationCheck struct {
	// Interval is from the start of one probe of a node to the start of the
	// next. Pgpool-II: sr_check_period.
	Interval time.Duration `yaml:"interval" min:"10ms"`
	// IdleInterval is the same while all nodes are up and nothing is written. A
	// statement on the primary ends that at once. Less than Interval counts as Interval.
	IdleInterval time.Duration `yaml:"idle_interval" min:"10ms"`
	// Timeout is for one probe, its login included; a node that takes longer
	// does not answer. Pgpool-II: health_check_timeout.
	Timeout time.Duration `yaml:"timeout" min:"10ms"`
	// Silences is how many probes in a row must get no answer before a node that was up
	// is down; with the first it is suspect, and not read from.
	// Pgpool-II: health_check_max_retries, less one.
	Silences int `yaml:"silences" min:"1" max:"1000"`
	// FreshInterval is how often a new connection is made beside the one that is kept
	// open: a server may serve old sessions and take no new ones, or another one answer at its address. 0 never.
	FreshInterval time.Duration `yaml:"fresh_interval" min:"0"`
	// User needs LOGIN and the role pg_monitor. Pgpool-II: sr_check_user.
	User     string `yaml:"user"`
	Password string `yaml:"password" secret:"yes"`
	// Database is where User logs in. Pgpool-II: sr_check_database.
	Database string `yaml:"database"`
	// MaxLagBytes and MaxLag are how far a standby may be behind the primary and
	// still be read; 0 is no limit. A lag that is not known is over any limit.
	// Pgpool-II: delay_threshold, delay_threshold_by_time.
	MaxLagBytes ByteSize      `yaml:"max_lag_bytes" max:"1TB"`
	MaxLag      time.Duration `yaml:"max_lag" min:"0"`
	// PreferLowerLag sends the reads of a session whose standby is over a limit to the
	// standby that lags least, not to the primary. Pgpool-II: prefer_lower_delay_standby.
	PreferLowerLag bool `yaml:"prefer_lower_lag"`
}

// Failover says what happens when servers fail.
type Failover struct {
	// Mode is who promotes a standby when the primary is lost: none (somebody else does, and
	// howdah follows), command (Command does), or native (howdah does, by SQL).
	Mode string `yaml:"mode" enum:"none,command,native"`
	// Hold is how long a statement that needs the primary waits for one; 0 not at all.
	Hold time.Duration `yaml:"hold" min:"0"`
	// MaxHeld is how many statements may wait so.
	MaxHeld int `yaml:"max_held" min:"0"`
	// Confirm is how long the primary must refuse connections before it is replaced.
	Confirm time.Duration `yaml:"confirm" min:"0"`
	// ShutdownGrace is the same if it was shut down in order: it may be restarted.
	// Pgpool-II: failover_on_backend_shutdown, which is without grace.
	ShutdownGrace time.Duration `yaml:"shutdown_grace" min:"0"`
	// RecoveryGrace is how long it may start or recover; 0 for ever.
	RecoveryGrace time.Duration `yaml:"recovery_grace" min:"0"`
	// IsolatedAfter is after how long a primary is replaced that howdah cannot reach but from which a
	// standby goes on to receive; 0 never.
	IsolatedAfter time.Duration `yaml:"isolated_after" min:"0"`
	// Cooldown is how long after a change of the primary howdah does not make another unasked.
	Cooldown time.Duration `yaml:"cooldown" min:"0"`
	// RequireSync promotes only if no acknowledged commit can be lost, where there were synchronous standbys.
	RequireSync bool `yaml:"require_sync"`
	// MaxLoss is how much of the primary's log, as last seen, the candidate may lack; 0 is any.
	MaxLoss ByteSize `yaml:"max_loss" max:"1TB"`
	// Command promotes (mode: command). It is also run when a standby is lost, as Pgpool-II does.
	// Pgpool-II: failover_command, with all its placeholders.
	Command Command `yaml:"command"`
	// FollowPrimary is run for every other node after a promotion. Pgpool-II: follow_primary_command.
	FollowPrimary Command `yaml:"follow_primary"`
	// Failback is run when a node is taken in again. Pgpool-II: failback_command.
	Failback Command `yaml:"failback"`
	// Fence is run for the lost primary before another is promoted: it makes sure that it is off. The
	// promotion goes on if it fails.
	Fence Command `yaml:"fence"`
	// Recovery makes a node a standby of the primary anew. Its placeholders are those of Command.
	Recovery Command `yaml:"recovery"`
	// RecoveryScript is the same by a script in the primary's data directory, which the extension pgpool_recovery in
	// RecoveryDatabase runs there, with Pgpool-II's seven arguments, and pgpool_remote_start after it.
	// Pgpool-II: recovery_1st_stage_command, recovery_database.
	RecoveryScript   string `yaml:"recovery_script"`
	RecoveryDatabase string `yaml:"recovery_database"`
	// RecoveryShell is the same by a script of howdah's own with pg_basebackup: the command is a shell on
	// the node's host that gets the script as its standard input.
	RecoveryShell Command `yaml:"recovery_shell"`
	// HookTimeout is for each run of a command, but Recovery, which has RecoveryTimeout.
	HookTimeout time.Duration `yaml:"hook_timeout" min:"100ms"`
	// RecoveryTimeout is for Recovery. Pgpool-II: recovery_timeout.
	RecoveryTimeout time.Duration `yaml:"recovery_timeout" min:"1s"`
	// Tries is how often an action that fails is tried.
	Tries int `yaml:"tries" min:"1" max:"100"`
	// SearchTimeout is how long after Command the new primary is waited for; 0 for ever.
	// Pgpool-II: search_primary_node_timeout.
	SearchTimeout time.Duration `yaml:"search_timeout" min:"0"`
	// SwitchoverWait is how long a switchover waits for open transactions, and then for the target.
	SwitchoverWait time.Duration `yaml:"switchover_wait" min:"100ms"`
	// SoftFence makes a false primary read-only and ends its sessions.
	SoftFence bool `yaml:"soft_fence"`
	// ResolveCommits asks the next primary what became of a COMMIT that got no answer, instead of
	// reporting it as in doubt. It costs a query in front of each COMMIT that may have written.
	ResolveCommits bool `yaml:"resolve_commits"`
	// StateFile is where howdah keeps what it knows of the primary and does about it; empty is nowhere.
	// Needs a restart. Pgpool-II: pgpool_status.
	StateFile string `yaml:"state_file" path:"yes" reload:"no"`
	// AutoFailback takes a standby that was down in again once it streams and has
	// caught up; off leaves it out until it is attached. Pgpool-II: auto_failback, which is off there.
	AutoFailback bool `yaml:"auto_failback"`
	// HoldDown is how long a standby that was down twice within five minutes must
	// stay well before it is read again; it doubles with each further time, up to five minutes.
	// Pgpool-II: auto_failback_interval.
	HoldDown time.Duration `yaml:"hold_down" min:"0" max:"300s"`
}

// Limits bound the clients.
type Limits struct {
	// MaxClients is the most client connections; one more gets 53300.
	// Pgpool-II: num_init_children.
	MaxClients int `yaml:"max_clients" min:"1"`
	// ReservedClients is how many of them are for superusers only (what is_superuser says on the servers).
	// PostgreSQL: superuser_reserved_connections.
	ReservedClients int `yaml:"reserved_clients" min:"0"`
	// MaxDBClients and MaxUserClients are the most clients of each database and of each user; 0 is no limit.
	// pool.rules has max_clients for some. PgBouncer: max_db_client_connections, max_user_client_connections.
	MaxDBClients   int `yaml:"max_db_client_connections" min:"0"`
	MaxUserClients int `yaml:"max_user_client_connections" min:"0"`
	// MaxUnauthenticated is how many of them may not have logged in yet; one more, and the
	// oldest is closed. 0 is half of MaxClients.
	MaxUnauthenticated int `yaml:"max_unauthenticated" min:"0"`
	// LoginRate is how many connections an address may make per second; those over it get
	// 53300. 0 is no limit.
	LoginRate int `yaml:"login_rate" min:"0" max:"1000000"`
	// FailedLoginRate is how many logins of an address may fail per second, ten times as
	// many at once, before its connections get 53300 unheard. 0 is no limit.
	FailedLoginRate int `yaml:"failed_login_rate" min:"0" max:"1000000"`
	// MaxBuffered is the longest client message held in memory whole to decide
	// its route; longer ones are streamed to the primary.
	MaxBuffered ByteSize `yaml:"max_buffered" min:"8kB" max:"1GB"`
	// MaxStatements is how many prepared statements, and how many portals, of one client
	// are known to howdah; those over it still work, on the primary.
	MaxStatements int `yaml:"max_statements" min:"1"`
	// MaxStatementMemory is how much of a client's named prepared statements is kept; the same holds for those over it.
	MaxStatementMemory ByteSize `yaml:"max_statement_memory" min:"64kB" max:"1GB"`
	// Threads is how many processors may run sessions at the same time; 0 is half of
	// what the machine has, at least one. One busy thread spends less per query than
	// several half-idle ones, and the servers often share the machine. The
	// environment's GOMAXPROCS, if set, wins over 0.
	Threads int `yaml:"threads" min:"0" max:"1024"`
	// IOUring has what is ready at the same time sent by one system call, with io_uring(7), where
	// the kernel has it and lets howdah use it (many container runtimes do not). Else, or if it
	// is false, each is sent by its own, which costs more of the processor.
	IOUring bool `yaml:"io_uring"`
}

// Timeouts bound the waits that have no other section.
type Timeouts struct {
	// Auth is from accept to the end of login. Pgpool-II: authentication_timeout.
	Auth time.Duration `yaml:"auth" min:"10ms"`
	// Connect is for one connection to a server, login included. Pgpool-II: connect_timeout.
	Connect time.Duration `yaml:"connect" min:"10ms"`
	// ClientIdle drops a client that sent nothing for so long; 0 never.
	// Pgpool-II: client_idle_limit.
	ClientIdle time.Duration `yaml:"client_idle" min:"0"`
	// ClientCheck is how long a server may work for a client before it is looked
	// whether the client is still there; if it has closed, or half-closed, its
	// connection, the statement is canceled. 0 never looks.
	// PostgreSQL: client_connection_check_interval.
	ClientCheck time.Duration `yaml:"client_check" min:"0"`
	// Drain is how long a stop waits for sessions in the middle of work; 0 not at all.
	Drain time.Duration `yaml:"drain" min:"0"`
}

// Log says what is written to standard error.
type Log struct {
	Level string `yaml:"level" enum:"debug,info,warn,error"`
	// Format needs a restart.
	Format string `yaml:"format" enum:"text,json" reload:"no"`
	// NoticePerNodeStatement tells clients by a NOTICE which server gets which
	// statement. Pgpool-II: notice_per_node_statement.
	NoticePerNodeStatement bool `yaml:"notice_per_node_statement"`
	// PerNodeStatement writes the same to the log, literals included.
	// Pgpool-II: log_per_node_statement.
	PerNodeStatement bool `yaml:"per_node_statement"`
	// Destination is stderr, syslog or file. Needs a restart. Pgpool-II: log_destination, logging_collector.
	Destination string `yaml:"destination" enum:"stderr,syslog,file" reload:"no"`
	Syslog      Syslog `yaml:"syslog" reload:"no"`
	// File is where destination: file leads. It is opened anew on SIGHUP, on SIGUSR1 and by howdah log rotate.
	File     string   `yaml:"file" path:"yes" reload:"no"`
	FileMode FileMode `yaml:"file_mode" max:"0777" reload:"no"`
	// RepeatInterval is for how long a message may be repeated 20 times only; then the next line says how
	// often it was left out. 0 writes all.
	RepeatInterval time.Duration `yaml:"repeat_interval" min:"0" max:"1h" reload:"no"`
	// Connections and Disconnections log logins and ends of sessions, at info. Pgpool-II: log_connections,
	// log_disconnections.
	Connections    bool `yaml:"connections"`
	Disconnections bool `yaml:"disconnections"`
	// Hostname adds the client's name to what Connections logs. Pgpool-II: log_hostname.
	Hostname bool `yaml:"hostname"`
	// Statements logs the statements as clients send them, literals included. Pgpool-II: log_statement.
	Statements bool `yaml:"statements"`
	// ClientMessages logs every message of the clients by its name. Pgpool-II: log_client_messages.
	ClientMessages bool `yaml:"client_messages"`
	// ServerMessages logs the messages of the servers by their names: all (verbose), or one of several of a kind in a row
	// (terse). Pgpool-II: log_backend_messages.
	ServerMessages string `yaml:"server_messages" enum:"none,terse,verbose"`
}

// Syslog is where log.destination: syslog leads.
type Syslog struct {
	// Facility. Pgpool-II: syslog_facility.
	Facility string `yaml:"facility" enum:"local0,local1,local2,local3,local4,local5,local6,local7,daemon,user"`
	// Ident is the program's name there. Pgpool-II: syslog_ident.
	Ident string `yaml:"ident"`
	// Network and Address are those of another host's syslog; empty is this host's.
	Network string `yaml:"network" enum:",udp,tcp,unixgram,unix"`
	Address string `yaml:"address"`
}

// defaultAuthQuery gives no secret for a role that may not log in any more, as
// the server itself would refuse it.
const defaultAuthQuery = "SELECT rolname, CASE WHEN rolvaliduntil < pg_catalog.now() THEN NULL ELSE rolpassword END " +
	"FROM pg_catalog.pg_authid WHERE rolname = $1 AND rolcanlogin"

// DefaultBackend returns what a backend has where its entry says nothing. Name
// and host have no default.
func DefaultBackend() Backend {
	return Backend{Port: 5432, Weight: 1, ProxyProtocol: "off", Priority: 100}
}

// DefaultRedirect returns what an entry of routing.redirect has where it says nothing.
func DefaultRedirect() Redirect { return Redirect{Ratio: 1} }

// Default returns every setting's default. There is none for the backends (but
// see DefaultBackend) nor for who may connect: both must be given.
func Default() Config {
	return Config{
		Listen: Listen{Addresses: []string{"127.0.0.1"}, Port: 9999, UnixMode: 0o777},
		Auth:   Auth{Query: AuthQuery{SQL: defaultAuthQuery, Database: "postgres"}, VerifyInterval: time.Minute, ClearText: "tls"},
		TLS:    TLS{Client: ClientTLS{Mode: "allow", MinVersion: "TLSv1.2"}, Backend: BackendTLS{Mode: "prefer", MinVersion: "TLSv1.2"}},
		Pool: Pool{Mode: PoolSession, BackendPIDs: "own", MaxLogins: 20, NoticeAfter: 5 * time.Second, MaxPrepared: 200, MaxWaiters: 10_000, WaitTimeout: 30 * time.Second, IdleTimeout: 10 * time.Minute,
			MaxAge: time.Hour, ResetQuery: DefaultResetQuery},
		Routing: Routing{Balance: "session", Choice: "weight", Transactions: "until_write", AfterWrite: "transaction",
			Consistency: "session", Comments: "hint", LessonTTL: 10 * time.Minute, TrackedRelations: 1 << 16, CacheSize: 64 << 20},
		Catalog: Catalog{TTL: time.Minute, Size: 64 << 20, ForeignTables: "primary"},
		ReplicationCheck: ReplicationCheck{Interval: 100 * time.Millisecond, IdleInterval: 500 * time.Millisecond, Timeout: time.Second,
			Silences: 3, FreshInterval: 5 * time.Second, User: "postgres", Database: "postgres"},
		Failover: Failover{Mode: "none", Hold: 30 * time.Second, MaxHeld: 10_000, Confirm: time.Second,
			ShutdownGrace: 10 * time.Second, RecoveryGrace: 10 * time.Second, Cooldown: 30 * time.Second, RequireSync: true,
			HookTimeout: time.Minute, RecoveryDatabase: "template1", RecoveryTimeout: time.Hour, Tries: 3, SearchTimeout: 5 * time.Minute,
			SwitchoverWait: 10 * time.Second, AutoFailback: true, HoldDown: time.Second},
		VIP: defaultVIP(),
		Watchdog: Watchdog{Profile: "lan", CommandTimeout: 30 * time.Second,
			Pair: Pair{DatabaseLock: true, OnLoss: "wait", After: 10 * time.Second, SelfFenceAfter: 5 * time.Second}},
		Limits:   Limits{MaxClients: 10_000, FailedLoginRate: 10, MaxBuffered: 1 << 20, MaxStatements: 10_000, MaxStatementMemory: 32 << 20, IOUring: true},
		Timeouts: Timeouts{Auth: time.Minute, Connect: 10 * time.Second, ClientCheck: 10 * time.Second, Drain: 30 * time.Second},
		Admin:    defaultAdmin(),
		Log: Log{Level: "info", Format: "text", Destination: "stderr", RepeatInterval: 10 * time.Second, Syslog: Syslog{Facility: "local0", Ident: "howdah"},
			File: "/var/log/howdah/howdah.log", FileMode: 0o640, ServerMessages: "none"},
	}
}
