package integration_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

const conductSchema = `
CREATE SCHEMA a; CREATE SCHEMA b;
CREATE TABLE a.items (name text); CREATE TABLE b.items (name text);
INSERT INTO a.items VALUES ('of a'); INSERT INTO b.items VALUES ('of b');
CREATE FUNCTION use_schema(text) RETURNS void LANGUAGE plpgsql AS $$BEGIN PERFORM set_config('search_path', $1, false); END$$;
CREATE FUNCTION use_locally(text) RETURNS void LANGUAGE plpgsql AS $$BEGIN PERFORM set_config('search_path', $1, true); END$$;
CREATE FUNCTION use_by_sql(text) RETURNS text LANGUAGE sql AS $$SELECT set_config('search_path', $1, false)$$;
CREATE FUNCTION use_nested(text) RETURNS void LANGUAGE plpgsql AS $$BEGIN INSERT INTO public.log VALUES ($1); PERFORM public.use_by_sql($1); END$$;
CREATE FUNCTION use_dynamically(text) RETURNS void LANGUAGE plpgsql AS $$BEGIN EXECUTE format('SET search_path = %I', $1); END$$;
CREATE TABLE log (name text);
CREATE PROCEDURE use_by_procedure(text) LANGUAGE plpgsql AS $$BEGIN SET search_path = b; COMMIT; INSERT INTO public.log VALUES ($1); END$$;
CREATE PROCEDURE writes_log() LANGUAGE plpgsql AS $$BEGIN INSERT INTO public.log VALUES ('x'); COMMIT; END$$;
CREATE PROCEDURE makes_sequence() LANGUAGE plpgsql AS $$BEGIN CREATE OR REPLACE VIEW public.numbers AS SELECT nextval('public.s') AS n; END$$;
CREATE FUNCTION defines() RETURNS void LANGUAGE plpgsql AS $$BEGIN CREATE OR REPLACE VIEW public.numbers AS SELECT nextval('public.s') AS n; END$$;
CREATE SEQUENCE s;
CREATE VIEW numbers AS SELECT 1::bigint AS n;
`

// TestSettingsInFunctions: what a function or procedure sets, later statements of the
// session see, wherever they would run.
func TestSettingsInFunctions(t *testing.T) {
	t.Parallel()
	f := newNames(t, map[string]any{"routing.consistency": "none"})
	must(t, f.cluster.Exec(t.Context(), 0, "postgres", conductSchema))
	must(t, f.cluster.WaitReplay(t.Context(), 0))
	first := f.connect("postgres")
	f.eventuallyRead(first, "SELECT * FROM a.items")
	for _, c := range []struct {
		name, set, want string
		block, stays    bool // in a block that ends with the set; the setting outlives the block
	}{
		{"a function", "SELECT use_schema('b, public')", "of b", false, true},
		{"in a block", "SELECT use_schema('b, public')", "of b", true, true},
		{"for a block", "SELECT use_locally('b, public')", "of b", true, false},
		{"for a statement", "SELECT use_locally('b, public')", "of a", false, false},
		{"in language sql", "SELECT use_by_sql('b')", "of b", false, true},
		{"called by a writer", "SELECT use_nested('b')", "of b", false, true},
		{"by EXECUTE", "SELECT use_dynamically('b')", "of b", false, true},
		{"in a procedure", "CALL use_by_procedure('b')", "of b", false, true},
		{"called by a DO block", "DO $$BEGIN PERFORM use_schema('b'); END$$", "of b", false, true},
	} {
		conn := f.connect("postgres", "search_path=a,public")
		show := func(when, want string) {
			t.Helper()
			var got string
			must(t, conn.QueryRow(t.Context(), "SELECT name FROM items").Scan(&got))
			if got != want {
				t.Errorf("%s, %s: got %q, want %q", c.name, when, got, want)
			}
		}
		show("before", "of a")
		if c.block {
			f.run(conn, "BEGIN")
			show("in the block", "of a")
		}
		f.run(conn, c.set)
		show("after", c.want)
		if !c.block {
			continue
		}
		f.run(conn, "COMMIT")
		show("after the block", map[bool]string{true: "of b", false: "of a"}[c.stays])
		f.run(conn, "BEGIN")
		f.run(conn, c.set)
		f.run(conn, "ROLLBACK")
		show("after a rollback", map[bool]string{true: "of b", false: "of a"}[c.stays])
		if !c.stays {
			f.wantRead(conn, "SELECT name FROM items") // nothing keeps the session on the primary
		}
	}
}

// TestDefinitionsInProcedures: a CALL ends what is known of a database only if it may have
// changed that, and a function does if it has.
func TestDefinitionsInProcedures(t *testing.T) {
	t.Parallel()
	f := newNames(t, map[string]any{"routing.consistency": "none"})
	must(t, f.cluster.Exec(t.Context(), 0, "postgres", conductSchema))
	must(t, f.cluster.WaitReplay(t.Context(), 0))
	caller, reader := f.connect("postgres"), f.connect("postgres")
	f.eventuallyRead(reader, "SELECT * FROM numbers")
	for range 20 {
		f.run(caller, "CALL writes_log()")
		f.wantRead(reader, "SELECT * FROM numbers") // at once: nothing is read again
	}
	for _, sql := range []string{"CALL makes_sequence()", "SELECT defines()"} {
		f.run(caller, "CREATE OR REPLACE VIEW numbers AS SELECT 1::bigint AS n")
		f.eventuallyRead(reader, "SELECT * FROM numbers")
		f.run(caller, sql)
		f.wantPrimary(reader, "SELECT * FROM numbers", "") // a standby's refusal would be an error here
	}
}

// TestFailedBlockEndsAmongOthers: a Query that ends a block which failed on a standby may go on with what
// only the primary does.
func TestFailedBlockEndsAmongOthers(t *testing.T) {
	t.Parallel()
	f := newNames(t, map[string]any{"routing.consistency": "none"})
	c := f.connect("postgres")
	f.eventuallyRead(c, "SELECT * FROM t")
	conn := c.PgConn()
	all := func(sql string) (tags, code string, position int32) {
		t.Helper()
		reader := conn.Exec(t.Context(), sql)
		for reader.NextResult() {
			tag, _ := reader.ResultReader().Close()
			tags += tag.String() + ";"
		}
		var refused *pgconn.PgError
		if err := reader.Close(); errors.As(err, &refused) {
			code, position = refused.Code, refused.Position
		}
		return tags, code, position
	}
	for _, c := range []struct {
		sql, tags, code string
		position        int32
		status          byte
	}{
		{"ROLLBACK; INSERT INTO t VALUES (1, 2)", "ROLLBACK;INSERT 0 1;", "", 0, 'I'},
		{"/* é */ COMMIT; INSERT INTO t VALUES (1, 2); SELECT 1", "ROLLBACK;INSERT 0 1;SELECT 1;", "", 0, 'I'},
		{"ROLLBACK; BEGIN; INSERT INTO t VALUES (1, 2)", "ROLLBACK;BEGIN;INSERT 0 1;", "", 0, 'T'},
		{"ROLLBACK AND CHAIN; INSERT INTO t VALUES (1, 2)", "ROLLBACK;INSERT 0 1;", "", 0, 'T'},
		{"/* é */ ROLLBACK; INSERT INTO nowhere VALUES (1)", "ROLLBACK;", "42P01", 31, 'I'},
		{"ROLLBACK; SELECT 1", "ROLLBACK;SELECT 1;", "", 0, 'I'},
		{"SELECT 1; ROLLBACK", "", "25P02", 0, 'E'},
	} {
		all("BEGIN")
		from := len(f.server.Log())
		if tags, code, _ := all("SELECT 1 / (a - a) FROM t"); code != "22012" || !strings.Contains(f.server.Log()[from:], "node=node1") {
			t.Fatalf("the failing read: %s, %s", tags, code)
		}
		tags, code, position := all(c.sql)
		if tags != c.tags || code != c.code || position != c.position || conn.TxStatus() != c.status {
			t.Errorf("%s: got %s, error %q at %d, status %c", c.sql, tags, code, position, conn.TxStatus())
		}
		all("ROLLBACK")
	}
}
