package integration_test

import (
	"context"
	"crypto/md5"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// doors is a howdah with all its doors open, in front of a primary and two standbys.
type doors struct {
	cluster   *pgcluster.Cluster
	server    *howdahtest.Server
	pcpPort   int
	httpPort  int
	socket    string // of the command line
	pcpDir    string // of the PCP socket
	passFile  string
	usersFile string
}

func newDoors(t *testing.T, settings map[string]any) *doors {
	t.Helper()
	return newDoorsTo(t, pgcluster.ForTest(t, pgcluster.Options{Standbys: 2}), settings)
}

// newDoorsTo is newDoors in front of a cluster, whose standbys are read.
func newDoorsTo(t *testing.T, cluster *pgcluster.Cluster, settings map[string]any) *doors {
	t.Helper()
	d := &doors{cluster: cluster}
	dir, err := os.MkdirTemp("/tmp", "doors") // a socket's path must be short
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) }) //nolint:errcheck // only litter is left
	d.pcpDir, d.socket = dir, filepath.Join(dir, "admin.sock")
	d.usersFile, d.passFile = filepath.Join(dir, "pcp.conf"), filepath.Join(dir, "pcppass")
	hash := func(password string) string { return fmt.Sprintf("%x", md5.Sum([]byte(password))) }
	must(t, os.WriteFile(d.usersFile, []byte("# users\nadmin:"+hash("open sesame")+"\nviewer:"+hash("look")+"\n"), 0o600))
	must(t, os.WriteFile(d.passFile, []byte("*:*:admin:open sesame\n*:*:viewer:look\n*:*:wrong:wrong\n"), 0o600))
	d.pcpPort, err = pgcluster.FreePort()
	must(t, err)
	d.httpPort, err = pgcluster.FreePort()
	must(t, err)
	all := map[string]any{"admin.users_file": d.usersFile, "admin.readers": []string{"viewer"}, "admin.socket": d.socket,
		"admin.pcp.addresses": []string{"127.0.0.1"}, "admin.pcp.port": d.pcpPort, "admin.pcp.unix_dirs": []string{dir},
		"admin.http.addresses": []string{"127.0.0.1"}, "admin.http.port": d.httpPort}
	for k, v := range settings {
		all[k] = v
	}
	d.server = howdahtest.Start(t, howdahtest.Options{Cluster: d.cluster, Weights: []float64{0, 1, 1}, Settings: all})
	eventually(t, "all nodes are up", func() error {
		out, err := d.pcp(t, "admin", "pcp_node_info", "-a")
		if strings.Count(out, " up up ") != cluster.Nodes() {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	})
	return d
}

// pcp runs one of Pgpool-II's own programs and returns what it prints.
func (d *doors) pcp(t *testing.T, user, program string, args ...string) (string, error) {
	t.Helper()
	return d.pcpAt(t, "127.0.0.1", user, program, args...)
}

func (d *doors) pcpAt(t *testing.T, host, user, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join("/usr/sbin", program), append([]string{"-h", host, "-p", fmt.Sprint(d.pcpPort), "-U", user, "-w"}, args...)...)
	cmd.Env = append(os.Environ(), "PCPPASSFILE="+d.passFile)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%s hangs", program)
	}
	if os.IsNotExist(err) {
		t.Fatalf("%s is missing (scripts/deps.sh test installs it)", program)
	}
	return string(out), err
}

// Every program of Debian's Pgpool-II, with all its options, gets from howdah what it can read.
func TestPCPTools(t *testing.T) {
	t.Parallel()
	d := newDoors(t, nil)
	conn := connect(t, d.server)
	if _, err := conn.Exec(t.Context(), "CREATE TABLE t (id int)"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		program string
		args    string
		want    string // a regular expression
	}{
		{"pcp_node_count", "", `^3\n$`},
		{"pcp_node_info", "0", `^127.0.0.1 \d+ 2 0.000000 up up primary primary 0 none none \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\n$`},
		{"pcp_node_info", "-n 1", `^127.0.0.1 \d+ 2 0.500000 up up standby standby \d+ (none none|streaming async) \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\n$`},
		{"pcp_node_info", "-a", `^(127.0.0.1 \d+ 2 0.\d00000 up up (primary primary|standby standby) .*\n){3}$`},
		{"pcp_node_info", "-v 2", `(?s)^Hostname +: 127.0.0.1\n.*Weight +: 0.500000\nStatus Name +: up\n.*Role +: standby\n.*Replication Delay +: \d+\n.*Last Status Change +: \d{4}-`},
		{"pcp_node_info", "7", `informing node info failed\nDETAIL:  invalid node ID`},
		{"pcp_proc_count", "", `^(\d+ ?)+\n?$`},
		{"pcp_proc_info", "", `(?m)^postgres postgres \d{4}-.* 1 3 0 .* 0 (Idle|Execute command)\n`},
		{"pcp_proc_info", "-a", `(?m)^postgres postgres \d{4}-`},
		{"pcp_proc_info", "-v", `(?s)Database +: postgres\nUsername +: postgres\n.*Client connection count +: 1\n.*Backend PID +: \d+\n.*Status +: Idle`},
		{"pcp_proc_info", "999999", `informing process info failed\nDETAIL:  invalid process ID`},
		{"pcp_pool_status", "", `(?s)name : backend_clustering_mode\nvalue: streaming_replication\ndesc : clustering mode\n.*name : backend_application_name2\n`},
		{"pcp_pool_status", "-v", `(?m)^Name \[ +2\]:\tport\nValue: +\t\d+\nDescription:\tport number$`},
		{"pcp_health_check_stats", "0", `^0 127.0.0.1 \d+ up primary \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \d+ \d+ \d+ 0 0 0.000000 0 \d+ \d+ \d+\.\d+ \d{4}-`},
		{"pcp_health_check_stats", "-v 1", `(?s)Node Id +: 1\n.*Total Count +: \d+\n.*Fail Count +: \d+\n`},
		{"pcp_health_check_stats", "9", `informing health check stats failed\nDETAIL:  invalid node ID`},
		{"pcp_watchdog_info", "", `informing watchdog info failed\nDETAIL:  watchdog is not enabled`},
		{"pcp_detach_node", "1", `^pcp_detach_node -- Command Successful\n$`},
		{"pcp_node_info", "1", `^127.0.0.1 \d+ 3 0.500000 down `},
		{"pcp_attach_node", "1", `^pcp_attach_node -- Command Successful\n$`},
		{"pcp_detach_node", "-g 1", `^pcp_detach_node -- Command Successful\n$`},
		{"pcp_attach_node", "1", `^pcp_attach_node -- Command Successful\n$`},
		{"pcp_attach_node", "7", `could not process attach request\nDETAIL:  there is no node "7"`},
		{"pcp_detach_node", "0", `could not process detach request\nDETAIL:  the node is the primary: switch over first`},
		{"pcp_promote_node", "1", `could not process promote request\nDETAIL:  promotion: node0 is the primary and alive`},
		{"pcp_promote_node", "-g 1", `could not process promote request\nDETAIL:  promotion: node0 is the primary and alive`},
		{"pcp_promote_node", "-s 1", `could not process promote request\nDETAIL:  switchover: failover.mode is none`},
		{"pcp_promote_node", "0", `could not process promote request\nDETAIL:  specified node is already primary node`},
		{"pcp_recovery_node", "1", `could not process recovery request\nDETAIL:  failover.recovery is not configured`},
		{"pcp_recovery_node", "0", `primary server cannot be recovered by online recovery`},
		{"pcp_reload_config", "", `Command Successful`},
		{"pcp_reload_config", "-s local", `Command Successful`},
	} {
		out, _ := d.pcp(t, "admin", tt.program, strings.Fields(tt.args)...)
		if !regexp.MustCompile(tt.want).MatchString(out) {
			t.Errorf("%s %s:\n%s\nwant %s", tt.program, tt.args, out, tt.want)
		}
	}
	if out, _ := d.pcpAt(t, d.pcpDir, "admin", "pcp_node_count"); out != "3\n" {
		t.Errorf("by the socket: %q", out)
	}
	if out, _ := d.pcp(t, "viewer", "pcp_node_count"); out != "3\n" {
		t.Errorf("a reader: %q", out)
	}
	if out, _ := d.pcp(t, "viewer", "pcp_reload_config"); !strings.Contains(out, "reload needs the right to change things") {
		t.Errorf("a reader reloads: %q", out)
	}
	if out, err := d.pcp(t, "wrong", "pcp_node_count"); err == nil || !strings.Contains(out, "authentication failed for new PCP connection") {
		t.Errorf("a wrong password: %v %q", err, out)
	}
	if log := d.server.Log(); !strings.Contains(log, `msg="operator's command" command=reload`) || !strings.Contains(log, "door=pcp user=admin") {
		t.Error("the log does not have the reload")
	}
	if out, err := d.pcp(t, "admin", "pcp_stop_pgpool", "-m", "fast"); err != nil || !strings.Contains(out, "Command Successful") {
		t.Errorf("stop: %v %q", err, out)
	}
	must(t, d.server.Wait())
}

// With the dialect of later versions a client of 4.3 sees the delay in the wrong column, which shows that it was sent.
func TestPCPDialect(t *testing.T) {
	t.Parallel()
	d := &doors{}
	*d = *newDoors(t, map[string]any{"admin.pgpool_version": "4.3"})
	must(t, d.server.Reload(howdahtest.Options{Cluster: d.cluster, Weights: []float64{0, 1, 1}, Settings: map[string]any{
		"admin.users_file": d.usersFile, "admin.pgpool_version": "4.7", "admin.socket": d.socket,
		"admin.pcp.addresses": []string{"127.0.0.1"}, "admin.pcp.port": d.pcpPort}}))
	eventually(t, "the dialect changes", func() error {
		if out, _ := d.pcp(t, "admin", "pcp_node_info", "0"); !strings.Contains(out, " 1970-01-01 ") {
			return fmt.Errorf("got %s", out)
		}
		return nil
	})
}

// pgpool_adm is Pgpool-II's extension with the same commands as functions.
func TestPgpoolAdm(t *testing.T) {
	t.Parallel()
	d := newDoors(t, nil)
	// pgpool_adm 1.4 declares pcp_pool_status without SETOF, so that no server lets it answer more than one row: declare it right.
	must(t, d.cluster.Exec(t.Context(), 0, "postgres", `CREATE EXTENSION pgpool_adm;
		CREATE FUNCTION pool_status(host text, port int, username text, password text, OUT item text, OUT value text, OUT description text)
		RETURNS SETOF record AS '$libdir/pgpool_adm', '_pcp_pool_status' LANGUAGE C VOLATILE STRICT`))
	ask := func(function, more string) string {
		t.Helper()
		got, err := d.cluster.Value(t.Context(), 0, "postgres", fmt.Sprintf("SELECT string_agg(r::text, E'\\n') FROM (SELECT %s(%shost => '127.0.0.1', port => %d, username => 'admin', password => 'open sesame') AS r) x",
			function, more, d.pcpPort))
		if err != nil {
			t.Errorf("%s: %v", function, err)
		}
		return got
	}
	for _, tt := range []struct{ function, more, want string }{
		{"pcp_node_count", "", `^3$`},
		{"pcp_node_info", "node_id => 0, ", `^\(127.0.0.1,\d+,"Connection in use",up,0,Primary,primary,0,`},
		{"pcp_health_check_stats", "node_id => 1, ", `^\(1,127.0.0.1,\d+,up,standby,`},
		{"pool_status", "", `(?m)^\(port,\d+,"port number"\)`},
	} {
		if got := ask(tt.function, tt.more); !regexp.MustCompile(tt.want).MatchString(got) {
			t.Errorf("%s: got %s, want %s", tt.function, got, tt.want)
		}
	}
}

// showColumns are the columns of Pgpool-II's SHOW, of the oldest and the newest version that is spoken.
var showColumns = map[string]map[string]string{
	"4.3": {
		"pool_nodes": "node_id hostname port status pg_status lb_weight role pg_role select_cnt load_balance_node replication_delay replication_state replication_sync_state last_status_change",
		"pool_pools": "pool_pid start_time client_connection_count pool_id backend_id database username backend_connection_time client_connection_time client_disconnection_time " +
			"client_idle_duration majorversion minorversion pool_counter pool_backendpid pool_connected status",
		"pool_processes": "pool_pid start_time client_connection_count database username backend_connection_time pool_counter status",
		"pool_status":    "item value description",
		"pool_version":   "pool_version",
		"pool_cache": "num_cache_hits num_selects cache_hit_ratio num_hash_entries used_hash_entries num_cache_entries used_cache_entries_size " +
			"free_cache_entries_size fragment_cache_entries_size",
		"pool_health_check_stats": "node_id hostname port status role last_status_change total_count success_count fail_count skip_count retry_count average_retry_count max_retry_count " +
			"max_duration min_duration average_duration last_health_check last_successful_health_check last_skip_health_check last_failed_health_check",
		"pool_backend_stats": "node_id hostname port status role select_cnt insert_cnt update_cnt delete_cnt ddl_cnt other_cnt panic_cnt fatal_cnt error_cnt",
	},
	"4.7": {
		"pool_nodes":     "node_id hostname port status pg_status lb_weight role pg_role select_cnt load_balance_node replication_delay replication_state replication_sync_state last_status_change",
		"pool_processes": "pool_pid start_time client_connection_count database username backend_connection_time pool_counter status",
		"pool_status":    "item value description",
		"pool_cache": "num_cache_hits num_selects cache_hit_ratio num_hash_entries used_hash_entries num_cache_entries used_cache_entries_size " +
			"free_cache_entries_size fragment_cache_entries_size",
		"pool_health_check_stats": "node_id hostname port status role last_status_change total_count success_count fail_count skip_count retry_count average_retry_count max_retry_count " +
			"max_duration min_duration average_duration last_health_check last_successful_health_check last_skip_health_check last_failed_health_check",
		"pool_backend_stats": "node_id hostname port status role select_cnt insert_cnt update_cnt delete_cnt ddl_cnt other_cnt panic_cnt fatal_cnt error_cnt",
		"pool_pools": "pool_pid start_time client_connection_count pool_id backend_id database username backend_connection_time client_connection_time client_disconnection_time " +
			"client_idle_duration majorversion minorversion pool_counter pool_backendpid pool_connected status load_balance_node client_host client_port statement",
		"pool_version": "pool_version",
	},
}

// SHOW has Pgpool-II's columns in both protocols and among other statements.
func TestShowPool(t *testing.T) {
	t.Parallel()
	for version, shows := range showColumns {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			d := newDoors(t, map[string]any{"admin.pgpool_version": version})
			conn := connect(t, d.server)
			for show, want := range shows {
				for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec} {
					rows, err := conn.Query(t.Context(), "SHOW "+show, mode)
					must(t, err)
					var columns []string
					for _, f := range rows.FieldDescriptions() {
						columns = append(columns, f.Name)
					}
					count := 0
					for rows.Next() {
						count++
					}
					if err := rows.Err(); err != nil {
						t.Errorf("SHOW %s, %v: %v", show, mode, err)
					}
					if got := strings.Join(columns, " "); got != want {
						t.Errorf("SHOW %s, %v: columns\n%s\nwant\n%s", show, mode, got, want)
					}
					if count == 0 {
						t.Errorf("SHOW %s, %v: no rows", show, mode)
					}
				}
				results, err := conn.PgConn().Exec(t.Context(), "SET application_name = 'x'; SHOW "+show+"; SELECT 1").ReadAll()
				if err != nil || len(results) != 3 {
					t.Errorf("SHOW %s among others: %d results, %v", show, len(results), err)
					continue
				}
				var columns []string
				for _, f := range results[1].FieldDescriptions {
					columns = append(columns, f.Name)
				}
				if got := strings.Join(columns, " "); got != want || len(results[1].Rows) == 0 {
					t.Errorf("SHOW %s among others: columns\n%s\nwant\n%s; %d rows", show, got, want, len(results[1].Rows))
				}
			}
		})
	}
}

// What SHOW says is true: roles, counters of what ran, sessions, and howdah's own tables.
func TestShowTells(t *testing.T) {
	t.Parallel()
	d := newDoors(t, nil)
	conn := connect(t, d.server)
	for _, sql := range []string{"CREATE TABLE t (id int)", "INSERT INTO t VALUES (1)", "UPDATE t SET id = 2", "DELETE FROM t", "SELECT nonsense"} {
		conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol) //nolint:errcheck // the last one must fail
	}
	row := func(sql string) map[string]string {
		t.Helper()
		results, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
		if err != nil || len(results) != 1 || len(results[0].Rows) == 0 {
			t.Fatalf("%s: %v", sql, err)
		}
		m := map[string]string{}
		for i, f := range results[0].FieldDescriptions {
			m[f.Name] = string(results[0].Rows[0][i])
		}
		return m
	}
	stats := row("SHOW pool_backend_stats")
	for name, want := range map[string]string{"role": "primary", "status": "up", "insert_cnt": "1", "update_cnt": "1", "delete_cnt": "1", "ddl_cnt": "1"} {
		if stats[name] != want {
			t.Errorf("%s is %q, want %q", name, stats[name], want)
		}
	}
	if v := row("SHOW pool_version")["pool_version"]; !regexp.MustCompile(`^4\.3\.5 \(howdah `).MatchString(v) {
		t.Errorf("version %q", v)
	}
	if p := row("SHOW pool_processes"); p["username"] != "postgres" || p["database"] != "postgres" {
		t.Errorf("process %v", p)
	}
	for _, name := range []string{"status", "nodes", "sessions", "pools", "checks", "decisions", "counters"} {
		if len(row("SHOW howdah."+name)) < 2 {
			t.Errorf("SHOW howdah.%s says too little", name)
		}
	}
	for sql, code := range map[string]string{"SHOW howdah.kill": "42704", "SHOW howdah.nothing": "42704", "SHOW howdah.watchdog": "0A000",
		"PGPOOL SHOW nothing": "42704", "PGPOOL SET port TO 5": "55P02", "PGPOOL SET nothing TO 5": "42704", "PGPOOL SET log_per_node_statement TO 7": "22023"} {
		if _, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); sqlState(err) != code {
			t.Errorf("%s: %v, want %s", sql, err, code)
		}
	}
	if v := row("PGPOOL SHOW port")["port"]; v != fmt.Sprint(d.server.Port) {
		t.Errorf("port %q", v)
	}
	if n := row("pgpool show backend;")["item"]; n != "backend_clustering_mode" {
		t.Errorf("group: %q", n)
	}
	if v := row("PGPOOL SHOW sr_check_password")["sr_check_password"]; v != "*****" {
		t.Errorf("a password is shown: %q", v)
	}
}

// PGPOOL SET changes what the session is told, and RESET changes it back.
func TestPgpoolSet(t *testing.T) {
	t.Parallel()
	d := newDoors(t, nil)
	var out strings.Builder
	script := "PGPOOL SET notice_per_node_statement TO on;\nPGPOOL SHOW notice_per_node_statement;\nSELECT 'told';\n" +
		"PGPOOL RESET notice_per_node_statement;\nSELECT 'not told';\n"
	cmd := exec.CommandContext(t.Context(), d.cluster.Program("psql"), "-X", "-At", d.server.DSN("postgres", "postgres"))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(script), &out, &out
	must(t, cmd.Run())
	got := regexp.MustCompile(`node id: \d backend pid: \d+`).ReplaceAllString(out.String(), "node id: N backend pid: P")
	for _, want := range []string{"SET\n", "\non\n", "NOTICE:  DB node id: N backend pid: P statement: SELECT 'told';", "RESET\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "statement: SELECT 'not told'") {
		t.Errorf("still told:\n%s", got)
	}
}

// bitnami's liveness probe and the exporter ask like this.
func TestShowNodesLikeAProbe(t *testing.T) {
	t.Parallel()
	d := newDoors(t, nil)
	cmd := exec.CommandContext(t.Context(), d.cluster.Program("psql"), "-X", "-tA", "-c", "SHOW pool_nodes;", d.server.DSN("postgres", "postgres"))
	out, err := cmd.CombinedOutput()
	must(t, err)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 3 {
		t.Fatalf("got %s", out)
	}
	for i, line := range lines {
		if f := strings.Split(line, "|"); f[0] != fmt.Sprint(i) || f[3] != "up" || f[4] != "up" {
			t.Errorf("got %s", line)
		}
	}
	show := func() ([]byte, error) {
		cmd := exec.CommandContext(t.Context(), d.cluster.Program("psql"), "-X", "-tA", "-c", "SHOW pool_nodes;", d.server.DSN("postgres", "postgres"))
		return cmd.CombinedOutput()
	}
	eventually(t, "replication is seen", func() error {
		out, err := show()
		if err != nil || !regexp.MustCompile(`(?m)^0\|.*\|0\|\|\|2.*\n1\|.*\|streaming\|async\|2.*\n2\|.*\|streaming\|async\|2`).Match(out) {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	})
	must(t, d.cluster.StopNode(2))
	eventually(t, "a node that went away is down", func() error {
		out, err := show()
		if err != nil || !regexp.MustCompile(`(?m)^2\|127.0.0.1\|\d+\|down\|down\|`).Match(out) {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	})
}

// pgpool2_exporter asks these questions by the simple protocol, labels its metrics by these columns, and must be able to
// read the others as numbers. It takes no version but one that begins with digits.
func TestShowLikeTheExporter(t *testing.T) {
	t.Parallel()
	const labels, count = "hostname port role", "select_cnt insert_cnt update_cnt delete_cnt ddl_cnt other_cnt panic_cnt fatal_cnt error_cnt"
	for _, version := range []string{"4.3", "4.7"} {
		d := newDoors(t, map[string]any{"admin.pgpool_version": version})
		conn := connect(t, d.server)
		// ask returns the rows of an answer, by the columns' names.
		ask := func(sql string) (rows []map[string]string) {
			t.Helper()
			results, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
			if err != nil || len(results) != 1 {
				t.Fatalf("%s: %v", sql, err)
			}
			for _, values := range results[0].Rows {
				row := map[string]string{}
				for i, f := range results[0].FieldDescriptions {
					row[f.Name] = string(values[i])
				}
				rows = append(rows, row)
			}
			return rows
		}
		if rows := ask("SHOW POOL_VERSION;"); len(rows) != 1 || len(rows[0]) != 1 || !regexp.MustCompile(`^\d+\.\d+\.\d+`).MatchString(rows[0]["pool_version"]) {
			t.Errorf("version: %v", rows)
		}
		for show, columns := range map[string][2]string{
			"pool_nodes": {labels, "select_cnt replication_delay"}, "pool_backend_stats": {labels, count},
			"pool_health_check_stats": {labels, "total_count success_count fail_count skip_count retry_count average_retry_count max_retry_count max_duration min_duration average_duration"},
			"pool_processes":          {"pool_pid", ""}, "pool_pools": {"pool_pid pool_id backend_id", ""},
			"pool_cache": {"", "num_cache_hits num_selects cache_hit_ratio num_hash_entries used_hash_entries num_cache_entries used_cache_entries_size free_cache_entries_size fragment_cache_entries_size"},
		} {
			rows := ask("SHOW " + show + ";")
			if len(rows) == 0 {
				t.Errorf("SHOW %s: nothing", show)
			}
			for _, row := range rows {
				for _, label := range strings.Fields(columns[0]) {
					if row[label] == "" {
						t.Errorf("SHOW %s: no %s in %v", show, label, row)
					}
				}
				for _, number := range strings.Fields(columns[1]) {
					if _, err := strconv.ParseFloat(row[number], 64); err != nil {
						t.Errorf("SHOW %s: %s: %v", show, number, err)
					}
				}
				if status, ok := row["status"]; ok && columns[1] != "" && status != "up" && status != "waiting" {
					t.Errorf("SHOW %s: status %q", show, status)
				}
			}
		}
		for _, used := range []string{"SHOW pool_processes;", "SHOW pool_pools;"} {
			found := false
			for _, row := range ask(used) {
				found = found || row["username"] == "postgres" && row["database"] == "postgres"
			}
			if !found {
				t.Errorf("%s does not show this session", used)
			}
		}
	}
}
