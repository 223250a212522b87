package integration_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/integration/pgcluster"
)

// wantPCP runs one of Pgpool-II's programs as admin, which must succeed.
func (d *doors) wantPCP(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := d.pcp(t, "admin", program, args...); err != nil || !strings.Contains(out, "Command Successful") {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
}

// wantHowdah runs a command of howdah's own, which must succeed.
func (d *doors) wantHowdah(t *testing.T, args ...string) string {
	t.Helper()
	out, diag, code := d.howdah(t, args...)
	if code != 0 {
		t.Fatalf("howdah %v: exit %d\n%s%s", args, code, out, diag)
	}
	return out
}

// waitNode waits until howdah nodes shows a node so: a regular expression for state and role.
func (d *doors) waitNode(t *testing.T, node, want string) {
	t.Helper()
	eventually(t, node+" to be "+want, func() error {
		out, _, _ := d.howdah(t, "nodes")
		if !regexp.MustCompile(`(?m)^ +\d+ +` + node + ` +\S+ +\d+ +` + want + ` `).MatchString(out) {
			return errors.New(out)
		}
		return nil
	})
}

// Operators' orders work at every door, on real servers and under writers: nodes are taken out and in, the primary
// moves without a failing statement, and the old one comes back by recovery.
func TestOrdersToNodes(t *testing.T) {
	t.Parallel()
	recovery, err := os.MkdirTemp("/tmp", "recovery")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(recovery) }) //nolint:errcheck // only litter is left
	note := filepath.Join(recovery, "asked")
	d := newDoors(t, map[string]any{"failover.mode": "native",
		"failover.recovery": "echo recover %d at %h:%p from %H:%r > " + note + "; echo done"})
	must(t, d.cluster.Exec(t.Context(), 0, "postgres", "CREATE TABLE pets (id bigint)"))
	w := startWriters(t, d.server, 3)
	w.more(20)

	d.wantPCP(t, "pcp_detach_node", "1")
	d.waitNode(t, "node1", "down +standby")
	if out := d.wantHowdah(t, "failover"); !regexp.MustCompile(`(?m)^detached +node1$`).MatchString(out) {
		t.Errorf("failover does not show who is detached:\n%s", out)
	}
	d.wantPCP(t, "pcp_attach_node", "1")
	d.waitNode(t, "node1", "up +standby")
	d.wantHowdah(t, "detach", "node2", "gracefully")
	d.waitNode(t, "node2", "down +standby")
	d.wantHowdah(t, "attach", "2")
	d.waitNode(t, "node2", "up +standby")

	d.wantHowdah(t, "pause")
	if out := d.wantHowdah(t, "status"); !strings.Contains(out, "native, paused") {
		t.Errorf("status does not show the pause:\n%s", out)
	}
	d.wantHowdah(t, "resume")

	w.more(20)
	d.wantPCP(t, "pcp_promote_node", "-s", "1")
	d.waitNode(t, "node1", "up +primary")
	d.waitNode(t, "node0", "quarantine +primary")
	d.waitNode(t, "node2", "up +standby")
	w.more(20)
	d.wantPCP(t, "pcp_recovery_node", "0")
	if text, err := os.ReadFile(note); err != nil || string(text) != fmt.Sprintf("recover 0 at 127.0.0.1:%d from 127.0.0.1:%d\n", d.cluster.Port(0), d.cluster.Port(1)) {
		t.Errorf("the recovery command got %q (%v)", text, err)
	}
	if out := d.wantHowdah(t, "commands"); !regexp.MustCompile(`recovery +node0 +0 .* done`).MatchString(out) {
		t.Errorf("the command's end is not shown:\n%s", out)
	}
	d.wantHowdah(t, "switchover", "node2")
	d.waitNode(t, "node2", "up +primary")
	w.more(20)
	w.mustNotFail()
	w.end(d.cluster, 2)
	out := d.wantHowdah(t, "events")
	// Phases that last less than the events' ticks are not in them; how each order ended is.
	for _, want := range []string{"switchover, epoch 1: node1 is the primary", "switchover, epoch 2: node2 is the primary",
		"primary is node1", "primary is node2", "node0 .*quarantine primary"} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("events do not have %q:\n%s", want, out)
		}
	}
}

// There is nobody to promote to while the primary lives; when it is lost and failover is paused, an operator promotes.
func TestPromoteByOperator(t *testing.T) {
	t.Parallel()
	d := newDoors(t, map[string]any{"failover.mode": "native", "failover.confirm": "100ms"})
	must(t, d.cluster.Exec(t.Context(), 0, "postgres", "CREATE TABLE pets (id bigint)"))
	d.wantHowdah(t, "pause")
	w := startWriters(t, d.server, 2)
	w.more(20)
	must(t, d.cluster.Kill(0))
	must(t, d.cluster.WaitGone(t.Context(), 0))
	eventually(t, "howdah to say why it waits", func() error {
		if out, _, _ := d.howdah(t, "failover"); !strings.Contains(out, "automatic failover is paused") {
			return errors.New(out)
		}
		return nil
	})
	eventually(t, "the order to be taken", func() error { // it is refused until the loss is beyond doubt
		out, err := d.pcp(t, "admin", "pcp_promote_node", "2")
		if err != nil || !strings.Contains(out, "Command Successful") {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	})
	d.waitNode(t, "node2", "up +primary")
	w.more(20)
	close(w.stop)
	w.running.Wait()
}

// mustNotFail fails the test if a write has failed.
func (w *writers) mustNotFail() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.failed) > 0 {
		w.t.Errorf("writes failed: %v", w.failed)
	}
}

// On an idle pair a switchover holds up a session for less than a second, and fails nothing.
func TestSwitchoverOfAnIdlePair(t *testing.T) {
	t.Parallel()
	d := newDoorsTo(t, pgcluster.ForTest(t, pgcluster.Options{Standbys: 1}), map[string]any{"failover.mode": "native"})
	must(t, d.cluster.Exec(t.Context(), 0, "postgres", "CREATE TABLE pets (id bigint)"))
	w := startWriters(t, d.server, 1)
	w.more(50)
	d.wantHowdah(t, "switchover")
	w.more(50)
	w.mustNotFail()
	w.end(d.cluster, 1)
	if w.pause > time.Second {
		t.Errorf("the writer paused for %v", w.pause)
	}
}
