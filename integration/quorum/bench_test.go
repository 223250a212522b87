package quorum

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
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
				for range b.N {
					b.StopTimer()
					n.quiet()
					b.StartTimer()
					began := time.Now()
					event.happens(owner)
					next := n.answeredBy(owner)
					took = append(took, time.Since(began))
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

// quiet waits until the neighbours' tables may change again: a kernel does not change an entry twice in a second.
func (n *network) quiet() { time.Sleep(1100 * time.Millisecond) }

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

// measured are the results by their benchmarks' names. A benchmark is run once to begin with, and then as often as it shall be.
var measured = map[string]string{}

func report(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	at := func(q float64) time.Duration { return took[min(len(took)-1, int(q*float64(len(took))))] }
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(at(0.5)), "p50-ms")
	b.ReportMetric(ms(at(0.99)), "p99-ms")
	b.ReportMetric(ms(at(1)), "max-ms")
	b.Logf("%d events: %s", len(took), fmt.Sprint(took))
	_, name, _ := strings.Cut(b.Name(), "/")
	profile, event, _ := strings.Cut(name, "/")
	measured[name] = fmt.Sprintf("| %s | %s | %d | %.3f s | %.3f s | %.3f s |", cmp.Or(meanings[event], event), profile, len(took), at(0.5).Seconds(), at(0.99).Seconds(), at(1).Seconds())
	if *markdown == "" {
		return
	}
	text := machine.Here().Table() + "\n| event | profile | times | half within | 99 % within | longest |\n|---|---|---|---|---|---|\n"
	for _, line := range slices.Sorted(maps.Values(measured)) {
		text += line + "\n"
	}
	text = fmt.Sprintf(pageText, text)
	if err := os.WriteFile(*markdown, []byte(text), 0o644); err != nil {
		b.Error(err)
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
