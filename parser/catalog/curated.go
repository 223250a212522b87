package catalog

// rule is a curated class, with the reason why volatility alone does not say it.
type rule struct {
	class Class
	why   string
}

const (
	whyRuns      = "runs SQL that its arguments hold"
	whyHarmless  = "volatile only because each call answers anew"
	whyXact      = "fixed at the start of the transaction"
	whySession   = "state of the session"
	whyNode      = "state of the node"
	whySnapshot  = "transaction ids and snapshots are the node's own"
	whyAssigns   = "assigns a transaction id, impossible in recovery"
	whySequence  = "moves a sequence"
	whyReadsSeq  = "the session's last sequence value"
	whySize      = "size of files: a standby's may differ"
	whyFiles     = "reads the node's files"
	whyCatalog   = "only reads catalogs, though marked volatile or unsafe"
	whyTransient = "a standby's copy of the transaction status may lag behind"
)

// curated has the last word on the functions it names.
var curated = map[string]rule{
	// Volatile, yet harmless.
	"random":              {Safe, whyHarmless},
	"clock_timestamp":     {Safe, whyHarmless},
	"timeofday":           {Safe, whyHarmless},
	"gen_random_uuid":     {Safe, whyHarmless},
	"pg_sleep":            {Safe, whyHarmless},
	"pg_sleep_for":        {Safe, whyHarmless},
	"pg_sleep_until":      {Safe, whyHarmless},
	"current_query":       {Safe, "the text that was sent"},
	"current_schema":      {Safe, whyCatalog},
	"current_schemas":     {Safe, whyCatalog},
	"pg_partition_tree":   {Safe, whyCatalog},
	"amvalidate":          {Safe, whyCatalog},
	"bernoulli":           {Safe, whyHarmless},
	"system":              {Safe, whyHarmless},
	"dsnowball_init":      {Writes, "takes internal arguments"},
	"row_security_active": {Safe, whyCatalog},
	// SYSTEM_USER is a call of it since PostgreSQL 16.
	"system_user": {Safe, "who logged in"},

	"pg_partition_ancestors": {Safe, whyCatalog},

	// Time.
	"now":                   {TransactionScoped, whyXact},
	"transaction_timestamp": {TransactionScoped, whyXact},
	"statement_timestamp":   {Safe, "fixed for the statement only"},
	"age":                   {TransactionScoped, "of one date: relative to today; of an xid: to the node's next"},
	"to_timestamp":          {Safe, "converts its argument"},

	// Sequences.
	"nextval":                {Writes, whySequence},
	"setval":                 {Writes, whySequence},
	"currval":                {NodeState, whyReadsSeq},
	"lastval":                {NodeState, whyReadsSeq},
	"pg_sequence_last_value": {NodeState, "the primary may be ahead of what it logged"},

	// Settings and session.
	"set_config":                     {NodeState, whySession},
	"current_setting":                {NodeState, whySession},
	"setseed":                        {NodeState, whySession},
	"pg_backend_pid":                 {NodeState, whySession},
	"pg_my_temp_schema":              {NodeState, whySession},
	"pg_is_other_temp_schema":        {NodeState, whySession},
	"pg_listening_channels":          {NodeState, whySession},
	"pg_cursor":                      {NodeState, whySession},
	"pg_prepared_statement":          {NodeState, whySession},
	"pg_client_encoding":             {NodeState, whySession},
	"pg_trigger_depth":               {NodeState, whySession},
	"pg_show_all_settings":           {NodeState, whySession},
	"pg_settings_get_flags":          {NodeState, whySession},
	"pg_get_backend_memory_contexts": {NodeState, whySession},
	"get_current_ts_config":          {Safe, "a setting that both nodes are given"},

	// The node.
	"version":                           {NodeState, whyNode},
	"inet_client_addr":                  {NodeState, whyNode},
	"inet_client_port":                  {NodeState, whyNode},
	"inet_server_addr":                  {NodeState, whyNode},
	"inet_server_port":                  {NodeState, whyNode},
	"pg_is_in_recovery":                 {NodeState, whyNode},
	"pg_is_in_backup":                   {NodeState, whyNode},
	"pg_backup_start_time":              {NodeState, whyNode},
	"pg_postmaster_start_time":          {NodeState, whyNode},
	"pg_conf_load_time":                 {NodeState, whyNode},
	"pg_config":                         {NodeState, whyNode},
	"pg_jit_available":                  {NodeState, whyNode},
	"pg_hba_file_rules":                 {NodeState, whyNode},
	"pg_ident_file_mappings":            {NodeState, whyNode},
	"pg_show_all_file_settings":         {NodeState, whyNode},
	"pg_show_replication_origin_status": {NodeState, whyNode},
	"pg_blocking_pids":                  {NodeState, whyNode},
	"pg_safe_snapshot_blocking_pids":    {NodeState, whyNode},
	"pg_prepared_xact":                  {NodeState, whyNode},
	"pg_get_shmem_allocations":          {NodeState, whyNode},
	"pg_notification_queue_usage":       {NodeState, whyNode},
	"pg_current_logfile":                {NodeState, whyNode},
	"pg_timezone_names":                 {NodeState, "depends on the node's time zone files"},
	"pg_timezone_abbrevs":               {NodeState, "depends on the node's time zone files"},
	"pg_available_extensions":           {NodeState, whyFiles},
	"pg_available_extension_versions":   {NodeState, whyFiles},
	"pg_extension_update_paths":         {NodeState, whyFiles},
	"pg_get_replication_slots":          {NodeState, whyNode},
	"pg_get_wal_resource_managers":      {NodeState, whyNode},
	"pg_get_wal_replay_pause_state":     {NodeState, whyNode},
	"pg_is_wal_replay_paused":           {NodeState, whyNode},
	"pg_current_wal_lsn":                {NodeState, whyNode},
	"pg_current_wal_insert_lsn":         {NodeState, whyNode},
	"pg_current_wal_flush_lsn":          {NodeState, whyNode},
	"pg_walfile_name":                   {NodeState, "refused in recovery"},
	"pg_walfile_name_offset":            {NodeState, "refused in recovery"},
	"pg_collation_actual_version":       {NodeState, "of the node's own library"},

	"pg_database_collation_actual_version": {NodeState, "of the node's own library"},

	// Sizes and files: replicated, but not to the byte.
	"pg_relation_size":        {NodeState, whySize},
	"pg_total_relation_size":  {NodeState, whySize},
	"pg_table_size":           {NodeState, whySize},
	"pg_indexes_size":         {NodeState, whySize},
	"pg_database_size":        {NodeState, whySize},
	"pg_tablespace_size":      {NodeState, whySize},
	"pg_tablespace_location":  {NodeState, whyFiles},
	"pg_tablespace_databases": {NodeState, whyFiles},
	"pg_relation_filepath":    {NodeState, whyFiles},
	"pg_stat_file":            {NodeState, whyFiles},

	// Transaction ids and snapshots.
	"txid_current":                   {Writes, whyAssigns},
	"pg_current_xact_id":             {Writes, whyAssigns},
	"txid_current_if_assigned":       {NodeState, whySnapshot},
	"pg_current_xact_id_if_assigned": {NodeState, whySnapshot},
	"txid_current_snapshot":          {NodeState, whySnapshot},
	"pg_current_snapshot":            {NodeState, whySnapshot},
	"txid_visible_in_snapshot":       {NodeState, whySnapshot},
	"pg_visible_in_snapshot":         {NodeState, whySnapshot},
	"txid_status":                    {NodeState, whyTransient},
	"pg_xact_status":                 {NodeState, whyTransient},
	"pg_xact_commit_timestamp":       {NodeState, whyTransient},
	"pg_last_committed_xact":         {NodeState, whyTransient},
	"pg_get_multixact_members":       {NodeState, whyTransient},
	"pg_export_snapshot":             {Writes, "the snapshot lives on the primary"},
	"mxid_age":                       {NodeState, whySnapshot},
	"currtid2":                       {NodeState, "reads a tuple's newest version"},

	"pg_xact_commit_timestamp_origin": {NodeState, whyTransient},

	// They run SQL text, or read whatever relation they are told to.
	"query_to_xml":                  {Writes, whyRuns},
	"query_to_xmlschema":            {Writes, whyRuns},
	"query_to_xml_and_xmlschema":    {Writes, whyRuns},
	"cursor_to_xml":                 {Writes, whyRuns},
	"cursor_to_xmlschema":           {Writes, whyRuns},
	"table_to_xml":                  {Writes, whyRuns},
	"table_to_xmlschema":            {Writes, whyRuns},
	"table_to_xml_and_xmlschema":    {Writes, whyRuns},
	"schema_to_xml":                 {Writes, whyRuns},
	"schema_to_xmlschema":           {Writes, whyRuns},
	"schema_to_xml_and_xmlschema":   {Writes, whyRuns},
	"database_to_xml":               {Writes, whyRuns},
	"database_to_xmlschema":         {Writes, whyRuns},
	"database_to_xml_and_xmlschema": {Writes, whyRuns},
	"ts_stat":                       {Writes, whyRuns},
	"ts_rewrite":                    {Writes, whyRuns},
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
