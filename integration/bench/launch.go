package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
)

// Every contender keeps its own defaults, but for addresses, limits that the
// clients need, trusting logins, and no logging of single connections. All talk
// plain TCP to both sides, but for kindTLS.

func launchHowdah(s site) (command, error) {
	conf, err := s.write("howdah.yaml", howdahConfig(s))
	return command{argv: []string{s.program, "serve", "-c", conf}, stop: syscall.SIGTERM, orphan: syscall.SIGKILL}, err
}

func howdahConfig(s site) string {
	var b strings.Builder
	fmt.Fprintf(&b, "listen: {addresses: [127.0.0.1], port: %d}\n", s.port)
	b.WriteString("backends:\n")
	for i, port := range s.backends {
		fmt.Fprintf(&b, "  - {name: pg%d, host: 127.0.0.1, port: %d, weight: 1}\n", i, port)
	}
	b.WriteString("auth:\n  hba: [\"host all all 127.0.0.1/32 trust\"]\n")
	fmt.Fprintf(&b, "limits: {max_clients: %d}\n", s.clients)
	if s.kind.shares() {
		fmt.Fprintf(&b, "pool: {mode: transaction, max_per_user: %d, max_waiters: %d}\n", poolSize, s.clients)
	}
	if s.kind == kindTLS {
		fmt.Fprintf(&b, "tls:\n  client: {mode: require, cert: %q, key: %q}\n  backend: {mode: require}\n", s.shows.cert, s.shows.key)
	} else {
		b.WriteString("tls: {backend: {mode: disable}}\n")
	}
	// A drain waits for sessions; at the end of the benchmark there is nothing to wait for.
	b.WriteString("timeouts: {drain: 1s}\nlog: {level: warn}\n")
	fmt.Fprintf(&b, "admin: {socket: %q}\n", filepath.Join(s.dir, adminSocket))
	return b.String()
}

func launchPgBouncer(s site) (command, error) {
	users, err := s.write("users.txt", fmt.Sprintf("%q \"\"\n", s.user))
	if err != nil {
		return command{}, err
	}
	conf, err := s.write("pgbouncer.ini", pgbouncerConfig(s, users))
	// SIGTERM is its immediate shutdown (SIGINT waits for clients).
	return command{argv: []string{s.program, conf}, stop: syscall.SIGTERM, orphan: syscall.SIGKILL}, err
}

func pgbouncerConfig(s site, users string) string {
	mode, size := "session", min(s.clients, s.connections)
	if s.kind.shares() {
		mode, size = "transaction", poolSize
	}
	tls := "server_tls_sslmode = disable\n"
	if s.kind == kindTLS {
		tls = fmt.Sprintf("client_tls_sslmode = require\nclient_tls_cert_file = %s\nclient_tls_key_file = %s\nserver_tls_sslmode = require\n", s.shows.cert, s.shows.key)
	}
	return fmt.Sprintf(`[databases]
%[1]s = host=127.0.0.1 port=%[2]d dbname=%[1]s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %[3]d
unix_socket_dir =
auth_type = trust
auth_file = %[4]s
pool_mode = %[7]s
max_client_conn = %[5]d
default_pool_size = %[6]d
ignore_startup_parameters = extra_float_digits
log_connections = 0
log_disconnections = 0
log_stats = 0
%[8]s`, s.database, s.backends[0], s.port, users, s.clients, size, mode, tls)
}

func launchHAProxy(s site) (command, error) {
	conf, err := s.write("haproxy.cfg", haproxyConfig(s))
	// -db stays in the foreground, one process; SIGTERM stops at once.
	return command{argv: []string{s.program, "-db", "-f", conf}, stop: syscall.SIGTERM, orphan: syscall.SIGKILL}, err
}

func haproxyConfig(s site) string {
	var b strings.Builder
	fmt.Fprintf(&b, `global
    maxconn %d
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
frontend clients
    bind 127.0.0.1:%d
    default_backend servers
backend servers
`, s.clients, s.port)
	for i, port := range s.backends {
		fmt.Fprintf(&b, "    server pg%d 127.0.0.1:%d\n", i, port)
	}
	return b.String()
}

func launchPgpool(s site) (command, error) {
	pcp, err := s.write("pcp.conf", "")
	if err != nil {
		return command{}, err
	}
	hba, err := s.write("pool_hba.conf", "host all all 127.0.0.1/32 trust\n")
	if err != nil {
		return command{}, err
	}
	conf, err := s.write("pgpool.conf", pgpoolConfig(s))
	// -n foreground, -D forget node states. SIGINT is the fast shutdown, which
	// also ends its children; so it is for an orphan.
	return command{argv: []string{s.program, "-n", "-D", "-f", conf, "-F", pcp, "-a", hba},
		stop: syscall.SIGINT, orphan: syscall.SIGINT}, err
}

func pgpoolConfig(s site) string {
	var b strings.Builder
	fmt.Fprintf(&b, `backend_clustering_mode = 'streaming_replication'
listen_addresses = '127.0.0.1'
port = %d
socket_dir = '%[3]s'
pcp_listen_addresses = '127.0.0.1'
pcp_port = %[2]d
pcp_socket_dir = '%[3]s'
wd_ipc_socket_dir = '%[3]s'
pid_file_name = '%[3]s/pgpool.pid'
logdir = '%[3]s'
memqcache_oiddir = '%[3]s'
sr_check_user = '%[4]s'
health_check_user = '%[4]s'
failover_on_backend_error = off
num_init_children = %[5]d
child_life_time = 0
load_balance_mode = on
log_min_messages = warning
`, s.port, s.spare, s.dir, s.user, s.clients+pgpoolSpareChildren)
	if s.kind == kindTLS { // to the servers, too, if they have it
		fmt.Fprintf(&b, "ssl = on\nssl_cert = '%s'\nssl_key = '%s'\n", s.shows.cert, s.shows.key)
	}
	for i, port := range s.backends {
		fmt.Fprintf(&b, `backend_hostname%[1]d = '127.0.0.1'
backend_port%[1]d = %[2]d
backend_weight%[1]d = 1
backend_data_directory%[1]d = '%[3]s/none'
backend_flag%[1]d = 'DISALLOW_TO_FAILOVER'
`, i, port, s.dir)
	}
	return b.String()
}

// pgpoolSpareChildren: a child serves one client and is busy with the reset a
// moment after it left, so exactly as many children as clients would let the
// next round's clients wait.
const pgpoolSpareChildren = 8
