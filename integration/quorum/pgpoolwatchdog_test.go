package quorum

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/howdah/howdah/integration/launch"
)

// pgpoolFile has Pgpool-II's watchdog as its manual sets it up, with its default times: a heartbeat every 2 s, and a member that is silent for 30 s
// is lost. It has no server behind it; how its clients are answered before they log in does not depend on one.
const pgpoolFile = `listen_addresses = '*'
port = 9999
unix_socket_directories = '%[1]s'
socket_dir = '%[1]s'
pcp_socket_dir = '%[1]s'
wd_ipc_socket_dir = '%[1]s'
pid_file_name = '%[1]s/pid'
logdir = '%[1]s'
num_init_children = 8
backend_clustering_mode = 'streaming_replication'
backend_hostname0 = '127.0.0.1'
backend_port0 = 5432
backend_flag0 = 'DISALLOW_TO_FAILOVER'
sr_check_period = 0
health_check_period = 0
use_watchdog = on
delegate_IP = '%[2]s'
if_cmd_path = '/sbin'
if_up_cmd = '/sbin/ip addr add $_IP_$/32 dev eth0'
if_down_cmd = '/sbin/ip addr del $_IP_$/32 dev eth0'
arping_path = '/usr/bin'
arping_cmd = '/usr/bin/arping -U $_IP_$ -w 1 -I eth0'
`

// pgpools are the processes of Pgpool-II on a host, a group.
type pgpools struct {
	host  *host
	cmd   *exec.Cmd
	ended <-chan error
}

// pgpool starts Pgpool-II on the host, as one of all of the network.
func (h *host) pgpool(id int) *pgpools {
	h.t.Helper()
	dir := filepath.Join(h.dir, h.name+".pgpool")
	text := fmt.Sprintf(pgpoolFile, dir, floating)
	for i, o := range h.hosts {
		text += fmt.Sprintf("hostname%[1]d = '%[2]s'\nwd_port%[1]d = 9000\npgpool_port%[1]d = 9999\nheartbeat_hostname%[1]d = '%[2]s'\nheartbeat_port%[1]d = 9694\n", i, o.address)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		h.t.Fatal(err)
	}
	for name, text := range map[string]string{"pgpool.conf": text, "pgpool_node_id": fmt.Sprint(id), "pcp.conf": "", "pool_hba.conf": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			h.t.Fatal(err)
		}
	}
	p := &pgpools{host: h}
	p.cmd = exec.Command("ip", "netns", "exec", h.ns, "/usr/sbin/pgpool", "-n", "-f", filepath.Join(dir, "pgpool.conf"), "-F", filepath.Join(dir, "pcp.conf"),
		"-a", filepath.Join(dir, "pool_hba.conf"))
	p.cmd.Stdout, p.cmd.Stderr = h.log, h.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	var err error
	if p.ended, err = launch.Start(p.cmd, nil); err != nil {
		h.t.Fatal(err)
	}
	return p
}

// signal tells all processes.
func (p *pgpools) signal(s syscall.Signal) {
	if err := syscall.Kill(-p.cmd.Process.Pid, s); err != nil {
		p.host.t.Errorf("signal Pgpool-II on %s: %v", p.host.name, err)
	}
}

// kill ends all processes at once.
func (p *pgpools) kill() {
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// BenchmarkTakeoverByPgpool measures the same as BenchmarkTakeover with Pgpool-II's watchdog, where it can: nobody tells it to yield.
func BenchmarkTakeoverByPgpool(b *testing.B) {
	all := map[*host]*pgpools{} // of the network that is measured
	for _, event := range []takeover{
		{"kill", func(h *host) { all[h].kill() }, func(h *host) {
			if h.has() { // nobody has taken it off
				h.run("ip", "netns", "exec", h.ns, "ip", "addr", "del", floating+"/32", "dev", "eth0")
			}
			all[h] = h.pgpool(slices.Index(h.hosts, h))
		}},
		{"frozen", func(h *host) { all[h].signal(syscall.SIGSTOP) }, func(h *host) { all[h].signal(syscall.SIGCONT) }},
		{"cut", (*host).cut, (*host).mend},
	} {
		b.Run("pgpool/"+event.name, func(b *testing.B) {
			n := newNetwork(b, "p1", "p2", "p3")
			n.dialTimeout, n.patience = attempt, 3*time.Minute
			for i, h := range n.hosts {
				all[h] = h.pgpool(i)
			}
			b.Cleanup(func() {
				for _, h := range n.hosts {
					all[h].kill()
				}
			})
			n.takeAway(b, event.happens, event.undo)
		})
	}
}
