package integration_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/lib/pq"
)

// TestLibPq uses lib/pq as programs do, through database/sql.
func TestLibPq(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(t, "CREATE TABLE pets (id int PRIMARY KEY, name text)")
	ctx := t.Context()
	db, err := sql.Open("postgres", f.dsn())
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	db.SetMaxOpenConns(1) // one session, which reads what it wrote

	statement, err := db.PrepareContext(ctx, "INSERT INTO pets VALUES ($1, $2)")
	must(t, err)
	query, err := db.PrepareContext(ctx, "SELECT name FROM pets WHERE id = $1")
	must(t, err)
	for i := range 20 {
		_, err := statement.ExecContext(ctx, i, fmt.Sprint("pet ", i))
		must(t, err)
		var name string
		must(t, query.QueryRowContext(ctx, i).Scan(&name))
		if want := fmt.Sprint("pet ", i); name != want {
			t.Errorf("a session reads %q of what it wrote, want %q", name, want)
		}
	}
	must(t, statement.Close())
	must(t, query.Close())

	libpqReads(t, f)
	libpqTransaction(t, db)
	libpqCopy(t, db)
	libpqErrors(t, db)
	libpqCancel(t, db)
	f.wantReadsOnStandbys(t, "readings", libpqReadCount)
}

const libpqReadCount = 20

func libpqReads(t *testing.T, f *fixture) {
	t.Helper()
	f.readings(t)
	db, err := sql.Open("postgres", f.dsn())
	must(t, err)
	defer func() { must(t, db.Close()) }()
	for id := range libpqReadCount {
		var name string
		must(t, db.QueryRowContext(t.Context(), "SELECT name FROM readings WHERE id = $1", id+1).Scan(&name))
		if want := fmt.Sprint("reading ", id+1); name != want {
			t.Errorf("read %q, want %q", name, want)
		}
	}
}

func libpqTransaction(t *testing.T, db *sql.DB) {
	t.Helper()
	ctx := t.Context()
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
	must(t, err)
	_, err = tx.ExecContext(ctx, "DELETE FROM pets WHERE id >= $1", 10)
	must(t, err)
	must(t, tx.Rollback())
	tx, err = db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	must(t, err)
	var count int
	must(t, tx.QueryRowContext(ctx, "SELECT count(*) FROM pets").Scan(&count))
	if count != 20 {
		t.Errorf("there are %d rows after a rollback, want 20", count)
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM pets")
	wantCode(t, "a write in a read-only transaction", err, "25006")
	must(t, tx.Rollback())
}

func libpqCopy(t *testing.T, db *sql.DB) {
	t.Helper()
	ctx := t.Context()
	const count = 5000
	tx, err := db.BeginTx(ctx, nil)
	must(t, err)
	copying, err := tx.PrepareContext(ctx, "COPY pets (id, name) FROM STDIN")
	must(t, err)
	for i := range count {
		_, err := copying.ExecContext(ctx, 1000+i, "copied")
		must(t, err)
	}
	_, err = copying.ExecContext(ctx)
	must(t, err)
	must(t, copying.Close())
	must(t, tx.Commit())
	var n int
	must(t, db.QueryRowContext(ctx, "SELECT count(*) FROM pets WHERE name = 'copied'").Scan(&n))
	if n != count {
		t.Errorf("copied %d rows, want %d", n, count)
	}
	tx, err = db.BeginTx(ctx, nil)
	must(t, err)
	copying, err = tx.PrepareContext(ctx, "COPY pets (id, name) FROM STDIN")
	must(t, err)
	_, err = copying.ExecContext(ctx, 1, "a duplicate")
	must(t, err)
	_, err = copying.ExecContext(ctx)
	wantCode(t, "a copy of a duplicate", err, "23505")
	_ = copying.Close() // the copy has failed already
	must(t, tx.Rollback())
}

func libpqErrors(t *testing.T, db *sql.DB) {
	t.Helper()
	_, err := db.ExecContext(t.Context(), "SELECT nothing FROM pets")
	wantCode(t, "a bad column", err, "42703")
	var pqErr *pq.Error
	if errors.As(err, &pqErr) && pqErr.Position != "8" {
		t.Errorf("the error is at %q, want 8", pqErr.Position)
	}
	_, err = db.ExecContext(t.Context(), "INSERT INTO pets VALUES ($1, 'x')", "not a number")
	wantCode(t, "a bad parameter", err, "22P02")
}

func libpqCancel(t *testing.T, db *sql.DB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := db.ExecContext(ctx, "SELECT pg_sleep(60)")
	if err == nil {
		t.Error("a query whose context ended succeeded")
	}
	var one int
	must(t, db.QueryRowContext(t.Context(), "SELECT 1").Scan(&one))
}

func wantCode(t *testing.T, what string, err error, want string) {
	t.Helper()
	var pqErr *pq.Error
	if !errors.As(err, &pqErr) || string(pqErr.Code) != want {
		t.Errorf("%s ends with %v, want SQLSTATE %s", what, err, want)
	}
}

func TestLibPqListens(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	listener := pq.NewListener(f.dsn(), 10*time.Millisecond, time.Second, nil)
	t.Cleanup(func() { must(t, listener.Close()) })
	must(t, listener.Listen("news"))
	f.exec(t, "NOTIFY news, 'from the primary'")
	select {
	case notification := <-listener.Notify:
		if notification == nil || notification.Extra != "from the primary" {
			t.Errorf("heard %+v", notification)
		}
	case <-time.After(waitTimeout):
		t.Error("heard nothing")
	}
	must(t, listener.Ping())
	must(t, listener.Unlisten("news"))
}
