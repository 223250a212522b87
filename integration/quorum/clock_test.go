package quorum

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// clockJump is Go's package time with a wall clock that is set again and again: every second forward by
// HOWDAH_CLOCK_JUMP seconds, right, backward, right. The monotonic clock goes on, as it does when an operator sets the clock.
const clockJump = `
var clockJumpBy = func() (by int64) {
	text, _ := syscall.Getenv("HOWDAH_CLOCK_JUMP")
	for _, c := range text {
		by = 10*by + int64(c-'0')
	}
	return by
}()

func clockJump(mono int64) int64 {
	return [4]int64{clockJumpBy, 0, -clockJumpBy, 0}[mono/1e9%4]
}
`

// jumpingClock builds a howdah whose wall clock jumps.
func jumpingClock(t *testing.T) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	changed := string(text)
	for _, c := range [][2]string{{"func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n", "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n\tsec += clockJump(mono)\n"},
		{"import (\n", "import (\n\t\"syscall\"\n"}} {
		if strings.Count(changed, c[0]) != 1 {
			t.Fatalf("%s of %s lacks %q", source, runtime.Version(), c[0])
		}
		changed = strings.Replace(changed, c[0], c[1], 1)
	}
	dir := t.TempDir()
	file, overlay, program := filepath.Join(dir, "time.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "howdah")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {source: file}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{file: changed + clockJump, overlay: string(replace)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "build", "-overlay", overlay, "-o", program, "github.com/howdah/howdah/cmd/howdah")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return program
}

// Row 14. Members' clocks are set forward and backward by an hour all the time, each at other times. It changes nothing: no
// leader, no lease, no certificate, no failover that should not be, and those that should be come as soon as ever.
func TestClocksJump(t *testing.T) {
	program := jumpingClock(t) // alone: Go compiles everything anew, and the others measure times
	t.Parallel()
	n := newNetwork(t, "p1", "p2", "p3", "d1", "d2")
	c := n.startServers(1, "")
	for _, h := range n.hosts[1:] {
		h.program, h.env = program, []string{"HOWDAH_CLOCK_JUMP=3600"}
	}
	n.startAll()
	n.recorded("")
	n.neverTwo()
	jumper := n.hosts[1]
	n.lead(jumper)
	n.ready()
	changes := n.leaders()
	w := n.writeTo(floating)
	for end := time.Now().Add(bounded(8*time.Second, time.Minute)); time.Now().Before(end); {
		w.more(1)
	}
	if log := jumper.log.String(); !strings.Contains(log, "time="+time.Now().UTC().Add(time.Hour).Format("2006-01-02T15")) &&
		!strings.Contains(log, "time="+time.Now().UTC().Add(-time.Hour).Format("2006-01-02T15")) {
		t.Error("its clock does not jump")
	}
	if got := changes(); got > 0 {
		t.Errorf("the leader changed %d times", got)
	}
	n.noFailover(t, c)
	began := time.Now()
	jumper.kill()
	n.taken(jumper, began, "kill -9 of a leader whose clock jumps")
	jumper.start()
	n.ready()
	if err := c.Kill(0); err != nil {
		t.Fatal(err)
	}
	n.recorded("node0")
	w.more(20)
	w.end()
	if got := promotions(t, c, 1); got != 1 {
		t.Errorf("%d promotions", got)
	}
}
