package catalog_test

import (
	"testing"

	"github.com/howdah/howdah/parser/catalog"
)

func TestSystemRelation(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		want  catalog.Class
		known bool
	}{
		{"pg_class", catalog.Safe, true}, {"pg_subscription", catalog.Safe, true}, {"pg_stats", catalog.Safe, true},
		{"pg_stats_ext_exprs", catalog.Safe, true}, {"tables", catalog.Safe, true}, {"pg_parameter_acl", catalog.Safe, true},
		{"pg_settings", catalog.NodeState, true}, {"pg_locks", catalog.NodeState, true},
		{"pg_prepared_xacts", catalog.NodeState, true}, {"pg_sequences", catalog.NodeState, true},
		{"pg_stat_activity", catalog.NodeState, true}, {"pg_stat_view_of_tomorrow", catalog.NodeState, true},
		{"pg_statio_user_tables", catalog.NodeState, true}, {"pg_replication_origin_status", catalog.NodeState, true},
		{"pg_stat_statements", catalog.NodeState, true}, {"pg_shmem_allocations_numa", catalog.NodeState, true},
		{"", catalog.Unknown, false}, {"pgbench_accounts", catalog.Unknown, false}, {"PG_CLASS", catalog.Unknown, false},
		{"pg_toast_2619", catalog.Unknown, false},
	} {
		if got, known := catalog.SystemRelation(c.name); got != c.want || known != c.known {
			t.Errorf("%s: got %v %v, want %v %v", c.name, got, known, c.want, c.known)
		}
	}
}

// TestRelationThatDiffersIsNotSafe holds what a person wrote against the trials, and
// finds spelling errors in it.
func TestRelationThatDiffersIsNotSafe(t *testing.T) {
	t.Parallel()
	ofExtensions := map[string]bool{"pg_buffercache": true}
	known := map[string]bool{}
	for i, r := range catalog.Relations() {
		known[r.Name] = true
		if got, _ := catalog.SystemRelation(r.Name); got == catalog.Safe && r.Tried != "=" || got == catalog.Unknown {
			t.Errorf("%s: %v, although its trial showed %q", r.Name, got, r.Tried)
		}
		if i > 0 && catalog.Relations()[i-1].Name >= r.Name {
			t.Errorf("%s is not in order", r.Name)
		}
	}
	for name, why := range catalog.NodeRelations() {
		if !known[name] && !ofExtensions[name] || why == "" {
			t.Errorf("%s: no system relation, or no reason (%q)", name, why)
		}
	}
}
