package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/howdah/howdah/configs"
	"github.com/jackc/pgx/v5/pgconn"
)

// nativeVersion is the first server_version_num whose primary_conninfo can be changed while it runs;
// promoteVersion is the first that has pg_promote().
const (
	nativeVersion  = 130000
	promoteVersion = 120000
)

// nativePoll is how often a server is asked whether what it was told has happened.
const nativePoll = 10 * time.Millisecond

// commander tells one server what to do, on a connection of its own.
type commander struct {
	conn    *pgconn.PgConn
	version int
	// warned is the last warning: a wait for synchronous standbys that was broken off is no error to the server.
	warned string
}

// command connects to a backend. The caller closes it.
func command(ctx context.Context, b configs.Backend, want *wanted) (*commander, error) {
	config, err := connectionConfig(b, b.Check.Over(want.check), want.tls[b.Name])
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["application_name"] = "howdah failover"
	c := &commander{}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if n.SeverityUnlocalized == "WARNING" {
			c.warned = n.Message
		}
	}
	c.conn, err = pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", b.Name, err)
	}
	version, err := c.value(ctx, "SELECT current_setting('server_version_num')")
	if err == nil {
		c.version, err = strconv.Atoi(version)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	// What is set may hold a password. One who is no superuser may not, and then it is up to the server's settings.
	_ = c.exec(ctx, "SET log_statement = none; SET log_min_error_statement = panic; SET log_min_duration_statement = -1")
	return c, nil
}

func (c *commander) close() { (&connection{conn: c.conn}).close() }

func (c *commander) exec(ctx context.Context, sql string) error {
	_, err := c.conn.Exec(ctx, sql).ReadAll()
	return err
}

// value is the one value that a query answers; NULL is empty.
func (c *commander) value(ctx context.Context, sql string) (string, error) {
	results, err := c.conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return "", err
	}
	if len(results) == 0 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) != 1 {
		return "", errors.New("answer is not one value")
	}
	return string(results[0].Rows[0][0]), nil
}

// until asks until the answer is t.
func (c *commander) until(ctx context.Context, what, sql string) error {
	for {
		answer, err := c.value(ctx, sql)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if answer == "t" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		case <-time.After(nativePoll):
		}
	}
}

// literal writes a text for SQL.
func literal(s string) string {
	return " E'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// setInfo changes primary_conninfo. The startup process ends the walreceiver if it has another one. What then is
// as the configuration files say without ALTER SYSTEM is left to them, so that it can be changed there again.
func (c *commander) setInfo(ctx context.Context, change func(string) (string, error)) error {
	if c.version < nativeVersion {
		return fmt.Errorf("primary_conninfo can be changed from PostgreSQL 13 on; this is %d", c.version/10000)
	}
	old, err := c.value(ctx, "SHOW primary_conninfo")
	if err != nil {
		return fmt.Errorf("read primary_conninfo: %w", err)
	}
	info, err := change(old)
	if err != nil {
		return err
	}
	if info != old {
		filed, err := c.value(ctx, `SELECT (SELECT setting FROM pg_file_settings WHERE name = 'primary_conninfo'
			AND sourcefile NOT LIKE '%postgresql.auto.conf' ORDER BY seqno DESC LIMIT 1)`)
		sql := "ALTER SYSTEM SET primary_conninfo =" + literal(info)
		if err == nil && filed == info {
			sql = "ALTER SYSTEM RESET primary_conninfo"
		}
		if err := c.exec(ctx, sql); err != nil {
			return fmt.Errorf("set primary_conninfo: %w", err)
		}
	}
	return c.reload(ctx)
}

func (c *commander) reload(ctx context.Context) error {
	if err := c.exec(ctx, "SELECT pg_reload_conf()"); err != nil {
		return fmt.Errorf("reload: %w", err)
	}
	return nil
}

// freeze cuts a standby off from its upstream and returns when it has stopped receiving. It stays so until
// thaw or repoint, also through a restart.
func (c *commander) freeze(ctx context.Context) error {
	if err := c.setInfo(ctx, func(info string) (string, error) { return frozenInfo(info), nil }); err != nil {
		return err
	}
	return c.until(ctx, "wait until it receives no more",
		"SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')")
}

// thaw lets a standby have its upstream again.
func (c *commander) thaw(ctx context.Context) error {
	if c.version < nativeVersion {
		return nil // it cannot have been frozen
	}
	return c.setInfo(ctx, func(info string) (string, error) { return thawedInfo(info), nil })
}

// repoint makes a standby follow another server and returns when it streams. If it uses a replication slot, that is
// made on the other one.
func (c *commander) repoint(ctx context.Context, host string, port int, upstream *commander) error {
	slot, err := c.value(ctx, "SHOW primary_slot_name")
	if err != nil {
		return fmt.Errorf("read primary_slot_name: %w", err)
	}
	if slot != "" {
		sql := fmt.Sprintf("SELECT count(pg_create_physical_replication_slot(%[1]s, true)) WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = %[1]s)", literal(slot))
		if err := upstream.exec(ctx, sql); err != nil {
			return fmt.Errorf("make replication slot %s: %w", slot, err)
		}
	}
	if err := c.setInfo(ctx, func(info string) (string, error) { return repointedInfo(info, host, port) }); err != nil {
		return err
	}
	return c.until(ctx, "wait until it streams from the new primary",
		"SELECT NOT pg_is_in_recovery() OR EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming')")
}

// promote begins the promotion of a standby. It does not wait for its end. A server that is none any more stays as it is.
func (c *commander) promote(ctx context.Context) error {
	if c.version < promoteVersion {
		return fmt.Errorf("pg_promote() is there from PostgreSQL 12 on; this is %d: use failover.mode command", c.version/10000)
	}
	started, err := c.value(ctx, "SELECT CASE WHEN pg_is_in_recovery() THEN pg_promote(false) ELSE true END")
	switch {
	case err != nil:
		return fmt.Errorf("pg_promote: %w", err)
	case started != "t":
		return errors.New("pg_promote: the server could not send the signal")
	}
	return nil
}

// bounce ends a standby's walreceiver and lets it start again. There is no function for that (pg_terminate_backend()
// does not take it), but a change of primary_conninfo and back does it.
func (c *commander) bounce(ctx context.Context) error {
	return errors.Join(c.freeze(ctx), c.thaw(ctx))
}

// othersSQL are the sessions of clients, howdah's own questions apart.
const othersSQL = "pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name NOT LIKE 'howdah %'"

// readOnly makes a server's transactions read-only by default, ends its clients' sessions, and returns the
// position behind everything that was committed.
func (c *commander) readOnly(ctx context.Context) (LSN, error) {
	if err := c.exec(ctx, "ALTER SYSTEM SET default_transaction_read_only = on"); err != nil {
		return 0, fmt.Errorf("set default_transaction_read_only: %w", err)
	}
	if err := c.reload(ctx); err != nil {
		return 0, err
	}
	if err := c.until(ctx, "wait until the server is read-only", "SELECT current_setting('default_transaction_read_only') = 'on'"); err != nil {
		return 0, err
	}
	if err := c.exec(ctx, "SELECT pg_terminate_backend(pid) FROM "+othersSQL); err != nil {
		return 0, fmt.Errorf("end sessions: %w", err)
	}
	if err := c.until(ctx, "wait until all sessions have ended", "SELECT NOT EXISTS (SELECT FROM "+othersSQL+")"); err != nil {
		return 0, err
	}
	// A commit of our own brings all before it to the disk, and on the way to the standbys.
	err := c.exec(ctx, "SET synchronous_commit = local; BEGIN READ WRITE; SELECT pg_logical_emit_message(true, 'howdah', 'switchover'); COMMIT")
	if err != nil {
		return 0, fmt.Errorf("flush the log: %w", err)
	}
	text, err := c.value(ctx, "SELECT pg_current_wal_flush_lsn()")
	if err != nil {
		return 0, fmt.Errorf("ask position: %w", err)
	}
	return ParseLSN(text)
}

// writable undoes readOnly.
func (c *commander) writable(ctx context.Context) error {
	if err := c.exec(ctx, "ALTER SYSTEM RESET default_transaction_read_only"); err != nil {
		return fmt.Errorf("reset default_transaction_read_only: %w", err)
	}
	loaded, err := c.value(ctx, "SELECT pg_conf_load_time()")
	if err != nil {
		return fmt.Errorf("ask when settings were read: %w", err)
	}
	if err := c.reload(ctx); err != nil {
		return err
	}
	// The postmaster reads its settings before it tells its processes, so that new sessions are writable too then.
	return c.until(ctx, "wait until the server is writable", "SELECT pg_conf_load_time() <>"+literal(loaded)+"::timestamptz")
}

// drain returns when no client has a transaction open, and busy, which knows of statements that are just on
// their way, says so too. With cut, what is open when half of the time is over is ended.
func (c *commander) drain(ctx context.Context, busy func() bool, cut bool) error {
	const open = "SELECT count(*) FROM " + othersSQL + " AND xact_start IS NOT NULL"
	deadline, _ := ctx.Deadline()
	half := time.Now().Add(time.Until(deadline) / 2)
	for {
		working := busy()
		n, err := c.value(ctx, open)
		if err != nil {
			return fmt.Errorf("count open transactions: %w", err)
		}
		if n == "0" && !working {
			return nil
		}
		if cut && time.Now().After(half) {
			if err := c.exec(ctx, "SELECT pg_terminate_backend(pid) FROM "+othersSQL+" AND xact_start IS NOT NULL"); err != nil {
				return fmt.Errorf("end open transactions: %w", err)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s are still open (failover.switchover_wait)", n)
		case <-time.After(nativePoll):
		}
	}
}
