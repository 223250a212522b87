package chaos

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// The primary is killed and stays dead; then it comes back, and is not used before it was rewound.
func TestPrimaryKilled(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]any{drivenByAll: true, "failover.soft_fence": true, "failover.fence": "echo turn off %d at %h:%p"})
	idle, block := r.session(), r.session()
	must(t, block.exec(t.Context(), "BEGIN"))
	must(t, block.exec(t.Context(), "INSERT INTO tests VALUES (1)"))
	must(t, r.cluster.Kill(0))
	must(t, r.cluster.WaitGone(t.Context(), 0))
	must(t, idle.exec(t.Context(), "INSERT INTO tests VALUES (2)")) // it waits
	now := r.waitPrimary(0)
	var lost *pgconn.PgError
	if err := block.exec(t.Context(), "INSERT INTO tests VALUES (3)"); !errors.As(err, &lost) || lost.Code != "40001" || lost.Hint == "" {
		t.Errorf("a transaction that was lost ends with %v (%+v), want 40001 with a hint", err, lost)
	}
	must(t, block.exec(t.Context(), "ROLLBACK"))
	must(t, block.exec(t.Context(), "INSERT INTO tests VALUES (4)"))
	if got, err := r.cluster.Value(t.Context(), now, "postgres", "SELECT string_agg(id::text, ' ' ORDER BY id) FROM tests"); err != nil || got != "2 4" {
		t.Errorf("of what two sessions wrote there is %q (%v)", got, err)
	}
	r.load.more(100)
	r.within(15 * time.Second)
	r.wait(3-now, "up standby")
	r.load.forget()

	r.start(0) // as a primary, after whatever time
	if got := r.wait(0, "quarantine primary"); !strings.Contains(got.Reason, "false primary") {
		t.Errorf("the old primary is in quarantine since %q", got.Reason)
	}
	eventually(t, "it to be read-only", func() error {
		got, err := r.cluster.Value(t.Context(), 0, "postgres", "SELECT current_setting('default_transaction_read_only')")
		if err != nil || got != "on" {
			return fmt.Errorf("%q, %v", got, err)
		}
		return nil
	})
	eventually(t, "it to be fenced, as when it was lost", func() error {
		out, err := r.howdah("commands")
		if strings.Count(out, fmt.Sprintf("turn off 0 at 127.0.0.1:%d", r.cluster.Port(0))) != 2 {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	})
	before := r.newest(0)
	r.load.more(200)
	if after := r.newest(0); after != before {
		t.Errorf("the false primary got writes: %s, then %s", before, after)
	}
	must(t, r.cluster.StopNode(0))
	r.rejoin(0, now)
	eventually(t, "it to be writable again, should it be promoted", func() error {
		got, err := r.cluster.Value(t.Context(), 0, "postgres", "SELECT current_setting('default_transaction_read_only')")
		if err != nil || got != "off" {
			return fmt.Errorf("%q, %v", got, err)
		}
		return nil
	})
	r.load.more(50)
	r.load.end(r.cluster, now)
}

// session is one client more, which the test itself drives.
func (r *rig) session() client {
	r.t.Helper()
	c, err := open(r.t.Context(), r.server.DSN("postgres", "postgres"), 0)
	must(r.t, err)
	r.t.Cleanup(c.close)
	return c
}

// newest is the last insert that node i has. Who asks a node that is being fenced may be sent away, as all sessions there are.
func (r *rig) newest(i int) (got string) {
	r.t.Helper()
	eventually(r.t, "the newest row", func() (err error) {
		got, err = r.cluster.Value(r.t.Context(), i, "postgres", "SELECT max(id) FROM inserts")
		return err
	})
	return got
}

// A standby is promoted by hand while the primary lives and the other standby follows it: nobody is sent there, now or when the
// primary is lost later.
func TestSecondPrimaryByHand(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	must(t, r.cluster.Promote(t.Context(), 1))
	if got := r.wait(1, "quarantine primary"); !strings.Contains(got.Reason, "false primary") {
		t.Errorf("it is in quarantine since %q", got.Reason)
	}
	before := r.newest(1)
	r.load.more(100)
	eventually(t, "howdah to remember it", func() error {
		if out, err := r.howdah("failover"); err != nil || !regexp.MustCompile(`(?m)^given up +node1$`).MatchString(out) {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	})
	r.load.wantNoErrors()
	if after := r.newest(1); after != before {
		t.Errorf("the false primary got writes: %s, then %s", before, after)
	}
	must(t, r.cluster.StopNode(1))
	r.rejoin(1, 0)
	must(t, r.cluster.Kill(0))
	now := r.waitPrimary(0)
	r.load.more(100)
	r.load.end(r.cluster, now)
}

// A backend of the primary crashes; the postmaster ends all others, recovers, and there is no failover.
func TestBackendCrashes(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]any{"failover.confirm": "2s"})
	must(t, r.crashBackend(0))
	r.load.more(200)
	r.wantPrimary(0, 0)
	r.within(30 * time.Second)
	r.load.end(r.cluster, 0)
}

// The primary hangs; when it goes on, nobody writes to it.
func TestPrimaryHangs(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	must(t, r.cluster.Hang(0))
	t.Cleanup(func() { r.cluster.Unhang(0) }) //nolint:errcheck // or it was done before
	now := r.waitPrimary(0)
	r.load.more(100)
	r.within(30 * time.Second)
	must(t, r.cluster.Unhang(0))
	r.wait(0, "quarantine primary")
	before := r.newest(0)
	r.load.more(100)
	if after := r.newest(0); after != before {
		t.Errorf("the false primary got writes: %s, then %s", before, after)
	}
	r.load.end(r.cluster, now)
}

// The primary is restarted in order: it has its grace. Then it is stopped for good.
func TestPrimaryShutDown(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]any{"failover.shutdown_grace": "6s"})
	must(t, r.cluster.Restart(t.Context(), 0))
	r.load.more(100)
	r.wantPrimary(0, 0)
	must(t, r.cluster.StopNode(0))
	now := r.waitPrimary(0)
	r.load.more(100)
	r.within(30 * time.Second)
	must(t, r.cluster.Follow(t.Context(), 0, now)) // one that was stopped in order needs no rewinding
	r.start(0)
	r.wait(0, "up standby")
	r.load.end(r.cluster, now)
}

// All connections of the primary are taken: it is alive.
func TestPrimaryFull(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]any{"replication_check.fresh_interval": "200ms"})
	must(t, r.cluster.Exec(t.Context(), 0, "postgres", "ALTER SYSTEM SET max_connections = 30"))
	must(t, r.cluster.Restart(t.Context(), 0))
	r.load.more(50)
	var taken []*pgx.Conn
	for {
		conn, err := r.cluster.Connect(t.Context(), 0, "postgres")
		if err != nil {
			break
		}
		taken = append(taken, conn)
	}
	t.Logf("%d connections taken", len(taken))
	r.load.more(200)
	for _, conn := range taken {
		must(t, conn.Close(t.Context()))
	}
	r.load.more(50)
	r.wantPrimary(0, 0)
	r.load.end(r.cluster, 0)
}

// A standby is killed, hangs, is stopped, loses a backend: no session sees an error, each reads on within a second of hard
// evidence and three of the probe's deadlines of a hang, and the standby comes back by itself.
func TestStandbyLost(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]any{drivenByAll: true, "failover.hold_down": "100ms"})
	start := func() error { r.start(1); return nil }
	for _, lose := range []struct {
		name     string
		promised time.Duration // of a session's next answered read, from the loss
		lose     func() error
		down     bool // it stays down
		back     func() error
	}{
		{"killed", time.Second, func() error { return r.cluster.Kill(1) }, true, start},
		{"hangs", 3 * probeTimeout, func() error { return r.cluster.Hang(1) }, true, func() error { return r.cluster.Unhang(1) }},
		{"stopped", time.Second, func() error { return r.cluster.StopNode(1) }, true, start},
		{"a backend crashes", time.Second, func() error { return r.crashBackend(1) }, false, nil},
		{"another one does", time.Second, func() error { return r.crashBackend(1) }, false, nil},
	} {
		r.readersOn(1)
		calm := r.load.calm()
		r.load.waits.lost()
		must(t, lose.lose())
		if lose.down {
			r.wait(1, "down")
		} else {
			r.load.more(50)
		}
		r.load.wantReads(lose.name, lose.promised, calm)
		if lose.down {
			must(t, lose.back())
		}
		r.wait(1, "up standby")
		r.load.more(50)
	}
	r.wantPrimary(0, 0)
	r.load.wantNoErrors()
	r.load.end(r.cluster, 0)
}

// crashBackend has a backend of node i, the test's own, crash; the postmaster ends all others and recovers.
func (r *rig) crashBackend(i int) error {
	conn, err := r.cluster.Connect(r.t.Context(), i, "postgres")
	if err != nil {
		return err
	}
	defer conn.Close(r.t.Context()) //nolint:errcheck // its server is dead
	return syscall.Kill(int(conn.PgConn().PID()), syscall.SIGSEGV)
}

// wantNoErrors fails if any client has seen an error.
func (l *load) wantNoErrors() {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.errors) > 0 {
		l.t.Errorf("clients saw errors: %v %q", l.errors, l.said)
	}
}

// detailsKnown is how long what howdah asks seldom (who is synchronous, whether replay is paused) may be old.
const detailsKnown = 3 * time.Second

// A standby whose replay is paused is neither read nor promoted.
func TestStandbyPaused(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]any{"replication_check.max_lag_bytes": "64kB"})
	// What only the paused one has confirmed would rule the other one out.
	must(t, r.cluster.Exec(t.Context(), 0, "postgres", "ALTER SYSTEM SET synchronous_standby_names = 'node2'"))
	must(t, r.cluster.ReloadNode(t.Context(), 0))
	must(t, r.cluster.PauseReplay(t.Context(), 1))
	time.Sleep(detailsKnown)
	eventually(t, "node1 to lag", func() error {
		all, err := r.nodes()
		if err != nil || !strings.Contains(all[1].Reason, "max_lag_bytes") {
			return fmt.Errorf("%+v, %v", all, err)
		}
		return nil
	})
	must(t, r.cluster.Kill(0))
	if now := r.waitPrimary(0); now != 2 {
		t.Errorf("node%d was promoted, and its replay is paused", now)
	}
	// The new primary wants a synchronous standby. The paused one may have received more than what was
	// confirmed; then it has forked, and is of no use until it is rebuilt.
	must(t, r.cluster.Exec(t.Context(), 2, "postgres", "ALTER SYSTEM SET synchronous_standby_names = ''"))
	must(t, r.cluster.ReloadNode(t.Context(), 2))
	must(t, r.cluster.ResumeReplay(t.Context(), 1))
	eventually(t, "node1 to stream or to be known as forked", func() error {
		all, err := r.nodes()
		if err != nil || all[1].State != "up" && !strings.Contains(all[1].Reason, "forked") {
			return fmt.Errorf("%+v, %v", all, err)
		}
		return nil
	})
	r.load.more(100)
	r.load.end(r.cluster, 2)
}

// All servers are killed; one standby alone is read but not promoted while nobody knows what the others have.
func TestAllDown(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, pgcluster.Options{Standbys: 2, Settings: map[string]string{"synchronous_standby_names": anyOne}}, nil)
	for _, i := range []int{1, 2, 0} {
		must(t, r.cluster.Kill(i))
	}
	for i := range 3 {
		r.wait(i, "down")
	}
	r.start(1)
	r.wait(1, "up standby")
	c, err := open(t.Context(), r.server.DSN("postgres", "postgres"), 0)
	must(t, err)
	if _, err := c.value(t.Context(), "SELECT count(*) FROM inserts"); err != nil {
		t.Errorf("a read, with a standby up: %v", err)
	}
	c.close()
	r.said("commits may have been confirmed by synchronous standbys out of reach")
	r.start(0)
	r.wait(0, "up primary")
	r.load.more(100)
	r.start(2)
	r.wantPrimary(0, 0)
	r.load.end(r.cluster, 0)
}

// With the only synchronous standbys gone writes wait; nobody is promoted, and they go on when one is back.
func TestSynchronousStandbysLost(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	must(t, r.cluster.Kill(1))
	must(t, r.cluster.Kill(2))
	r.wait(1, "down")
	r.wait(2, "down")
	before := r.load.writes()
	time.Sleep(time.Second) // that nothing happens can only be waited for
	if got := r.load.writes() - before; got > 3 {
		t.Errorf("%d writes were acknowledged without a standby", got)
	}
	r.start(2)
	r.load.more(100)
	r.start(1)
	r.wantPrimary(0, 0)
	r.load.wantNoErrors()
	r.load.end(r.cluster, 0)
}

// The primary has log that nobody got, and dies; as a standby of the new one it is forked, and out until it is rewound.
func TestForked(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	must(t, r.cluster.Kill(1))
	must(t, r.cluster.Kill(2))
	r.wait(1, "down")
	r.wait(2, "down")
	must(t, r.cluster.Exec(t.Context(), 0, "postgres", "SET synchronous_commit = local; CREATE TABLE lost AS SELECT generate_series(1, 100000)"))
	must(t, r.cluster.Kill(0))
	r.start(1)
	r.start(2)
	now := r.waitPrimary(0)
	r.load.more(50)
	must(t, r.cluster.Follow(t.Context(), 0, now))
	r.start(0)
	if got := r.wait(0, "quarantine standby"); !strings.Contains(got.Reason, "forked") {
		t.Errorf("it is in quarantine since %q", got.Reason)
	}
	r.load.more(50)
	must(t, r.cluster.StopNode(0))
	r.rejoin(0, now)
	r.load.more(50)
	r.load.end(r.cluster, now)
}

// A server that starts and dies again and again is read less and less often; there is one primary all the time.
func TestStandbyFlaps(t *testing.T) {
	t.Parallel()
	// Another reason to wait in the same state is a line of level debug.
	r := newRig(t, map[string]any{"failover.hold_down": "1s", "log.level": "debug"})
	for range 4 {
		must(t, r.cluster.Kill(1))
		r.wait(1, "down")
		r.start(1)
		eventually(t, "howdah to see node1 again", func() error {
			all, err := r.nodes()
			if err == nil && all[1].State == "down" {
				err = fmt.Errorf("it is %+v", all[1])
			}
			return err
		})
	}
	r.said("must stay well for")
	r.wait(1, "up standby")
	r.wantPrimary(0, 0)
	r.load.wantNoErrors()
	r.load.end(r.cluster, 0)
}

// The role that probes is locked out: that is no death.
func TestProbeLockedOut(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]any{"replication_check.user": "prober", "replication_check.fresh_interval": "200ms"})
	must(t, r.cluster.Exec(t.Context(), 0, "postgres", "ALTER ROLE prober NOLOGIN"))
	must(t, r.cluster.WaitReplay(t.Context(), 0))
	must(t, r.cluster.Exec(t.Context(), 0, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'prober'"))
	eventually(t, "howdah to be refused", func() error {
		all, err := r.nodes()
		if err != nil || !strings.Contains(all[0].Reason, "28000") {
			return fmt.Errorf("%+v, %v", all, err)
		}
		return nil
	})
	r.load.more(300)
	must(t, r.cluster.Exec(t.Context(), 0, "postgres", "ALTER ROLE prober LOGIN"))
	r.wantPrimary(0, 0)
	r.load.wantNoErrors()
	r.load.end(r.cluster, 0)
}

// The primary answers its sessions, and no probe: it has too much to do. Nobody is cut off, nobody is promoted.
func TestServerTooBusyForProbes(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]any{"replication_check.user": "prober", "replication_check.password": "secret"})
	deaf, err := net.ListenPacket("udp4", "127.0.0.1:0") // a RADIUS server that says nothing: logins take longer than probes
	must(t, err)
	t.Cleanup(func() { deaf.Close() }) //nolint:errcheck // the test is over
	trust := []string{"local all all trust", "host all all all trust", "host replication all all trust"}
	must(t, r.cluster.SetHBA(0, append([]string{fmt.Sprintf(`host all prober all radius radiusservers="127.0.0.1" radiussecrets="x" radiusports="%d"`,
		deaf.LocalAddr().(*net.UDPAddr).Port)}, trust...)...))
	must(t, r.cluster.ReloadNode(t.Context(), 0))
	must(t, r.cluster.Exec(t.Context(), 0, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'prober'"))
	r.wait(0, "suspect")
	before := r.load.writes()
	time.Sleep(6 * time.Second) // twice what a server may be silent for
	if r.load.writes() == before {
		t.Error("nothing is written while the probes get no answer")
	}
	r.wait(0, "suspect primary")
	must(t, r.cluster.SetHBA(0, trust...))
	must(t, r.cluster.ReloadNode(t.Context(), 0))
	r.wantPrimary(0, 0)
	r.load.wantNoErrors()
	r.load.end(r.cluster, 0)
}

// failover_command goes wrong in every way for the first candidate: whether it was promoted all the same is looked at, it is
// tried again, and then another is taken. What the commands said is shown.
func TestCommandGoesWrong(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, does, says string
		epoch            int  // 1: the first attempt succeeds
		dies             bool // the first candidate is killed
	}{
		{"fails", "echo will not; exit 1", "will not", 2, false},
		{"hangs", "echo hangs; sleep 1000", "killed", 2, false},
		{"candidate dies", "echo hangs; sleep 1000", "killed", 2, true},
		{"succeeds and lies", "promote; echo will not; exit 1", "will not", 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			script, first := filepath.Join(dir, "failover.sh"), filepath.Join(dir, "first")
			must(t, os.WriteFile(script, []byte(`#!/bin/sh
# node, old primary, new main node, its host and port
promote() { /usr/bin/psql -XAtq -U postgres -d postgres -h $4 -p $5 -c 'SELECT pg_promote(true)' \
	-c "ALTER SYSTEM SET synchronous_standby_names = ''" -c 'SELECT pg_reload_conf()'; }
promote_args="$*"
[ "$1" = "$2" ] || exit 0
[ -e `+first+` ] || echo $3 > `+first+`
if [ "$(cat `+first+`)" = "$3" ]; then `+strings.ReplaceAll(tt.does, "promote;", "promote $promote_args;")+`; else promote $promote_args; fi
`), 0o700))
			// Both must confirm: then either may be promoted, though the other has received more.
			r := newRigWith(t, pgcluster.Options{Standbys: 2, Settings: map[string]string{"synchronous_standby_names": "ANY 2 (node0, node1, node2)",
				"wal_log_hints": "on", "full_page_writes": "on"}}, map[string]any{
				"failover.mode": "command", "failover.hook_timeout": "3s", "failover.tries": 2, "failover.search_timeout": "3s",
				"failover.command": script + " %d %P %m %H %r",
				"failover.follow_primary": "/usr/bin/psql -XAtq -U postgres -d postgres -h %h -p %p" +
					" -c \"ALTER SYSTEM SET primary_conninfo = 'host=%H port=%r user=postgres application_name=node%d'\" -c 'SELECT pg_reload_conf()'"})
			must(t, r.cluster.Kill(0))
			candidate := 0
			eventually(t, "the command to run", func() error {
				text, err := os.ReadFile(first)
				if err == nil {
					_, err = fmt.Sscan(string(text), &candidate)
				}
				return err
			})
			if tt.dies {
				must(t, r.cluster.Kill(candidate))
			}
			now := r.waitPrimary(0)
			if (now == candidate) != (tt.epoch == 1) {
				t.Errorf("node%d was promoted, the first candidate was node%d", now, candidate)
			}
			r.load.more(100)
			// The first candidate may have received what the other had not: then it cannot follow.
			other := 3 - now
			switch {
			case tt.dies:
				r.rejoin(other, now)
			case other == candidate && r.forked(other):
				must(t, r.cluster.StopNode(other))
				r.rejoin(other, now)
			}
			r.wait(other, "up standby")
			if tt.epoch == 1 {
				r.wantPrimary(now, 1)
			}
			eventually(t, "the command's output to be shown", func() error {
				if out, err := r.howdah("commands"); err != nil || !strings.Contains(out, "failover_command") || !strings.Contains(out, tt.says) {
					return fmt.Errorf("%v:\n%s", err, out)
				}
				return nil
			})
			if got, err := r.cluster.Value(t.Context(), now, "postgres", "SELECT timeline_id FROM pg_control_checkpoint()"); err != nil || got > "2" {
				t.Errorf("the new primary is on timeline %s (%v)", got, err)
			}
			r.load.end(r.cluster, now)
		})
	}
}

// A standby's data directory is replaced by that of another database system, as by initdb on the same host: it is never used, neither beside
// the cluster's servers nor, by a howdah that is started anew, while these are away.
func TestAnotherSystem(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	must(t, r.cluster.StopNode(1))
	must(t, r.cluster.WaitGone(t.Context(), 1))
	must(t, r.cluster.InitAnew(1))
	must(t, r.cluster.StartNode(t.Context(), 1))
	if got := r.wait(1, "quarantine"); !strings.Contains(got.Reason, "foreign") {
		t.Errorf("node1 is in quarantine since %q", got.Reason)
	}
	r.load.more(100)
	r.load.wantNoErrors()
	r.load.end(r.cluster, 0)

	must(t, r.server.Stop())
	must(t, r.cluster.Kill(0))
	must(t, r.cluster.Kill(2))
	r.options.Settings["failover.hold"] = "1s"
	r.server = howdahtest.Start(t, r.options)
	for _, i := range []int{0, 2} {
		r.wait(i, "down")
	}
	r.wait(1, "quarantine")
	c, err := pgx.Connect(t.Context(), r.server.DSN("postgres", "postgres"))
	if err == nil {
		_, err = c.Exec(t.Context(), "CREATE TABLE wrong (id int)")
		c.Close(t.Context()) //nolint:errcheck // the test is over
	}
	if err == nil {
		t.Error("howdah writes to a server of another database system")
	}
}
