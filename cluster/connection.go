package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/wire"
	"github.com/jackc/pgx/v5/pgconn"
)

// connectionConfig is how to connect to a backend for probing. Nothing is
// taken from the environment or from files but what the configuration says.
func connectionConfig(b configs.Backend, check configs.ReplicationCheck, tls *auth.BackendTLS) (*pgconn.Config, error) {
	config, err := pgconn.ParseConfig(fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=%s sslmode=disable target_session_attrs=any",
		quote(b.Host), b.Port, quote(check.User), quote(check.Password), quote(check.Database)))
	if err != nil {
		// The text may hold the password.
		return nil, fmt.Errorf("make probe's connection settings for %q: host, user, database or a PG… variable of the environment is not valid", b.Name)
	}
	if tls != nil {
		config.TLSConfig = tls.Config
		if !tls.Required {
			config.Fallbacks = []*pgconn.FallbackConfig{{Host: config.Host, Port: config.Port}}
		}
	}
	if version := proxyVersion(b); version > 0 {
		config.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			return DialProxied(ctx, network, addr, version)
		}
	}
	config.Password = check.Password // even if empty: no .pgpass
	config.RuntimeParams = map[string]string{
		"application_name": "howdah probe",
		"search_path":      "pg_catalog",
		"client_encoding":  "UTF8",
	}
	config.ConnectTimeout = check.Timeout
	config.MaxProtocolMessageBodyLen = 1 << 16
	return config, nil
}

// proxyVersion reads a backend's proxy_protocol; 0 is none.
func proxyVersion(b configs.Backend) int {
	return map[string]int{"v1": 1, "v2": 2}[b.ProxyProtocol]
}

// DialProxied connects and sends a header of the PROXY protocol, unless version is 0. It
// names this end of the connection: no one client is behind it.
func DialProxied(ctx context.Context, network, addr string, version int) (net.Conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, network, addr)
	if err != nil || version == 0 {
		return nc, err
	}
	var from, to netip.AddrPort
	local, ok1 := nc.LocalAddr().(*net.TCPAddr)
	remote, ok2 := nc.RemoteAddr().(*net.TCPAddr)
	if ok1 && ok2 {
		from, to = local.AddrPort(), remote.AddrPort()
	}
	// A new connection takes so few bytes at once.
	if _, err := nc.Write(wire.AppendProxyHeader(nil, version, from, to)); err != nil {
		nc.Close()
		return nil, fmt.Errorf("send header of the PROXY protocol: %w", err)
	}
	return nc, nil
}

// quote writes a value for a connection string.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// aboutSQL is asked once on a new connection: what cannot change while the server runs.
const aboutSQL = `SELECT current_setting('server_version_num'),
	current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
		- coalesce(current_setting('reserved_connections', true), '0')::int,
	pg_size_bytes(current_setting('wal_segment_size')),
	current_setting('wal_block_size'),
	has_function_privilege('pg_control_system()', 'EXECUTE'),
	has_function_privilege('pg_control_checkpoint()', 'EXECUTE') AND has_function_privilege('pg_control_recovery()', 'EXECUTE'),
	EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'pg_stat_wal_receiver'::regclass AND attname = 'sender_host'),
	has_function_privilege('pg_read_file(text,bigint,bigint,boolean)', 'EXECUTE'),
	has_function_privilege('pg_ls_waldir()', 'EXECUTE'),
	current_setting('recovery_min_apply_delay', true) IS NOT NULL,
	EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'pg_stat_activity'::regclass AND attname = 'backend_type')`

const systemSQL = `SELECT system_identifier FROM pg_control_system()`

// statusSQL is asked by every probe. The recovery state is read once, as it
// may end in the middle. A primary's timeline is the one it inserts on (the
// control file knows it only after a checkpoint); a standby's is that of the
// log it streams, or %s if it does not stream or the role may not see (pg_monitor may). The
// receiver's status is '?' if the role may not see it.
const statusSQL = `SELECT s.standby,
	CASE WHEN s.standby THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END,
	CASE WHEN s.standby THEN coalesce(r.received_tli, %s)
		ELSE ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int END,
	CASE WHEN s.standby THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) END,
	CASE WHEN r.pid IS NULL THEN '' ELSE coalesce(r.status, '?') END,
	coalesce(%s, '')
	FROM (SELECT pg_is_in_recovery() AS standby OFFSET 0) s LEFT JOIN pg_stat_wal_receiver r ON true`

const controlTimelineSQL = `(SELECT greatest(c.timeline_id, r.min_recovery_end_timeline) FROM pg_control_checkpoint() c, pg_control_recovery() r)`

// logTimelineSQL is the highest timeline of which the server has log, and its history too. The control file follows only with the next
// restartpoint, so that a standby that was just promoted past, and then cut off from its upstream, would seem to be on the timeline before. And
// pg_rewind, which brings a false primary back to the timeline before, leaves log of its own: but not its history.
const logTimelineSQL = `(SELECT coalesce(max(t) FILTER (WHERE t = 1 OR history IN (SELECT name FROM pg_ls_waldir())), max(t))
	FROM (SELECT ('x' || left(name, 8))::bit(32)::int AS t, left(name, 8) || '.history' AS history FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$') l)`

// connection is one of howdah's own connections to a server.
type connection struct {
	conn *pgconn.PgConn
	// about is what aboutSQL answered, completed by every status.
	about server
	// mayRead: the role may read the server's files; hasDelay: its standbys may be delayed by a setting.
	mayRead, hasDelay bool
	// detailed is when (Now) the details were asked last, for a server in this role on this timeline.
	detailed     int64
	detailedRole Role
	detailedTLI  uint32
	// brief: the details are not wanted; asked: the status was asked once.
	brief, asked bool
}

const statusStatement = "howdah_status"

// connect opens a connection and asks what cannot change. The caller closes it.
func connect(ctx context.Context, config *pgconn.Config) (*connection, error) {
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	c := &connection{conn: conn}
	if err := c.prepare(ctx); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *connection) prepare(ctx context.Context) error {
	row, err := c.row(ctx, aboutSQL, 11)
	if err != nil {
		return fmt.Errorf("ask about server: %w", err)
	}
	var errs [4]error
	c.about.version, errs[0] = strconv.Atoi(row[0])
	c.about.maxConnections, errs[1] = strconv.Atoi(row[1])
	c.about.walSegment, errs[2] = strconv.ParseUint(row[2], 10, 64)
	c.about.walPage, errs[3] = strconv.ParseUint(row[3], 10, 64)
	if err := errors.Join(errs[:]...); err != nil {
		return fmt.Errorf("read about server: %w", err)
	}
	if row[4] == "t" {
		system, err := c.row(ctx, systemSQL, 1)
		if err != nil {
			return fmt.Errorf("ask system identifier: %w", err)
		}
		c.about.systemID = system[0]
	}
	if row[10] == "t" { // from PostgreSQL 10 on
		run, err := c.row(ctx, "SELECT "+startedSQL, 1)
		if err != nil {
			return fmt.Errorf("ask when the server was started: %w", err)
		}
		c.about.started = run[0]
	}
	c.about.link = newLink(c.conn)
	c.mayRead, c.hasDelay = row[7] == "t", row[9] == "t"
	own := []string{"0"}
	if row[5] == "t" {
		own = append(own, controlTimelineSQL)
	}
	if row[8] == "t" {
		own = append(own, logTimelineSQL)
	}
	sender := "NULL"
	if row[6] == "t" { // from PostgreSQL 11 on
		sender = "r.sender_host || ':' || r.sender_port"
	}
	if _, err := c.conn.Prepare(ctx, statusStatement, fmt.Sprintf(statusSQL, "greatest("+strings.Join(own, ", ")+")", sender), nil); err != nil {
		return fmt.Errorf("prepare status query: %w", err)
	}
	return nil
}

// row runs a query that answers one row of so many columns, none of them null.
func (c *connection) row(ctx context.Context, sql string, columns int) ([]string, error) {
	results, err := c.conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) != columns {
		return nil, errors.New("answer is not one row")
	}
	row := make([]string, columns)
	for i, field := range results[0].Rows[0] {
		row[i] = string(field)
	}
	return row, nil
}

// status asks the server what it is and how far it is, in one round trip.
func (c *connection) status(ctx context.Context) (server, error) {
	s := c.about
	result := c.conn.ExecPrepared(ctx, statusStatement, nil, nil, nil).Read()
	if result.Err != nil {
		return s, fmt.Errorf("ask status: %w", result.Err)
	}
	if len(result.Rows) != 1 || len(result.Rows[0]) != 6 {
		return s, errors.New("ask status: answer is not one row")
	}
	row := result.Rows[0]
	s.role = RolePrimary
	if string(row[0]) == "t" {
		s.role = RoleStandby
	}
	if !c.asked {
		c.asked, c.about.tellsRole = true, roleTold(c.conn.ParameterStatus(hotStandby)) == s.role
		s.tellsRole = c.about.tellsRole
	}
	var err error
	if row[1] != nil { // null: a standby that has replayed nothing yet
		if s.lsn, err = ParseLSN(string(row[1])); err != nil {
			return s, fmt.Errorf("ask status: %w", err)
		}
	}
	timeline, err := strconv.ParseUint(string(row[2]), 10, 32)
	if err != nil {
		return s, fmt.Errorf("ask status: read timeline: %w", err)
	}
	s.timeline = uint32(timeline)
	if row[3] != nil {
		if s.received, err = ParseLSN(string(row[3])); err != nil {
			return s, fmt.Errorf("ask status: %w", err)
		}
	}
	status := string(row[4])
	s.receiver = receiver{known: status != "?", running: status != "", streaming: status == "streaming", sender: string(row[5])}
	if !c.brief && c.isStale(&s) {
		if c.about.detail, err = c.details(ctx, &s); err != nil {
			return s, err
		}
		c.detailed, c.detailedRole, c.detailedTLI = Now(), s.role, s.timeline
	}
	s.detail = c.about.detail
	return s, nil
}

// close says goodbye, within closeTimeout: it is written to a local buffer and no answer is awaited.
func (c *connection) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	// The error does not matter: the connection is given up.
	_ = c.conn.Close(ctx)
}

// judge says what a probe's error proves, and why in one line for operators.
func judge(err error) (evidence, string) {
	var fromServer *pgconn.PgError
	if errors.As(err, &fromServer) {
		text := fmt.Sprintf("%s (SQLSTATE %s)", fromServer.Message, fromServer.Code)
		switch code := fromServer.Code; {
		case code == "57P03":
			return evidenceStarting, text
		case code == "53300":
			return evidenceLogin, "role unknown: " + text + "; raise max_connections, or give replication_check.user a reserved connection"
		case strings.HasPrefix(code, "28"):
			return evidenceLogin, "role unknown: " + text + "; set replication_check.user and replication_check.password"
		case code == "3D000":
			return evidenceLogin, "role unknown: " + text + "; set replication_check.database"
		case code == "42501":
			return evidenceLogin, "role unknown: " + text + "; grant pg_monitor to replication_check.user"
		}
		return evidenceRefused, text
	}
	if errors.Is(err, context.DeadlineExceeded) || pgconn.Timeout(err) {
		return evidenceSilent, "no answer in time"
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		if errno == syscall.ETIMEDOUT {
			return evidenceSilent, errno.Error()
		}
		return evidenceRefused, errno.Error()
	}
	var lookup *net.DNSError
	if errors.As(err, &lookup) {
		return evidenceRefused, lookup.Error()
	}
	return evidenceRefused, strings.Join(strings.Fields(err.Error()), " ")
}
