package quorum

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/howdah/howdah/integration/machine"
)

// takeover is something that makes the address, or the primary too, move.
type takeover struct {
	name string
	// happens makes it happen to the owner; undo makes all well again.
	happens, undo func(h *host)
}

var takeovers = []takeover{
	{"kill", (*host).kill, (*host).start},
	{"frozen", func(h *host) { h.signal(syscall.SIGSTOP) }, func(h *host) { h.signal(syscall.SIGCONT) }},
	{"cut", (*host).cut, (*host).mend},
	{"handover", func(h *host) {
		if err := h.order("yield"); err != nil {
			h.t.Error(err)
		}
	}, func(*host) {}},
}

// BenchmarkTakeover measures how long it takes from an event at the leader until the address answers at another
// host: make bench-watchdog.
func BenchmarkTakeover(b *testing.B) {
	for _, profile := range []string{"lan", "fast"} {
		for _, event := range takeovers {
			b.Run(profile+"/"+event.name, func(b *testing.B) {
				n := newNetwork(b, "p1", "p2", "p3")
				n.profile, n.dialTimeout = profile, attempt
				n.write()
				owner := n.startAll()
				var took []time.Duration
				b.ResetTimer()
				moved := time.Now()
				for range b.N {
					b.StopTimer()
					n.quiet(moved)
					b.StartTimer()
					began := time.Now()
					event.happens(owner)
					next := n.answeredBy(owner)
					moved = time.Now()
					took = append(took, moved.Sub(began))
					b.StopTimer()
					event.undo(owner)
					n.ready()
					owner = next
					b.StartTimer()
				}
				report(b, took)
			})
		}
	}
}

// BenchmarkWrites measures how long writes through the address pause when the primary dies, alone and with the leader.
func BenchmarkWrites(b *testing.B) {
	for _, profile := range []string{"lan", "fast"} {
		for _, both := range []bool{false, true} {
			b.Run(profile+"/"+map[bool]string{false: "primary", true: "primary and leader"}[both], func(b *testing.B) { writes(b, profile, both) })
		}
	}
}

func writes(b *testing.B, profile string, both bool) {
	var took []time.Duration
	for range b.N {
		b.StopTimer()
		n := newNetwork(b, "p1", "p2", "p3")
		n.profile = profile
		c := n.startServers(2, "")
		owner := n.startAll()
		n.recorded("")
		w := n.writeTo(floating)
		w.more(20)
		w.mu.Lock()
		w.pause = 0
		w.mu.Unlock()
		b.StartTimer()
		if both {
			owner.kill()
		}
		if err := c.Kill(0); err != nil {
			b.Fatal(err)
		}
		n.recorded("node0")
		w.more(5)
		b.StopTimer()
		w.end()
		took = append(took, w.pause)
		n.remove()
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	report(b, took)
}

// attempt is how long one attempt to connect may take. What gets lost while the neighbours learn the address is not repeated for a second.
const attempt = 50 * time.Millisecond

// quiet waits until the neighbours' tables may change again: a kernel does not change an entry twice in a second. The first announcements
// end 0.2 s after the address moved.
func (n *network) quiet(moved time.Time) { time.Sleep(time.Until(moved.Add(1500 * time.Millisecond))) }

// answeredBy waits until the address answers at another host than old.
func (n *network) answeredBy(old *host) (owner *host) {
	n.t.Helper()
	n.eventually(func() string {
		for _, h := range n.others(old) {
			if h.has() && n.answers() == nil {
				owner = h
				return ""
			}
		}
		return "nobody took the address"
	})
	return owner
}

// markdown is where the table of what was measured goes.
var markdown = flag.String("markdown", "", "a file for the table of the benchmarks' results")

// pageText is the page, but for where it was measured and what came out.
const pageText = `# How fast the address, and writes, go on after a fault

This page is written by the benchmark: make bench-watchdog TABLE=docs/BENCHMARKS-WATCHDOG.md; ONLY and EVENTS choose what is measured, and how
often.

Three hosts are network namespaces, joined by a switch in the benchmark's process; on each runs a howdah, as built for users. Measured is the time
from the fault until the floating address answers at another host; or, where servers take part (a primary and two standbys), the longest
time between two acknowledged writes of a client that goes on through the address. keepalived has its usual settings: VRRP every second, and a script that asks the
proxy every second. pgpool is Pgpool-II's own watchdog with its default times: a heartbeat every 2 s, a member is lost when it is silent for 30 s, which is looked at every
10 s; killed means all of its processes, after which its address stays where it was, too.

%s`

func report(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	at := func(q float64) time.Duration { return took[max(0, int(math.Ceil(q*float64(len(took))))-1)] } // the nearest rank
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(at(0.5)), "p50-ms")
	b.ReportMetric(ms(at(0.99)), "p99-ms")
	b.ReportMetric(ms(at(1)), "max-ms")
	b.Logf("%d events: %s", len(took), fmt.Sprint(took))
	_, name, _ := strings.Cut(b.Name(), "/")
	profile, event, _ := strings.Cut(name, "/")
	line := fmt.Sprintf("| %s | %s | %d | %.3f s | %.3f s | %.3f s |", cmp.Or(meanings[event], event), profile, len(took), at(0.5).Seconds(), at(0.99).Seconds(), at(1).Seconds())
	if *markdown == "" {
		return
	}
	if err := record(*markdown, line); err != nil {
		b.Error(err)
	}
}

// record puts a line into the page, in the place of the one of the same event and profile. A benchmark is run once to begin with, and then as
// often as it shall be; and others may be measured by other processes, at the same time or later. What was measured on another machine is not kept.
func record(page, line string) error {
	f, err := os.OpenFile(page, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("open the page: %w", err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock the page: %w", err)
	}
	old, err := io.ReadAll(f)
	if err != nil {
		return fmt.Errorf("read the page: %w", err)
	}
	text := merged(string(old), line, machine.Here())
	if _, err := f.WriteAt([]byte(text), 0); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	if err := f.Truncate(int64(len(text))); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// merged is the page with a line more, of which the others are kept if they were measured on this machine.
func merged(old, line string, here machine.Facts) string {
	of := func(line string) string { // event and profile
		fields := strings.SplitN(line, "|", 4)
		return strings.Join(fields[:min(3, len(fields))], "|")
	}
	same := true
	for _, fact := range here[1:] { // but for the date
		same = same && strings.Contains(old, fmt.Sprintf("| %s | %s |\n", fact[0], fact[1]))
	}
	lines := []string{line}
	for l := range strings.Lines(old) {
		if l = strings.TrimSpace(l); same && isResult(l) && of(l) != of(line) {
			lines = append(lines, l)
		}
	}
	slices.Sort(lines)
	return fmt.Sprintf(pageText, here.Table()+"\n| event | profile | times | half within | 99 % within | longest |\n|---|---|---|---|---|---|\n"+strings.Join(lines, "\n")+"\n")
}

// isResult reports whether a line of the page is of the benchmarks' results.
func isResult(line string) bool {
	return strings.HasPrefix(line, "| address: ") || strings.HasPrefix(line, "| writes: ")
}

// The page has one line for each event and profile, whoever measured it, and none of another machine.
func TestPageIsMerged(t *testing.T) {
	here := machine.Facts{{"Date", "2026-11-22"}, {"CPU", "fast, 2 cores"}}
	page := filepath.Join(t.TempDir(), "page.md")
	frozen, killed := "| address: frozen | lan | 9 | 1 s | 1 s | 1 s |", "| writes: killed | lan | 9 | 2 s | 2 s | 2 s |"
	text := merged(merged(merged("", killed, here), frozen, here), strings.ReplaceAll(killed, "lan", "fast"), here)
	text = merged(text, strings.ReplaceAll(killed, "2 s", "3 s"), machine.Facts{{"Date", "2026-11-23"}, here[1]})
	_, results, _ := strings.Cut(text, "|---|---|---|---|---|---|\n")
	if want := frozen + "\n" + strings.ReplaceAll(killed, "lan", "fast") + "\n" + strings.ReplaceAll(killed, "2 s", "3 s") + "\n"; results != want || !strings.Contains(text, "2026-11-23") {
		t.Errorf("got\n%s\nwant\n%s", results, want)
	}
	if text = merged(text, frozen, machine.Facts{here[0], {"CPU", "slow, 2 cores"}}); strings.Contains(text, "writes: killed") || !strings.Contains(text, frozen) {
		t.Errorf("results of another machine are kept:\n%s", text)
	}
	var processes sync.WaitGroup // each opens the file, as a process does
	for i := range 8 {
		processes.Go(func() {
			if err := record(page, fmt.Sprintf("| address: %d | lan | 1 | 1 s | 1 s | 1 s |", i)); err != nil {
				t.Error(err)
			}
		})
	}
	processes.Wait()
	if got, err := os.ReadFile(page); err != nil || strings.Count(string(got), "| address: ") != 8 {
		t.Errorf("%v; 8 results are to be there:\n%s", err, got)
	}
}

// meanings are the events' names in the table: what happens, and until when it is measured.
var meanings = map[string]string{
	"kill":               "address: `kill -9` of the leader",
	"frozen":             "address: the leader is stopped (SIGSTOP)",
	"cut":                "address: the leader's host is gone",
	"handover":           "address: the leader yields",
	"primary":            "writes: `kill -9` of the primary",
	"primary_and_leader": "writes: `kill -9` of primary and leader together",
}
