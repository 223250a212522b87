package quorum

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// What was reported of Pgpool-II's watchdog, by the number in its bug tracker (#: on GitHub), does not happen here.
func TestReportedOfPgpool(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "p1", "p2", "w1")
	said := filepath.Join(n.dir, "said")
	n.commands = "  escalation_command: [/bin/sh, -c, \"echo SELF up >> " + said + "\"]\n  deescalation_command: [/bin/sh, -c, \"echo SELF down >> " + said + "\"]\n"
	c := n.startServers(1, "admin: {socket: "+n.dir+"/SELF.sock}\n")
	n.more = strings.Replace(n.more, "hold: 20s", "hold: 4s", 1)
	n.write()
	owner := n.startAll()
	n.recorded("")
	n.neverTwo()
	hears := func(line string) {
		t.Helper()
		n.eventually(func() string {
			if text, err := os.ReadFile(said); err != nil || !strings.Contains(string(text), line) {
				return "no command said: " + line
			}
			return ""
		})
	}
	proxy := func(h *host) *host { // the other one with clients
		if h == n.hosts[0] {
			return n.hosts[1]
		}
		return n.hosts[0]
	}
	serves := func() {
		t.Helper()
		w := n.writeTo(floating)
		w.more(3)
		w.end()
	}
	hears(owner.name + " up")

	t.Run("228, no de-escalation when leadership goes", func(t *testing.T) {
		if err := owner.order("yield", "w1"); err == nil || !strings.Contains(err.Error(), "w1 is a witness") {
			t.Errorf("the address is given to a witness: %v", err)
		}
		n.eventually(func() string { // it may not be fit yet
			if err := owner.order("yield", proxy(owner).name); err != nil && owner.has() {
				return err.Error()
			}
			return ""
		})
		hears(owner.name + " down")
		if owner.has() {
			t.Error("the address stays")
		}
		owner = n.owner()
	})
	t.Run("215, no escalation when the peer is down", func(t *testing.T) {
		old := owner
		if err := os.Truncate(said, 0); err != nil {
			t.Fatal(err)
		}
		old.kill()
		owner = n.owner(n.others(old)...)
		hears(owner.name + " up")
		old.start()
		n.ready()
	})
	t.Run("329, a new leader connects to no backend", func(t *testing.T) {
		for range 3 {
			serves()
			next := proxy(owner)
			n.eventually(func() string { // on a busy machine it may not be fit yet, or the leader may be another one by now
				if !next.has() {
					if err := owner.order("yield", next.name); err == nil {
						time.Sleep(500 * time.Millisecond)
					}
				}
				if err := n.answers(); !next.has() || err != nil {
					return fmt.Sprintf("%s does not take the address: %v", next.name, err)
				}
				return ""
			})
			owner = next
			n.ready()
		}
		serves()
	})
	t.Run("306 and #64, a stale leader takes over again", func(t *testing.T) {
		old := owner
		old.signal(syscall.SIGSTOP)
		owner = n.answeredBy(old)
		time.Sleep(3 * time.Second)
		old.signal(syscall.SIGCONT)
		if n.ready() != owner {
			t.Error("the address went back")
		}
		serves()
	})
	program := os.Getenv("HOWDAH_BIN")
	t.Run("280, an argument that is too long smashes the stack", func(t *testing.T) {
		for _, arg := range []string{"99", "-1", "", strings.Repeat("9", 4000), "1; DROP TABLE pets", "%s%n", strings.Repeat("x", 100000)} {
			if err := exec.Command(program, "attach", "-socket", n.dir+"/"+owner.name+".sock", "--", arg).Run(); err == nil {
				t.Errorf("attach %.10q was carried out", arg)
			}
		}
		serves()
	})
	t.Run("281, a crash on attach", func(t *testing.T) {
		pid := owner.cmd.Process.Pid
		for range 10 {
			for _, what := range []string{"detach", "attach"} {
				n.eventually(func() string { // nobody may lead for a moment
					if out, err := exec.Command(program, what, "-socket", n.dir+"/"+owner.name+".sock", "1").CombinedOutput(); err != nil && !strings.Contains(string(out), "is the primary") {
						return what + ": " + string(out)
					}
					return ""
				})
			}
		}
		if owner.answer(); owner.cmd.Process.Pid != pid {
			t.Error("it crashed")
		}
		serves()
	})
	t.Run("294, no start before the network has addresses", func(t *testing.T) {
		late := proxy(owner)
		late.kill()
		n.ip("-n", late.ns, "addr", "del", late.address+"/24", "dev", "eth0")
		before := len(late.log.String())
		late.start()
		n.eventually(func() string {
			if !strings.Contains(late.log.String()[before:], "not possible yet, trying on") {
				return "it does not say that it waits"
			}
			return ""
		})
		n.ip("-n", late.ns, "addr", "add", late.address+"/24", "dev", "eth0")
		n.ready()
	})
	t.Run("295, no start before the network has its interface", func(t *testing.T) {
		late := proxy(owner)
		late.kill()
		n.ip("-n", late.ns, "link", "set", "eth0", "down")
		n.ip("-n", late.ns, "link", "set", "eth0", "name", "old0")
		late.start()
		n.eventually(func() string {
			if s := late.status(); s == nil || !strings.Contains(s.Fitness, "interface is down") {
				return fmt.Sprintf("it does not say that its interface is missing: %+v", s)
			}
			return ""
		})
		n.ip("-n", late.ns, "link", "set", "old0", "name", "eth0")
		n.ip("-n", late.ns, "link", "set", "eth0", "up")
		n.ready()
	})
	t.Run("271, a balanced SELECT after a write mixes the answers up", func(t *testing.T) {
		w := &writer{n: n, address: floating}
		conn, err := w.connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		for range 50 {
			id, count := newID(), 0
			err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
				if err := tx.QueryRow(t.Context(), "SELECT count(*) FROM pets WHERE id = $1", id).Scan(&count); err != nil || count != 0 {
					return fmt.Errorf("before the write: %d rows, %w", count, err)
				}
				if _, err := tx.Exec(t.Context(), "INSERT INTO pets VALUES ($1)", id); err != nil {
					return err
				}
				return tx.QueryRow(t.Context(), "SELECT count(*) FROM pets WHERE id = $1", id).Scan(&count)
			})
			if err == nil && count == 1 {
				count = 0
				err = conn.QueryRow(t.Context(), "SELECT count(*) FROM pets WHERE id = $1", id).Scan(&count)
			}
			if err != nil || count != 1 {
				t.Fatalf("its own write: %d rows, %v", count, err)
			}
		}
	})
	t.Run("248, all backends down and back", func(t *testing.T) {
		before := len(owner.log.String())
		for i := range 2 {
			if err := c.StopNode(1 - i); err != nil {
				t.Fatal(err)
			}
		}
		n.eventually(func() string {
			if text := owner.log.String()[before:]; !strings.Contains(text, "to=none") && !strings.Contains(text, "to=down") {
				return "nobody notices"
			}
			return ""
		})
		for i := range 2 {
			if err := c.StartNode(t.Context(), i); err != nil {
				t.Fatal(err)
			}
		}
		serves()
	})
	t.Run("#87, the last one with clients loses the address though the database is well", func(t *testing.T) {
		proxy(owner).kill()
		time.Sleep(2 * time.Second)
		if !owner.has() {
			t.Error("the address is gone")
		}
		serves()
		proxy(owner).start()
		n.ready()
	})
	t.Run("#82, clients of one that is cut off hang", func(t *testing.T) {
		old := owner
		old.cut()
		owner = n.answeredBy(old)
		n.eventually(func() string {
			if s := old.status(); s == nil || s.Writes {
				return "it would write without the others"
			}
			return ""
		})
		w := &writer{n: n, address: "127.0.0.1", from: old.ns}
		began := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if conn, err := w.connect(ctx); err == nil {
			_, err = conn.Exec(ctx, "INSERT INTO pets VALUES (0)")
			conn.Close(ctx)
			if err == nil {
				t.Error("it wrote without the others")
			}
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("it had its error after %s", took)
		}
		old.mend()
		n.ready()
		owner = n.owner()
	})
	t.Run("823, a blip of the link kills it", func(t *testing.T) {
		for _, h := range n.hosts {
			h.unplug()
		}
		for _, h := range n.hosts {
			h.plug()
		}
		for _, h := range n.hosts {
			select {
			case err := <-h.ended:
				t.Errorf("%s ended: %v", h.name, err)
			default:
			}
		}
		owner = n.ready()
		serves()
	})
	t.Run("#167, all were stopped and nobody takes the address", func(t *testing.T) {
		for _, h := range n.hosts {
			h.signal(syscall.SIGSTOP)
		}
		time.Sleep(3 * time.Second)
		for _, h := range n.hosts {
			h.signal(syscall.SIGCONT)
		}
		owner = n.ready()
		serves()
	})
	t.Run("545 and 684, a quorum that is lost and not regained", func(t *testing.T) {
		for _, h := range n.others(owner) {
			h.cut()
		}
		n.eventually(func() string {
			if owner.has() {
				return "the address stays without a quorum"
			}
			return ""
		})
		for _, h := range n.others(owner) {
			h.mend()
		}
		owner = n.ready()
		n.eventually(func() string {
			if err := n.answers(); err != nil {
				return err.Error()
			}
			return ""
		})
	})
}
