package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// relationEvidence is what the trials of one relation showed.
type relationEvidence struct {
	name         string
	since, until int
	tried        evidence
}

const relationQuery = `
SELECT n.nspname, c.relname
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
ORDER BY c.relname COLLATE "C"`

// tryRelations reads every system relation on both nodes.
func (l *lab) tryRelations(ctx context.Context, found map[string]*relationEvidence) error {
	for _, row := range ask(ctx, l.primary, relationQuery).rows {
		schema, name, _ := strings.Cut(row, "\t")
		r := found[name]
		if r == nil {
			r = &relationEvidence{name: name, since: l.major}
			found[name] = r
		}
		r.until = l.major
		tried, err := l.compare(ctx, fmt.Sprintf("TABLE %s.%s", schema, quoteIdent(name)))
		if err != nil {
			return err
		}
		r.tried |= tried
		if err := l.reset(ctx); err != nil {
			return err
		}
	}
	return nil
}

// repeats is how often the primary is asked again before a different answer of the
// standby is believed: random(1, 2) gives the same twice every other time.
const repeats = 8

// compare asks the primary twice and the standby, in any order of rows.
func (l *lab) compare(ctx context.Context, sql string) (evidence, error) {
	rows := func(node *pgconn.PgConn) answer {
		a := ask(ctx, node, sql)
		slices.Sort(a.rows)
		return a
	}
	first, second := rows(l.primary), rows(l.primary)
	if err := l.catchUp(ctx); err != nil {
		return 0, err
	}
	standby := rows(l.standby)
	verdict := judge(first, second, standby)
	for range repeats {
		if verdict != differs || first.state != "" {
			break
		}
		verdict = judge(first, rows(l.primary), standby)
	}
	return verdict, nil
}

func quoteIdent(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
