package integration_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// What a client knows of a prepared statement's columns holds, wherever the statement runs and however often howdah
// has made it; and no client gets an error for what another one had prepared before.

func TestColumnsChangeShared(t *testing.T) { TestColumnsChange(t) }

// TestColumnsChange redefines a table under prepared statements, past howdah.
func TestColumnsChange(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec(t, "CREATE TABLE grows (a int, b text); INSERT INTO grows VALUES (1, 'one')")
	ctx := t.Context()
	const read, write = "SELECT * FROM grows WHERE a = 1", "UPDATE grows SET b = b || '+' RETURNING *"
	old := f.pgconn(t)
	defer old.Close(context.Background()) //nolint:errcheck // it has done its work
	f.prepare(t, old, "r", read)
	f.prepare(t, old, "w", write)
	for range 3 {
		wantColumns(t, old, "r", 2, 0, 0)
		wantColumns(t, old, "w", 2, 0, 0)
	}
	f.exec(t, "ALTER TABLE grows ADD COLUMN c int")
	before := f.value(t, 0, "SELECT b FROM grows")
	for _, name := range []string{"r", "w"} {
		for range 2 {
			_, err := runPrepared(ctx, old, name, 0, 0)
			var refused *pgconn.PgError
			if !errors.As(err, &refused) || refused.Code != "0A000" || refused.Routine != "RevalidateCachedQuery" {
				t.Errorf("who asks for the old columns of %s gets %v, want 0A000", name, err)
			}
		}
	}
	if after := f.value(t, 0, "SELECT b FROM grows"); after != before {
		t.Errorf("a statement that was refused has written %q after %q", after, before)
	}
	f.prepareAgain(t, old, "r", read)
	f.prepareAgain(t, old, "w", write)
	wantColumns(t, old, "r", 3, 0, 0, 0)
	wantColumns(t, old, "w", 3, 0, 0, 0)
	f.exec(t, "ALTER TABLE grows ADD COLUMN d int")
	fresh := f.pgconn(t)
	defer fresh.Close(context.Background()) //nolint:errcheck // it has done its work
	f.prepare(t, fresh, "x", read)
	f.prepare(t, fresh, "y", write)
	for range 3 {
		wantColumns(t, fresh, "x", 4, 0, 0, 0, 0)
		wantColumns(t, fresh, "y", 4, 0, 0, 0, 0)
	}
	if _, err := fresh.Exec(ctx, "BEGIN").ReadAll(); err != nil {
		t.Fatal(err)
	}
	wantColumns(t, fresh, "y", 4, 0, 0, 0, 0)
	wantColumns(t, fresh, "x", 4, 0, 0, 0, 0)
	if _, err := fresh.Exec(ctx, "COMMIT").ReadAll(); err != nil {
		t.Fatal(err)
	}
	if _, err := runPrepared(ctx, old, "r", 0, 0, 0); err == nil {
		t.Error("the first client gets four columns where it knows of three")
	}
}

func (f *fixture) pgconn(t *testing.T) *pgconn.PgConn {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), f.dsn())
	must(t, err)
	return conn
}

func (f *fixture) prepare(t *testing.T, conn *pgconn.PgConn, name, sql string) {
	t.Helper()
	_, err := conn.Prepare(t.Context(), name, sql, nil)
	must(t, err)
}

func (f *fixture) prepareAgain(t *testing.T, conn *pgconn.PgConn, name, sql string) {
	t.Helper()
	must(t, conn.Deallocate(t.Context(), name))
	f.prepare(t, conn, name, sql)
}

// runPrepared runs a prepared statement and returns how many columns its result has.
func runPrepared(ctx context.Context, conn *pgconn.PgConn, name string, formats ...int16) (int, error) {
	result := conn.ExecPrepared(ctx, name, nil, nil, formats).Read()
	return len(result.FieldDescriptions), result.Err
}

func wantColumns(t *testing.T, conn *pgconn.PgConn, name string, want int, formats ...int16) {
	t.Helper()
	got, err := runPrepared(t.Context(), conn, name, formats...)
	if err != nil || got != want {
		t.Errorf("%s has %d columns (%v), want %d", name, got, err, want)
	}
}
