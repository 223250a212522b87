package quorum

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/integration/pgcluster"
)

// startPair is two hosts without a third: p1 has the primary node0, p2 the standby node1. The machine of the clients
// is the trusted server: that nothing listens there is an answer, too.
func startPair(t *testing.T, rules string, settings map[string]string) (*network, *pgcluster.Cluster) {
	t.Helper()
	n := newNetwork(t, "p1", "p2")
	options := pgcluster.Options{Standbys: 1, HBA: []string{"host all all all trust", "host replication all all trust"},
		Settings: map[string]string{"wal_receiver_timeout": "3s", "wal_sender_timeout": "3s"}}
	for name, value := range settings {
		options.Settings[name] = value
	}
	var backends []string
	for _, h := range n.hosts {
		options.Hosts = append(options.Hosts, pgcluster.Host{Namespace: h.ns, Address: h.address})
	}
	c := pgcluster.ForTest(t, options)
	if err := c.Exec(t.Context(), 0, "postgres", "CREATE TABLE pets (id bigint)"); err != nil {
		t.Fatal(err)
	}
	for i, h := range n.hosts {
		backends = append(backends, fmt.Sprintf("{name: node%d, host: %s, port: %d}", i, h.address, c.Port(i)))
	}
	n.backends = "[" + strings.Join(backends, ", ") + "]"
	n.more = "failover: {mode: native, hold: 20s}\nreplication_check: {timeout: 500ms}\n"
	n.commands = "  trusted_servers: [\"10.77.0.200:9\"]\n  pair: {" + rules + "}\n"
	n.write()
	n.startAll()
	n.recorded("")
	n.eventually(func() string {
		for _, h := range n.hosts {
			if s := h.status(); s == nil || s.Rules != "" {
				return fmt.Sprintf("%s does not know the other's rules, without which neither goes on alone: %+v", h.name, s)
			}
		}
		return ""
	})
	return n, c
}

// has the address come to a host.
func (n *network) comesTo(h *host, what string) {
	n.t.Helper()
	n.eventually(func() string {
		for _, o := range n.others(h) {
			if o.has() {
				return fmt.Sprintf("%s: %s has the address", what, o.name)
			}
		}
		if !h.has() {
			return fmt.Sprintf("%s: %s does not have the address", what, h.name)
		}
		return ""
	})
}

// says waits until a host's log has a text.
func (h *host) says(text string) {
	h.t.Helper()
	h.eventually(func() string {
		if !strings.Contains(h.log.String(), text) {
			return fmt.Sprintf("%s does not say: %s", h.name, text)
		}
		return ""
	})
}

// serves is an error unless the host's clients can read. What only the primary may answer does not count.
func (h *host) serves() error {
	w := &writer{n: h.network, address: h.address}
	conn, err := w.connect(h.t.Context())
	if err != nil {
		return err
	}
	defer conn.Close(h.t.Context())
	var count int
	if err := conn.QueryRow(h.t.Context(), "SELECT count(*) FROM pets").Scan(&count); err != nil {
		return err
	}
	if count == 0 {
		return fmt.Errorf("%s answers that there is nothing", h.name)
	}
	return nil
}

// The cable between two hosts is cut, with the rules as they come: nobody is promoted. The primary's side takes the address, by the lock that
// the primary keeps, and tells all neighbours: who uses it writes on. The other side, which had it, cannot know that, and keeps it for those
// who can only reach that. Then all is as before.
func TestTwoHostsAreCutApart(t *testing.T) {
	n, c := startPair(t, "on_loss: wait", nil)
	p1, p2 := n.hosts[0], n.hosts[1]
	n.lead(p2)
	n.comesTo(p2, "yield")
	n.owner(p2)
	inside := n.writeTo(p1.address)
	inside.more(20)
	if err := c.WaitReplay(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	p1.lose(p2)
	p2.lose(p1)
	through := n.writeTo(floating) // which the standby's side could not do
	through.more(20)
	if !p1.has() {
		t.Error("the primary's side does not have the address")
	}
	through.end()
	p2.says("howdah watchdog shrink goes on alone")
	inside.more(20)
	n.eventually(func() string {
		if err := p2.serves(); err != nil {
			return fmt.Sprintf("no reads on the side of the standby: %v", err)
		}
		return ""
	})
	if s := p2.answer(); s.Leader == "p2" && s.Lease == "holding" || len(s.Voters) != 2 {
		t.Errorf("p2 goes on alone: %+v", s)
	}
	p1.heal()
	n.ready()
	inside.more(20)
	inside.end()
	if err := c.WaitReplay(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	for _, w := range []*writer{inside, through} {
		if lost := w.lost(c, 1, 0); len(lost) > 0 {
			t.Errorf("acknowledged writes are lost: %v", lost)
		}
	}
	if got := promotions(t, c, 1); got != 0 {
		t.Errorf("%d promotions", got)
	}
}

// The host with the primary, a howdah and the address dies. The other one has it turned off for sure, which fails at
// first; then it goes on alone and promotes. The lost host comes back as it was, and does nothing.
func TestTwoHostsAndAFence(t *testing.T) {
	flag := t.TempDir() + "/fence"
	script := fmt.Sprintf("echo $HOWDAH_MEMBER $HOWDAH_MEMBER_HOST $HOWDAH_PRIMARY $HOWDAH_PRIMARY_HOST > %[1]s.new && mv %[1]s.new %[1]s; "+
		"for i in $(seq 80); do [ -e %[1]s.off ] && exit 0; sleep 0.1; done; echo no answer; exit 1", flag)
	n, c := startPair(t, fmt.Sprintf("on_loss: fenced, after: 2s, fence: [/bin/sh, -c, %q]", script), nil)
	p1, p2 := n.hosts[0], n.hosts[1]
	through := n.writeTo(floating)
	through.more(20)
	p1.cut()
	n.eventually(func() string {
		text, err := os.ReadFile(flag)
		if err == nil && string(text) != "p1 10.77.0.1 node0 10.77.0.1\n" {
			t.Fatalf("the fence was told %q", text)
		}
		if err != nil {
			return "nobody is turned off"
		}
		return ""
	})
	if got := promotions(t, c, 1); got != 0 {
		t.Fatal("promoted before the primary was off")
	}
	p1.kill()
	if err := c.Kill(0); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(flag+".off", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n.recorded("node0")
	n.owner(p2)
	before := through.count()
	through.more(20)
	p1.start()
	p1.mend()
	if err := c.StartNode(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	p1.says("was made to go on without this member")
	through.more(20)
	if s := p1.answer(); s.Writes || s.Address {
		t.Errorf("the one that was left behind goes on: %+v", s)
	}
	through.end()
	if lost := through.lost(c, 1, before); len(lost) > 0 {
		t.Errorf("writes after the failover are lost: %v", lost)
	}
	if got := promotions(t, c, 1); got != 1 {
		t.Errorf("%d promotions", got)
	}
	// Its directory is removed, and it joins again.
	p1.kill()
	if err := os.RemoveAll(p1.data()); err != nil {
		t.Fatal(err)
	}
	p1.start()
	n.eventually(func() string {
		if s := p1.status(); s == nil || len(s.Voters) != 2 || !s.Writes {
			return fmt.Sprintf("it has not joined again: %+v", s)
		}
		return ""
	})
}

// Two hosts that go by signs alone. The one with the standby is cut off: it hears no trusted server either, and does nothing. Then the one with
// the primary is: it stops to write before the other one, which a trusted server answers and the lost host does not, goes on alone. What
// was acknowledged on both sides is there, but for what the standby had not received.
func TestTwoHostsAndSignsAlone(t *testing.T) {
	n, c := startPair(t, "on_loss: unsafe_promote_if_isolated, after: 6s, self_fence_after: 1s", nil)
	p1, p2 := n.hosts[0], n.hosts[1]
	// For so long a kernel takes a neighbour for reachable that does not answer any more; it is 15 to 45 s without this.
	n.ip("netns", "exec", p2.ns, "sysctl", "-qw", "net.ipv4.neigh.eth0.base_reachable_time_ms=1000")
	n.lead(p1)
	n.comesTo(p1, "yield")
	through := n.writeTo(floating)
	inside := n.writeTo(p1.address)
	inside.from = p1.ns
	through.more(20)
	p2.cut()
	p2.says("no trusted server answers: it may be this member that is cut off")
	during(t, 3*time.Second, func() string {
		if got := promotions(t, c, 1); got != 0 {
			return "the side that is cut off promotes"
		}
		return ""
	})
	through.more(20)
	inside.more(20)
	if !p1.owns() {
		t.Error("p1 does not have the address")
	}
	p2.mend()
	n.ready()
	if err := c.WaitReplay(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	p1.cut()
	n.eventually(func() string {
		switch s := p1.status(); {
		case promotions(t, c, 1) != 0:
			t.Fatal("node1 is promoted while p1 may still write")
		case s == nil || s.Writes:
			return "p1 goes on to write"
		}
		return ""
	})
	stopped := inside.count()
	n.eventually(func() string {
		if s := p2.status(); s == nil || s.State.Primary.Node != "node1" || !s.Writes || !s.Address {
			return fmt.Sprintf("p2 does not go on alone: %+v", s)
		}
		return ""
	})
	before := through.count()
	through.more(20)
	if got := inside.count() - stopped; got > 0 {
		t.Errorf("%d writes were acknowledged by the side that is cut off, after it said that it writes no more", got)
	}
	p1.mend()
	p1.says("was made to go on without this member")
	n.comesTo(p2, "both are together again")
	through.more(20)
	inside.end()
	through.end()
	if lost := through.lost(c, 1, before); len(lost) > 0 {
		t.Errorf("writes after the failover are lost: %v", lost)
	}
	if got := promotions(t, c, 1); got != 1 {
		t.Errorf("%d promotions", got)
	}
}

// The hosts are cut apart, and the primary can acknowledge nothing without the standby. The standby's side goes on alone and promotes it;
// the other side's clients wait, and nothing that was acknowledged to anybody is lost.
func TestTwoHostsAndSynchronousReplication(t *testing.T) {
	n, c := startPair(t, "on_loss: synchronous, after: 2s", map[string]string{"synchronous_standby_names": "node1"})
	p1, p2 := n.hosts[0], n.hosts[1]
	through := n.writeTo(floating)
	inside := n.writeTo(p1.address)
	inside.from = p1.ns
	inside.more(20)
	through.more(20)
	// What is agreed on must say that the standby confirms every commit.
	n.eventually(func() string {
		for _, h := range n.hosts {
			if s := h.status(); s == nil || !strings.Contains(s.State.Note, `"sync":["node1"]`) {
				return h.name + " does not know the synchronous standby"
			}
		}
		return ""
	})
	p1.cut()
	n.eventually(func() string {
		if got := promotions(t, c, 1); got == 0 {
			return "node1 is not promoted"
		}
		return ""
	})
	// Its own synchronous standby is not there: the operator lets it write alone.
	for _, sql := range []string{"ALTER SYSTEM SET synchronous_standby_names = ''", "SELECT pg_reload_conf()"} {
		if err := c.Exec(t.Context(), 1, "postgres", sql); err != nil {
			t.Fatal(err)
		}
	}
	n.eventually(func() string {
		if s := p2.status(); s == nil || s.State.Primary.Node != "node1" || !s.Writes || !s.Address {
			return fmt.Sprintf("p2 does not go on alone: %+v", s)
		}
		return ""
	})
	through.more(20)
	acked := inside.count()
	time.Sleep(2 * time.Second)
	if got := inside.count() - acked; got > 0 {
		t.Errorf("%d writes were acknowledged by a primary without its synchronous standby", got)
	}
	p1.mend()
	p1.says("was made to go on without this member")
	n.comesTo(p2, "both are together again")
	through.more(20)
	inside.end()
	through.end()
	for _, w := range []*writer{inside, through} {
		if lost := w.lost(c, 1, 0); len(lost) > 0 {
			t.Errorf("acknowledged writes are lost: %v", lost)
		}
	}
	if got := promotions(t, c, 1); got != 1 {
		t.Errorf("%d promotions", got)
	}
}

// The howdah that has the address is killed: the other one takes the lock, and the address.
func TestOneOfTwoIsKilled(t *testing.T) {
	n, _ := startPair(t, "on_loss: wait", nil)
	owner := n.owner()
	n.neverTwo()
	began := time.Now()
	owner.kill()
	n.comesTo(n.others(owner)[0], "kill -9 of one of two")
	t.Logf("the other one has it after %s", time.Since(began).Round(time.Millisecond))
	through := n.writeTo(floating)
	through.more(20)
	owner.start()
	next := n.others(owner)[0]
	if n.ready() != next {
		t.Error("the address went back")
	}
}
