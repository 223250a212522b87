package chaos

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// What operators ordered outlives howdah. But what it has recorded of the servers may not be so any more when it is started again:
// somebody has promoted another server meanwhile; or the record is of before a restore, and names a primary that follows another one on
// an older timeline. The servers are believed.
func TestStateIsNotBelievedOverTheServers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cluster := pgcluster.ForTest(t, pgcluster.Options{Standbys: 2})
	must(t, cluster.Exec(t.Context(), 0, "postgres", schema))
	must(t, cluster.WaitReplay(t.Context(), 0))
	state := filepath.Join(dir, "state")
	options := howdahtest.Options{Cluster: cluster, Settings: map[string]any{"failover.mode": "native", "failover.state_file": state,
		"failover.hold": "50s", "admin.socket": filepath.Join(dir, "s")}}
	port, err := pgcluster.FreePort()
	must(t, err)
	r := &rig{t: t, cluster: cluster, socket: filepath.Join(dir, "s")}
	// with runs howdah until node i is the primary and was written to; then it does more.
	id := 0
	with := func(i int, more ...func()) {
		t.Helper()
		server, err := howdahtest.Launch(howdahtest.Bin(t), dir, port, options)
		must(t, err)
		defer func() { must(t, server.Stop()) }()
		c, err := open(t.Context(), server.DSN("postgres", "postgres"), 0)
		must(t, err)
		defer c.close()
		id++
		must(t, c.exec(t.Context(), "INSERT INTO tests VALUES ($1)", id))
		r.wait(i, "up primary")
		if got, err := cluster.Value(t.Context(), i, "postgres", "SELECT max(id) FROM tests"); err != nil || got != strconv.Itoa(id) {
			t.Errorf("node%d has %s, not %d (%v)", i, got, id, err)
		}
		for _, do := range more {
			do()
		}
	}
	order := func(words ...string) func() {
		return func() {
			t.Helper()
			out, err := r.howdah(words[0], words[1:]...)
			if err != nil {
				t.Errorf("%v: %v: %s", words, err, out)
			}
		}
	}
	with(0, order("detach", "node2"), order("pause"))
	with(0, func() { // what an operator ordered is no matter of the servers: it stands
		if got := r.wait(2, "down"); !strings.Contains(got.Reason, "detached") {
			t.Errorf("after a restart node2 is %+v", got)
		}
		if out, err := r.howdah("status"); err != nil || !strings.Contains(out, "paused") {
			t.Errorf("after a restart the pause is forgotten (%v):\n%s", err, out)
		}
	}, order("attach", "node2"), order("resume"), func() { r.wait(2, "up standby") })
	must(t, cluster.WaitReplay(t.Context(), 0))
	must(t, cluster.StopNode(0))
	must(t, cluster.Promote(t.Context(), 1))
	must(t, cluster.Follow(t.Context(), 2, 1))
	with(1)

	text, err := os.ReadFile(state)
	must(t, err)
	var record map[string]any
	must(t, json.Unmarshal(text, &record))
	if record["primary"] != "node1" {
		t.Fatalf("it has recorded %s", text)
	}
	record["primary"], record["timeline"], record["epoch"] = "node2", 7, 100
	text, err = json.Marshal(record)
	must(t, err)
	must(t, os.WriteFile(state, text, 0o600))
	with(1)
}
