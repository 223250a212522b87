package chaos

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// defaultChaos is how long the normal run does random things.
const defaultChaos = 20 * time.Second

// Random faults come one after the other, $HOWDAH_CHAOS long: servers are killed, hang, are stopped, the primary moves by order. After each
// the cluster is whole again, and the clients have seen nothing that must not be.
func TestRandomFaults(t *testing.T) {
	t.Parallel()
	long := defaultChaos
	if text := os.Getenv("HOWDAH_CHAOS"); text != "" {
		var err error
		long, err = time.ParseDuration(text)
		must(t, err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	r := newRig(t, map[string]any{"failover.cooldown": "0s", "failover.hold_down": "100ms"})
	primary := 0
	for end := time.Now().Add(long); time.Now().Before(end); {
		standby := (primary + 1 + random.IntN(2)) % 3
		switch what := random.IntN(5); what {
		case 0: // the primary is killed
			t.Logf("node%d, the primary, is killed", primary)
			must(t, r.cluster.Kill(primary))
			old := primary
			primary = r.waitPrimary(old)
			r.load.more(20)
			r.rejoin(old, primary)
		case 1: // the primary hangs
			t.Logf("node%d, the primary, hangs", primary)
			must(t, r.cluster.Hang(primary))
			old := primary
			primary = r.waitPrimary(old)
			r.load.more(20)
			must(t, r.cluster.Unhang(old))
			must(t, r.cluster.StopNode(old))
			r.rejoin(old, primary)
		case 2: // the primary moves by order
			t.Logf("the primary moves from node%d to node%d", primary, standby)
			if _, err := r.howdah("switchover", []string{"node0", "node1", "node2"}[standby], "cut"); err != nil {
				t.Fatal(err)
			}
			old := primary
			primary = standby
			r.load.more(20)
			must(t, r.cluster.StopNode(old))
			r.rejoin(old, primary)
		case 3: // a standby is killed
			t.Logf("node%d, a standby, is killed", standby)
			must(t, r.cluster.Kill(standby))
			r.load.more(20)
			r.start(standby)
			r.wait(standby, "up standby")
		case 4: // a standby hangs
			t.Logf("node%d, a standby, hangs", standby)
			must(t, r.cluster.Hang(standby))
			r.wait(standby, "down")
			must(t, r.cluster.Unhang(standby))
			r.wait(standby, "up standby")
		}
		for i := range 3 {
			r.wait(i, "up")
		}
		r.load.more(20)
	}
	r.load.end(r.cluster, primary)
}
