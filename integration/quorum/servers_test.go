package quorum

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/howdah/howdah/integration/pgcluster"
	"github.com/howdah/howdah/watchdog"
	"github.com/howdah/howdah/watchdog/core"
)

// startServers puts a primary (node0) on the first host and a standby on each of the next, or on the hosts of servers if there
// are any, and has the howdahs promote by themselves.
func (n *network) startServers(standbys int, more string) *pgcluster.Cluster {
	n.t.Helper()
	c := n.startServersWith(standbys, nil)
	n.more += more
	n.write()
	return c
}

// startServersWith is startServers with settings of the servers'.
func (n *network) startServersWith(standbys int, settings map[string]string) *pgcluster.Cluster {
	n.t.Helper()
	options := pgcluster.Options{Standbys: standbys, HBA: []string{"host all all all trust", "host replication all all trust"},
		Settings: map[string]string{"wal_receiver_timeout": "5s", "wal_sender_timeout": "5s"}}
	maps.Copy(options.Settings, settings)
	hosts := n.hosts
	if len(n.servers) > 0 {
		hosts = n.servers
	}
	for _, h := range hosts[:standbys+1] {
		options.Hosts = append(options.Hosts, pgcluster.Host{Namespace: h.ns, Address: h.address})
	}
	c := pgcluster.ForTest(n.t, options)
	if err := c.Exec(n.t.Context(), 0, "postgres", "CREATE TABLE pets (id bigint)"); err != nil {
		n.t.Fatal(err)
	}
	var backends []string
	for i := range standbys + 1 {
		backends = append(backends, fmt.Sprintf("{name: node%d, host: %s, port: %d}", i, hosts[i].address, c.Port(i)))
	}
	n.backends = "[" + strings.Join(backends, ", ") + "]"
	n.more = "failover: {mode: native, hold: 20s}\nreplication_check: {timeout: 500ms}\n"
	n.write()
	return c
}

// recorded waits until all hosts go by a primary, and returns its name.
func (n *network) recorded(not string) string {
	n.t.Helper()
	primary := core.NodeID("")
	n.eventually(func() string {
		primary = ""
		for _, h := range n.hosts {
			if h.cmd == nil {
				continue
			}
			s := h.status()
			switch {
			case s == nil || s.State == nil || s.State.Primary.Node == "" || string(s.State.Primary.Node) == not || s.State.Failover.Phase != core.PhaseNone:
				return h.name + " goes by no primary, or the old one"
			case primary != "" && s.State.Primary.Node != primary:
				return fmt.Sprintf("%s and %s are the primary", primary, s.State.Primary.Node)
			case !h.witness && !s.Writes:
				return h.name + " may not write: " + s.Reason
			}
			primary = s.State.Primary.Node
		}
		return ""
	})
	return string(primary)
}

// promotions is how often servers were promoted, as they say: a timeline is begun by each.
func promotions(t *testing.T, c *pgcluster.Cluster, nodes ...int) int {
	t.Helper()
	total := 0
	for _, i := range nodes {
		total += strings.Count(c.Log(i), "selected new timeline ID")
	}
	return total
}

// The primary's server dies: the members agree, one is promoted, once, and all write to it. Nobody could write
// to the old one meanwhile.
func TestServerIsKilled(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "p1", "p2", "p3")
	c := n.startServers(2, "")
	n.startAll()
	n.recorded("")
	var writers []*writer
	for _, h := range n.hosts {
		writers = append(writers, n.writeTo(h.address))
	}
	for _, w := range writers {
		w.more(20)
	}
	began := time.Now()
	if err := c.Kill(0); err != nil {
		t.Fatal(err)
	}
	for _, w := range writers {
		t.Logf("writes through %s go on after %s", w.address, w.more(20).Sub(began).Round(time.Millisecond))
	}
	n.recorded("node0")
	if got := promotions(t, c, 1, 2); got != 1 {
		t.Errorf("%d promotions", got)
	}
}

// The primary's host, whose howdah leads, dies as a whole: another member takes the address and promotes.
func TestLeaderAndServerAreKilled(t *testing.T) {
	n := newNetwork(t, "p1", "p2", "p3")
	c := n.startServers(2, "")
	first := n.hosts[0]
	n.startAll()
	n.recorded("")
	n.lead(first)
	n.recorded("")
	w := n.writeTo(floating)
	w.more(20)
	n.neverTwo()
	began := time.Now()
	first.kill()
	if err := c.Kill(0); err != nil {
		t.Fatal(err)
	}
	took := w.more(20).Sub(began)
	t.Logf("writes through the address go on after %s", took.Round(time.Millisecond))
	if took > 4*time.Second+slack {
		t.Errorf("it took %s", took)
	}
	n.recorded("node0")
	if got := promotions(t, c, 1, 2); got != 1 {
		t.Errorf("%d promotions", got)
	}
}

// A leader dies between the members' consent and the new primary, at random moments: its successor goes on, and
// there is one promotion.
func TestFailoverSurvivesItsLeader(t *testing.T) {
	t.Parallel()
	moments := []string{"consent is asked for", "phase=promote"}
	if chaos() {
		moments = append(moments, "phase=choose", "phase=follow")
	}
	for i, after := range moments {
		t.Run(after, func(t *testing.T) {
			n := newNetwork(t, "p1", "p2", "p3", "p4", "p5")
			c := n.startServers(2, "")
			n.startAll()
			n.recorded("")
			w := n.writeTo(floating)
			w.more(20)
			n.neverTwo()
			owner := n.owner()
			began := time.Now()
			if err := c.Kill(0); err != nil {
				t.Fatal(err)
			}
			n.eventually(func() string {
				if !strings.Contains(owner.log.String(), after) {
					return "the leader does not come so far: " + after
				}
				return ""
			})
			owner.kill()
			t.Logf("%d: writes go on after %s", i, w.more(20).Sub(began).Round(time.Millisecond))
			n.recorded("node0")
			if got := promotions(t, c, 1, 2); got != 1 {
				t.Errorf("%d promotions", got)
			}
		})
	}
}

// The primary with a howdah and its clients is cut off from the majority, which promotes another
// one. Nothing that the cut-off side acknowledges after that is lost, since it acknowledges nothing.
func TestPrimaryAndHowdahAreCutOff(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "p1", "p2", "w1")
	c := n.startServers(1, "")
	n.startAll()
	primary, other := n.hosts[0], n.hosts[1]
	n.recorded("")
	inside := &writer{n: n, address: "127.0.0.1", from: primary.ns, stop: make(chan struct{}), errs: map[string]int{}}
	inside.running.Go(inside.run)
	t.Cleanup(inside.end)
	outside := n.writeTo(floating)
	inside.more(20)
	outside.more(20)
	n.neverTwo()
	if err := c.WaitReplay(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	primary.cut()
	before := outside.count() + 1 // what was not replicated yet, perhaps; one may be on its way to the client
	t.Logf("writes of the majority go on after %s", outside.more(20).Sub(began).Round(time.Millisecond))
	promoted := time.Now()
	n.eventually(func() string {
		if s := other.status(); s == nil || s.State.Primary.Node != "node1" {
			return "node1 is not the primary"
		}
		return ""
	})
	inside.mu.Lock()
	last := inside.last
	inside.mu.Unlock()
	if last.After(promoted) {
		t.Error("the howdah that is cut off went on to write")
	}
	t.Logf("its last acknowledged write was %s after the cut", last.Sub(began).Round(time.Millisecond))
	if s := primary.answer(); s.Writes {
		t.Errorf("it would write: %+v", s)
	}
	primary.mend()
	// Its howdah follows the new primary, and the old server is a false primary to everybody.
	inside.more(20)
	outside.end()
	inside.end()
	if lost := outside.lost(c, 1, before); len(lost) > 0 {
		t.Errorf("writes of the majority are lost: %v", lost)
	}
	t.Logf("%d writes of the side that was cut off are lost, as replication is asynchronous", len(inside.lost(c, 1, 0)))
}

// A cancel request that comes to another howdah than the session's finds it; one with a wrong secret does nothing. An
// operator's order is carried out whichever howdah is told.
func TestCancelAndOrdersFindTheirWay(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "p1", "p2", "p3")
	c := n.startServers(1, "admin: {socket: "+n.dir+"/SELF.sock}\n")
	owner := n.startAll()
	n.recorded("")
	other := n.others(owner)[0]
	w := &writer{n: n, address: owner.address}
	conn, err := w.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	cancel := func(secret byte) {
		key := conn.PgConn().SecretKey()
		msg := []byte{0, 0, 0, 16, 4, 210, 22, 46}
		msg = binary.BigEndian.AppendUint32(msg, conn.PgConn().PID())
		msg = append(msg, key[0]^secret, key[1], key[2], key[3])
		err := n.inside(n.client(), func() error {
			to, err := net.DialTimeout("tcp4", other.address+":9999", time.Second)
			if err != nil {
				return err
			}
			defer to.Close()
			_, err = to.Write(msg)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error, 1)
	go func() { // ended by the cancel, or the statement
		_, err := conn.Exec(context.Background(), "SELECT pg_sleep(20) /* to be canceled */")
		ended <- err
	}()
	n.eventually(func() string {
		for i := range 2 {
			if got, err := c.Value(t.Context(), i, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(20) /* to be%'"); err == nil && got == "1" {
				return ""
			}
		}
		return "the statement does not run"
	})
	cancel(1)
	select {
	case err := <-ended:
		t.Fatalf("a cancel request with a wrong secret: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	cancel(0)
	var pg *pgconn.PgError
	if err := <-ended; !errors.As(err, &pg) || pg.Code != "57014" {
		t.Errorf("got %v", err)
	}
	// Orders by a member that does not lead: it is carried out, and all know.
	program := os.Getenv("HOWDAH_BIN")
	for _, step := range []struct {
		args []string
		sees func(r *watchdog.Status) bool
	}{
		{[]string{"detach", "1"}, func(s *watchdog.Status) bool { return strings.Contains(s.State.Note, `"detached":["node1"]`) }},
		{[]string{"attach", "1"}, func(s *watchdog.Status) bool { return !strings.Contains(s.State.Note, `"detached"`) }},
		{[]string{"switchover", "1"}, func(s *watchdog.Status) bool { return s.State.Primary.Node == "node1" }},
	} {
		args := append([]string{step.args[0], "-socket", n.dir + "/" + other.name + ".sock"}, step.args[1:]...)
		n.eventually(func() string { // nobody may lead for a moment
			if out, err := exec.Command(program, args...).CombinedOutput(); err != nil && !strings.Contains(string(out), "is the primary") {
				return fmt.Sprintf("%v: %v\n%s", args, err, out)
			}
			return ""
		})
		n.eventually(func() string {
			for _, h := range n.hosts {
				if s := h.status(); s == nil || !step.sees(s) {
					return fmt.Sprintf("%s does not know of %v", h.name, step.args)
				}
			}
			return ""
		})
	}
	if _, err := conn.Exec(t.Context(), "INSERT INTO pets VALUES (-1)"); err != nil {
		t.Errorf("after the switchover: %v", err)
	}
}

// The host that has the address is cut off without a word. A client that waits for an answer there is reset by the next
// one that has the address, which knows of the client's connection.
func TestClientOfALostHostNotices(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "p1", "p2", "p3")
	n.startServers(0, "")
	owner := n.startAll()
	n.recorded("")
	w := &writer{n: n, address: floating}
	conn, err := w.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	ended := make(chan error, 1)
	go func() { // ended by the reset
		_, err := conn.Exec(context.Background(), "SELECT pg_sleep(600)")
		ended <- err
	}()
	time.Sleep(2500 * time.Millisecond) // the others ask for the holder's clients once per second
	n.neverTwo()
	began := time.Now()
	owner.cut()
	select {
	case err := <-ended:
		t.Logf("it noticed after %s: %v", time.Since(began).Round(time.Millisecond), err)
		if err == nil {
			t.Error("it got an answer")
		}
	case <-time.After(20 * time.Second):
		t.Error("it waits still")
	}
}

// The leader and another member lose sight of the primary, which the others see: it is not replaced.
func TestPrimaryThatSomebodySeesIsNotReplaced(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "p1", "p2", "p3", "p4")
	c := n.startServers(1, "") // node0 beside p1, node1 beside p2
	n.startAll()
	n.recorded("")
	primary := n.hosts[0]
	leader := n.hosts[2]
	n.lead(leader)
	// p3 and p4 do not reach the host of the primary any more; p1 and p2 do.
	for _, h := range n.hosts[2:] {
		h.lose(primary)
	}
	n.eventually(func() string {
		log := leader.log.String() // the standby's word comes before the others'
		vetoed := strings.Contains(log, "seen alive by") || strings.Contains(log, "node1 receives from node0, which we cannot reach")
		if s := leader.status(); s == nil || !vetoed && s.Leader == "p3" {
			return "nobody vetoes, and the leader stays"
		}
		return ""
	})
	time.Sleep(2 * time.Second)
	if got := promotions(t, c, 1); got != 0 {
		t.Errorf("%d promotions of a standby whose primary is seen", got)
	}
}

// With consistency among all clients, a read through one howdah sees what was written through another a moment before, though the
// standby that would serve it lags.
func TestWritesThroughAnotherHowdahAreSeen(t *testing.T) {
	n := newNetwork(t, "p1", "p2", "w1")
	c := n.startServers(1, "routing: {consistency: cluster}\n")
	n.backends = strings.Replace(n.backends, "{name: node0,", "{name: node0, weight: 0,", 1)
	n.write()
	n.startAll()
	n.recorded("")
	if err := c.PauseReplay(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	connect := func(h *host) *pgx.Conn {
		w := &writer{n: n, address: h.address}
		conn, err := w.connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close(context.Background()) })
		return conn
	}
	to, from := connect(n.hosts[0]), connect(n.hosts[1])
	var seen []time.Duration
	for i := range 20 {
		if _, err := to.Exec(t.Context(), "INSERT INTO pets VALUES ($1)", i); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		n.within(slack, func() string { // on a busy machine some are told of late
			var count int
			if err := from.QueryRow(t.Context(), "SELECT count(*) FROM pets").Scan(&count); err != nil {
				t.Fatal(err)
			}
			if count != i+1 {
				return fmt.Sprintf("%d of %d writes are seen through the other howdah", count, i+1)
			}
			return ""
		})
		seen = append(seen, time.Since(began))
	}
	slices.Sort(seen)
	if half := seen[len(seen)/2]; half > 150*time.Millisecond { // the promise is 100 ms
		t.Errorf("half of the writes are seen through the other howdah after %s: %v", half, seen)
	}
}
