package catalog

// rule is a curated class, with the reason why the trials do not say it.
type rule struct {
	class Class
	why   string
}

const (
	whyHarmless  = "volatile only because each call answers anew"
	whyXact      = "fixed at the start of the transaction"
	whyNow       = "reads 'now' as the start of the transaction"
	whyRuns      = "reads whatever relation it is told to, views with all their functions too"
	whySession   = "state of the session"
	whyNode      = "state of the node"
	whySnapshot  = "transaction ids and snapshots are the node's own"
	whySequence  = "values are logged in advance: a standby is ahead"
	whySize      = "size of files: a standby's may differ"
	whyFiles     = "reads the node's files"
	whyLibrary   = "of the node's own library"
	whyCatalog   = "only reads catalogs, though marked volatile or unsafe"
	whyTransient = "a standby's copy of the transaction status may lag behind"
)

// curated has the last word on the functions it names. It says only what class
// does not find in the evidence, for one of three reasons: a volatile function is
// harmless; a stable one shows a node's memory or files, which on two quiet test
// servers may be the same; or a volatile one only looks at the node, which is less
// than to write.
var curated = map[string]rule{
	// Volatile, yet harmless.
	"random":                 {Safe, whyHarmless},
	"random_normal":          {Safe, whyHarmless},
	"array_sample":           {Safe, whyHarmless},
	"array_shuffle":          {Safe, whyHarmless},
	"clock_timestamp":        {Safe, whyHarmless},
	"timeofday":              {Safe, whyHarmless},
	"gen_random_uuid":        {Safe, whyHarmless},
	"uuidv4":                 {Safe, whyHarmless},
	"uuidv7":                 {Safe, whyHarmless},
	"pg_sleep":               {Safe, whyHarmless},
	"pg_sleep_for":           {Safe, whyHarmless},
	"pg_sleep_until":         {Safe, whyHarmless},
	"statement_timestamp":    {Safe, "fixed for the statement only"},
	"current_query":          {Safe, "the text that was sent"},
	"current_schema":         {Safe, whyCatalog},
	"current_schemas":        {Safe, whyCatalog},
	"pg_partition_tree":      {Safe, whyCatalog},
	"pg_partition_ancestors": {Safe, whyCatalog},
	"amvalidate":             {Safe, whyCatalog},
	"lo_get":                 {Safe, "reads a large object without a descriptor"},
	// AT TIME ZONE is a call of it.
	"timezone": {Safe, "of a time with time zone, volatile before PostgreSQL 15: the zone's offset today"},

	// Time.
	"now":                   {TransactionScoped, whyXact},
	"transaction_timestamp": {TransactionScoped, whyXact},
	"age":                   {TransactionScoped, "of one date: relative to today; of an xid: to the node's next"},
	"date_in":               {TransactionScoped, whyNow},
	"time_in":               {TransactionScoped, whyNow},
	"timetz_in":             {TransactionScoped, whyNow},
	"timestamp_in":          {TransactionScoped, whyNow},
	"timestamptz_in":        {TransactionScoped, whyNow},

	// Sequences.
	"currval":                {NodeState, whySession},
	"lastval":                {NodeState, whySession},
	"pg_sequence_last_value": {NodeState, whySequence},
	"pg_get_sequence_data":   {NodeState, whySequence},

	// Settings and session.
	"set_config":                     {NodeState, whySession},
	"setseed":                        {NodeState, whySession},
	"pg_my_temp_schema":              {NodeState, whySession},
	"pg_is_other_temp_schema":        {NodeState, whySession},
	"pg_listening_channels":          {NodeState, whySession},
	"pg_cursor":                      {NodeState, whySession},
	"pg_prepared_statement":          {NodeState, whySession},
	"pg_settings_get_flags":          {NodeState, "an extension's settings are known where it is loaded"},
	"pg_get_backend_memory_contexts": {NodeState, whySession},
	"pg_get_loaded_modules":          {NodeState, whySession},

	// The node.
	"inet_client_addr":                     {NodeState, whyNode},
	"inet_client_port":                     {NodeState, whyNode},
	"inet_server_addr":                     {NodeState, whyNode},
	"inet_server_port":                     {NodeState, whyNode},
	"pg_is_in_recovery":                    {NodeState, whyNode},
	"pg_is_in_backup":                      {NodeState, whyNode},
	"pg_backup_start_time":                 {NodeState, whyNode},
	"pg_config":                            {NodeState, whyNode},
	"pg_jit_available":                     {NodeState, whyNode},
	"pg_numa_available":                    {NodeState, whyNode},
	"pg_show_replication_origin_status":    {NodeState, whyNode},
	"pg_blocking_pids":                     {NodeState, whyNode},
	"pg_safe_snapshot_blocking_pids":       {NodeState, whyNode},
	"pg_isolation_test_session_is_blocked": {NodeState, whyNode},
	"pg_prepared_xact":                     {NodeState, whyNode},
	"pg_get_aios":                          {NodeState, whyNode},
	"pg_get_shmem_allocations":             {NodeState, whyNode},
	"pg_get_shmem_allocations_numa":        {NodeState, whyNode},
	"pg_notification_queue_usage":          {NodeState, whyNode},
	"pg_get_wait_events":                   {NodeState, "extensions register theirs in the node's memory"},
	"pg_get_wal_resource_managers":         {NodeState, "extensions register theirs in the node's memory"},
	"pg_get_wal_replay_pause_state":        {NodeState, whyNode},
	"pg_is_wal_replay_paused":              {NodeState, whyNode},
	"pg_get_wal_summarizer_state":          {NodeState, whyNode},
	"pg_current_wal_lsn":                   {NodeState, whyNode},
	"pg_current_wal_insert_lsn":            {NodeState, whyNode},
	"pg_current_wal_flush_lsn":             {NodeState, whyNode},
	"pg_stat_have_stats":                   {NodeState, "the node's own statistics"},

	// Files of the node: those that replication does not bring, and those that it
	// does not bring to the byte.
	"pg_hba_file_rules":                    {NodeState, whyFiles},
	"pg_ident_file_mappings":               {NodeState, whyFiles},
	"pg_show_all_file_settings":            {NodeState, whyFiles},
	"pg_current_logfile":                   {NodeState, whyFiles},
	"pg_stat_file":                         {NodeState, whyFiles},
	"pg_timezone_names":                    {NodeState, whyFiles},
	"pg_timezone_abbrevs":                  {NodeState, whyFiles},
	"pg_timezone_abbrevs_abbrevs":          {NodeState, whyFiles},
	"pg_timezone_abbrevs_zone":             {NodeState, whyFiles},
	"pg_available_extensions":              {NodeState, whyFiles},
	"pg_available_extension_versions":      {NodeState, whyFiles},
	"pg_extension_update_paths":            {NodeState, whyFiles},
	"pg_available_wal_summaries":           {NodeState, whyFiles},
	"pg_wal_summary_contents":              {NodeState, whyFiles},
	"pg_tablespace_location":               {NodeState, whyFiles},
	"pg_tablespace_databases":              {NodeState, whyFiles},
	"pg_collation_actual_version":          {NodeState, whyLibrary},
	"pg_database_collation_actual_version": {NodeState, whyLibrary},
	"pg_relation_size":                     {NodeState, whySize},
	"pg_total_relation_size":               {NodeState, whySize},
	"pg_table_size":                        {NodeState, whySize},
	"pg_indexes_size":                      {NodeState, whySize},
	"pg_database_size":                     {NodeState, whySize},
	"pg_tablespace_size":                   {NodeState, whySize},

	// Transaction ids and snapshots.
	"txid_current_if_assigned":        {NodeState, whySnapshot},
	"pg_current_xact_id_if_assigned":  {NodeState, whySnapshot},
	"mxid_age":                        {NodeState, whySnapshot},
	"txid_status":                     {NodeState, whyTransient},
	"pg_xact_status":                  {NodeState, whyTransient},
	"pg_xact_commit_timestamp":        {NodeState, whyTransient},
	"pg_xact_commit_timestamp_origin": {NodeState, whyTransient},
	"pg_get_multixact_members":        {NodeState, whyTransient},
	"currtid":                         {NodeState, "follows a row to its newest version"},
	"currtid2":                        {NodeState, "follows a row to its newest version"},

	"table_to_xml":                  {Writes, whyRuns},
	"table_to_xml_and_xmlschema":    {Writes, whyRuns},
	"schema_to_xml":                 {Writes, whyRuns},
	"schema_to_xml_and_xmlschema":   {Writes, whyRuns},
	"database_to_xml":               {Writes, whyRuns},
	"database_to_xml_and_xmlschema": {Writes, whyRuns},
}

// prefixRule is a rule for a family of names; those of later versions of
// PostgreSQL fall under it too.
type prefixRule struct {
	prefix string
	rule
}

// curatedPrefixes are asked after curated, in order.
var curatedPrefixes = []prefixRule{
	{"pg_stat_get_", rule{NodeState, "the node's own statistics"}},
	{"pg_stat_", rule{Writes, "resets or flushes the node's statistics"}},
	{"pg_advisory_", rule{Writes, "locks"}},
	{"pg_try_advisory_", rule{Writes, "locks"}},
	{"pg_replication_", rule{Writes, "replication slots and origins"}},
	{"pg_logical_", rule{Writes, "logical replication"}},
	{"pg_wal_replay_", rule{Writes, "controls replay"}},
	{"pg_last_", rule{NodeState, whyNode}},
	{"pg_ls_", rule{NodeState, whyFiles}},
	{"pg_read_", rule{NodeState, whyFiles}},
	{"pg_control_", rule{NodeState, whyFiles}},
	{"pg_lock", rule{NodeState, whyNode}},
	{"pg_event_trigger_", rule{Writes, "only valid within an event trigger"}},
	{"binary_upgrade_", rule{Writes, "only valid within pg_upgrade"}},
	{"lo_", rule{Writes, "large objects: descriptors live in a transaction"}},
}
