package integration_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// Clients are limited by user, by database and by rule, and the last places are for superusers; a reload changes that.
func TestClientLimits(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{})
	must(t, cluster.Exec(t.Context(), 0, "postgres", "CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN"))
	must(t, cluster.Exec(t.Context(), 0, "postgres", "CREATE DATABASE sales"))
	limits := func(changes map[string]any) howdahtest.Options {
		settings := map[string]any{"limits.max_user_client_connections": 2, "limits.max_db_client_connections": 4,
			"pool.rules": []map[string]any{{"user": "bob", "database": "sales", "max_clients": 1}}}
		for key, value := range changes {
			settings[key] = value
		}
		return howdahtest.Options{Cluster: cluster, Settings: settings}
	}
	l := &limitsTest{t, howdahtest.Start(t, limits(nil))}
	a := l.connect("alice", "postgres")
	l.connect("alice", "sales")
	l.refused("alice", "postgres", `too many connections for role "alice"`, "2 of at most 2 (limits.max_user_client_connections)")
	l.connect("bob", "sales")
	l.refused("bob", "sales", `role "bob" in database "sales"`, "max_clients in pool.rules")
	l.connect("bob", "postgres")
	l.connect("postgres", "postgres")
	l.connect("postgres", "postgres")
	must(t, l.server.Reload(limits(map[string]any{"limits.max_user_client_connections": 0})))
	eventually(t, "the reload", func() error { return l.refusal("alice", "postgres", `database "postgres"`) })
	must(t, a.Close(t.Context()))
	eventually(t, "a place in the database", func() error {
		conn, err := pgx.Connect(t.Context(), l.server.DSN("alice", "postgres"))
		if err != nil {
			return err
		}
		l.keep(conn)
		return nil
	})
	// Six are there. Two places more, for superusers.
	must(t, l.server.Reload(limits(map[string]any{"limits.max_user_client_connections": 0, "limits.max_db_client_connections": 0,
		"limits.max_clients": 8, "limits.reserved_clients": 2, "pool.rules": []any{}})))
	eventually(t, "the reload", func() error { return l.refusal("alice", "sales", "reserved for roles with the SUPERUSER attribute") })
	l.connect("postgres", "sales")
	l.connect("postgres", "sales")
	l.refused("postgres", "sales", "too many clients", "at most 8 clients")
}

// Server connections are limited likewise, and the error says by what.
func TestServerLimits(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{})
	must(t, cluster.Exec(t.Context(), 0, "postgres", "CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN"))
	must(t, cluster.Exec(t.Context(), 0, "postgres", "CREATE DATABASE sales"))
	for name, c := range map[string]struct {
		settings map[string]any
		has      [][2]string // who has a connection: user and database
		waits    [2]string   // and who does not get one more
		detail   string
		gets     [2]string // but who does
	}{
		"database": {map[string]any{"pool.max_db_connections": 2}, [][2]string{{"alice", "sales"}, {"bob", "sales"}}, [2]string{"postgres", "sales"},
			`database "sales" has 2 of at most 2 connections there (pool.max_db_connections)`, [2]string{"alice", "postgres"}},
		"user": {map[string]any{"pool.max_user_connections": 2}, [][2]string{{"alice", "sales"}, {"alice", "postgres"}}, [2]string{"alice", "postgres"},
			`role "alice" has 2 of at most 2 connections there (pool.max_user_connections)`, [2]string{"bob", "postgres"}},
		"rule": {map[string]any{"pool.rules": []map[string]any{{"database": "sales", "max_connections": 1}}}, [][2]string{{"alice", "sales"}}, [2]string{"bob", "sales"},
			`(max_connections in pool.rules)`, [2]string{"bob", "postgres"}},
		"reserved": {map[string]any{"pool.max_per_node": 3, "pool.reserved_per_node": 1}, [][2]string{{"alice", "sales"}, {"alice", "postgres"}}, [2]string{"alice", "sales"},
			"the last 1 are for superusers (pool.reserved_per_node)", [2]string{"postgres", "postgres"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := map[string]any{"pool.wait_timeout": "1s"}
			for key, value := range c.settings {
				settings[key] = value
			}
			l := &limitsTest{t, howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Settings: settings})}
			for _, who := range c.has {
				l.work(l.connect(who[0], who[1]))
			}
			conn, err := pgx.Connect(t.Context(), l.server.DSN(c.waits[0], c.waits[1]))
			if err == nil {
				l.keep(conn)
				_, err = conn.Exec(t.Context(), "SELECT pg_advisory_lock(1)")
			}
			var refused *pgconn.PgError
			if !errors.As(err, &refused) || refused.Code != "53300" || !strings.Contains(refused.Detail, c.detail) {
				t.Errorf("one more than allowed gets %v (%+v), want 53300 and %q", err, refused, c.detail)
			}
			l.work(l.connect(c.gets[0], c.gets[1]))
		})
	}
}

type limitsTest struct {
	*testing.T
	server *howdahtest.Server
}

func (l *limitsTest) connect(user, database string) *pgx.Conn {
	l.Helper()
	conn, err := pgx.Connect(l.Context(), l.server.DSN(user, database))
	must(l.T, err)
	l.keep(conn)
	return conn
}

func (l *limitsTest) keep(conn *pgx.Conn) {
	l.Cleanup(func() { conn.Close(context.Background()) }) //nolint:errcheck // it may be closed by the test
}

// work gives the session its server connection, for as long as it lives.
func (l *limitsTest) work(conn *pgx.Conn) {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), 10*time.Second)
	defer cancel()
	_, err := conn.Exec(ctx, "SELECT pg_advisory_lock_shared(2)")
	must(l.T, err)
}

// refusal is nil if a login is refused with 53300 and all the words.
func (l *limitsTest) refusal(user, database string, words ...string) error {
	conn, err := pgx.Connect(l.Context(), l.server.DSN(user, database))
	var refused *pgconn.PgError
	switch {
	case err == nil:
		conn.Close(l.Context()) //nolint:errcheck // it should not be there
		return errors.New("the login succeeded")
	case !errors.As(err, &refused) || refused.Code != "53300":
		return fmt.Errorf("the login failed, but with %w", err)
	}
	for _, word := range words {
		if !strings.Contains(refused.Message+": "+refused.Detail, word) {
			return fmt.Errorf("%q: %q does not say %q", refused.Message, refused.Detail, word)
		}
	}
	return nil
}

func (l *limitsTest) refused(user, database string, words ...string) {
	l.Helper()
	if err := l.refusal(user, database, words...); err != nil {
		l.Errorf("%s at %s: %v", user, database, err)
	}
}

// TestWaitersAreTold: who waits for a connection for long gets a NOTICE before the answer, and no error.
func TestWaitersAreTold(t *testing.T) {
	t.Parallel()
	f := newShared(t, 1, map[string]any{"pool.notice_after": "100ms"})
	holder := f.pgconn(t)
	defer holder.Close(context.Background()) //nolint:errcheck // it has done its work
	_, err := holder.Exec(t.Context(), "BEGIN; SELECT txid_current()").ReadAll()
	must(t, err)
	config, err := pgconn.ParseConfig(f.dsn())
	must(t, err)
	told := make(chan *pgconn.Notice, 10)
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { told <- n }
	waiter, err := pgconn.ConnectConfig(t.Context(), config)
	must(t, err)
	defer waiter.Close(context.Background()) //nolint:errcheck // it has done its work
	done := make(chan error, 1)
	go func() { _, err := waiter.Exec(context.Background(), "SELECT txid_current()").ReadAll(); done <- err }() // ends with the statement
	select {
	case n := <-told:
		if n.Severity != "NOTICE" || !strings.Contains(n.Message, "wait") {
			t.Errorf("who waits is told %s: %s", n.Severity, n.Message)
		}
	case err := <-done:
		t.Fatalf("the statement ended (%v) before who waits was told", err)
	}
	_, err = holder.Exec(t.Context(), "ROLLBACK").ReadAll()
	must(t, err)
	if err := <-done; err != nil {
		t.Errorf("who has waited gets %v", err)
	}
	if len(told) > 0 {
		t.Errorf("who waits is told %d times more", len(told))
	}
}
