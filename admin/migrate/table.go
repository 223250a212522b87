package migrate

import "strings"

// param is what becomes of one parameter of Pgpool-II. N in its name is a number.
type param struct {
	name string
	// defaults are Pgpool-II's, of all versions, and values that mean the same, separated by |.
	// A parameter that is not taken has nothing to say with one of them.
	defaults string
	fate     Fate
	note     string
	// gate is a switch without which the parameter means nothing.
	gate string
	// take takes it over; nil for what is Unneeded or Unsupported.
	take func(im *importer, s setting) Entry
}

// Notes that several parameters share.
const (
	oneProcess  = "howdah is one process, not one for every client"
	noHealth    = "howdah asks every server every 100 ms (replication_check); one probe finds role, position and liveness"
	byCheckUser = "the recovery is run as replication_check.user, which must be a superuser"
	useWatchdog = "members know each other by keys: howdah watchdog keygen, then the watchdog section (docs/OPERATIONS.md, configs/samples/three.yml)"
	noHeartbeat = "the members of the watchdog need no settings for that; watchdog.profile says how fast they are"
	majority    = "the watchdog always decides by a majority"
	noCache     = "howdah has no query cache; reads are spread over the standbys instead"
	onlyNative  = "only for native_replication and snapshot_isolation"
	toStderr    = "howdah logs to standard error, which systemd keeps and rotates, to syslog, or to a file (log.destination, log.file)"
	byLogrotate = "log.file is one file, which logrotate renames (an example is in the package)"
	noParallel  = "gone from Pgpool-II too"
	misprint    = "a misprint in a sample file, which Pgpool-II ignores; "
	fromCatalog = "howdah reads from the catalogs what tables and functions are, and again when they change"
)

// params are all parameters of Pgpool-II 4.3 to 4.7. What howdah learns to do moves
// from Unsupported to a take function.
var params = []param{
	{name: "backend_clustering_mode", take: (*importer).clusteringMode},

	// Connections
	{name: "listen_addresses", take: (*importer).listenAddresses},
	{name: "port", take: number("listen.port")},
	{name: "unix_socket_directories", take: directories("listen.unix_dirs")},
	{name: "unix_socket_permissions", take: (*importer).socketMode},
	{name: "unix_socket_group", defaults: "", fate: Unsupported, note: "give the directory of listen.unix_dirs that group, and set listen.unix_mode"},
	{name: "pcp_listen_addresses", take: (*importer).pcpAddresses},
	{name: "pcp_port", take: number("admin.pcp.port")},
	{name: "pcp_socket_dir", take: directories("admin.pcp.unix_dirs")},
	{name: "listen_backlog_multiplier", fate: Unneeded, note: "the backlog is the system's largest (net.core.somaxconn)"},
	{name: "serialize_accept", fate: Unneeded, note: oneProcess},
	{name: "reserved_connections", take: (*importer).reserved},

	// Backends
	{name: "backend_hostnameN", take: backendField},
	{name: "backend_portN", take: backendField},
	{name: "backend_weightN", take: backendField},
	{name: "backend_application_nameN", take: backendField},
	{name: "backend_data_directoryN", take: backendField},
	{name: "backend_flagN", take: (*importer).backendFlag},

	// Authentication
	{name: "enable_pool_hba", take: (*importer).poolHBA},
	{name: "pool_passwd", take: (*importer).poolPasswd},
	{name: "authentication_timeout", take: (*importer).authTimeout},
	{name: "allow_clear_text_frontend_auth", defaults: "off", fate: Unsupported,
		note: "users who are in no file: set auth.query, which asks a server for their stored secret"},

	// TLS
	{name: "ssl", defaults: "off", take: (*importer).ssl},
	{name: "ssl_key", gate: "ssl", take: files("tls.client.key")},
	{name: "ssl_cert", gate: "ssl", take: files("tls.client.cert")},
	{name: "ssl_ca_cert", gate: "ssl", take: files("tls.client.ca")},
	{name: "ssl_ca_cert_dir", gate: "ssl", take: (*importer).sslDirectory},
	{name: "ssl_crl_file", gate: "ssl", take: (*importer).revoked},
	{name: "ssl_ciphers", gate: "ssl", fate: Unneeded, note: "safe ones are chosen; tls.client.ciphers takes IANA names"},
	{name: "ssl_prefer_server_ciphers", gate: "ssl", fate: Unneeded, note: "the best that both sides have is chosen"},
	{name: "ssl_ecdh_curve", gate: "ssl", fate: Unneeded, note: "safe ones are chosen; tls.client.curves takes others"},
	{name: "ssl_dh_params_file", gate: "ssl", fate: Unneeded, note: "no DHE ciphers are spoken"},
	{name: "ssl_passphrase_command", gate: "ssl", defaults: "", fate: Unsupported, note: "give tls.client.key a key without a passphrase"},

	// Processes and pools
	{name: "process_management_mode", fate: Unneeded, note: oneProcess},
	{name: "process_management_strategy", fate: Unneeded, note: oneProcess},
	{name: "min_spare_children", fate: Unneeded, note: oneProcess},
	{name: "max_spare_children", fate: Unneeded, note: oneProcess},
	{name: "num_init_children", take: (*importer).clients},
	{name: "max_pool", fate: Unneeded, note: "the pool is shared by all sessions and bounded by what each server takes; bound it lower by pool.max_per_node"},
	{name: "child_life_time", fate: Unneeded, note: oneProcess},
	{name: "child_max_connections", fate: Unneeded, note: oneProcess},
	{name: "connection_life_time", take: seconds("pool.idle_timeout", "s")},
	{name: "client_idle_limit", take: seconds("timeouts.client_idle", "s")},
	{name: "client_idle_limit_in_recovery", defaults: "0", fate: Unneeded, note: "no recovery blocks clients"},
	{name: "connection_cache", take: (*importer).connectionCache},
	{name: "reset_query_list", take: (*importer).resetQuery},

	// Logs
	{name: "log_destination", take: (*importer).logDestination},
	{name: "log_line_prefix", fate: Unneeded, note: "lines are key=value or JSON (log.format) and always have time, user, database and client"},
	{name: "log_connections", defaults: "off", take: toggle("log.connections")},
	{name: "log_disconnections", defaults: "off", take: toggle("log.disconnections")},
	{name: "log_hostname", defaults: "off", take: toggle("log.hostname")},
	{name: "log_pcp_processes", fate: Unneeded, note: "operators' commands are always logged"},
	{name: "log_statement", defaults: "off", take: toggle("log.statements")},
	{name: "log_per_node_statement", take: toggle("log.per_node_statement")},
	{name: "notice_per_node_statement", take: toggle("log.notice_per_node_statement")},
	{name: "log_client_messages", defaults: "off", take: toggle("log.client_messages")},
	{name: "log_backend_messages", defaults: "none", take: words("log.server_messages", "none", "terse", "verbose")},
	{name: "log_standby_delay", fate: Unneeded, note: "howdah logs when a standby goes over a limit and when it is back"},
	{name: "log_error_verbosity", fate: Unneeded, note: "errors of servers pass unchanged"},
	{name: "client_min_messages", fate: Unneeded, note: "howdah sends clients no messages but errors"},
	{name: "log_min_messages", take: (*importer).logLevel},
	{name: "debug_level", defaults: "0", fate: Unneeded, note: "set log.level"},
	{name: "syslog_facility", gate: "log_destination", defaults: "LOCAL0|local0", take: (*importer).syslogFacility},
	{name: "syslog_ident", gate: "log_destination", defaults: "pgpool", take: texts("log.syslog.ident")},
	{name: "logging_collector", defaults: "off", take: (*importer).collector},
	{name: "log_directory", gate: "logging_collector", take: (*importer).logDirectory},
	{name: "log_filename", gate: "logging_collector", fate: Unneeded, note: byLogrotate},
	{name: "log_file_mode", gate: "logging_collector", take: (*importer).logFileMode},
	{name: "log_truncate_on_rotation", gate: "logging_collector", fate: Unneeded, note: byLogrotate},
	{name: "log_rotation_age", gate: "logging_collector", fate: Unneeded, note: byLogrotate},
	{name: "log_rotation_size", gate: "logging_collector", fate: Unneeded, note: byLogrotate},
	{name: "pid_file_name", fate: Unneeded, note: "howdah stays in the foreground; the service manager knows its process"},
	{name: "work_dir", fate: Unneeded, note: "there is no pgpool_status: the servers are asked what they are"},

	// Native replication
	{name: "replicate_select", fate: Unneeded, note: onlyNative},
	{name: "insert_lock", fate: Unneeded, note: onlyNative},
	{name: "lobj_lock_table", fate: Unneeded, note: onlyNative},
	{name: "replication_stop_on_mismatch", fate: Unneeded, note: onlyNative},
	{name: "failover_if_affected_tuples_mismatch", fate: Unneeded, note: onlyNative},

	// Load balancing
	{name: "load_balance_mode", take: (*importer).balance},
	{name: "statement_level_load_balance", take: (*importer).statementLevel},
	{name: "ignore_leading_white_space", fate: Unneeded, note: "statements are parsed; white space never matters"},
	{name: "read_only_function_list", take: (*importer).readOnlyFunctions},
	{name: "write_function_list", take: functions("routing.functions.write")},
	{name: "primary_routing_query_pattern_list", take: (*importer).patterns},
	{name: "user_redirect_preference_list", take: redirects("user")},
	{name: "database_redirect_preference_list", take: redirects("database")},
	{name: "app_name_redirect_preference_list", take: redirects("app")},
	{name: "allow_sql_comments", take: (*importer).comments},
	{name: "disable_load_balance_on_write", take: (*importer).afterWrite},
	{name: "dml_adaptive_object_relationship_list", take: (*importer).dependencies},
	{name: "track_table_mutation_ttl_factor", fate: Unneeded, note: "routing.consistency: cluster knows when a standby has caught up"},
	{name: "track_table_mutation_max_staleness", fate: Unneeded, note: "routing.consistency: cluster knows when a standby has caught up"},
	{name: "track_table_mutation_cold_start_duration", fate: Unneeded, note: "routing.consistency: cluster knows when a standby has caught up"},
	{name: "track_table_mutation_table_buckets", fate: Unneeded, note: "see routing.tracked_relations"},
	{name: "track_table_mutation_table_size", fate: Unneeded, note: "see routing.tracked_relations"},

	// Streaming replication
	{name: "sr_check_period", fate: Unneeded, note: noHealth},
	{name: "sr_check_user", take: (*importer).checkUser},
	{name: "sr_check_password", take: (*importer).checkPassword},
	{name: "sr_check_database", take: texts("replication_check.database")},
	{name: "delay_threshold", take: (*importer).maxLagBytes},
	{name: "delay_threshold_by_time", take: seconds("replication_check.max_lag", "ms")},
	{name: "prefer_lower_delay_standby", take: toggle("replication_check.prefer_lower_lag")},
	{name: "replication_delay_source_cmd", defaults: "", fate: Unsupported, note: "howdah asks the servers themselves"},
	{name: "replication_delay_source_timeout", gate: "replication_delay_source_cmd", fate: Unneeded, note: "howdah asks the servers themselves"},
	{name: "follow_primary_command", defaults: "", take: command("failover.follow_primary")},

	// Health check
	{name: "health_check_period", fate: Unneeded, note: noHealth},
	{name: "health_check_timeout", take: (*importer).checkTimeout},
	{name: "health_check_user", fate: Unneeded, note: "replication_check.user asks everything"},
	{name: "health_check_password", fate: Unneeded, note: "replication_check.user asks everything"},
	{name: "health_check_database", fate: Unneeded, note: "replication_check.user asks everything"},
	{name: "health_check_max_retries", fate: Unneeded, note: "a server that misses one probe gets no reads until it answers again; no session ends for it"},
	{name: "health_check_retry_delay", fate: Unneeded, note: noHealth},
	{name: "health_check_test", defaults: "off", fate: Unneeded, note: "for tests of Pgpool-II"},
	{name: "connect_timeout", take: (*importer).connectTimeout},
	{name: "health_check_periodN", fate: Unneeded, note: noHealth},
	{name: "health_check_timeoutN", defaults: "", take: backendCheck},
	{name: "health_check_userN", defaults: "", take: backendCheck},
	{name: "health_check_passwordN", defaults: "", take: backendCheck},
	{name: "health_check_databaseN", defaults: "", take: backendCheck},
	{name: "health_check_max_retriesN", fate: Unneeded, note: noHealth},
	{name: "health_check_retry_delayN", fate: Unneeded, note: noHealth},
	{name: "connect_timeoutN", fate: Unneeded, note: "timeouts.connect is the same for all servers; backends[].check.timeout bounds probes"},

	// Failover
	{name: "failover_command", defaults: "", take: (*importer).failoverCommand},
	{name: "failback_command", defaults: "", take: command("failover.failback")},
	{name: "failover_on_backend_error", fate: Unneeded, note: "an I/O error makes howdah probe the server; what the probe finds counts"},
	{name: "failover_on_backend_shutdown", defaults: "off", take: (*importer).onShutdown},
	{name: "detach_false_primary", fate: Unneeded, note: "a second primary never gets statements, and is used again when it is a standby"},
	{name: "search_primary_node_timeout", gate: "failover_command", take: seconds("failover.search_timeout", "s")},
	{name: "auto_failback", take: (*importer).autoFailback},
	{name: "auto_failback_interval", fate: Unneeded, note: "failover.hold_down keeps a server that fails again and again out for longer"},

	// Online recovery
	{name: "recovery_user", gate: "recovery_1st_stage_command", defaults: "", take: (*importer).recoveryUser},
	{name: "recovery_password", gate: "recovery_1st_stage_command", fate: Unneeded, note: byCheckUser},
	{name: "recovery_database", gate: "recovery_1st_stage_command", take: texts("failover.recovery_database")},
	{name: "recovery_1st_stage_command", defaults: "", take: (*importer).recoveryScript},
	{name: "recovery_2nd_stage_command", defaults: "", fate: Unneeded, note: onlyNative},
	{name: "recovery_timeout", gate: "recovery_1st_stage_command", take: seconds("failover.recovery_timeout", "s")},

	// Watchdog
	{name: "use_watchdog", defaults: "off", fate: ByHand, note: useWatchdog},
	{name: "trusted_servers", gate: "use_watchdog", defaults: "", fate: ByHand, note: "watchdog.trusted_servers takes them, as host:port"},
	{name: "trusted_server_command", gate: "use_watchdog", fate: Unneeded, note: noHeartbeat},
	{name: "ping_path", gate: "use_watchdog", fate: Unneeded, note: noHeartbeat},
	{name: "hostnameN", gate: "use_watchdog", defaults: "", fate: ByHand, note: "watchdog.peers[].host"},
	{name: "wd_portN", gate: "use_watchdog", fate: ByHand, note: "watchdog.peers[].port"},
	{name: "pgpool_portN", gate: "use_watchdog", fate: Unneeded, note: noHeartbeat},
	{name: "wd_listen_address", gate: "use_watchdog", fate: ByHand, note: "watchdog.peers[].host"},
	{name: "wd_listen_port", gate: "use_watchdog", fate: ByHand, note: "watchdog.peers[].port"},
	{name: "wd_priority", gate: "use_watchdog", fate: ByHand, note: "watchdog.peers[].priority"},
	{name: "wd_authkey", gate: "use_watchdog", defaults: "", fate: ByHand, note: "keys take its place"},
	{name: "wd_ipc_socket_dir", gate: "use_watchdog", fate: Unneeded, note: "there is no such socket"},
	{name: "delegate_ip", gate: "use_watchdog", defaults: "", fate: ByHand, note: "vip.addresses; vip.mode: netlink needs no commands (docs/VIP.md)"},
	{name: "if_cmd_path", gate: "use_watchdog", fate: Unneeded, note: "howdah needs no commands for an address (vip.mode: netlink)"},
	{name: "if_up_cmd", gate: "use_watchdog", fate: ByHand, note: "vip.commands.up, with vip.mode: commands"},
	{name: "if_down_cmd", gate: "use_watchdog", fate: ByHand, note: "vip.commands.down, with vip.mode: commands"},
	{name: "arping_path", gate: "use_watchdog", fate: Unneeded, note: "howdah needs no commands for an address (vip.mode: netlink)"},
	{name: "arping_cmd", gate: "use_watchdog", fate: ByHand, note: "vip.commands.announce, with vip.mode: commands"},
	{name: "clear_memqcache_on_escalation", fate: Unneeded, note: noCache},
	{name: "wd_escalation_command", gate: "use_watchdog", defaults: "", fate: ByHand, note: "watchdog.escalation_command"},
	{name: "wd_de_escalation_command", gate: "use_watchdog", defaults: "", fate: ByHand, note: "watchdog.deescalation_command"},
	{name: "failover_when_quorum_exists", gate: "use_watchdog", fate: Unneeded, note: majority},
	{name: "failover_require_consensus", gate: "use_watchdog", fate: Unneeded, note: majority},
	{name: "allow_multiple_failover_requests_from_node", gate: "use_watchdog", fate: Unneeded, note: majority},
	{name: "enable_consensus_with_half_votes", gate: "use_watchdog", defaults: "off", fate: ByHand, note: "half of the votes is no majority: two halves could both decide; give a pair a witness (configs/samples/pair.yml)"},
	{name: "wd_remove_shutdown_nodes", gate: "use_watchdog", defaults: "off", fate: Unneeded, note: "members stay until howdah watchdog remove; one that is away still counts for the majority"},
	{name: "wd_lost_node_removal_timeout", gate: "use_watchdog", defaults: "0|0s", fate: Unneeded, note: "members stay until howdah watchdog remove; one that is away still counts for the majority"},
	{name: "wd_no_show_node_removal_timeout", gate: "use_watchdog", defaults: "0|0s", fate: Unneeded, note: "members stay until howdah watchdog remove; one that is away still counts for the majority"},
	{name: "wd_monitoring_interfaces_list", gate: "use_watchdog", defaults: "", fate: ByHand, note: "a leader whose address cannot be held gives way (vip.interface)"},
	{name: "wd_lifecheck_method", gate: "use_watchdog", fate: Unneeded, note: noHeartbeat},
	{name: "wd_interval", gate: "use_watchdog", fate: Unneeded, note: noHeartbeat},
	{name: "heartbeat_hostnameN", gate: "use_watchdog", defaults: "", fate: Unneeded, note: noHeartbeat},
	{name: "heartbeat_portN", gate: "use_watchdog", fate: Unneeded, note: noHeartbeat},
	{name: "heartbeat_deviceN", gate: "use_watchdog", defaults: "", fate: Unneeded, note: noHeartbeat},
	{name: "wd_heartbeat_listen_addresses", gate: "use_watchdog", fate: Unneeded, note: noHeartbeat},
	{name: "wd_heartbeat_listen_port", gate: "use_watchdog", fate: Unneeded, note: noHeartbeat},
	{name: "wd_heartbeat_port", gate: "use_watchdog", fate: Unneeded, note: noHeartbeat},
	{name: "wd_heartbeat_keepalive", gate: "use_watchdog", fate: Unneeded, note: noHeartbeat},
	{name: "wd_heartbeat_deadtime", gate: "use_watchdog", fate: Unneeded, note: noHeartbeat},
	{name: "wd_life_point", gate: "use_watchdog", fate: Unneeded, note: noHeartbeat},
	{name: "wd_lifecheck_query", gate: "use_watchdog", fate: Unneeded, note: noHeartbeat},
	{name: "wd_lifecheck_dbname", gate: "use_watchdog", fate: Unneeded, note: noHeartbeat},
	{name: "wd_lifecheck_user", gate: "use_watchdog", fate: Unneeded, note: noHeartbeat},
	{name: "wd_lifecheck_password", gate: "use_watchdog", fate: Unneeded, note: noHeartbeat},

	// Catalogs
	{name: "relcache_expire", take: (*importer).catalogTTL},
	{name: "relcache_size", fate: Unneeded, note: "catalog.size bounds the memory instead"},
	{name: "check_temp_table", fate: Unneeded, note: "temporary tables are always followed"},
	{name: "check_unlogged_table", fate: Unneeded, note: fromCatalog},
	{name: "enable_shared_relcache", fate: Unneeded, note: oneProcess},
	{name: "relcache_query_target", fate: Unneeded, note: fromCatalog},

	// Query cache
	{name: "memory_cache_enabled", defaults: "off", fate: Unsupported, note: noCache},
	{name: "memqcache_method", gate: "memory_cache_enabled", fate: Unsupported, note: noCache},
	{name: "memqcache_memcached_host", gate: "memory_cache_enabled", fate: Unsupported, note: noCache},
	{name: "memqcache_memcached_port", gate: "memory_cache_enabled", fate: Unsupported, note: noCache},
	{name: "memqcache_total_size", gate: "memory_cache_enabled", fate: Unsupported, note: noCache},
	{name: "memqcache_max_num_cache", gate: "memory_cache_enabled", fate: Unsupported, note: noCache},
	{name: "memqcache_expire", gate: "memory_cache_enabled", fate: Unsupported, note: noCache},
	{name: "memqcache_auto_cache_invalidation", gate: "memory_cache_enabled", fate: Unsupported, note: noCache},
	{name: "memqcache_maxcache", gate: "memory_cache_enabled", fate: Unsupported, note: noCache},
	{name: "memqcache_cache_block_size", gate: "memory_cache_enabled", fate: Unsupported, note: noCache},
	{name: "memqcache_cache_oiddir", gate: "memory_cache_enabled", fate: Unsupported, note: noCache},
	{name: "memqcache_oiddir", gate: "memory_cache_enabled", fate: Unsupported, note: noCache},
	{name: "cache_safe_memqcache_table_list", gate: "memory_cache_enabled", fate: Unsupported, note: noCache},
	{name: "cache_unsafe_memqcache_table_list", gate: "memory_cache_enabled", fate: Unsupported, note: noCache},

	// Gone before 4.3
	{name: "replication_mode", defaults: "off", take: (*importer).replicationMode},
	{name: "master_slave_mode", take: (*importer).primaryStandbyMode},
	{name: "master_slave_sub_mode", gate: "master_slave_mode", defaults: "stream", take: (*importer).subMode},
	{name: "parallel_mode", defaults: "off", fate: Unsupported, note: noParallel},
	{name: "pgpool2_hostname", gate: "parallel_mode", fate: Unsupported, note: noParallel},
	{name: "system_db_hostname", gate: "parallel_mode", fate: Unsupported, note: noParallel},
	{name: "system_db_port", gate: "parallel_mode", fate: Unsupported, note: noParallel},
	{name: "system_db_dbname", gate: "parallel_mode", fate: Unsupported, note: noParallel},
	{name: "system_db_schema", gate: "parallel_mode", fate: Unsupported, note: noParallel},
	{name: "system_db_user", gate: "parallel_mode", fate: Unsupported, note: noParallel},
	{name: "system_db_password", gate: "parallel_mode", fate: Unsupported, note: noParallel},
	{name: "enable_query_cache", defaults: "off", fate: Unsupported, note: noCache},
	{name: "print_timestamp", fate: Unneeded, note: "every line has its time"},
	{name: "print_user", fate: Unneeded, note: "every line has its user"},
	{name: "wd_hostname", gate: "use_watchdog", defaults: "", fate: ByHand, note: "watchdog.peers[].host"},
	{name: "wd_port", gate: "use_watchdog", fate: ByHand, note: "watchdog.peers[].port"},
	{name: "heartbeat_destinationN", gate: "use_watchdog", defaults: "", fate: Unneeded, note: noHeartbeat},
	{name: "heartbeat_destination_portN", gate: "use_watchdog", fate: Unneeded, note: noHeartbeat},
	{name: "other_pgpool_hostnameN", gate: "use_watchdog", defaults: "", fate: ByHand, note: "watchdog.peers[].host"},
	{name: "other_pgpool_portN", gate: "use_watchdog", fate: Unneeded, note: noHeartbeat},
	{name: "other_wd_portN", gate: "use_watchdog", fate: ByHand, note: "watchdog.peers[].port"},

	// Misprints of Pgpool-II's own sample files. It ignores what it does not know, so they never had an effect.
	{name: "pc_listen_addresses", fate: Unneeded, note: misprint + "pcp_listen_addresses counts"},
	{name: "wd_hostnameN", fate: Unneeded, note: misprint + "hostnameN counts"},
	{name: "enable_multiple_failover_requests_from_node", fate: Unneeded, note: misprint + majority},
}

// renamed are older names of parameters.
var renamed = map[string]string{
	"socket_dir":                 "unix_socket_directories",
	"logdir":                     "work_dir",
	"white_function_list":        "read_only_function_list",
	"black_function_list":        "write_function_list",
	"black_query_pattern_list":   "primary_routing_query_pattern_list",
	"follow_master_command":      "follow_primary_command",
	"fail_over_on_backend_error": "failover_on_backend_error",
	"delegate_ip":                "delegate_ip", // delegate_IP: names are read without regard to case
	"trusted_server":             "trusted_servers",
	"white_memqcache_table_list": "cache_safe_memqcache_table_list",
	"black_memqcache_table_list": "cache_unsafe_memqcache_table_list",
	"ifconfig_path":              "if_cmd_path",
}

// byName finds a parameter by the name in a file; index is its number, or -1.
func byName(name string) (p *param, index int) {
	if now, ok := renamed[name]; ok {
		name = now
	}
	for i := range params {
		if params[i].name == name {
			return &params[i], -1
		}
	}
	base, n := numbered(name)
	for i := range params {
		if params[i].name == base {
			return &params[i], n
		}
	}
	return nil, -1
}

// numbered takes the number off a name: backend_port1 is backend_portN and 1.
func numbered(name string) (base string, n int) {
	stem := strings.TrimRight(name, "0123456789")
	if stem == name {
		return name, -1
	}
	for _, c := range name[len(stem):] {
		n = min(10*n+int(c-'0'), 1_000_000)
	}
	return stem + "N", n
}

// isDefault says whether value is one of the parameter's defaults.
func (p *param) isDefault(value string) bool {
	if p.take == nil && p.defaults == "" && value == "" {
		return true
	}
	if p.defaults == "" {
		return false
	}
	for d := range strings.SplitSeq(p.defaults, "|") {
		if strings.EqualFold(d, value) {
			return true
		}
		want, isSwitch := switchOf(d)
		got, ok := switchOf(value)
		if isSwitch && ok && want == got {
			return true
		}
	}
	return false
}

// switchOf reads a boolean as Pgpool-II does.
func switchOf(value string) (on, ok bool) {
	switch strings.ToLower(value) {
	case "on", "true", "yes", "1", "t", "y":
		return true, true
	case "off", "false", "no", "0", "f", "n":
		return false, true
	}
	return false, false
}
