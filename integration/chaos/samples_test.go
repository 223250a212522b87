package chaos

import (
	"crypto/md5"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/howdah/howdah/integration/pgcluster"
)

// samples are Pgpool-II's example scripts, as Debian installs them.
const samples = "/usr/share/doc/pgpool2/examples/scripts"

// everyPlaceholder is what they are called with, in the order of Pgpool-II's own sample configuration.
const everyPlaceholder = "%d %h %p %D %m %H %M %P %r %R %N %S"

// sample copies one of them, with the settings at its head as an operator would edit them.
func sample(t *testing.T, dir, name string, settings map[string]string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(samples, name+".sample"))
	if err != nil {
		t.Fatalf("%v (scripts/deps.sh test installs pgpool2)", err)
	}
	for key, value := range settings {
		line := regexp.MustCompile(`(?m)^` + key + `=.*$`)
		text = line.ReplaceAll(text, []byte(key+"="+value))
	}
	path := filepath.Join(dir, name)
	must(t, os.WriteFile(path, text, 0o755))
	return path
}

// asPostgres is a command that runs what follows as the servers' user.
func asPostgres() []string {
	if os.Getuid() != 0 {
		return nil
	}
	return []string{"/usr/sbin/runuser", "-u", "postgres", "--"}
}

// Pgpool-II's example scripts for failover_command and follow_primary_command run as they are, but for the settings at their head
// and an ssh that stays on this host: the standby is promoted, the other one follows it, and the script attaches it by PCP.
func TestPgpoolSampleScripts(t *testing.T) {
	t.Parallel()
	dir := openDir(t, 0o755)
	must(t, os.WriteFile(filepath.Join(dir, "ssh"), []byte(`#!/bin/bash
# What follows the host is for a shell there.
while :; do case $1 in -T) shift ;; -o|-i) shift 2 ;; *) break ;; esac; done
shift
exec `+strings.Join(append(asPostgres(), "/bin/bash"), " ")+` -c "$*"
`), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "scp"), []byte("#!/bin/sh\nexit 1 # nothing is in the archive\n"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "pcp.conf"), fmt.Appendf(nil, "pgpool:%x\n", md5.Sum([]byte("secret"))), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "pcppass"), []byte("*:*:pgpool:secret\n"), 0o600))
	port, err := pgcluster.FreePort()
	must(t, err)
	cluster := pgcluster.Options{Standbys: 2, Settings: map[string]string{"wal_log_hints": "on", "full_page_writes": "on"}}
	settings := map[string]string{"PGHOME": "/usr/lib/postgresql/15", "ARCHIVEDIR": filepath.Join(dir, "archive"), "REPLUSER": "postgres",
		"PGPOOL_PATH": "/usr/sbin", "PCP_PORT": fmt.Sprint(port)}
	environment := fmt.Sprintf("PATH=%s:$PATH PGUSER=postgres PCPPASSFILE=%s/pcppass ", dir, dir)
	r := newRigWith(t, cluster, map[string]any{"failover.mode": "command", "failover.tries": 1, "failover.hook_timeout": "2min",
		"failover.command":        environment + sample(t, dir, "failover.sh", settings) + " " + everyPlaceholder,
		"failover.follow_primary": environment + sample(t, dir, "follow_primary.sh", settings) + " " + everyPlaceholder,
		"failover.auto_failback":  false, // the script attaches
		"admin.users_file":        filepath.Join(dir, "pcp.conf"), "admin.pcp.addresses": []string{"127.0.0.1"}, "admin.pcp.port": port})
	if want := filepath.Dir(r.cluster.Bin()); want != settings["PGHOME"] {
		t.Fatalf("the servers are of %s", want)
	}
	close(r.load.stop) // with asynchronous replication what the clients wrote last is lost
	r.load.running.Wait()
	must(t, r.cluster.WaitReplay(t.Context(), 0))
	t.Cleanup(func() { // the script started it, not the cluster
		for i := range r.cluster.Nodes() {
			stop := append(asPostgres(), filepath.Join(r.cluster.Bin(), "pg_ctl"), "-D", r.dataDir(i), "-m", "immediate", "-w", "stop")
			exec.Command(stop[0], stop[1:]...).Run() //nolint:errcheck // most are the cluster's, or stopped
		}
	})
	must(t, r.cluster.Kill(0))
	now := r.waitPrimary(0)
	other := 3 - now
	eventually(t, "the other standby to follow, and to be attached", func() error {
		out, err := r.howdah("commands")
		if err != nil || !strings.Contains(out, "follow primary command is completed successfully") {
			return fmt.Errorf("%v:\n%s", err, out)
		}
		return nil
	})
	r.wait(other, "up standby")
	c, err := open(t.Context(), r.server.DSN("postgres", "postgres"), 0)
	must(t, err)
	defer c.close()
	must(t, c.exec(t.Context(), "INSERT INTO tests VALUES (-1)"))
	eventually(t, "the write to arrive there", func() error {
		got, err := r.cluster.Value(t.Context(), other, "postgres", "SELECT count(*) FROM tests WHERE id = -1")
		if err != nil || got != "1" {
			return fmt.Errorf("%q, %v", got, err)
		}
		return nil
	})
	out, err := r.howdah("commands")
	must(t, err)
	for _, want := range []string{"failover.sh: end: new_main_node_id=" + fmt.Sprint(now), "follow_primary.sh: node_id=0 is not running. skipping"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// Every command gets every placeholder, whether it is a text for the shell or a list.
func TestPlaceholders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := filepath.Join(dir, "note.sh")
	must(t, os.WriteFile(script, []byte("#!/bin/sh\nname=$1; shift\n[ \"$name\" = promote ] && { [ \"$1\" = \"$8\" ] || exit 0; "+
		"/usr/bin/psql -XAtq -U postgres -d postgres -h $6 -p $9 -c 'SELECT pg_promote(true)' >/dev/null; }\n"+
		"echo \"$@\" epoch=$HOWDAH_EPOCH node=$HOWDAH_NODE >> "+dir+"/$name\n"), 0o755))
	list := func(name string) []string {
		return append([]string{script, name}, strings.Fields(everyPlaceholder+" %% %x.")...)
	}
	text := func(name string) string { return script + " " + name + " " + everyPlaceholder + " %% %x." }
	r := newRigWith(t, pgcluster.Options{Standbys: 2, Settings: map[string]string{"wal_log_hints": "on", "full_page_writes": "on"}}, map[string]any{"failover.mode": "command", "failover.command": list("promote"),
		"failover.follow_primary": text("follow"), "failover.failback": list("failback"), "failover.fence": text("fence")})
	close(r.load.stop)
	r.load.running.Wait()
	must(t, r.cluster.WaitReplay(t.Context(), 0))
	must(t, r.cluster.Kill(0))
	now := r.waitPrimary(0)
	other := 3 - now
	node := func(i int) string { return fmt.Sprintf("%d 127.0.0.1 %d %s", i, r.cluster.Port(i), r.dataDir(i)) }
	// of the node concerned; of the new main node: its number and host, then the numbers of old main node and primary, then port and directory; the old primary's
	line := func(of, main, oldMain int, epoch string) string {
		return fmt.Sprintf("%s %d 127.0.0.1 %d 0 %d %s 127.0.0.1 %d %% . epoch=%s node=node%d", node(of), main, oldMain, r.cluster.Port(main), r.dataDir(main),
			r.cluster.Port(0), epoch, of)
	}
	wants := map[string]string{"promote": line(0, now, 0, "1"), "follow": line(other, now, 0, "1"),
		// Who will be the primary is not known then.
		"fence": fmt.Sprintf("%s -1  0 0   127.0.0.1 %d %% . epoch=1 node=node0", node(0), r.cluster.Port(0))}
	r.start(0) // by its own, as a false primary
	r.wait(0, "quarantine primary")
	must(t, r.cluster.StopNode(0))
	must(t, r.cluster.StopNode(other))
	r.wait(other, "down")
	r.rejoin(other, now) // it may have received more
	wants["failback"] = fmt.Sprintf("%s %d 127.0.0.1", node(other), now)
	for name, want := range wants {
		eventually(t, name+" to be run with "+want, func() error {
			got, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil || !strings.Contains(string(got), want) {
				return fmt.Errorf("%v: %s", err, got)
			}
			return nil
		})
	}
}
