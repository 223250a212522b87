package main

import (
	"fmt"
	"strings"
)

// function is an overload as pg_proc has it.
type function struct {
	oid, name, kind, volatility, parallel string
	result                                string
	// args are the input types.
	args []string
	// variadic is true if the last argument is an array that stands for many.
	variadic bool
	// columns is true if a record that it returns needs a list of columns.
	columns bool
	// aggregate is aggkind, empty unless the function is one; direct counts its
	// arguments before WITHIN GROUP.
	aggregate string
	direct    int
}

const functionQuery = `
SELECT p.oid, p.proname, p.prokind, p.provolatile, p.proparallel, format_type(p.prorettype, NULL),
 p.prorettype = 'record'::regtype AND p.proallargtypes IS NULL,
 p.provariadic <> 0 AND p.provariadic <> '"any"'::regtype,
 coalesce(a.aggkind::text, ''), coalesce(a.aggnumdirectargs, 0),
 coalesce((SELECT string_agg(format_type(t, NULL), ';' ORDER BY i) FROM unnest(p.proargtypes) WITH ORDINALITY u(t, i)), '')
FROM pg_catalog.pg_proc p LEFT JOIN pg_catalog.pg_aggregate a ON a.aggfnoid = p.oid
WHERE p.pronamespace = 'pg_catalog'::regnamespace
ORDER BY p.provolatile, p.proname COLLATE "C", p.oid`

func parseFunction(row string) (function, error) {
	f := strings.Split(row, "\t")
	if len(f) != 11 {
		return function{}, fmt.Errorf("read row %q: %d fields", row, len(f))
	}
	p := function{oid: f[0], name: f[1], kind: f[2], volatility: f[3], parallel: f[4], result: f[5], columns: f[6] == "t", variadic: f[7] == "t", aggregate: f[8]}
	if _, err := fmt.Sscan(f[9], &p.direct); err != nil {
		return function{}, fmt.Errorf("read row %q: %w", row, err)
	}
	if f[10] != "" {
		p.args = strings.Split(f[10], ";")
	}
	return p, nil
}

// typeQuery lists types that are no function's name too, in the form of functionQuery:
// PostgreSQL takes json('1') for a cast.
const typeQuery = `
SELECT t.oid, t.typname, '` + typeKind + `', i.provolatile, i.proparallel, format_type(t.oid, NULL), false, false, '', 0, format_type(t.oid, NULL)
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_proc i ON i.oid = t.typinput
WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype IN ('b', 'r', 'm') AND t.typcategory <> 'A'
AND NOT EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.pronamespace = t.typnamespace AND p.proname = t.typname)
ORDER BY t.typname COLLATE "C"`

// typeKind is the kind of a type that is called; pg_proc has no such prokind.
const typeKind = "t"

// Most calls of one overload. What never changes a thing is asked less.
const (
	callsImmutable = 10
	callsOther     = 60
)

// calls are SELECTs that call p, none if nobody can from SQL.
func (p function) calls() []string {
	if _, ok := skipped[p.name]; ok || !p.callable() {
		return nil
	}
	var all []string
	if p.kind == typeKind {
		for _, sample := range samples[p.args[0]] {
			all = append(all, p.wrap(sample)) // a cast of what is not yet of the type
		}
		return all
	}
	most := callsOther
	if p.volatility == "i" {
		most = callsImmutable
	}
	for _, args := range p.arguments(most) {
		all = append(all, p.call(args))
	}
	if p.kind == "f" {
		for _, args := range extra[p.name] {
			all = append(all, p.wrap(args))
		}
	}
	return all
}

func (p function) callable() bool {
	switch p.result {
	case "internal", "trigger", "event_trigger":
		return false
	}
	if strings.HasSuffix(p.result, "_handler") {
		return false
	}
	for _, t := range p.args {
		if len(samples[t]) == 0 {
			return false
		}
	}
	return true
}

// arguments are lists of sample arguments: the first samples, the second ones and
// so on, then each position varied alone.
func (p function) arguments(most int) [][]string {
	if len(p.args) == 0 {
		return [][]string{nil}
	}
	seen := map[string]bool{}
	var lists [][]string
	add := func(choose func(position int) int) {
		list := make([]string, len(p.args))
		for i, t := range p.args {
			sample := samples[t][choose(i)%len(samples[t])]
			if !pseudo[t] {
				sample = "(" + sample + ")::" + t
			}
			if p.variadic && i == len(p.args)-1 {
				sample = "VARIADIC " + sample
			}
			list[i] = sample
		}
		if key := strings.Join(list, ","); !seen[key] && len(lists) < most {
			seen[key] = true
			lists = append(lists, list)
		}
	}
	longest := 0
	for _, t := range p.args {
		longest = max(longest, len(samples[t]))
	}
	for n := range longest {
		add(func(int) int { return n })
	}
	for varied, t := range p.args {
		for n := range samples[t] {
			add(func(i int) int {
				if i == varied {
					return n
				}
				return 0
			})
		}
	}
	return lists
}

func (p function) call(args []string) string {
	name := "pg_catalog." + quoteIdent(p.name)
	const rows = " FROM generate_series(1, 3)"
	switch {
	case p.aggregate == "h": // VARIADIC "any": as many columns to order by as arguments
		return fmt.Sprintf("SELECT %s(%s) WITHIN GROUP (ORDER BY %[2]s)%s", name, strings.Join(args, ", "), rows)
	case p.aggregate == "o":
		return fmt.Sprintf("SELECT %s(%s) WITHIN GROUP (ORDER BY %s)%s", name, strings.Join(args[:p.direct], ", "), strings.Join(args[p.direct:], ", "), rows)
	case p.aggregate != "" && len(args) == 0: // count(*)
		return "SELECT " + name + "(*)" + rows
	case p.aggregate != "":
		return fmt.Sprintf("SELECT %s(%s)%s", name, strings.Join(args, ", "), rows)
	case p.kind == "w":
		return fmt.Sprintf("SELECT %s(%s) OVER ()%s", name, strings.Join(args, ", "), rows)
	}
	return p.wrap(strings.Join(args, ", "))
}

func (p function) wrap(args string) string {
	call := fmt.Sprintf("pg_catalog.%s(%s)", quoteIdent(p.name), args)
	if p.columns {
		return "SELECT * FROM " + call + " AS t(a int, b text)"
	}
	return "SELECT " + call
}
