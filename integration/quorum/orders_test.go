package quorum

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Row 54. An operator gives orders while a failover is in its middle, where the test holds it: each is refused with its reason, or carried out
// before or after, never in between. One server is promoted, once.
func TestOrdersDuringFailover(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "p1", "p2", "p3", "d1", "d2", "d3")
	c := n.startServers(2, "")
	asked, goOn := filepath.Join(n.dir, "asked"), filepath.Join(n.dir, "go-on")
	// Promotes the new primary when the test says so, and once, however often it is run.
	script := "touch " + asked + "; while ! test -e " + goOn + "; do sleep 0.05; done; psql -X -h %H -p %r -U postgres -d postgres -c 'SELECT pg_promote(true, 60) WHERE pg_is_in_recovery()'"
	n.more = "failover: {mode: command, command: \"" + script + "\", hold: 25s, cooldown: 0s}\nreplication_check: {timeout: 500ms}\nadmin: {socket: " + n.dir + "/SELF.sock}\n"
	n.write()
	n.startAll()
	n.recorded("")
	w := n.writeTo(floating)
	w.more(10)
	n.neverTwo()
	if err := c.Kill(0); err != nil {
		t.Fatal(err)
	}
	n.eventually(func() string {
		if _, err := os.Stat(asked); err != nil {
			return "the command is not run"
		}
		return ""
	})
	// The successor of a leader that dies now goes on with the same.
	orders := [][]string{{"detach", "1"}, {"detach", "2"}, {"attach", "0"}, {"promote", "2"}, {"switchover", "2"}, {"switchover", "1"}, {"pause"}, {"detach", "0"}, {"resume"}, {"attach", "1"}, {"attach", "2"}}
	for _, order := range orders {
		for _, h := range n.hosts[:2] {
			args := append([]string{order[0], "-socket", n.dir + "/" + h.name + ".sock"}, order[1:]...)
			cmd := exec.Command(os.Getenv("HOWDAH_BIN"), args...)
			done := time.AfterFunc(5*time.Second, func() { cmd.Process.Kill() }) //nolint:errcheck // it may have ended
			out, err := cmd.CombinedOutput()
			done.Stop()
			t.Logf("%v to %s: %v %s", order, h.name, err, strings.TrimSpace(string(out)))
			if strings.Contains(string(out), "panic") || err != nil && len(out) == 0 {
				t.Errorf("%v to %s: %v, without a reason", order, h.name, err)
			}
		}
	}
	for _, h := range n.hosts {
		if s := h.answer(); s.State.Epoch != 1 || s.State.Primary.Node != "node0" {
			t.Errorf("an order changed the primary in the middle of a failover: %+v", s)
		}
	}
	if got := promotions(t, c, 1, 2); got != 0 {
		t.Errorf("%d promotions before the command went on", got)
	}
	if err := os.WriteFile(goOn, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	now := n.recorded("node0")
	w.more(20)
	w.end()
	time.Sleep(2 * time.Second) // nothing that was ordered comes after all
	if got := n.recorded("node0"); got != now {
		t.Errorf("%s is the primary, and then %s", now, got)
	}
	if got := promotions(t, c, 1, 2); got != 1 {
		t.Errorf("%d promotions", got)
	}
	for _, h := range n.hosts {
		if s := h.answer(); s.State.Epoch != 2 {
			t.Errorf("%s is not at epoch 2: %+v", h.name, s)
		}
	}
}
