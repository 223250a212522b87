package main

import (
	"context"
	"fmt"
	"strings"
)

// syntaxQuery lists what calls a function although no function is written:
// operators, casts, and the conversion of a type from and to text.
const syntaxQuery = `
SELECT 'operator ' || oprname || ' (' || format_type(oprleft, NULL) || ', ' || format_type(oprright, NULL) || ')', oprcode::oid
FROM pg_catalog.pg_operator WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprcode <> 0
UNION ALL
SELECT 'cast ' || format_type(castsource, NULL) || ' as ' || format_type(casttarget, NULL), castfunc
FROM pg_catalog.pg_cast WHERE castfunc <> 0 AND oid < 16384
UNION ALL
SELECT 'type ' || t.typname, f.oid
FROM pg_catalog.pg_type t, LATERAL (VALUES (t.typinput::oid), (t.typoutput::oid), (t.typreceive::oid), (t.typsend::oid), (t.typmodin::oid)) f(oid)
WHERE t.typnamespace = 'pg_catalog'::regnamespace AND f.oid <> 0
ORDER BY 1, 2`

// findSyntax adds to found what calls a function that is volatile, or that a
// standby answered in another way. It comes after tryFunctions.
func (l *lab) findSyntax(ctx context.Context, found map[string]bool) error {
	rows := ask(ctx, l.primary, syntaxQuery).rows
	if len(rows) == 0 {
		return fmt.Errorf("list operators, casts and types: no rows")
	}
	for _, row := range rows {
		name, oid, _ := strings.Cut(row, "\t")
		f := l.byOID[oid]
		if f == nil {
			return fmt.Errorf("look up function %s of %s: not tried", oid, name)
		}
		if f.volatility == "v" || f.unsafe || f.tried&^equal != 0 {
			found[fmt.Sprintf("%s by %s", name, f.name)] = true
		}
	}
	return nil
}
