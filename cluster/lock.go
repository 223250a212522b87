package cluster

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// AddressLock is an advisory lock (PostgreSQL manual, section 13.3.5) that two howdahs compete for on the primary. It belongs to a
// session, so it ends with its holder's process; nothing is written for it, so a full disk does not stand in its way. The
// server's own clock says how long the holder was idle. It is not safe for concurrent use.
type AddressLock struct {
	cluster *Cluster
	key     int64
	name    string
	stale   time.Duration

	conn *pgconn.PgConn // nil if there is none
	node string         // of conn
	held bool
}

// NewAddressLock makes a lock for the howdahs of one cluster; stale is how long a holder must have been idle before another one
// ends its session. Nothing is connected to.
func (c *Cluster) NewAddressLock(cluster, member string, stale time.Duration) *AddressLock {
	h := fnv.New64a()
	fmt.Fprintf(h, "howdah address of %s", cluster)
	return &AddressLock{cluster: c, key: int64(h.Sum64()), name: "howdah address lock " + member, stale: stale}
}

// LockState is what the primary says of the lock.
type LockState uint8

// The states of the lock.
const (
	// LockMine: this howdah has it.
	LockMine LockState = iota + 1
	// LockTaken: another one has it, and was not idle for long.
	LockTaken
	// LockFreed: another one had it for long without a word, and its session was ended.
	LockFreed
)

// heldSQL is the lock's holder and for how long it was idle. An advisory lock with one key of 64 bits is shown in two
// halves, objsubid being 1 (PostgreSQL manual, pg_locks).
const heldSQL = `SELECT a.pid, coalesce(extract(epoch FROM clock_timestamp() - a.state_change), 0)
	FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
	WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
	AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
	AND (l.classid::bigint << 32) | l.objid::bigint = %d`

// Hold has the lock on the node, or says who has. Who has it must call again before stale is over. An error means that
// it is not held, as far as is known.
func (l *AddressLock) Hold(ctx context.Context, node string) (LockState, error) {
	if l.node != node {
		l.Release(ctx)
	}
	state, err := l.hold(ctx, node)
	if err != nil {
		l.Release(ctx)
	}
	return state, err
}

func (l *AddressLock) hold(ctx context.Context, node string) (LockState, error) {
	if l.conn == nil {
		if err := l.connect(ctx, node); err != nil {
			return 0, err
		}
	}
	try := "false"
	if !l.held {
		try = fmt.Sprintf("pg_try_advisory_lock(%d)", l.key)
	}
	row, err := l.row(ctx, "SELECT pg_is_in_recovery(), "+try, 2)
	switch {
	case err != nil:
		return 0, err
	case row[0] == "t":
		return 0, fmt.Errorf("lock on %s: it is a standby", node)
	}
	if l.held = l.held || row[1] == "t"; l.held {
		return LockMine, nil
	}
	row, err = l.row(ctx, fmt.Sprintf(heldSQL, l.key), 2)
	switch {
	case errors.Is(err, errNoRow): // it was given up between the two
		return LockTaken, nil
	case err != nil:
		return 0, err
	}
	idle, err := strconv.ParseFloat(row[1], 64)
	if err != nil {
		return 0, fmt.Errorf("read how long the lock's holder was idle: %w", err)
	}
	if time.Duration(idle*float64(time.Second)) < l.stale {
		return LockTaken, nil
	}
	if _, err := l.row(ctx, "SELECT pg_terminate_backend("+row[0]+")", 1); err != nil {
		return 0, fmt.Errorf("end the idle holder of the lock: %w", err)
	}
	return LockFreed, nil
}

// lockSettings let the server notice soon that a holder's host is gone.
var lockSettings = map[string]string{"tcp_keepalives_idle": "2", "tcp_keepalives_interval": "1", "tcp_keepalives_count": "2", "statement_timeout": "0",
	"idle_session_timeout": "0"}

func (l *AddressLock) connect(ctx context.Context, node string) error {
	want := l.cluster.settings()
	for _, b := range want.backends {
		if b.Name != node {
			continue
		}
		config, err := connectionConfig(b, b.Check.Over(want.check), want.tls[b.Name])
		if err != nil {
			return err
		}
		config.RuntimeParams["application_name"] = l.name
		conn, err := pgconn.ConnectConfig(ctx, config)
		if err != nil {
			return fmt.Errorf("connect for the lock: %w", err)
		}
		l.conn, l.node, l.held = conn, node, false
		for name, value := range lockSettings { // older servers do not know all of them
			if _, err := conn.Exec(ctx, "SET "+name+" = "+value).ReadAll(); err != nil {
				var refused *pgconn.PgError
				if !errors.As(err, &refused) {
					return fmt.Errorf("connect for the lock: %w", err)
				}
			}
		}
		return nil
	}
	return fmt.Errorf("connect for the lock: %s is not configured here", node)
}

var errNoRow = errors.New("no row")

func (l *AddressLock) row(ctx context.Context, sql string, columns int) ([]string, error) {
	results, err := l.conn.Exec(ctx, sql).ReadAll()
	switch {
	case err != nil:
		return nil, fmt.Errorf("ask for the lock: %w", err)
	case len(results) != 1 || len(results[0].Rows) == 0:
		return nil, errNoRow
	case len(results[0].Rows[0]) != columns:
		return nil, errors.New("ask for the lock: the answer has other columns")
	}
	row := make([]string, columns)
	for i, field := range results[0].Rows[0] {
		row[i] = string(field)
	}
	return row, nil
}

// Release gives the lock up, if it is held.
func (l *AddressLock) Release(ctx context.Context) {
	if l.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	l.conn.Close(ctx) // its error does not matter: the socket is closed in any case
	l.conn, l.node, l.held = nil, "", false
}
