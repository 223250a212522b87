package integration_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
)

// wantPinned runs what may touch a temporary relation.
func (f *namesFixture) wantPinned(conn *pgx.Conn, sql string) {
	f.Helper()
	if reason, detail := f.run(conn, sql); reason != "pinned" || detail != "temporary objects" {
		f.Errorf("%s: routed as %q (%s), want pinned by temporary objects", sql, reason, detail)
	}
}

// eventuallyPinned runs what may never be a read, until what was defined is known.
func (f *namesFixture) eventuallyPinned(conn *pgx.Conn, sql string) {
	f.Helper()
	eventually(f.T, sql+" to be pinned", func() error {
		switch reason, detail := f.run(conn, sql); reason {
		case "pinned":
			return nil
		case "unknown":
			return fmt.Errorf("routed as %q (%s)", reason, detail)
		default:
			f.Errorf("%s: routed as %q (%s), though it may be temporary", sql, reason, detail)
			return nil
		}
	})
}

// value asks for one text through the connection.
func (f *namesFixture) value(conn *pgx.Conn, sql string) string {
	f.Helper()
	var got string
	if err := conn.QueryRow(f.Context(), sql).Scan(&got); err != nil {
		f.Errorf("%s: %v", sql, err)
	}
	return got
}

// TestTemporaryTables: a session with temporary tables reads from a standby what
// is none of them, and never misses one, even where it hides a permanent table.
func TestTemporaryTables(t *testing.T) {
	t.Parallel()
	f := newNames(t, nil)
	conn := f.connect("postgres")
	for _, sql := range []string{"CREATE TABLE shop (v text)", "INSERT INTO shop VALUES ('permanent')", "CREATE TABLE stock (v text)"} {
		f.run(conn, sql)
	}
	f.run(conn, "CREATE TEMP TABLE shop (v text)")
	f.run(conn, "INSERT INTO shop VALUES ('temporary')")
	f.wantPinned(conn, "SELECT v FROM shop")
	f.wantPinned(conn, "SELECT v FROM pg_temp.shop")
	f.wantPinned(conn, "SELECT reader(1)") // it might read shop
	f.wantPinned(conn, "SELECT 'shop'::regclass")
	f.wantPinned(conn, "SELECT null::shop")
	f.eventuallyRead(conn, "SELECT * FROM public.shop")
	f.eventuallyRead(conn, "SELECT * FROM stock")
	f.wantRead(conn, "SELECT 1")
	if got := f.value(conn, "SELECT v FROM shop"); got != "temporary" {
		t.Errorf("the temporary table has %q", got)
	}
	f.run(conn, "CREATE VIEW window_ AS SELECT v FROM shop") // becomes a temporary view
	f.wantPinned(conn, "SELECT * FROM window_")
	f.run(conn, "ALTER TABLE shop RENAME TO stock")
	f.wantPinned(conn, "SELECT * FROM stock")
	f.run(conn, "DROP TABLE stock CASCADE")
	f.run(conn, "DROP VIEW IF EXISTS window_")
	f.eventuallyRead(conn, "SELECT v FROM shop") // the server says that nothing temporary is left
	f.run(conn, "DISCARD TEMP")
	f.eventuallyRead(conn, "SELECT v FROM shop")
	f.eventuallyRead(conn, "SELECT reader(1)")
	if got := f.value(conn, "SELECT v FROM shop"); got != "permanent" {
		t.Errorf("the permanent table has %q", got)
	}
}

// TestTemporaryTablesInTransactions: creation and removal are as their transaction ends.
func TestTemporaryTablesInTransactions(t *testing.T) {
	t.Parallel()
	f := newNames(t, nil)
	conn := f.connect("postgres")
	const hidden = "SELECT a FROM t"
	for _, c := range []struct {
		name  string
		steps []string
		temp  bool
	}{
		{"committed", []string{"BEGIN", "CREATE TEMP TABLE t (a int)", "COMMIT"}, true},
		{"dropped again", []string{"BEGIN", "CREATE TEMP TABLE t (a int)", "DROP TABLE t", "COMMIT"}, false},
		{"rolled back", []string{"BEGIN", "CREATE TEMP TABLE t (a int)", "ROLLBACK"}, false},
		{"on commit drop", []string{"BEGIN", "CREATE TEMP TABLE t (a int) ON COMMIT DROP", "COMMIT"}, false},
		{"on commit drop, by itself", []string{"CREATE TEMP TABLE t (a int) ON COMMIT DROP"}, false},
		{"rolled back to a savepoint", []string{"BEGIN", "SAVEPOINT s", "CREATE TEMP TABLE t (a int)", "ROLLBACK TO s", "COMMIT"}, false},
		{"released", []string{"BEGIN", "SAVEPOINT s", "CREATE TEMP TABLE t (a int)", "RELEASE s", "COMMIT"}, true},
		{"the drop is rolled back", []string{"CREATE TEMP TABLE t (a int)", "BEGIN", "DROP TABLE t", "ROLLBACK"}, true},
		{"the drop is rolled back to a savepoint", []string{"CREATE TEMP TABLE t (a int)", "BEGIN", "SAVEPOINT s", "DROP TABLE t", "ROLLBACK TO s", "COMMIT"}, true},
		{"the discard is rolled over", []string{"CREATE TEMP TABLE x (a int)", "CREATE TEMP TABLE t AS SELECT 1 AS a", "DROP TABLE x"}, true},
		{"select into", []string{"SELECT a INTO TEMP t FROM public.t"}, true},
		{"in a string of statements", []string{"CREATE TEMP TABLE t (a int); SELECT 1"}, true},
		{"in a DO block", []string{"DO $$ begin create temp table t (a int); end $$"}, true},
		{"in a function", []string{"CREATE OR REPLACE FUNCTION maker() RETURNS int LANGUAGE plpgsql AS 'begin create temp table t (a int); return 1; end'", "SELECT maker()"}, true},
		{"in a procedure", []string{"CREATE OR REPLACE PROCEDURE proc() LANGUAGE plpgsql AS 'begin create temporary table t (a int); end'", "CALL proc()"}, true},
	} {
		f.run(conn, "DISCARD TEMP")
		f.eventuallyRead(conn, hidden)
		for _, sql := range c.steps {
			f.run(conn, sql)
		}
		if c.temp {
			f.eventuallyPinned(conn, hidden)
		} else {
			f.eventuallyRead(conn, hidden)
		}
		if t.Failed() {
			t.Fatalf("in case %q", c.name)
		}
	}
}

// TestTemporaryTablesOfCallees: a function that is known makes something temporary, as another that it calls was replaced
// a moment ago.
func TestTemporaryTablesOfCallees(t *testing.T) {
	t.Parallel()
	f := newNames(t, nil)
	conn := f.connect("postgres")
	const hidden = "SELECT a FROM t"
	f.run(conn, "CREATE FUNCTION callee() RETURNS int LANGUAGE plpgsql AS 'begin return 1; end'")
	f.run(conn, "CREATE FUNCTION caller() RETURNS int LANGUAGE plpgsql AS 'begin return callee(); end'")
	for range 3 {
		f.run(conn, "DISCARD TEMP")
		f.run(conn, "CREATE OR REPLACE FUNCTION callee() RETURNS int LANGUAGE plpgsql AS 'begin return 1; end'")
		f.eventuallyRead(conn, "SELECT caller()")
		f.eventuallyRead(conn, hidden)
		f.run(conn, "CREATE OR REPLACE FUNCTION callee() RETURNS int LANGUAGE plpgsql AS 'begin create temp table t (a int); return 1; end'")
		f.run(conn, "SELECT caller()")
		f.eventuallyPinned(conn, hidden)
	}
}

// TestTemporaryChildren: reading a permanent table reads a temporary one that inherits from it, however far down.
func TestTemporaryChildren(t *testing.T) {
	t.Parallel()
	f := newNames(t, nil)
	conn := f.connect("postgres")
	f.run(conn, "CREATE TABLE family (v text)")
	f.run(conn, "CREATE TABLE branch () INHERITS (family)")
	for _, steps := range [][]string{
		{"CREATE TEMP TABLE leaf () INHERITS (branch)"},
		{"CREATE TEMP TABLE leaf (v text)", "ALTER TABLE leaf INHERIT branch"},
		{"BEGIN", "CREATE TEMP TABLE leaf (v text)", "ALTER TABLE leaf INHERIT branch", "COMMIT"},
	} {
		f.eventuallyRead(conn, "SELECT v FROM family")
		for _, sql := range steps {
			f.run(conn, sql)
		}
		f.run(conn, "INSERT INTO leaf VALUES ('temporary')")
		f.eventuallyPinned(conn, "SELECT v FROM family")
		f.eventuallyPinned(conn, "SELECT v FROM branch")
		if got := f.value(conn, "SELECT v FROM family"); got != "temporary" {
			t.Errorf("%s: the family has %q", steps, got)
		}
		f.run(conn, "DROP TABLE leaf")
	}
}
