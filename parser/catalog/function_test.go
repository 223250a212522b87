package catalog_test

import (
	"strings"
	"testing"

	"github.com/howdah/howdah/parser/catalog"
)

func TestFunction(t *testing.T) {
	t.Parallel()
	for class, names := range map[catalog.Class]string{
		catalog.Safe: `lower count row_number random clock_timestamp to_regclass pg_get_indexdef has_table_privilege
			any_value array_sample array_shuffle crc32 crc32c date_add date_subtract gamma lgamma erf random_normal
			unicode_version icu_unicode_version unicode_assigned unistr uuidv4 uuidv7 uuid_extract_timestamp
			pg_get_acl pg_input_is_valid pg_input_error_info pg_basetype to_bin to_oct casefold array_reverse array_sort
			json_agg json_object_agg_unique_strict json_build_object json_to_recordset jsonb_populate_record
			jsonb_path_query_tz range_agg multirange range_intersect_agg regexp_like regexp_substr string_agg percentile_cont
			current_user session_user system_user current_schema lo_get pg_typeof pg_table_is_visible pg_client_encoding
			timezone position overlay substring btrim ltrim rtrim normalize is_normalized xmlexists pg_collation_for
			uuid json jsonb inet tsvector int4range text date timestamptz regclass
			version extract date_part overlaps similar_to_escape like_escape generate_series unnest ts_headline xpath`,
		catalog.TransactionScoped: `now transaction_timestamp age date_in timestamptz_in`,
		catalog.NodeState: `current_setting set_config pg_is_in_recovery pg_backend_pid currval lastval inet_server_addr
			pg_stat_get_backend_pid pg_stat_get_a_view_of_tomorrow pg_ls_waldir pg_ls_directory_of_tomorrow pg_lock_status
			pg_database_size pg_current_wal_lsn pg_last_wal_replay_lsn pg_walfile_name pg_read_file txid_current_snapshot
			pg_postmaster_start_time pg_get_loaded_modules pg_get_aios pg_numa_available pg_control_system setseed`,
		catalog.Writes: `nextval setval txid_current pg_current_xact_id lo_import lowrite loread lo_unlink pg_notify
			pg_advisory_lock pg_advisory_xact_lock pg_try_advisory_lock_shared pg_advisory_unlock_all pg_promote
			query_to_xml cursor_to_xml table_to_xml database_to_xml ts_rewrite ts_stat pg_create_restore_point pg_switch_wal
			pg_logical_emit_message pg_replication_origin_oid pg_create_logical_replication_slot pg_reload_conf
			pg_terminate_backend pg_cancel_backend pg_export_snapshot pg_restore_relation_stats pg_clear_attribute_stats
			brin_summarize_new_values gin_clean_pending_list pg_stat_reset pg_log_backend_memory_contexts
			pg_import_system_collations pg_sync_replication_slots`,
		catalog.Unknown: `Lower my_function zzz dblink uuid_generate_v4`,
	} {
		for _, name := range strings.Fields(names) {
			if got := catalog.Function(name); got != class {
				t.Errorf("%s: got %v, want %v", name, got, class)
			}
		}
	}
	if got := catalog.Function(""); got != catalog.Unknown {
		t.Errorf("empty name: got %v", got)
	}
}

// TestCuratedAgainstEvidence: whoever says that a call is harmless must not be
// contradicted by a trial, and need not say what the trials say.
func TestCuratedAgainstEvidence(t *testing.T) {
	t.Parallel()
	facts := map[string]catalog.Fact{}
	for _, f := range catalog.Builtins() {
		facts[f.Name] = f
	}
	for name, why := range catalog.Curated() {
		f, ok := facts[name]
		if !ok || why == "" {
			t.Errorf("%s: no built-in function, or no reason (%q)", name, why)
			continue
		}
		class := catalog.Function(name)
		if class == f.Derived {
			t.Errorf("%s: curated, although the evidence gives %v by itself", name, class)
		}
		harmless := class == catalog.Safe || class == catalog.TransactionScoped
		if harmless && strings.ContainsAny(f.Tried, "!rxlw") {
			t.Errorf("%s: curated as %v, although its trial showed %q", name, class, f.Tried)
		}
		if class == catalog.NodeState && strings.ContainsAny(f.Tried, "xlw") {
			t.Errorf("%s: curated as %v, although its trial showed %q", name, class, f.Tried)
		}
	}
}

// TestEveryFunctionHasAClass: what is volatile, refused, answered otherwise or has
// an effect is never safe unless a person said why.
func TestEveryFunctionHasAClass(t *testing.T) {
	t.Parallel()
	curated := catalog.Curated()
	for _, f := range catalog.Builtins() {
		class := catalog.Function(f.Name)
		suspect := strings.Contains(f.Volatility, "v") || f.ParallelUnsafe || strings.Trim(f.Tried, "=") != ""
		_, decided := curated[f.Name]
		if class == catalog.Unknown || class == catalog.Safe && suspect && !decided {
			t.Errorf("%+v: class %v", f, class)
		}
		effects := strings.ContainsAny(f.Tried, "xlw")
		if effects && class != catalog.Writes {
			t.Errorf("%+v: class %v, although it has an effect", f, class)
		}
	}
}

func TestTablesAreSorted(t *testing.T) {
	t.Parallel()
	for what, all := range map[string][]catalog.Fact{"functions": catalog.Builtins(), "relations": catalog.Relations()} {
		if len(all) < 200 {
			t.Errorf("%d %s from %q", len(all), what, catalog.Source())
		}
		for i, f := range all {
			if i > 0 && all[i-1].Name >= f.Name {
				t.Errorf("%s before %s", all[i-1].Name, f.Name)
			}
			if f.Since < 13 || f.Until > 18 || f.Since > f.Until {
				t.Errorf("%s: of versions %d to %d", f.Name, f.Since, f.Until)
			}
		}
	}
	for _, version := range []string{"13.", "14.", "15.", "16.", "17.", "18."} {
		if !strings.Contains(catalog.Source(), " "+version) {
			t.Errorf("source %q lacks a version %s", catalog.Source(), version)
		}
	}
}

func TestLookUpDoesNotAllocate(t *testing.T) {
	names := []string{"lower", "random", "pg_stat_get_wal", "my_function", "pg_class", "pg_locks"}
	if got := testing.AllocsPerRun(100, func() {
		for _, name := range names {
			catalog.Function(name)
			catalog.SystemRelation(name)
		}
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}
