package catalog

import (
	"slices"
	"strings"
)

// relation is what trials showed of a system relation: the first and the last
// major version that has it, and what was seen when both nodes were asked for all
// its rows (see evidence).
type relation struct {
	name         string
	since, until uint8
	tried        evidence
}

// SystemRelation classifies a relation by its name in schema pg_catalog or
// information_schema: Safe if its rows are replicated, NodeState if they show the
// session, the node, its memory or its files. known is false for any other name.
//
// The caller has to know that the name means the system's. Rows are not all: the
// functions that decide what is visible (pg_table_is_visible, to_regclass) see
// the temporary schema of the session, which a node knows only if the session
// made it there.
func SystemRelation(name string) (class Class, known bool) {
	if _, ok := nodeRelations[name]; ok {
		return NodeState, true
	}
	for _, prefix := range nodeRelationPrefixes {
		if strings.HasPrefix(name, prefix) {
			return NodeState, true
		}
	}
	i, found := slices.BinarySearchFunc(relations[:], name, func(r relation, name string) int {
		return strings.Compare(r.name, name)
	})
	if !found {
		return Unknown, false
	}
	if relations[i].tried == sameAnswer {
		return Safe, true
	}
	return NodeState, true
}

// nodeRelationPrefixes are of families that also extensions and later versions
// add to.
var nodeRelationPrefixes = []string{"pg_stat_", "pg_statio_", "pg_shmem_", "pg_timezone_", "pg_available_"}

// nodeRelations are views of memory or files, with the reason: on two quiet test
// servers their rows may be the same, on others they are not.
var nodeRelations = map[string]string{
	"pg_aios":                      "I/O that is under way",
	"pg_backend_memory_contexts":   whySession,
	"pg_buffercache":               "the node's buffers",
	"pg_config":                    "how the node's programs were built",
	"pg_cursors":                   whySession,
	"pg_file_settings":             whyFiles,
	"pg_hba_file_rules":            whyFiles,
	"pg_ident_file_mappings":       whyFiles,
	"pg_locks":                     whyNode,
	"pg_prepared_statements":       whySession,
	"pg_prepared_xacts":            "a standby shows none before it is promoted",
	"pg_replication_origin_status": "progress in the node's memory",
	"pg_replication_slots":         "slots are the node's own",
	"pg_sequences":                 "its last_value is ahead on a standby: values are logged in advance",
	"pg_settings":                  "settings of the node and the session",
	"pg_wait_events":               "extensions register theirs in the node's memory",
}
