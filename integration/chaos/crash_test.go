package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// howdah is killed in the middle of a change of the primary and started again: it goes on (or gives a switchover up that had
// not told anybody yet), promotes one server at most, and nothing that was acknowledged is lost.
func TestHowdahDiesInEachPhase(t *testing.T) {
	t.Parallel()
	for _, phase := range []string{"fence", "promote", "follow", "drain"} {
		t.Run(phase, func(t *testing.T) {
			t.Parallel()
			crash(t, phase)
		})
	}
}

func crash(t *testing.T, phase string) {
	dir := t.TempDir()
	proceed := filepath.Join(dir, "proceed")
	wait := func(in string) string {
		if in != phase {
			return "true"
		}
		return "i=0; while [ ! -e " + proceed + " ] && [ $i -lt 300 ]; do sleep 0.1; i=$((i+1)); done"
	}
	psql := "/usr/bin/psql -XAtq -U postgres -d postgres "
	cluster := pgcluster.ForTest(t, pgcluster.Options{Standbys: 2, Settings: map[string]string{"synchronous_standby_names": anyOne}})
	must(t, cluster.Exec(t.Context(), 0, "postgres", schema))
	state := filepath.Join(dir, "state")
	options := howdahtest.Options{Cluster: cluster, Settings: map[string]any{"failover.mode": "command", "failover.confirm": "300ms", "failover.state_file": state,
		"failover.fence":   wait("fence"),
		"failover.command": "[ %d = %P ] || exit 0; " + wait("promote") + "; " + psql + "-h %H -p %r -c 'SELECT pg_promote(true)'",
		"failover.follow_primary": wait("follow") + "; " + psql + "-h %h -p %p -c \"ALTER SYSTEM SET primary_conninfo = 'host=%H port=%r user=postgres application_name=node%d'\"" +
			" -c 'SELECT pg_reload_conf()'",
		"failover.hook_timeout": "40s", "failover.switchover_wait": "40s", "admin.socket": filepath.Join(dir, "s")}}
	port, err := pgcluster.FreePort()
	must(t, err)
	server, err := howdahtest.Launch(howdahtest.Bin(t), dir, port, options)
	must(t, err)
	t.Cleanup(func() { must(t, server.Stop()) })
	w := startReconnecting(t, server.DSN("postgres", "postgres"))
	w.more(20)
	r := &rig{t: t, cluster: cluster, socket: filepath.Join(dir, "s")}
	if phase == "drain" {
		open, err := cluster.Connect(t.Context(), 0, "postgres")
		must(t, err)
		_, err = open.Exec(t.Context(), "BEGIN; SELECT 1")
		must(t, err)
		go r.howdah("switchover", "node1") //nolint:errcheck // howdah is killed under it
		waitPhase(t, state, phase)
		must(t, server.Kill())
		must(t, open.Close(t.Context()))
	} else {
		must(t, cluster.Kill(0))
		waitPhase(t, state, phase)
		must(t, server.Kill())
		must(t, os.WriteFile(proceed, nil, 0o600))
	}
	server, err = howdahtest.Launch(howdahtest.Bin(t), dir, port, options)
	must(t, err)
	w.more(20)
	waitPhase(t, state, "watch")
	now, primaries := -1, 0
	for i := range 3 {
		if cluster.Pid(i) == 0 {
			continue
		}
		if got, err := cluster.Value(t.Context(), i, "postgres", "SELECT pg_is_in_recovery()"); err == nil && got == "false" {
			now = i
			primaries++
		}
	}
	if primaries != 1 {
		t.Fatalf("there are %d primaries", primaries)
	}
	w.end(cluster, now)
}

// waitPhase waits until howdah's state file has the phase.
func waitPhase(t *testing.T, state, phase string) {
	t.Helper()
	eventually(t, "phase "+phase, func() error {
		text, err := os.ReadFile(state)
		if err != nil {
			return err
		}
		var record struct{ Phase string }
		if err := json.Unmarshal(text, &record); err != nil || record.Phase != phase {
			return fmt.Errorf("it is %q (%v)", record.Phase, err)
		}
		return nil
	})
}

// reconnecting is a client that inserts numbers and connects anew as often as it must.
type reconnecting struct {
	t       *testing.T
	cancel  context.CancelFunc
	running sync.WaitGroup
	mu      sync.Mutex
	acked   []int64
}

func startReconnecting(t *testing.T, dsn string) *reconnecting {
	w := &reconnecting{t: t}
	var ctx context.Context
	ctx, w.cancel = context.WithCancel(context.Background())
	t.Cleanup(w.cancel)
	w.running.Go(func() { // ends with cancel
		var c client
		for id := int64(1); ctx.Err() == nil; id++ {
			if c == nil || c.closed() {
				if fresh, err := open(ctx, dsn, 0); err == nil {
					c = fresh
				} else {
					time.Sleep(20 * time.Millisecond)
					continue
				}
			}
			if c.exec(ctx, "INSERT INTO inserts VALUES ($1)", id) == nil {
				w.mu.Lock()
				w.acked = append(w.acked, id)
				w.mu.Unlock()
			}
		}
		if c != nil {
			c.close()
		}
	})
	return w
}

func (w *reconnecting) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acked)
}

func (w *reconnecting) more(n int) {
	w.t.Helper()
	from := w.count()
	eventually(w.t, fmt.Sprintf("%d more writes", n), func() error {
		if got := w.count() - from; got < n {
			return fmt.Errorf("only %d", got)
		}
		return nil
	})
}

// end stops it and looks whether node i has all that was acknowledged.
func (w *reconnecting) end(cluster *pgcluster.Cluster, i int) {
	w.t.Helper()
	w.cancel()
	w.running.Wait()
	for _, id := range w.acked {
		if got, err := cluster.Value(w.t.Context(), i, "postgres", fmt.Sprintf("SELECT count(*) FROM inserts WHERE id = %d", id)); err != nil || got != "1" {
			w.t.Errorf("write %d was acknowledged and is lost (%q, %v)", id, got, err)
			return
		}
	}
}
