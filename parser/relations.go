package parser

import "strings"

// sharedRelations are the relations of pg_catalog whose content a standby has
// too: tables that are in the log, and views over just these. It is the union over
// PostgreSQL 13 to 18; a name that a server lacks is an error on all its nodes.
//
// Not here, hence the node's own: statistics (pg_stat_*, pg_statio_*), pg_locks,
// pg_settings and what else shows settings or files, the views of a session
// (pg_cursors, pg_prepared_statements), of replication and of two-phase commit, pg_sequences
// (its last_value), and all that later versions and extensions bring.
var sharedRelations = makeSet(`
	pg_aggregate pg_am pg_amop pg_amproc pg_attrdef pg_attribute pg_auth_members pg_authid pg_cast
	pg_class pg_collation pg_constraint pg_conversion pg_database pg_db_role_setting pg_default_acl
	pg_depend pg_description pg_enum pg_event_trigger pg_extension pg_foreign_data_wrapper
	pg_foreign_server pg_foreign_table pg_index pg_inherits pg_init_privs pg_language pg_largeobject
	pg_largeobject_metadata pg_namespace pg_opclass pg_operator pg_opfamily pg_parameter_acl
	pg_partitioned_table pg_policy pg_proc pg_publication pg_publication_namespace pg_publication_rel
	pg_range pg_replication_origin pg_rewrite pg_seclabel pg_sequence pg_shdepend pg_shdescription
	pg_shseclabel pg_statistic pg_statistic_ext pg_statistic_ext_data pg_subscription
	pg_subscription_rel pg_tablespace pg_transform pg_trigger pg_ts_config pg_ts_config_map
	pg_ts_dict pg_ts_parser pg_ts_template pg_type pg_user_mapping

	pg_group pg_indexes pg_matviews pg_policies pg_publication_tables pg_roles pg_rules pg_seclabels
	pg_shadow pg_stats pg_stats_ext pg_stats_ext_exprs pg_tables pg_user pg_user_mappings pg_views`)

// sharedSchemata are the views and tables of information_schema: all of them show
// catalogs, sequences too (without their last value).
var sharedSchemata = makeSet(`
	administrable_role_authorizations applicable_roles attributes character_sets
	check_constraint_routine_usage check_constraints collation_character_set_applicability collations
	column_column_usage column_domain_usage column_options column_privileges column_udt_usage columns
	constraint_column_usage constraint_table_usage data_type_privileges domain_constraints
	domain_udt_usage domains element_types enabled_roles foreign_data_wrapper_options
	foreign_data_wrappers foreign_server_options foreign_servers foreign_table_options foreign_tables
	information_schema_catalog_name key_column_usage parameters referential_constraints
	role_column_grants role_routine_grants role_table_grants role_udt_grants role_usage_grants
	routine_column_usage routine_privileges routine_routine_usage routine_sequence_usage
	routine_table_usage routines schemata sequences sql_features sql_implementation_info
	sql_languages sql_packages sql_parts sql_sizing sql_sizing_profiles table_constraints
	table_privileges tables transforms triggered_update_columns triggers udt_privileges
	usage_privileges user_defined_types user_mapping_options user_mappings view_column_usage
	view_routine_usage view_table_usage views
	_pg_foreign_data_wrappers _pg_foreign_servers _pg_foreign_table_columns _pg_foreign_tables
	_pg_user_mappings`)

// sharedSettings are the settings whose values a session may ask any node for.
// They are given to every connection of a session when it changes them, and their
// defaults must be the same on all nodes anyway, or else no read would have
// the same answer on all.
//
// Left out are those that a node has for itself (port, in_hot_standby,
// primary_conninfo, cluster_name), those that tune it (work_mem: a standby may be
// another machine), transaction_read_only and its default, which recovery turns on, and names with a
// dot, of which a connection keeps an empty value when SET LOCAL or RESET took them back.
var sharedSettings = makeSet(`
	array_nulls backslash_quote block_size bytea_output client_encoding constraint_exclusion cursor_tuple_fraction
	datestyle default_table_access_method default_tablespace default_text_search_config
	default_toast_compression default_transaction_deferrable default_transaction_isolation
	enable_async_append enable_bitmapscan enable_gathermerge enable_group_by_reordering
	enable_hashagg enable_hashjoin enable_incremental_sort enable_indexonlyscan enable_indexscan
	enable_material enable_memoize enable_mergejoin enable_nestloop enable_parallel_append
	enable_parallel_hash enable_partition_pruning enable_partitionwise_aggregate
	enable_partitionwise_join enable_presorted_aggregate enable_seqscan enable_sort enable_tidscan
	escape_string_warning extra_float_digits from_collapse_limit geqo icu_validation_level integer_datetimes
	intervalstyle is_superuser join_collapse_limit lc_collate lc_ctype lc_messages lc_monetary lc_numeric
	lc_time max_function_args max_identifier_length max_index_keys plan_cache_mode
	quote_all_identifiers role row_security search_path segment_size server_encoding server_version server_version_num
	session_authorization standard_conforming_strings timezone transaction_deferrable
	transaction_isolation transform_null_equals xmlbinary xmloption`)

// schemaFunctions are the functions of information_schema: SQL functions over catalogs.
var schemaFunctions = makeSet(`
	_pg_char_max_length _pg_char_octet_length _pg_datetime_precision _pg_expandarray
	_pg_index_position _pg_interval_type _pg_keysequal _pg_numeric_precision
	_pg_numeric_precision_radix _pg_numeric_scale _pg_truetypid _pg_truetypmod`)

func makeSet(words string) map[string]bool {
	set := map[string]bool{}
	for _, word := range strings.Fields(words) {
		set[word] = true
	}
	return set
}

// systemRelation says whether a relation is the system's, and whether a standby
// has its content too. A name without a schema is looked up as if pg_catalog
// came first, as it does unless search_path says otherwise: if it does, the name is
// a user's relation, which is none the worse for it.
func systemRelation(schema, name string) (system, shared bool) {
	switch schema {
	case "pg_catalog":
		return true, sharedRelations[name]
	case "information_schema":
		return true, sharedSchemata[name]
	case "pg_toast":
		return true, false // it may be that of an unlogged table
	case "":
		// Views of extensions (pg_stat_statements) are as much the node's own
		// as those of pg_catalog.
		return strings.HasPrefix(name, "pg_"), sharedRelations[name]
	}
	return false, false
}
