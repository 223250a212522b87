package chaos

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// What howdah has recorded is no longer so when it is started again: somebody has promoted another server meanwhile; or the
// record is of before a restore, and names a primary that follows another one on an older timeline. The servers are believed.
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
	// with runs howdah until node i is the primary and was written to.
	id := 0
	with := func(i int) {
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
	}
	with(0)
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
