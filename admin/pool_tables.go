package admin

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/howdah/howdah/cluster"
)

// Speaks says whether the answers are to be those of Pgpool-II's version 4.minor, or a later one.
func (a *Admin) Speaks(minor int) bool { return a.minor() >= minor }

// minor is 3 of admin.pgpool_version 4.3.
func (a *Admin) minor() int {
	_, text, _ := strings.Cut(a.State.Config().Admin.PgpoolVersion, ".")
	n, _ := strconv.Atoi(text)
	return n
}

// PoolVersion is what SHOW pool_version says: programs look for the number in front.
func (a *Admin) PoolVersion() string {
	version := a.State.Config().Admin.PgpoolVersion + ".0"
	if version == "4.3.0" {
		version = "4.3.5" // Debian 12's
	}
	return version + " (" + a.Version + ")"
}

// PoolNode is a node as Pgpool-II's pcp_node_info and SHOW pool_nodes show it.
type PoolNode struct {
	ID        cluster.NodeID
	Host      string
	Port      int
	Status    int // 0 unused, 1 waiting, 2 up, 3 down
	PGStatus  string
	Weight    float64 // share of all weights
	Role      string  // primary or standby
	PGRole    string  // primary, standby or unknown
	Delay     int64   // bytes
	Sender    cluster.Sender
	Selects   uint64
	ChangedAt time.Time
}

// statusNames are Pgpool-II's, by PoolNode.Status.
var statusNames = [...]string{"unused", "waiting", "up", "down"}

// StatusName is the word for Status.
func (n *PoolNode) StatusName() string { return statusNames[n.Status] }

// PoolNodes are all nodes in the order of their numbers.
func (a *Admin) PoolNodes() []PoolNode {
	v := a.State.View()
	total := 0.0
	for i := range v.Nodes {
		total += v.Nodes[i].Weight
	}
	nodes := make([]PoolNode, len(v.Nodes))
	for i := range v.Nodes {
		n := &v.Nodes[i]
		p := PoolNode{ID: n.ID, Host: n.Host, Port: n.Port, Status: 1, PGStatus: "unknown", Role: "standby", PGRole: "unknown",
			Delay: lagBytes(n), Sender: n.Sender, Selects: a.State.Traffic(n.ID).Select, ChangedAt: a.State.Checks(n.ID).Changed}
		switch n.State {
		case cluster.StateUp:
			p.Status, p.PGStatus = 2, "up"
		case cluster.StateDown:
			p.Status, p.PGStatus = 3, "down"
		}
		if n.Role != cluster.RoleUnknown {
			p.PGRole = n.Role.String()
		}
		if n.ID == v.Primary {
			p.Role = "primary"
		}
		if total > 0 {
			p.Weight = n.Weight / total
		}
		nodes[i] = p
	}
	return nodes
}

func (a *Admin) showNodes(readNode cluster.NodeID) *Table {
	t := &Table{Columns: []string{"node_id", "hostname", "port", "status", "pg_status", "lb_weight", "role", "pg_role", "select_cnt",
		"load_balance_node", "replication_delay", "replication_state", "replication_sync_state", "last_status_change"}}
	for _, n := range a.PoolNodes() {
		t.add(int64(n.ID), n.Host, int64(n.Port), n.StatusName(), n.PGStatus, fmt.Sprintf("%f", n.Weight), n.Role, n.PGRole, n.Selects,
			n.ID == readNode, n.Delay, n.Sender.State, n.Sender.Sync, n.ChangedAt)
	}
	return t
}

// PoolProcess is a session's, or the pool's, connection to a backend as Pgpool-II's pcp_proc_info and
// SHOW pool_pools show it: the fields of version 4.7, in their order.
type PoolProcess struct {
	PID             int64
	Started         time.Time
	Connections     int64
	PoolID, Backend int64
	Database, User  string
	BackendSince    time.Time
	ClientSince     time.Time
	DisconnectedAt  time.Time
	Idle            string
	Major, Minor    int64
	Counter         int64
	BackendPID      int64
	Connected       int64
	Status          string
	ReadNode        string
	ClientHost      string
	ClientPort      string
	Statement       string
}

// Fields are the columns, of the given minor version.
func (p *PoolProcess) Fields(minor int) []any {
	f := []any{p.PID, p.Started, p.Connections, p.PoolID, p.Backend, p.Database, p.User, p.BackendSince, p.ClientSince,
		p.DisconnectedAt, p.Idle, p.Major, p.Minor, p.Counter, p.BackendPID, p.Connected, p.Status}
	if minor >= 5 {
		f = append(f, p.ReadNode)
	}
	if minor >= 7 {
		f = append(f, p.ClientHost, p.ClientPort, p.Statement)
	}
	return f
}

var processColumns = []string{"pool_pid", "start_time", "client_connection_count", "pool_id", "backend_id", "database", "username",
	"backend_connection_time", "client_connection_time", "client_disconnection_time", "client_idle_duration", "majorversion",
	"minorversion", "pool_counter", "pool_backendpid", "pool_connected", "status", "load_balance_node", "client_host", "client_port", "statement"}

// PoolProcesses are a row for each server connection that a session holds, one for each session that holds none, and one for
// each idle server connection. A session stands for a process of Pgpool-II; idle connections are howdah's own, pid.
func (a *Admin) PoolProcesses(pid int) []PoolProcess {
	var all []PoolProcess
	primary := a.State.View().Primary
	for _, s := range a.sortedSessions() {
		base := PoolProcess{PID: int64(s.PID), Started: s.Started, Connections: 1, Database: s.Database, User: s.User, ClientSince: s.Started,
			Major: 3, Counter: 1, Connected: 1, Status: s.State, ReadNode: "0"}
		if s.State == "Waiting" {
			base.Status = "Execute command"
		}
		base.ClientHost, base.ClientPort = clientHost(s)
		if len(s.Servers) == 0 {
			all = append(all, base)
		}
		for _, c := range s.Servers {
			p := base
			p.Backend, p.BackendPID, p.BackendSince = int64(c.Node), int64(c.PID), c.Created
			if c.Node != primary || len(s.Servers) == 1 {
				p.ReadNode = "1"
			}
			all = append(all, p)
		}
	}
	for i, c := range a.State.IdleServers() {
		all = append(all, PoolProcess{PID: int64(pid), Started: a.Started, PoolID: int64(i), Backend: int64(c.Node), Database: c.Database,
			User: c.User, BackendSince: c.Created, DisconnectedAt: c.Freed, Major: 3, Counter: 1, BackendPID: int64(c.PID),
			Status: "Wait for connection", ReadNode: "0"})
	}
	return all
}

func clientHost(s Session) (host, port string) {
	text := clientText(s)
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		return strings.Trim(text[:i], "[]"), text[i+1:]
	}
	return text, ""
}

func (a *Admin) showPools(pid int) *Table {
	minor := a.minor()
	t := &Table{Columns: processColumns[:len((&PoolProcess{}).Fields(minor))]}
	for _, p := range a.PoolProcesses(pid) {
		t.Rows = append(t.Rows, p.Fields(minor))
	}
	return t
}

func (a *Admin) showProcesses() *Table {
	t := &Table{Columns: []string{"pool_pid", "start_time", "client_connection_count", "database", "username", "backend_connection_time", "pool_counter", "status"}}
	for _, s := range a.sortedSessions() {
		var since time.Time
		if len(s.Servers) > 0 {
			since = s.Servers[0].Created
		}
		t.add(int64(s.PID), s.Started, int64(1), s.Database, s.User, since, int64(1), s.State)
	}
	return t
}

func (a *Admin) showCache() *Table {
	t := &Table{Columns: []string{"num_cache_hits", "num_selects", "cache_hit_ratio", "num_hash_entries", "used_hash_entries",
		"num_cache_entries", "used_cache_entries_size", "free_cache_entries_size", "fragment_cache_entries_size"}}
	t.add("0", "0", "0.00", "0", "0", "0", "0", "0", "0") // there is no query cache
	return t
}

// healthColumns are those of SHOW pool_health_check_stats, and the fields of pcp_health_check_stats.
var healthColumns = []string{"node_id", "hostname", "port", "status", "role", "last_status_change", "total_count", "success_count", "fail_count",
	"skip_count", "retry_count", "average_retry_count", "max_retry_count", "max_duration", "min_duration", "average_duration",
	"last_health_check", "last_successful_health_check", "last_skip_health_check", "last_failed_health_check"}

// HealthStats are a row for each node, by healthColumns.
func (a *Admin) HealthStats() *Table {
	t := &Table{Columns: healthColumns}
	for _, n := range a.PoolNodes() {
		c := a.State.Checks(n.ID)
		t.add(int64(n.ID), n.Host, int64(n.Port), n.StatusName(), n.Role, n.ChangedAt, c.Total, c.Success, c.Fail,
			int64(0), int64(0), fmt.Sprintf("%f", 0.0), int64(0), c.Max.Milliseconds(), c.Min.Milliseconds(), fmt.Sprintf("%f", ms(average(c))),
			c.Last, c.LastSuccess, time.Time{}, c.LastFail)
	}
	return t
}

func (a *Admin) showBackendStats() *Table {
	t := &Table{Columns: []string{"node_id", "hostname", "port", "status", "role", "select_cnt", "insert_cnt", "update_cnt", "delete_cnt",
		"ddl_cnt", "other_cnt", "panic_cnt", "fatal_cnt", "error_cnt"}}
	for _, n := range a.PoolNodes() {
		c := a.State.Traffic(n.ID)
		t.add(int64(n.ID), n.Host, int64(n.Port), n.StatusName(), n.Role, c.Select, c.Insert, c.Update, c.Delete, c.DDL, c.Other, c.Panic, c.Fatal, c.Error)
	}
	return t
}
