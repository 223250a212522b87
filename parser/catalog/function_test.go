package catalog_test

import (
	"strings"
	"testing"

	"github.com/howdah/howdah/parser/catalog"
)

func TestFunction(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		want catalog.Class
	}{
		{"lower", catalog.Safe}, {"count", catalog.Safe}, {"row_number", catalog.Safe},
		{"random", catalog.Safe}, {"clock_timestamp", catalog.Safe}, {"to_regclass", catalog.Safe},
		{"pg_get_indexdef", catalog.Safe}, {"has_table_privilege", catalog.Safe},
		{"now", catalog.TransactionScoped}, {"transaction_timestamp", catalog.TransactionScoped},
		{"current_setting", catalog.NodeState}, {"pg_is_in_recovery", catalog.NodeState},
		{"pg_stat_get_backend_pid", catalog.NodeState}, {"pg_ls_waldir", catalog.NodeState},
		{"pg_stat_get_a_view_of_tomorrow", catalog.NodeState}, {"pg_lock_status", catalog.NodeState},
		{"nextval", catalog.Writes}, {"txid_current", catalog.Writes}, {"lo_import", catalog.Writes},
		{"lowrite", catalog.Writes}, {"pg_advisory_xact_lock", catalog.Writes},
		{"pg_try_advisory_lock_shared", catalog.Writes}, {"pg_promote", catalog.Writes},
		{"query_to_xml", catalog.Writes}, {"ts_rewrite", catalog.Writes}, {"pg_create_restore_point", catalog.Writes},
		{"", catalog.Unknown}, {"Lower", catalog.Unknown}, {"my_function", catalog.Unknown},
		{"zzz", catalog.Unknown}, {"dblink", catalog.Unknown}, {"uuid_generate_v4", catalog.Unknown},
	} {
		if got := catalog.Function(c.name); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

// TestVolatileIsNeverSafeByItself: whatever is not stable must have been looked at by a person.
func TestVolatileIsNeverSafeByItself(t *testing.T) {
	t.Parallel()
	for _, b := range catalog.Builtins() {
		class := catalog.Function(b.Name)
		if class == catalog.Unknown {
			t.Errorf("%s: built in, yet unknown", b.Name)
		}
		pretends := strings.Contains(b.Volatility, "v") || b.ParallelUnsafe
		if pretends && (class == catalog.Safe || class == catalog.TransactionScoped) && !catalog.IsCurated(b.Name) {
			t.Errorf("%s: volatile, and safe without a reason", b.Name)
		}
	}
}

// TestCuratedNamesExist finds spelling errors; the exceptions are of other versions.
func TestCuratedNamesExist(t *testing.T) {
	t.Parallel()
	elsewhere := map[string]bool{"system_user": true, "pg_is_in_backup": true, "pg_backup_start_time": true}
	known := map[string]bool{}
	for _, b := range catalog.Builtins() {
		known[b.Name] = true
	}
	for _, name := range catalog.CuratedNames() {
		if !known[name] && !elsewhere[name] {
			t.Errorf("%s: curated, but no built-in function", name)
		}
		if catalog.Why(name) == "" {
			t.Errorf("%s: curated without a reason", name)
		}
	}
}

func TestTableIsSorted(t *testing.T) {
	t.Parallel()
	all := catalog.Builtins()
	if len(all) < 2500 || !strings.HasPrefix(catalog.Source(), "PostgreSQL ") {
		t.Errorf("%d functions from %q", len(all), catalog.Source())
	}
	for i := 1; i < len(all); i++ {
		if all[i-1].Name >= all[i].Name {
			t.Errorf("%s before %s", all[i-1].Name, all[i].Name)
		}
	}
}
