package integration_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
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
	modes := map[string][]any{"extended": nil, "simple": {pgx.QueryExecModeSimpleProtocol}}
	signal := func(by *pgx.Conn, function string, at *pgx.Conn, arguments ...any) (sent bool, err error) {
		err = by.QueryRow(t.Context(), fmt.Sprintf("SELECT %s(%d)", function, at.PgConn().PID()), arguments...).Scan(&sent)
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
	// A session that signals itself.
	if _, err := signal(alice, "pg_cancel_backend", alice); sqlState(err) != "57014" {
		t.Errorf("a session that cancels itself gets %v", err)
	}
	if _, err := signal(alice, "pg_terminate_backend", alice); sqlState(err) != "57P01" || !alice.IsClosed() {
		t.Errorf("a session that ends itself gets %v", err)
	}
	wantEndedAtWork(t, super, open("alice"))
}

// wantEndedAtWork ends a session that runs a statement, within a block.
func wantEndedAtWork(t *testing.T, super, victim *pgx.Conn) {
	t.Helper()
	_, err := victim.Exec(t.Context(), "BEGIN")
	must(t, err)
	pid := victim.PgConn().PID()
	done := make(chan error, 1)
	go func() { // ends with the statement
		_, err := victim.Exec(context.Background(), "SELECT pg_sleep(60)")
		for err == nil || !victim.IsClosed() && sqlState(err) != "57P01" {
			_, err = victim.Exec(context.Background(), "ROLLBACK")
		}
		done <- err
	}()
	eventually(t, "the session to be ended", func() error {
		_, err := super.Exec(t.Context(), fmt.Sprintf("SELECT pg_terminate_backend(%d)", pid))
		must(t, err)
		select {
		case err := <-done:
			var fatal *pgconn.PgError
			if errors.As(err, &fatal) && fatal.Code != "57P01" {
				t.Errorf("got %v", err)
			}
			return nil
		default:
			return errors.New("it goes on")
		}
	})
}
