package parser

import (
	"slices"
	"strings"
)

// readsCounters is whether the statement looks at what the node has counted of the use of
// relations and functions. Whoever does so wants what the session did counted there too.
func (st *Statement) readsCounters() bool {
	return slices.ContainsFunc(st.Relations, isCounterView) || slices.ContainsFunc(st.Functions, isCounter)
}

// isCounterView: pg_stat_user_tables, pg_stat_xact_all_tables, pg_statio_sys_indexes … (the manual, 28.2).
func isCounterView(name Name) bool {
	if name.Schema != "" && name.Schema != "pg_catalog" {
		return false
	}
	rest, ok := strings.CutPrefix(name.Name, "pg_stat")
	if !ok {
		return false
	}
	rest = strings.TrimPrefix(rest, "io")
	rest = strings.TrimPrefix(rest, "_xact")
	for _, of := range [...]string{"_all_", "_user_", "_sys_"} {
		if strings.HasPrefix(rest, of) {
			return true
		}
	}
	return rest == "_user_functions"
}

// counters are how the names of the functions behind those views begin.
var counters = [...]string{"have_stats", "get_numscans", "get_lastscan", "get_tuples_", "get_live_tuples", "get_dead_tuples",
	"get_blocks_", "get_xact_", "get_function_"}

func isCounter(name Name) bool {
	if name.Schema != "" && name.Schema != "pg_catalog" {
		return false
	}
	rest, ok := strings.CutPrefix(name.Name, "pg_stat_")
	return ok && slices.ContainsFunc(counters[:], func(c string) bool { return strings.HasPrefix(rest, c) })
}
