package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/howdah/howdah/integration/pgcluster"
)

const (
	database = "trial"
	// callTimeout bounds a call: pg_sleep and its kin would take what they are told.
	callTimeout = 500 * time.Millisecond
	// replayTimeout bounds the wait for the standby. A call may stop replay.
	replayTimeout = 5 * time.Second
)

// lab is a primary with a standby of one version of PostgreSQL, and a session
// with each.
type lab struct {
	cluster          *pgcluster.Cluster
	primary, standby *pgconn.PgConn
	// busy is a session that keeps locks, so that the primary is not idle.
	busy *pgconn.PgConn
	// version is the server's word, major its first number.
	version string
	major   int
	// replayed is up to where the standby was last seen to have replayed.
	replayed string
	// byOID are the functions that were tried.
	byOID map[string]*functionEvidence
}

func openLab(ctx context.Context, bin string) (*lab, error) {
	dir, err := os.MkdirTemp("", "howdah-gen-")
	if err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	cluster, err := pgcluster.New(dir, pgcluster.Options{Standbys: 1, Bin: bin, Settings: map[string]string{
		"max_prepared_transactions":  "10",
		"track_commit_timestamp":     "on",
		"allow_in_place_tablespaces": "on",
		"autovacuum":                 "off", // nobody writes while calls are compared
		"bgwriter_lru_maxpages":      "0",
	}})
	if err != nil {
		return nil, err
	}
	l := &lab{cluster: cluster, byOID: map[string]*functionEvidence{}}
	if err := l.prepare(ctx); err != nil {
		return nil, errors.Join(err, l.close(ctx))
	}
	return l, nil
}

func (l *lab) prepare(ctx context.Context) error {
	if err := l.cluster.Start(ctx); err != nil {
		return err
	}
	if err := l.cluster.Exec(ctx, 0, "postgres", "CREATE DATABASE "+database); err != nil {
		return err
	}
	if err := l.connectPrimary(ctx); err != nil {
		return err
	}
	if err := l.run(ctx, l.primary, fixture); err != nil {
		return err
	}
	busy, err := l.connect(ctx, 0)
	if err != nil {
		return err
	}
	l.busy = busy
	if err := l.run(ctx, l.busy, keepBusy); err != nil {
		return err
	}
	if err := l.catchUp(ctx); err != nil {
		return err
	}
	if err := l.connectStandby(ctx); err != nil {
		return err
	}
	l.version = ask(ctx, l.primary, "SHOW server_version").text()
	_, err = fmt.Sscanf(l.version, "%d", &l.major)
	if err != nil {
		return fmt.Errorf("read version %q: %w", l.version, err)
	}
	return nil
}

func (l *lab) close(ctx context.Context) error {
	for _, conn := range []*pgconn.PgConn{l.primary, l.standby, l.busy} {
		if conn != nil {
			_ = conn.Close(ctx) // the server ends anyway
		}
	}
	return l.cluster.Close()
}

func (l *lab) connect(ctx context.Context, node int) (*pgconn.PgConn, error) {
	conn, err := pgconn.Connect(ctx, l.cluster.SocketDSN(node, database))
	if err != nil {
		return nil, fmt.Errorf("connect to node %d: %w", node, err)
	}
	settings := fmt.Sprintf("SET statement_timeout = %d; SET client_min_messages = error", callTimeout.Milliseconds())
	if err := l.run(ctx, conn, settings); err != nil {
		return nil, err
	}
	return conn, nil
}

func (l *lab) connectPrimary(ctx context.Context) (err error) {
	l.primary, err = l.connect(ctx, 0)
	return err
}

func (l *lab) connectStandby(ctx context.Context) (err error) {
	// A database is there when its creation was replayed.
	for deadline := time.Now().Add(replayTimeout); ; {
		l.standby, err = l.connect(ctx, 1)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// run is for statements that must not fail. Each ends its line with a semicolon
// and runs by itself.
func (l *lab) run(ctx context.Context, conn *pgconn.PgConn, script string) error {
	for sql := range strings.SplitSeq(script, ";\n") {
		if _, err := conn.Exec(ctx, sql).ReadAll(); err != nil {
			return fmt.Errorf("run %.60q: %w", sql, err)
		}
	}
	return nil
}

// reset gives both sessions a fresh state, and replaces one that a call ended.
func (l *lab) reset(ctx context.Context) error {
	settings := fmt.Sprintf("SET statement_timeout = %d; SET client_min_messages = error", callTimeout.Milliseconds())
	for _, node := range []struct {
		conn    *pgconn.PgConn
		connect func(context.Context) error
	}{{l.primary, l.connectPrimary}, {l.standby, l.connectStandby}} {
		if ask(ctx, node.conn, "DISCARD ALL").state == "" && ask(ctx, node.conn, settings).state == "" {
			continue
		}
		_ = node.conn.Close(ctx) // it is broken or holds what it cannot discard
		if err := node.connect(ctx); err != nil {
			return err
		}
	}
	return nil
}

// catchUp waits until the standby has replayed what the primary wrote so far.
func (l *lab) catchUp(ctx context.Context) error {
	now := ask(ctx, l.primary, "SELECT pg_current_wal_lsn()").text()
	if now == l.replayed {
		return nil
	}
	deadline := time.Now().Add(replayTimeout)
	for {
		answer, err := l.cluster.Value(ctx, 1, "postgres", "SELECT pg_last_wal_replay_lsn() >= '"+now+"'")
		if err == nil && answer == "true" {
			l.replayed = now
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("wait for replay of %s: still %q after %v: %w", now, answer, replayTimeout, err)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// answer is what a node said: rows, or the SQLSTATE of its error.
type answer struct {
	state string
	rows  []string
}

// lostSession stands for the SQLSTATE of an error that is not the server's.
const lostSession = "lost"

// ask runs sql and returns the rows of its last statement in order.
func ask(ctx context.Context, conn *pgconn.PgConn, sql string) answer {
	results, err := conn.Exec(ctx, sql).ReadAll()
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &refused):
		return answer{state: refused.Code}
	case err != nil:
		return answer{state: lostSession}
	case len(results) == 0:
		return answer{}
	}
	var a answer
	for _, row := range results[len(results)-1].Rows {
		fields := make([]string, len(row))
		for i, field := range row {
			fields[i] = `\N`
			if field != nil {
				fields[i] = string(field)
			}
		}
		a.rows = append(a.rows, strings.Join(fields, "\t"))
	}
	return a
}

func (a answer) text() string { return strings.Join(a.rows, "\n") }

func (a answer) equal(b answer) bool { return a.state == b.state && a.text() == b.text() }
