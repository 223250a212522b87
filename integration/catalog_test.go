package integration_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/howdah/howdah/integration/pgcluster"
	"github.com/howdah/howdah/parser/catalog"
)

// TestCatalogKnowsTheServer asks a real server what it is born with: the tables of
// parser/catalog know each function and relation, and whatever calls a function
// without naming it (operators, casts, conversions of types) calls a safe one.
func TestCatalogKnowsTheServer(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{Standbys: 1})
	conns := make([]*pgx.Conn, 2)
	for i := range conns {
		conn, err := cluster.Connect(t.Context(), i, "postgres")
		must(t, err)
		defer conn.Close(context.Background()) //nolint:errcheck // the server ends anyway
		conns[i] = conn
	}
	functions := column(t, conns[0], "SELECT DISTINCT proname::text FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace")
	types := column(t, conns[0], "SELECT typname::text FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm') AND typcategory <> 'A'")
	relations, bySyntax := column(t, conns[0], systemRelations), column(t, conns[0], calledBySyntax)
	if len(functions) < 2400 || len(relations) < 150 || len(bySyntax) < 1000 {
		t.Errorf("%d functions, %d relations, %d functions called by syntax", len(functions), len(relations), len(bySyntax))
	}
	for _, name := range slices.Concat(functions, types) { // a type may be called like a function
		if catalog.Function(name) == catalog.Unknown {
			t.Errorf("function %s: unknown", name)
		}
	}
	for _, name := range bySyntax {
		if class := catalog.Function(name); class != catalog.Safe && class != catalog.TransactionScoped { // the latter read 'now'
			t.Errorf("function %s of an operator, cast or type: %v", name, class)
		}
	}
	must(t, cluster.WaitReplay(t.Context(), 0))
	for _, name := range relations {
		_, relation, _ := strings.Cut(name, ".")
		class, known := catalog.SystemRelation(relation)
		if !known {
			t.Errorf("relation %s: unknown", name)
		}
		if class != catalog.Safe {
			continue
		}
		rows := "SELECT r::text FROM " + name + " r ORDER BY r::text COLLATE \"C\""
		if !slices.Equal(column(t, conns[0], rows), column(t, conns[1], rows)) {
			t.Errorf("relation %s: safe, yet the standby has other rows", name)
		}
	}
}

const calledBySyntax = `
SELECT DISTINCT p.proname::text FROM pg_proc p JOIN (
	SELECT oprcode::oid FROM pg_operator
	UNION ALL SELECT oprrest::oid FROM pg_operator
	UNION ALL SELECT castfunc FROM pg_cast
	UNION ALL SELECT unnest(ARRAY[typinput, typoutput, typreceive, typsend, typmodin, typmodout]) FROM pg_type
	UNION ALL SELECT amproc FROM pg_amproc
) f(oid) ON f.oid = p.oid WHERE p.pronamespace = 'pg_catalog'::regnamespace`

const systemRelations = `
SELECT format('%s.%s', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'v')`

// column is the answer's only column, as text.
func column(t *testing.T, conn *pgx.Conn, sql string) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql)
	must(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	return all
}

// TestCatalogBodies: bodies in PL/pgSQL are read, unless one or all together are too long.
func TestCatalogBodies(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{})
	conn, err := cluster.Connect(t.Context(), 0, "postgres")
	must(t, err)
	defer conn.Close(context.Background()) //nolint:errcheck // the server ends anyway
	_, err = conn.Exec(t.Context(), `
		CREATE FUNCTION short() RETURNS int LANGUAGE plpgsql AS $$BEGIN RETURN 1; END$$;
		DO $x$ BEGIN EXECUTE 'CREATE FUNCTION long() RETURNS int LANGUAGE plpgsql AS $$' || repeat('-', 200000) || E'\nBEGIN RETURN 1; END$$'; END $x$;
		DO $x$ BEGIN EXECUTE 'CREATE FUNCTION middling() RETURNS int LANGUAGE plpgsql AS $$' || repeat('-', 50000) || E'\nBEGIN RETURN 1; END$$'; END $x$`)
	must(t, err)
	for _, c := range []struct {
		room int64
		want []string
	}{{10 << 20, []string{"middling", "short"}}, {800_000, nil}} {
		facts, err := catalog.Load(t.Context(), querier{conn}, "", c.room)
		must(t, err)
		var got []string
		for _, f := range facts.Functions {
			if f.Language == "plpgsql" && f.Body != "" {
				got = append(got, f.Name)
			}
		}
		slices.Sort(got)
		if len(facts.Functions) < 3 || !slices.Equal(got, c.want) {
			t.Errorf("with %d bytes: bodies of %v among %d functions, want %v", c.room, got, len(facts.Functions), c.want)
		}
	}
}

// A reading waits for nobody's lock: if it did, and they for its, one of the two would fail, and it might be the client.
func TestCatalogLocks(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{})
	var conns [2]*pgx.Conn
	for i := range conns {
		conn, err := cluster.Connect(t.Context(), 0, "postgres")
		must(t, err)
		defer conn.Close(context.Background()) //nolint:errcheck // the server ends anyway
		conns[i] = conn
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := conns[0].Exec(ctx, `CREATE TABLE a (x int); CREATE TABLE b (x int); CREATE VIEW va AS SELECT x FROM a; CREATE VIEW vb AS SELECT x FROM b`)
	must(t, err)
	_, err = conns[0].Exec(ctx, "BEGIN; LOCK TABLE b IN ACCESS EXCLUSIVE MODE")
	must(t, err)
	_, err = catalog.Load(ctx, querier{conns[1]}, "", 10<<20)
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "55P03" {
		t.Errorf("with a table locked: %v, want 55P03", err)
	}
	_, err = conns[1].Exec(ctx, "ROLLBACK")
	must(t, err)
	_, err = conns[0].Exec(ctx, "COMMIT")
	must(t, err)
	facts, err := catalog.Load(ctx, querier{conns[1]}, "", 10<<20)
	must(t, err)
	if len(facts.Relations) != 2 {
		t.Errorf("afterwards: %+v", facts.Relations)
	}
}

// querier reads catalogs as text.
type querier struct{ conn *pgx.Conn }

func (q querier) Query(ctx context.Context, sql string) ([][]string, error) {
	results, err := q.conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, row := range results[0].Rows {
		texts := make([]string, len(row))
		for i := range row {
			texts[i] = string(row[i])
		}
		rows = append(rows, texts)
	}
	return rows, nil
}
