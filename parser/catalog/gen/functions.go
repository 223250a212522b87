package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// functionEvidence is what servers say of all functions of one name, and what
// their trials showed.
type functionEvidence struct {
	name         string
	since, until int
	volatility   string // set of provolatile, sorted
	unsafe       bool   // any overload is PARALLEL UNSAFE
	tried        evidence
}

func (f *functionEvidence) add(p function, tried evidence) {
	if !strings.Contains(f.volatility, p.volatility) {
		set := []byte(f.volatility + p.volatility)
		slices.Sort(set)
		f.volatility = string(set)
	}
	f.unsafe = f.unsafe || p.parallel == "u"
	f.tried |= tried
}

// effectCalls is how many calls that succeed are watched for what they do.
const effectCalls = 4

// tryFunctions calls every function that SQL can call, the volatile ones last:
// what they leave behind disturbs no other.
func (l *lab) tryFunctions(ctx context.Context, found map[string]*functionEvidence) error {
	types, functions := ask(ctx, l.primary, typeQuery).rows, ask(ctx, l.primary, functionQuery).rows
	if len(types) == 0 || len(functions) == 0 {
		return fmt.Errorf("list functions: %d types, %d functions", len(types), len(functions))
	}
	for _, row := range slices.Concat(types, functions) {
		p, err := parseFunction(row)
		if err != nil {
			return err
		}
		tried, err := l.try(ctx, p)
		if err != nil {
			return fmt.Errorf("try %s: %w", p.name, err)
		}
		f := found[p.name]
		if f == nil {
			f = &functionEvidence{name: p.name, since: l.major}
			found[p.name] = f
		}
		f.until = l.major
		f.add(p, tried)
		if p.kind == typeKind {
			continue
		}
		l.byOID[p.oid] = &functionEvidence{name: p.name, volatility: p.volatility, unsafe: p.parallel == "u", tried: tried}
	}
	return nil
}

func (l *lab) try(ctx context.Context, p function) (evidence, error) {
	var all evidence
	watched := 0
	for _, sql := range p.calls() {
		tried, err := l.compare(ctx, sql)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", sql, err)
		}
		if tried&(equal|unsteady|refused|differs) != 0 && watched < effectCalls {
			watched++
			tried |= l.effects(ctx, sql)
		}
		all |= tried
		if p.volatility == "v" || tried&^equal != 0 {
			if err := l.reset(ctx); err != nil {
				return 0, err
			}
		}
	}
	return all, nil
}

// effects says what a call did to the primary. WAL is also written for reasons
// that go away (a page is cleaned when first read), so that counts only if each
// call writes some.
func (l *lab) effects(ctx context.Context, sql string) evidence {
	const look = "SELECT pg_catalog.pg_current_xact_id_if_assigned() IS NOT NULL," +
		" EXISTS (SELECT FROM pg_catalog.pg_locks WHERE pid = pg_catalog.pg_backend_pid() AND locktype = 'advisory')," +
		" pg_catalog.pg_current_wal_insert_lsn()"
	var seen evidence
	always := logs
	for range 3 {
		before := ask(ctx, l.primary, "ROLLBACK; SELECT pg_catalog.pg_advisory_unlock_all(); BEGIN; "+look)
		call := ask(ctx, l.primary, sql)
		after := ask(ctx, l.primary, look)
		ask(ctx, l.primary, "ROLLBACK")
		if call.state != "" || before.state != "" || after.state != "" || len(before.rows) != 1 || len(after.rows) != 1 {
			return seen
		}
		old, now := strings.Split(before.rows[0], "\t"), strings.Split(after.rows[0], "\t")
		if now[0] == "t" {
			seen |= assigns
		}
		if now[1] == "t" && old[1] == "f" {
			seen |= locks
		}
		if old[2] == now[2] {
			always = 0
		}
	}
	return seen | always
}
