package admin

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/howdah/howdah/configs"
)

// Item is a row of SHOW pool_status: a parameter of Pgpool-II and what stands for it in howdah.
type Item struct{ Name, Value, Description string }

// PoolStatus are the parameters of Pgpool-II that have something to say of howdah, in Pgpool-II's order. Never a password.
func (a *Admin) PoolStatus() []Item {
	c := a.State.Config()
	items := append(connectionItems(c), routingItems(c)...)
	return append(items, a.nodeItems()...)
}

func connectionItems(c *configs.Config) []Item {
	return []Item{
		{"backend_clustering_mode", "streaming_replication", "clustering mode"},
		{"listen_addresses", strings.Join(c.Listen.Addresses, ","), "host name(s) or IP address(es) to listen on"},
		{"port", strconv.Itoa(c.Listen.Port), "port number"},
		{"unix_socket_directories", strings.Join(c.Listen.UnixDirs, ","), "directories of Unix sockets"},
		{"pcp_listen_addresses", strings.Join(c.Admin.PCP.Addresses, ","), "host name(s) or IP address(es) of PCP"},
		{"pcp_port", strconv.Itoa(c.Admin.PCP.Port), "PCP port number"},
		{"pcp_socket_dir", strings.Join(c.Admin.PCP.UnixDirs, ","), "directories of PCP's sockets"},
		{"enable_pool_hba", "1", "howdah always uses its own rules"},
		{"pool_passwd", c.Auth.PasswdFile, "file of users and secrets"},
		{"authentication_timeout", wholeSeconds(c.Timeouts.Auth), "seconds until a login must have ended"},
		{"num_init_children", strconv.Itoa(c.Limits.MaxClients), "most clients (limits.max_clients)"},
		{"max_pool", strconv.Itoa(c.Pool.MaxPerNode), "most connections to a node (pool.max_per_node)"},
		{"connection_life_time", wholeSeconds(c.Pool.IdleTimeout), "seconds until an idle server connection is closed"},
		{"client_idle_limit", wholeSeconds(c.Timeouts.ClientIdle), "seconds until an idle client is closed"},
		{"log_connections", onOff(c.Log.Connections), "if true, logins are logged"},
		{"log_disconnections", onOff(c.Log.Disconnections), "if true, ends of sessions are logged"},
		{"log_hostname", onOff(c.Log.Hostname), "if true, with the clients' names"},
		{"log_statement", onOff(c.Log.Statements), "if true, statements are logged"},
		{"log_client_messages", onOff(c.Log.ClientMessages), "if true, clients' messages are logged"},
		{"log_backend_messages", c.Log.ServerMessages, "which messages of the servers are logged"},
		{"log_destination", c.Log.Destination, "where logs go"},
		{"syslog_facility", c.Log.Syslog.Facility, "syslog's facility"},
		{"syslog_ident", c.Log.Syslog.Ident, "the program's name in syslog"},
		{"log_per_node_statement", onOff(c.Log.PerNodeStatement), "if true, statements are logged with their node"},
		{"notice_per_node_statement", onOff(c.Log.NoticePerNodeStatement), "if true, clients are told each statement's node"},
		{"log_min_messages", c.Log.Level, "what is logged (log.level)"},
		{"connection_cache", "1", "server connections are pooled"},
		{"reset_query_list", c.Pool.ResetQuery, "what makes a server connection clean"},
	}
}

func routingItems(c *configs.Config) []Item {
	return []Item{
		{"load_balance_mode", onOff(c.Routing.Balance != "off"), "reads are spread over the nodes"},
		{"read_only_function_list", strings.Join(c.Routing.Functions.ReadOnly, ","), "functions that only read"},
		{"write_function_list", strings.Join(c.Routing.Functions.Write, ","), "functions that write"},
		{"primary_routing_query_pattern_list", strings.Join(c.Routing.PrimaryPatterns, ";"), "statements for the primary"},
		{"allow_sql_comments", onOff(c.Routing.Comments != "primary"), "comments do not prevent spreading"},
		{"disable_load_balance_on_write", c.Routing.AfterWrite, "what a write does to the reads after it"},
		{"dml_adaptive_object_relationship_list", strings.Join(c.Routing.DMLDependencies, ","), "what writes write besides"},
		{"statement_level_load_balance", onOff(c.Routing.Balance == "statement"), "a node is chosen for each statement"},
		{"sr_check_period", strconv.FormatFloat(c.ReplicationCheck.Interval.Seconds(), 'f', -1, 64), "seconds between probes"},
		{"sr_check_user", c.ReplicationCheck.User, "who probes"},
		{"sr_check_password", "*****", "its password"},
		{"sr_check_database", c.ReplicationCheck.Database, "where it logs in"},
		{"delay_threshold", strconv.FormatInt(int64(c.ReplicationCheck.MaxLagBytes), 10), "bytes a standby may be behind"},
		{"delay_threshold_by_time", strconv.FormatInt(c.ReplicationCheck.MaxLag.Milliseconds(), 10), "milliseconds a standby may be behind"},
		{"prefer_lower_delay_standby", onOff(c.ReplicationCheck.PreferLowerLag), "the standby that lags least instead of the primary"},
		{"health_check_timeout", wholeSeconds(c.ReplicationCheck.Timeout), "seconds a probe may take"},
		{"connect_timeout", strconv.FormatInt(c.Timeouts.Connect.Milliseconds(), 10), "milliseconds for a connection to a server"},
		{"memory_cache_enabled", "0", "there is no query cache"},
		{"relcache_expire", wholeSeconds(c.Catalog.TTL), "seconds until catalogs are looked at again"},
	}
}

func (a *Admin) nodeItems() []Item {
	var items []Item
	for _, n := range a.PoolNodes() {
		add := func(name, value, what string) {
			items = append(items, Item{fmt.Sprintf("%s%d", name, n.ID), value, fmt.Sprintf(what, n.ID)})
		}
		add("backend_hostname", n.Host, "backend #%d host name")
		add("backend_port", strconv.Itoa(n.Port), "backend #%d port number")
		add("backend_weight", fmt.Sprintf("%f", n.Weight), "weight of backend #%d")
		add("backend_data_directory", "", "data directory of backend #%d is not known")
		add("backend_status", n.StatusName(), "status of backend #%d")
		add("standby_delay", strconv.FormatInt(n.Delay, 10), "standby delay of backend #%d")
		add("backend_flag", "ALLOW_TO_FAILOVER", "flag of backend #%d")
		add("backend_application_name", a.State.View().Nodes[n.ID].Name, "name of backend #%d")
	}
	return items
}

func onOff(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

// wholeSeconds rounds up, so that what is not off does not look so.
func wholeSeconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

func (a *Admin) showStatus() *Table { return itemTable(a.PoolStatus()) }

func itemTable(items []Item) *Table {
	t := &Table{Columns: []string{"item", "value", "description"}}
	for _, i := range items {
		t.add(i.Name, i.Value, i.Description)
	}
	return t
}
