package chaos

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// An old primary is made a standby anew while clients work: by Pgpool-II's script, which gets its seven arguments from the
// real extension, and by howdah's own with pg_basebackup.
func TestRecover(t *testing.T) {
	t.Parallel()
	dir := openDir(t, 0o777)
	r := newRig(t, map[string]any{"failover.recovery_script": "recovery_1st_stage"})
	must(t, r.cluster.Exec(t.Context(), 0, "template1", "CREATE EXTENSION pgpool_recovery"))
	must(t, r.cluster.WaitReplay(t.Context(), 0))
	must(t, r.cluster.Kill(0))
	now := r.waitPrimary(0)
	for _, name := range []string{"recovery_1st_stage", "pgpool_remote_start"} {
		path := filepath.Join(r.dataDir(now), name)
		must(t, os.WriteFile(path, []byte("#!/bin/sh\necho \"$@\" > "+filepath.Join(dir, name)+"\n"), 0o755))
	}
	_, err := r.howdah("recover", "node0")
	must(t, err)
	for name, want := range map[string]string{
		"recovery_1st_stage":  fmt.Sprintf("%s 127.0.0.1 %s %d 0 %d 127.0.0.1\n", r.dataDir(now), r.dataDir(0), r.cluster.Port(now), r.cluster.Port(0)),
		"pgpool_remote_start": fmt.Sprintf("127.0.0.1 %s\n", r.dataDir(0)),
	} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s got %q (%v), want %q", name, got, err, want)
		}
	}

	delete(r.options.Settings, "failover.recovery_script")
	shell := []string{"/bin/sh"}
	if os.Getuid() == 0 {
		shell = []string{"/usr/sbin/runuser", "-u", "postgres", "--", "/bin/sh"}
	}
	r.options.Settings["failover.recovery_shell"] = shell
	must(t, r.server.Reload(r.options))
	r.said("msg=reloaded")
	t.Cleanup(func() { // the server was started by the script, not by the cluster
		stop := append(shell[:len(shell):len(shell)], "-c", r.cluster.Program("pg_ctl")+" -D "+r.dataDir(0)+" -m immediate -w stop")
		if out, err := exec.Command(stop[0], stop[1:]...).CombinedOutput(); err != nil {
			t.Errorf("stop what was recovered: %v: %s", err, out)
		}
	})
	_, err = r.howdah("recover", "node0")
	must(t, err)
	r.wait(0, "up standby")
	r.load.more(100)
	if _, err := os.Stat(r.dataDir(0) + ".before-recovery"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was there before is still there: %v", err)
	}
	r.load.end(r.cluster, now)
}

// Pgpool-II's example scripts for online recovery, recovery_1st_stage and pgpool_remote_start, run as they are, but for the settings at
// their head and an ssh that stays on this host: the old primary is a standby again, with the replication slot that they make.
func TestPgpoolSampleRecovery(t *testing.T) {
	t.Parallel()
	dir := openDir(t, 0o755)
	must(t, os.WriteFile(filepath.Join(dir, "ssh"), []byte(`#!/bin/bash
# The servers' user calls it. What follows the host is for a shell there.
while :; do case $1 in -T) shift ;; -o|-i) shift 2 ;; *) break ;; esac; done
shift
exec /bin/bash -c "$*"
`), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "scp"), []byte("#!/bin/sh\nexit 1 # nothing is in the archive\n"), 0o755))
	r := newRig(t, map[string]any{"failover.recovery_script": "recovery_1st_stage"})
	must(t, r.cluster.Exec(t.Context(), 0, "template1", "CREATE EXTENSION pgpool_recovery"))
	must(t, r.cluster.WaitReplay(t.Context(), 0))
	must(t, r.cluster.Kill(0))
	now := r.waitPrimary(0)
	// $$: it is the replacement of a regular expression.
	settings := map[string]string{"PGHOME": filepath.Dir(r.cluster.Bin()) + "\nexport PATH=" + dir + ":$$PATH",
		"ARCHIVEDIR": filepath.Join(dir, "archive"), "REPLUSER": "postgres"}
	for _, name := range []string{"recovery_1st_stage", "pgpool_remote_start"} {
		sample(t, r.dataDir(now), name, settings)
	}
	must(t, r.cluster.WaitGone(t.Context(), 0))
	t.Cleanup(func() { // the script started it, not the cluster
		stop := append(asPostgres(), filepath.Join(r.cluster.Bin(), "pg_ctl"), "-D", r.dataDir(0), "-m", "immediate", "-w", "stop")
		if out, err := exec.Command(stop[0], stop[1:]...).CombinedOutput(); err != nil {
			t.Errorf("stop what was recovered: %v: %s", err, out)
		}
	})
	out, err := r.howdah("recover", "node0")
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, out, strings.TrimSpace(r.cluster.Log(now)))
	}
	r.wait(0, "up standby")
	got, err := r.cluster.Value(t.Context(), now, "postgres", "SELECT string_agg(slot_name, ' ') FROM pg_replication_slots WHERE active")
	if err != nil || got != "127_0_0_1" {
		t.Errorf("active replication slots: %q, %v", got, err)
	}
	r.load.more(100)
	r.load.end(r.cluster, now)
}
