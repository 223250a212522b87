package migrate

import "strings"

// bouncerParam is what becomes of one setting of PgBouncer.
type bouncerParam struct {
	fate Fate
	note string
	take func(b *bouncer, s setting) Entry
}

// as takes a setting over as Pgpool-II's are.
func as(take func(*importer, setting) Entry) bouncerParam {
	return bouncerParam{take: func(b *bouncer, s setting) Entry { return take(b.importer, s) }}
}

func not(fate Fate, note string) bouncerParam { return bouncerParam{fate: fate, note: note} }

// ifTLS takes over the path of a file that means nothing without TLS.
func ifTLS(mode, key string) bouncerParam {
	return bouncerParam{take: func(b *bouncer, s setting) Entry {
		if m := b.values[mode].value; m == "" || m == "disable" {
			return unneeded(mode + " is disable")
		}
		return files(key)(b.importer, s)
	}}
}

const (
	byBouncer  = "howdah has no need of it"
	onServers  = "ALTER ROLE … SET or postgresql.conf on the servers bounds it; howdah passes the error on"
	socketOnly = "the system's settings are used"
)

// bouncerParams are the settings of PgBouncer up to 1.25.
var bouncerParams = map[string]bouncerParam{
	"listen_addr":      {take: (*bouncer).listenAddr},
	"listen_port":      as(number("listen.port")),
	"unix_socket_dir":  {take: (*bouncer).socketDir},
	"unix_socket_mode": as((*importer).socketMode), "unix_socket_group": not(ByHand, "give the directory of listen.unix_dirs that group"),
	"listen_backlog": not(Unneeded, socketOnly), "so_reuseport": not(Unneeded, "one howdah uses as many processors as limits.threads says"),
	"peer_id": not(Unneeded, "members of the watchdog forward each other's cancel requests"),

	"auth_type": {take: func(_ *bouncer, s setting) Entry { return Entry{Fate: Taken, To: "auth.hba"} }},
	"auth_file": {take: func(*bouncer, setting) Entry { return Entry{Fate: Taken, To: "auth.passwd_file"} }},
	"auth_hba_file": {take: func(b *bouncer, _ setting) Entry {
		if b.values["auth_type"].value != "hba" {
			return unneeded("auth_type is not hba")
		}
		return taken("auth.hba_file")
	}},
	"auth_ident_file": as(files("auth.ident_file")),
	"auth_query":      {take: (*bouncer).authQuery}, "auth_user": {take: (*bouncer).authUser}, "auth_dbname": as(texts("auth.query.database")),
	"auth_ldap_options": not(ByHand, "ldap is a method of auth.hba, with PostgreSQL's options"),
	"auth_rule":         not(Unneeded, byBouncer), "auth_ldap_parameter": not(ByHand, "ldap is a method of auth.hba, with PostgreSQL's options"),

	"pool_mode":         {take: (*bouncer).mode},
	"default_pool_size": as(number("pool.max_per_user")),
	"min_pool_size":     as(number("pool.min_per_user")),
	"max_client_conn":   as(number("limits.max_clients")),
	"max_db_connections": {take: func(b *bouncer, s setting) Entry {
		return told(number("pool.max_db_connections")(b.importer, s), "on each server")
	}},
	"max_user_connections": {take: func(b *bouncer, s setting) Entry {
		return told(number("pool.max_user_connections")(b.importer, s), "on each server")
	}},
	"max_db_client_connections": as(number("limits.max_db_client_connections")), "max_user_client_connections": as(number("limits.max_user_client_connections")),
	"reserve_pool_size": not(Unneeded, "pool.max_per_user is one limit; who waits is served fairly between users"), "reserve_pool_timeout": not(Unneeded, "there is no reserve pool"),
	"server_round_robin": not(Unneeded, byBouncer), "server_reset_query": {take: (*bouncer).reset}, "server_reset_query_always": not(Unneeded, "a connection is reset when its session ends, never between transactions"),
	"server_check_query": not(Unneeded, "a connection is looked at before its use, without a query"), "server_check_delay": not(Unneeded, "a connection is looked at before its use, without a query"),
	"server_fast_close": not(Unneeded, byBouncer), "server_lifetime": as(seconds("pool.max_age", "s")), "server_idle_timeout": as(seconds("pool.idle_timeout", "s")),
	"server_connect_timeout": {take: func(b *bouncer, s setting) Entry { return b.limited("timeouts.connect", s) }},
	"server_login_retry":     not(Unneeded, "failed servers are probed every 100 ms"), "client_login_timeout": {take: func(b *bouncer, s setting) Entry { return b.limited("timeouts.auth", s) }},
	"query_wait_timeout": {take: func(b *bouncer, s setting) Entry { return b.limited("pool.wait_timeout", s) }}, "query_wait_notify": as(seconds("pool.notice_after", "s")),
	"cancel_wait_timeout": not(Unneeded, "a cancel request needs no connection of the pool"),
	"query_timeout":       not(ByHand, "statement_timeout: "+onServers), "idle_transaction_timeout": not(ByHand, "idle_in_transaction_session_timeout: "+onServers), "transaction_timeout": not(ByHand, "transaction_timeout: "+onServers),
	"client_idle_timeout": as(seconds("timeouts.client_idle", "s")), "suspend_timeout": not(Unneeded, byBouncer), "autodb_idle_timeout": not(Unneeded, "databases are not listed"),
	"max_prepared_statements": {take: (*bouncer).prepared}, "disable_pqexec": not(ByHand, "several statements in one query are one unit in howdah; they cannot be forbidden"),
	"ignore_startup_parameters": not(Unneeded, "startup parameters reach the servers; sessions share connections only if theirs are the same"),
	"track_extra_parameters":    not(Unneeded, "howdah follows all settings"), "application_name_add_host": not(ByHand, "howdah sessions shows the clients' addresses"),
	"max_packet_size": not(Unneeded, "limits.max_buffered bounds memory, and longer messages pass"), "pkt_buf": not(Unneeded, byBouncer), "sbuf_loopcnt": not(Unneeded, byBouncer),
	"scram_iterations": not(Unneeded, "the servers' verifiers say it"), "host_connect_timeout": not(Unneeded, "timeouts.connect"),

	"client_tls_sslmode": {take: (*bouncer).clientTLS}, "client_tls_key_file": ifTLS("client_tls_sslmode", "tls.client.key"), "client_tls_cert_file": ifTLS("client_tls_sslmode", "tls.client.cert"), "client_tls_ca_file": ifTLS("client_tls_sslmode", "tls.client.ca"),
	"client_tls_protocols": not(Unneeded, "TLS 1.2 and later; tls.client.min_version"), "client_tls_ciphers": not(Unneeded, "safe ones are chosen; tls.client.ciphers takes IANA names"),
	"client_tls13_ciphers": not(Unneeded, "TLS 1.3 leaves no choice"), "client_tls_ecdhcurve": not(Unneeded, "safe ones are chosen"), "client_tls_dheparams": not(Unneeded, "no DHE ciphers are spoken"),
	"server_tls_sslmode": {take: (*bouncer).serverTLS}, "server_tls_key_file": ifTLS("server_tls_sslmode", "tls.backend.key"), "server_tls_cert_file": ifTLS("server_tls_sslmode", "tls.backend.cert"), "server_tls_ca_file": ifTLS("server_tls_sslmode", "tls.backend.ca"),
	"server_tls_protocols": not(Unneeded, "TLS 1.2 and later; tls.backend.min_version"), "server_tls_ciphers": not(Unneeded, "safe ones are chosen"), "server_tls13_ciphers": not(Unneeded, "TLS 1.3 leaves no choice"),

	"log_connections": as(toggle("log.connections")), "log_disconnections": as(toggle("log.disconnections")), "log_pooler_errors": not(Unneeded, "errors are always logged"),
	"log_stats": not(Unneeded, "/metrics has them (admin.http)"), "stats_period": not(Unneeded, "/metrics is read when asked"), "verbose": {take: (*bouncer).verbose},
	"logfile": not(Unneeded, toStderr), "pidfile": not(Unneeded, "howdah stays in the foreground; the service manager knows its process"),
	"syslog": {take: (*bouncer).syslog}, "syslog_facility": {take: (*bouncer).facility}, "syslog_ident": as(texts("log.syslog.ident")),
	"admin_users": not(ByHand, "users of the doors are in admin.users_file; on admin.socket root and howdah's own user need no password"), "stats_users": not(ByHand, "admin.readers are those of admin.users_file that may only look"),
	"user": not(Unneeded, "the service manager says who runs howdah"), "service_name": not(Unneeded, byBouncer), "job_name": not(Unneeded, byBouncer), "conffile": not(Unneeded, byBouncer), "resolv_conf": not(Unneeded, "the system's resolver is used"),
	"dns_max_ttl": not(Unneeded, "names are looked up for every new connection"), "dns_nxdomain_ttl": not(Unneeded, "names are looked up for every new connection"), "dns_zone_check_period": not(Unneeded, "names are looked up for every new connection"),
	"tcp_defer_accept": not(Unneeded, "on"), "tcp_socket_buffer": not(Unneeded, socketOnly), "tcp_keepalive": not(Unneeded, "on"), "tcp_keepcnt": not(Unneeded, socketOnly), "tcp_keepidle": not(Unneeded, socketOnly),
	"tcp_keepintvl": not(Unneeded, socketOnly), "tcp_user_timeout": not(Unneeded, "timeouts.client_check finds clients that are gone"),
}

// told adds a note to what is taken over.
func told(e Entry, note string) Entry {
	if e.Fate == Taken {
		e.Fate, e.Note = Changed, note
	}
	return e
}

func (b *bouncer) listenAddr(s setting) Entry {
	addresses := split(s.value, ",")
	b.out.set("listen.addresses", list(addresses), s.comment())
	return taken("listen.addresses")
}

func (b *bouncer) socketDir(s setting) Entry {
	if s.value == "" {
		return Entry{Fate: Default}
	}
	return directories("listen.unix_dirs")(b.importer, s)
}

func (b *bouncer) authQuery(s setting) Entry {
	if b.values["auth_user"].value == "" {
		return unneeded("auth_user is not given")
	}
	b.out.set("auth.query.sql", text(s.value), s.comment())
	return taken("auth.query.sql")
}

// authUser is who runs auth_query; its password is in auth_file.
func (b *bouncer) authUser(s setting) Entry {
	b.out.set("auth.query.user", text(s.value), s.comment())
	if password := b.passwords[s.value]; password != "" {
		b.out.set("auth.query.password", text(password), "of auth_file; better: !file PATH")
		return taken("auth.query.user")
	}
	return told(taken("auth.query.user"), "auth_file has no password of it in clear text: set auth.query.password, or have the servers trust howdah's host for it")
}

func (b *bouncer) mode(s setting) Entry {
	switch s.value {
	case "session":
		return Entry{Fate: Default}
	case "transaction", "statement":
		b.out.set("pool.mode", text(s.value), s.comment())
		return told(taken("pool.mode"), "what must not move keeps its connection (docs/POOLING.md), instead of breaking")
	}
	return refused("%q is no mode", s.value)
}

func (b *bouncer) reset(s setting) Entry {
	if s.value == "" {
		return refused("without a reset a session sees the settings of the one before; howdah does DISCARD ALL")
	}
	return b.resetQuery(s)
}

// limited takes over a duration that has no "never" in howdah.
func (b *bouncer) limited(key string, s setting) Entry {
	if d, ok := duration(s.value, "s"); ok && d == "0" {
		return changed(key, "howdah always has a limit; it stays at its default")
	}
	return seconds(key, "s")(b.importer, s)
}

func (b *bouncer) prepared(s setting) Entry {
	if s.value == "0" {
		return changed("pool.max_prepared", "howdah always follows prepared statements; it stays at 200")
	}
	return number("pool.max_prepared")(b.importer, s)
}

func (b *bouncer) clientTLS(s setting) Entry {
	mode, note := s.value, ""
	switch mode {
	case "disable":
		mode = "off"
	case "allow", "prefer":
		mode = "allow"
	case "require":
	case "verify-ca", "verify-full":
		mode, note = "require", "clients must show a certificate if their rule says so: add clientcert="+s.value+" to the rules of auth.hba"
	default:
		return refused("%q is no mode", s.value)
	}
	b.out.set("tls.client.mode", text(mode), s.comment())
	if note != "" {
		return changed("tls.client.mode", note)
	}
	return taken("tls.client.mode")
}

func (b *bouncer) serverTLS(s setting) Entry {
	mode := s.value
	switch mode {
	case "allow":
		mode = "prefer"
	case "disable", "prefer", "require", "verify-ca", "verify-full":
	default:
		return refused("%q is no mode", s.value)
	}
	b.out.set("tls.backend.mode", text(mode), s.comment())
	return taken("tls.backend.mode")
}

func (b *bouncer) verbose(s setting) Entry {
	if n, ok := atoi(s.value); !ok || n < 2 {
		return Entry{Fate: Default}
	}
	b.out.set("log.level", text("debug"), s.comment())
	return taken("log.level")
}

func (b *bouncer) syslog(s setting) Entry {
	on, ok := switchOf(s.value)
	switch {
	case !ok:
		return refused("%q is neither on nor off", s.value)
	case !on:
		return Entry{Fate: Default}
	}
	b.out.set("log.destination", text("syslog"), s.comment())
	return taken("log.destination")
}

func (b *bouncer) facility(s setting) Entry {
	switch f := strings.ToLower(s.value); f {
	case "daemon", "user":
		b.out.set("log.syslog.facility", text(f), s.comment())
		return taken("log.syslog.facility")
	}
	if strings.HasPrefix(strings.ToLower(s.value), "local") {
		return b.syslogFacility(s)
	}
	return changed("log.syslog.facility", "howdah uses local0 to local7, daemon or user")
}
