package quorum

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What the members know shows at every door: the program of Pgpool-II, SHOW, the command line, metrics.
func TestShown(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "p1", "p2", "w1")
	users, pass := filepath.Join(n.dir, "users"), filepath.Join(n.dir, "pcppass")
	for path, text := range map[string]string{users: "admin:5ebe2294ecd0e0f08eab7690d2a6ee69\n", pass: "127.0.0.1:9898:admin:secret\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := n.startServers(1, "admin: {socket: "+n.dir+"/SELF.sock, users_file: "+users+", pcp: {addresses: [127.0.0.1]}, http: {addresses: [127.0.0.1], port: 9899, anonymous: on}}\n")
	owner := n.startAll()
	n.recorded("")
	other := n.others(owner)[0]
	if other.witness {
		other = n.others(owner)[1]
	}
	show := func(h *host, name string, args ...string) string {
		t.Helper()
		cmd := exec.Command("ip", append([]string{"netns", "exec", h.ns, name}, args...)...)
		cmd.Env = append(os.Environ(), "PCPPASSFILE="+pass)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		return string(out)
	}
	has := func(what, text string, wanted ...string) {
		t.Helper()
		for _, w := range wanted {
			if !strings.Contains(text, w) {
				t.Errorf("%s lacks %q:\n%s", what, w, text)
			}
		}
	}
	pcp := []string{"/usr/sbin/pcp_watchdog_info", "-h", "127.0.0.1", "-p", "9898", "-U", "admin", "-w", "-v"}
	has("pcp_watchdog_info of the leader", show(owner, pcp[0], pcp[1:]...), "Total Nodes              : 3", "Quorum state             : QUORUM EXIST",
		"Alive Remote Nodes       : 2",
		"Nodes required for quorum: 2", "Local node escalation    : YES", "Leader Node Name         : "+owner.name, "Delegate IP       : "+floating, "Status Name       : LEADER", "Status Name       : STANDBY")
	has("pcp_watchdog_info of another one", show(other, pcp[0], pcp[1:]...), "Local node escalation    : NO", "Leader Node Name         : "+owner.name)
	program := os.Getenv("HOWDAH_BIN")
	socket := func(h *host) string { return n.dir + "/" + h.name + ".sock" }
	has("howdah quorum", show(owner, program, "quorum", "-socket", socket(owner)), "leader", owner.name, "holding", "writes here", "primary", "node0", "exists")
	has("howdah quorum of another one", show(other, program, "quorum", "-socket", socket(other)), "the leader confirmed the primary")
	has("howdah watchdog", show(owner, program, "watchdog", "-socket", socket(owner)), "w1", "LEADER", "STANDBY", "fit")
	w := &writer{n: n, address: floating}
	conn, err := w.connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(context.Background(), "SHOW howdah.quorum")
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for rows.Next() {
		var item, value string
		if err := rows.Scan(&item, &value); err != nil {
			t.Fatal(err)
		}
		text += item + " = " + value + "\n"
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	has("SHOW howdah.quorum", text, "leader = "+owner.name, "primary = node0", "address owner = "+owner.name, "agreed = epoch 1")
	// A refusal, and then a failover, show with their votes.
	if err := c.Kill(0); err != nil {
		t.Fatal(err)
	}
	n.recorded("node0")
	has("howdah quorum after a failover", show(n.owner(), program, "quorum", "-socket", socket(n.owner())), "agreed", "epoch 2, the primary is node1", "seen dead by")
	has("metrics", show(n.owner(), "curl", "-s", "http://127.0.0.1:9899/metrics"), "howdah_watchdog_quorum 1", "howdah_vip_held 1", "howdah_watchdog_epoch 2")
}
