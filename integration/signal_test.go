package integration_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestSignalsShared(t *testing.T) { TestSignals(t) }

// TestSignals cancels and ends sessions by the process id that their clients were told, from other sessions.
func TestSignals(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(t, "CREATE ROLE alice LOGIN; CREATE ROLE signaler LOGIN IN ROLE pg_signal_backend")
	must(t, f.cluster.WaitReplay(t.Context(), 0))
	open := func(user string) *pgx.Conn {
		config, err := pgx.ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%d user=%s dbname=postgres", f.port, user))
		must(t, err)
		conn, err := pgx.ConnectConfig(t.Context(), config)
		must(t, err)
		t.Cleanup(func() { conn.Close(context.Background()) })
		return conn
	}
	super, alice, signaler := open("postgres"), open("alice"), open("signaler")
	modes := map[string][]any{"extended": nil, "simple": {pgx.QueryExecModeSimpleProtocol},
		// With the number as a parameter: of a prepared statement, in one unit with it, and as text.
		"prepared $1": {pgx.QueryExecModeCacheStatement, nil}, "described $1": {pgx.QueryExecModeDescribeExec, nil}, "text $1": {pgx.QueryExecModeExec, nil}}
	signal := func(by *pgx.Conn, function string, at *pgx.Conn, arguments ...any) (sent bool, err error) {
		sql, arguments := fmt.Sprintf("SELECT %s(%d)", function, at.PgConn().PID()), slices.Clone(arguments)
		if len(arguments) > 1 {
			sql, arguments[1] = fmt.Sprintf("SELECT %s($1)", function), at.PgConn().PID()
		}
		err = by.QueryRow(t.Context(), sql, arguments...).Scan(&sent)
		return sent, err
	}
	for mode, arguments := range modes {
		// What runs is cancelled, and the session goes on.
		for _, sql := range []string{"SELECT pg_sleep(60)", "SELECT count(*) FROM generate_series(1, 1000000000)"} {
			done := make(chan error, 1)
			go func() { _, err := alice.Exec(context.Background(), sql); done <- err }() // ends with the statement
			eventually(t, "the statement to be cancelled", func() error {
				if sent, err := signal(super, "pg_cancel_backend", alice, arguments...); err != nil || !sent {
					t.Fatalf("%s: pg_cancel_backend() is %v (%v)", mode, sent, err)
				}
				select {
				case err := <-done:
					if sqlState(err) != "57014" {
						t.Errorf("%s: got %v, want 57014", mode, err)
					}
					return nil
				default:
					return errors.New("it still runs")
				}
			})
			_, err := alice.Exec(t.Context(), "SELECT 1")
			must(t, err)
		}
		// An idle session is ended, with PostgreSQL's words.
		victim := open("alice")
		sent, err := signal(alice, "pg_catalog.pg_terminate_backend", victim, arguments...)
		if err != nil || !sent {
			t.Errorf("%s: pg_terminate_backend() is %v (%v)", mode, sent, err)
		}
		if _, err := victim.Exec(t.Context(), "SELECT 1"); err == nil || !victim.IsClosed() {
			t.Errorf("%s: after its end the session goes on (%v)", mode, err)
		}
		eventually(t, "the number to be free", func() error {
			switch sent, err := signal(super, "pg_cancel_backend", victim, arguments...); {
			case err != nil:
				t.Fatal(err)
			case sent:
				return errors.New("the session is still there")
			}
			return nil
		})
		// Who is in the way of nobody may not.
		if _, err := signal(alice, "pg_terminate_backend", super, arguments...); sqlState(err) != "42501" {
			t.Errorf("%s: a superuser's session is ended by another user: %v", mode, err)
		}
		if _, err := signal(signaler, "pg_cancel_backend", super, arguments...); sqlState(err) != "42501" {
			t.Errorf("%s: a superuser's session is cancelled with pg_signal_backend: %v", mode, err)
		}
		if _, err := signal(alice, "pg_cancel_backend", signaler, arguments...); sqlState(err) != "42501" {
			t.Errorf("%s: a session is cancelled by another user: %v", mode, err)
		}
		if sent, err := signal(signaler, "pg_cancel_backend", alice, arguments...); err != nil || !sent {
			t.Errorf("%s: with pg_signal_backend pg_cancel_backend() is %v (%v)", mode, sent, err)
		}
		_, err = super.Exec(t.Context(), "SELECT 1")
		must(t, err)
	}
	// What counts is the current role.
	_, err := super.Exec(t.Context(), "SET ROLE alice")
	must(t, err)
	if sent, err := signal(super, "pg_cancel_backend", alice, nil...); err != nil || !sent {
		t.Errorf("in the role of its user a session cannot be signaled: %v (%v)", sent, err)
	}
	if _, err := signal(super, "pg_cancel_backend", signaler, nil...); sqlState(err) != "42501" {
		t.Errorf("in the role of another user a session can be signaled: %v", err)
	}
	_, err = super.Exec(t.Context(), "RESET ROLE")
	must(t, err)
	// Numbers of processes are the servers'.
	var sent bool
	if err := super.QueryRow(t.Context(), "SELECT pg_cancel_backend($1)", 4194304).Scan(&sent); err != nil || sent {
		t.Errorf("a process that is not there is signaled: %v (%v)", sent, err)
	}
	// A session that signals itself.
	if _, err := signal(alice, "pg_cancel_backend", alice); sqlState(err) != "57014" {
		t.Errorf("a session that cancels itself gets %v", err)
	}
	if _, err := signal(alice, "pg_terminate_backend", alice); sqlState(err) != "57P01" || !alice.IsClosed() {
		t.Errorf("a session that ends itself gets %v", err)
	}
	for range 3 {
		wantEndedAtWork(t, super, open("alice"))
	}
	major, err := f.cluster.Major(t.Context())
	must(t, err)
	if major >= 14 { // the servers before have no pg_terminate_backend that waits
		wantEndAwaited(t, f, super, func() *pgx.Conn { return open("alice") })
	}
}

// wantEndAwaited ends sessions and gives it time: when the answer comes a session has gone, with what it kept locked.
func wantEndAwaited(t *testing.T, f *fixture, super *pgx.Conn, open func() *pgx.Conn) {
	t.Helper()
	f.exec(t, "CREATE TABLE locked (); GRANT ALL ON locked TO alice")
	end := func(sql string, arguments ...any) (done bool, err error) {
		err = super.QueryRow(t.Context(), sql, arguments...).Scan(&done)
		return done, err
	}
	for _, way := range []func(pid uint32, wait int64) (bool, error){
		func(pid uint32, wait int64) (bool, error) {
			return end(fmt.Sprintf("SELECT pg_terminate_backend(%d, %d)", pid, wait))
		},
		func(pid uint32, wait int64) (bool, error) {
			return end(fmt.Sprintf("SELECT pg_terminate_backend(timeout => %d, pid => %d)", wait, pid), pgx.QueryExecModeSimpleProtocol)
		},
		func(pid uint32, wait int64) (bool, error) {
			return end("SELECT pg_terminate_backend($1, $2)", pid, wait)
		},
		func(pid uint32, wait int64) (bool, error) {
			return end("SELECT pg_terminate_backend($1::int, $2::int)", pgx.QueryExecModeDescribeExec, pid, wait)
		},
		func(pid uint32, wait int64) (bool, error) {
			return end("SELECT pg_terminate_backend($1, $2)", pgx.QueryExecModeExec, int32(pid), wait)
		},
	} {
		victim := open()
		_, err := victim.Exec(t.Context(), "BEGIN; LOCK TABLE locked")
		must(t, err)
		done, err := way(victim.PgConn().PID(), 60_000)
		if err != nil || !done {
			t.Errorf("a session that ends in time: %v (%v)", done, err)
		}
		f.exec(t, "DO 'BEGIN LOCK TABLE locked NOWAIT; END'")
		if _, err := way(victim.PgConn().PID(), -1); sqlState(err) != "22003" {
			t.Errorf("a negative time gives %v", err)
		}
		if done, err := way(victim.PgConn().PID(), 60_000); err != nil || done {
			t.Errorf("a session that is not there: %v (%v)", done, err)
		}
	}
}

func TestServersSignalsShared(t *testing.T) { TestServersSignals(t) }

// TestServersSignals ends servers' processes by their own ids, as scripts do with pg_stat_activity: one at work takes its session
// along, as without howdah; from one that waits for work nobody sees anything.
func TestServersSignals(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(t, "CREATE ROLE alice LOGIN; CREATE TABLE marks (n int); GRANT ALL ON marks TO alice")
	open := func(user string) *pgx.Conn {
		conn, err := pgx.Connect(t.Context(), fmt.Sprintf("host=127.0.0.1 port=%d user=%s dbname=postgres", f.port, user))
		must(t, err)
		t.Cleanup(func() { conn.Close(context.Background()) })
		return conn
	}
	super, working, idle := open("postgres"), open("alice"), open("alice")
	ended := func(where string, arguments ...any) (n int) {
		must(t, super.QueryRow(t.Context(), "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'alice' AND "+where,
			arguments...).Scan(&n))
		return n
	}
	_, err := idle.Exec(t.Context(), "SET my.own = 'kept'")
	must(t, err)
	for range 3 {
		_, err := idle.Exec(t.Context(), "INSERT INTO marks VALUES (1)")
		must(t, err)
		eventually(t, "the idle process to be there", func() error {
			if ended("state = $1", "idle") == 0 {
				return errors.New("it is not")
			}
			return nil
		})
		eventually(t, "the idle process to be gone", func() error {
			if n := f.counter(t, 0, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'alice' AND state = 'idle'"); n > 0 {
				return fmt.Errorf("%d are left", n)
			}
			return nil
		})
		time.Sleep(10 * time.Millisecond) // so that a connection is looked at, as howdah may not have heard of its end yet
		var own string
		_, err = idle.Exec(t.Context(), "INSERT INTO marks VALUES (2)")
		must(t, err)
		must(t, idle.QueryRow(t.Context(), "SELECT current_setting('my.own')").Scan(&own))
		if own != "kept" {
			t.Errorf("my.own is %q", own)
		}
	}
	done := make(chan error, 1)
	go func() { // ends with the statement
		_, err := working.Exec(context.Background(), "DO 'BEGIN PERFORM pg_sleep(60); END'")
		done <- err
	}()
	eventually(t, "the working process to be there", func() error {
		if ended("state = $1 AND query LIKE 'DO %'", "active") == 0 {
			return errors.New("it is not")
		}
		return nil
	})
	if err := <-done; sqlState(err) != "57P01" || !working.IsClosed() {
		t.Errorf("a session whose process is ended at work gets %v", err)
	}
	_, err = idle.Exec(t.Context(), "INSERT INTO marks VALUES (3)")
	must(t, err)
}

// wantEndedAtWork ends a session that runs a statement, within a block: the end is all that its client hears of.
func wantEndedAtWork(t *testing.T, super, victim *pgx.Conn) {
	t.Helper()
	_, err := victim.Exec(t.Context(), "BEGIN")
	must(t, err)
	pid := victim.PgConn().PID()
	done := make(chan error, 1)
	go func() { // ends with the session
		_, err := victim.Exec(context.Background(), "SELECT pg_sleep(60)")
		done <- err
	}()
	eventually(t, "the session to be ended", func() error {
		_, err := super.Exec(t.Context(), fmt.Sprintf("SELECT pg_terminate_backend(%d)", pid))
		must(t, err)
		select {
		case err := <-done:
			if sqlState(err) != "57P01" || !victim.IsClosed() {
				t.Errorf("got %v, want 57P01 and the session's end", err)
			}
			return nil
		default:
			return errors.New("it goes on")
		}
	})
}
