package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/howdah/howdah/integration/pgcluster"
)

// proxy is a howdah or a Pgpool-II.
type proxy struct {
	port int
	cmd  *exec.Cmd
	sig  syscall.Signal
}

func (p *proxy) dsn() string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=postgres dbname=postgres sslmode=disable connect_timeout=60", p.port)
}

// fast is the fast profile of docs/FAILOVER.md.
const fast = `
replication_check: {interval: 50ms, idle_interval: 200ms, timeout: 200ms}
`

// startProxy starts one and waits until it uses all nodes.
func startProxy(ctx context.Context, name, program, dir string, cluster *pgcluster.Cluster) (*proxy, error) {
	port, err := pgcluster.FreePort()
	if err != nil {
		return nil, err
	}
	p := &proxy{port: port, sig: syscall.SIGTERM}
	switch name {
	case "howdah":
		err = p.howdah(program, dir, cluster, "{mode: native, cooldown: 0, hold_down: 0}", "")
	case "howdah-fast":
		err = p.howdah(program, dir, cluster, "{mode: native, cooldown: 0, hold_down: 0, confirm: 150ms}", fast)
	case "pgpool":
		err = p.pgpool(dir, cluster)
	default:
		err = errors.New("there is no such proxy")
	}
	if err != nil {
		return nil, err
	}
	if err := p.waitUp(ctx, cluster.Nodes()); err != nil {
		p.stop()
		log, _ := os.ReadFile(filepath.Join(dir, "proxy.log")) //nolint:errcheck // it is part of an error already
		return nil, fmt.Errorf("%w\n%s", err, log)
	}
	return p, nil
}

func (p *proxy) howdah(program, dir string, cluster *pgcluster.Cluster, failover, more string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "listen: {addresses: [127.0.0.1], port: %d}\nauth: {hba: [\"host all all 127.0.0.1/32 trust\"]}\nfailover: %s\n%sbackends:\n", p.port, failover, more)
	for i := range cluster.Nodes() {
		fmt.Fprintf(&b, "  - {name: node%d, host: 127.0.0.1, port: %d}\n", i, cluster.Port(i))
	}
	conf := filepath.Join(dir, "howdah.yml")
	if err := os.WriteFile(conf, []byte(b.String()), 0o600); err != nil {
		return err
	}
	return p.start(dir, program, "serve", "-c", conf)
}

// pgpoolProgram is where Debian has it.
const pgpoolProgram = "/usr/sbin/pgpool"

// pgpool is set up as its manual has it for streaming replication, with checks each second, the shortest that there is.
func (p *proxy) pgpool(dir string, cluster *pgcluster.Cluster) error {
	spare, err := pgcluster.FreePort()
	if err != nil {
		return err
	}
	psql := "/usr/bin/psql -XAtq -U postgres -d postgres -h 127.0.0.1"
	var script strings.Builder // failed node, old primary, new main node's port
	fmt.Fprintf(&script, "#!/bin/sh\n[ \"$1\" = \"$2\" ] || exit 0\n%s -p $3 -c 'SELECT pg_promote(true)'\n", psql)
	for i := range cluster.Nodes() {
		fmt.Fprintf(&script, "[ $1 = %[1]d ] || [ $3 = %[2]d ] || %[3]s -p %[2]d -c \"ALTER SYSTEM SET primary_conninfo = 'host=%[4]s port=$3 user=postgres application_name=node%[1]d'\" -c 'SELECT pg_reload_conf()'\n",
			i, cluster.Port(i), psql, cluster.SocketDir())
	}
	files := map[string]string{"failover.sh": script.String(), "pcp.conf": "", "pool_hba.conf": "host all all 127.0.0.1/32 trust\n"}
	var b strings.Builder
	fmt.Fprintf(&b, `backend_clustering_mode = 'streaming_replication'
listen_addresses = '127.0.0.1'
port = %[1]d
socket_dir = '%[3]s'
pcp_listen_addresses = '127.0.0.1'
pcp_port = %[2]d
pcp_socket_dir = '%[3]s'
wd_ipc_socket_dir = '%[3]s'
pid_file_name = '%[3]s/pgpool.pid'
logdir = '%[3]s'
memqcache_oiddir = '%[3]s'
sr_check_user = 'postgres'
sr_check_period = 1
health_check_user = 'postgres'
health_check_period = 1
health_check_timeout = 2
health_check_max_retries = 0
failover_on_backend_error = on
failover_command = '%[3]s/failover.sh %%d %%P %%r'
auto_failback = on
auto_failback_interval = 1
num_init_children = 40
load_balance_mode = on
`, p.port, spare, dir)
	for i := range cluster.Nodes() {
		fmt.Fprintf(&b, "backend_hostname%[1]d = '127.0.0.1'\nbackend_port%[1]d = %[2]d\nbackend_weight%[1]d = 1\nbackend_data_directory%[1]d = '%[3]s/none'\nbackend_flag%[1]d = 'ALLOW_TO_FAILOVER'\nbackend_application_name%[1]d = 'node%[1]d'\n",
			i, cluster.Port(i), dir)
	}
	files["pgpool.conf"] = b.String()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			return err
		}
	}
	p.sig = syscall.SIGINT // the fast shutdown
	return p.start(dir, pgpoolProgram, "-n", "-D", "-f", filepath.Join(dir, "pgpool.conf"), "-F", filepath.Join(dir, "pcp.conf"), "-a", filepath.Join(dir, "pool_hba.conf"))
}

func (p *proxy) start(dir, program string, args ...string) error {
	log, err := os.Create(filepath.Join(dir, "proxy.log"))
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the child has its own descriptor
	p.cmd = exec.Command(program, args...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: p.sig, Setpgid: true}
	return p.cmd.Start()
}

func (p *proxy) stop() {
	p.cmd.Process.Signal(p.sig) //nolint:errcheck // it may have ended
	done := make(chan struct{})
	go func() { // ends with the process
		p.cmd.Wait() //nolint:errcheck // however it ends
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) //nolint:errcheck // its own process group
		<-done
	}
}

// waitUp waits until the proxy shows so many nodes up, and exactly one primary among them: both answer SHOW pool_nodes.
func (p *proxy) waitUp(ctx context.Context, nodes int) error {
	var seen string
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		seen = p.nodes(ctx)
		if strings.Count(seen, " up ") == nodes && strings.Count(seen, " primary ") == 1 {
			return nil
		}
	}
	return errors.Join(fmt.Errorf("not all nodes are up: %s", seen), ctx.Err())
}

// nodes are the status and the role of each.
func (p *proxy) nodes(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	config, err := pgx.ParseConfig(p.dsn())
	if err != nil {
		return err.Error()
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err.Error()
	}
	defer conn.Close(ctx) //nolint:errcheck // it is over
	rows, err := conn.Query(ctx, "SHOW pool_nodes")
	if err != nil {
		return err.Error()
	}
	all, err := pgx.CollectRows(rows, pgx.RowToMap)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, row := range all {
		fmt.Fprintf(&b, "; %v %v ", row["status"], row["role"])
	}
	return b.String()
}
