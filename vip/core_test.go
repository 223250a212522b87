package vip

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the expected texts in testdata; review the diff line by line")

// The files in testdata/core hold cases: a title (# …), lines of input, "----", what the
// core did and when. The input of a case:
//
//	set strict lifetime=2s …          settings that differ from the test's
//	want 400ms [epoch] | want not     a lease from now on, or none
//	renew 100ms 400ms                 a lease of 400ms every 100ms from now on; "renew off"
//	link up | down | absent
//	kernel 10.0.0.100/32 ours | foreign | missing | dadfailed
//	claim 10.0.0.100 02:00:00:00:00:09 [peer]
//	fail add 2                        the next two adds fail
//	vain add                          adds succeed and do nothing
//	slow add 300ms                    an add takes that long, as commands do
//	run 2s                            time passes
//
// A world of the test's does at once what the core says, as the engine does.
func TestCore(t *testing.T) {
	paths, err := filepath.Glob("testdata/core/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var rewritten []string
		for _, text := range strings.Split(strings.TrimSpace(string(data)), "\n\n") {
			input, want, _ := strings.Cut(text, "\n----")
			title, script, _ := strings.Cut(input, "\n")
			t.Run(filepath.Base(path)+"/"+strings.TrimPrefix(title, "# "), func(t *testing.T) {
				w := newWorld()
				for line := range strings.Lines(script) {
					if err := w.obey(strings.Fields(line)); err != nil {
						t.Fatalf("%s: %v", line, err)
					}
				}
				got := strings.Join(w.out, "\n")
				rewritten = append(rewritten, input+"\n----\n"+got)
				if got != strings.TrimPrefix(want, "\n") && !*update {
					t.Errorf("got\n%s\nwant%s", got, want)
				}
			})
		}
		if *update {
			if err := os.WriteFile(path, []byte(strings.Join(rewritten, "\n\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// world is a host of the test's making around a core.
type world struct {
	settings             settings
	core                 *core
	now                  Instant
	link                 linkState
	kernel               map[netip.Addr]sighting
	expires              map[netip.Addr]Instant
	fail                 map[op]int
	slow                 map[op]time.Duration
	vain                 op
	ends                 []pendingEnd // of slow actions
	renewEvery, renewFor time.Duration
	renewAt              Instant
	wake                 Instant
	looked               bool
	broken               string // a rule that the core broke
	out                  []string
	verbose              bool // renewals are shown too
}

type pendingEnd struct {
	at Instant
	in done
}

func newWorld() *world {
	return &world{
		settings: settings{addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.100/32")}, device: "eth0", lifetime: 2 * time.Second,
			refresh: 500 * time.Millisecond, probeWait: 100 * time.Millisecond, announceInterval: 30 * time.Second, observed: true,
			needsLink: true, frames: true, resetClients: true, retryFirst: retryKernel, retryMost: retryKernelMost},
		link:   linkState{present: true, up: true, mac: "02:00:00:00:00:01"},
		kernel: map[netip.Addr]sighting{}, expires: map[netip.Addr]Instant{}, fail: map[op]int{}, slow: map[op]time.Duration{},
		now: Instant(time.Hour), // the core must not depend on when it begins
	}
}

func (w *world) obey(f []string) error {
	if len(f) == 0 {
		return nil
	}
	if f[0] == "set" {
		return w.set(f[1:])
	}
	if w.core == nil {
		w.core = newCore(w.settings)
	}
	switch f[0] {
	case "want":
		w.renewEvery = 0
		o := order{Reason: "another host leads"}
		if f[1] != "not" {
			o = order{Holder: true, Until: w.now.Add(duration(f[1])), Released: len(f) > 2 && f[2] == "released"}
		}
		if !w.looked { // an engine begins with its first order, and then looks
			w.core.want, w.core.until = o, o.Until
			return nil
		}
		w.feed(wanted{o})
	case "renew":
		if f[1] == "off" {
			w.renewEvery = 0
			return nil
		}
		w.renewEvery, w.renewFor, w.renewAt = duration(f[1]), duration(f[2]), w.now
	case "link":
		w.link.present, w.link.up = f[1] != "absent", f[1] == "up"
		if f[1] == "up" && len(f) > 2 {
			w.link.mac = f[2]
		}
		if w.looked {
			w.look()
		}
	case "kernel":
		p := netip.MustParsePrefix(f[1])
		delete(w.expires, p.Addr())
		switch f[2] {
		case "ours":
			w.kernel[p.Addr()] = sighting{presence: ours}
		case "dadfailed":
			w.kernel[p.Addr()] = sighting{presence: ours, dadFailed: true}
		case "foreign":
			w.kernel[p.Addr()] = sighting{presence: foreign, where: f[1] + " on eth0"}
		case "missing":
			delete(w.kernel, p.Addr())
		}
		if w.looked {
			w.look()
		}
	case "claim":
		if !w.looked {
			w.look()
		}
		h := heard{addr: netip.MustParseAddr(f[1]), mac: f[2]}
		if len(f) > 3 {
			h.peer = f[3]
		}
		w.feed(h)
	case "fail":
		w.fail[opNamed(f[1])], _ = strconv.Atoi(f[2])
	case "vain":
		w.vain = opNamed(f[1])
	case "slow":
		w.slow[opNamed(f[1])] = duration(f[2])
	case "look":
		w.look()
	case "run":
		w.run(duration(f[1]))
	default:
		return fmt.Errorf("unknown word %s", f[0])
	}
	return nil
}

func (w *world) set(words []string) error {
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "strict":
			w.settings.strict = true
		case "renewals":
			w.verbose = true
		case "deaf":
			w.link.deaf = "no privilege"
		case "addresses":
			w.settings.addresses = nil
			for _, a := range strings.Split(value, ",") {
				w.settings.addresses = append(w.settings.addresses, netip.MustParsePrefix(a))
			}
		case "mode":
			w.settings.needsLink, w.settings.lifetime, w.settings.frames = false, 0, false
			w.settings.observed = value == "commands"
			w.settings.retryFirst, w.settings.retryMost = retryCommand, retryCommandMost
		case "announce":
			w.settings.announceInterval = duration(value)
		default:
			return fmt.Errorf("unknown setting %s", key)
		}
	}
	return nil
}

func duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d
}

func opNamed(name string) op {
	for i, n := range opNames {
		if n == name {
			return op(i)
		}
	}
	panic(name)
}

// run lets time pass: whatever is due happens in its order.
func (w *world) run(d time.Duration) {
	if !w.looked {
		w.look()
	}
	end := w.now.Add(d)
	for {
		next, what := end, func() { w.now = end }
		consider := func(t Instant, f func()) {
			if t < next {
				next, what = t, f
			}
		}
		if w.renewEvery > 0 {
			consider(w.renewAt, func() {
				w.renewAt = w.renewAt.Add(w.renewEvery)
				w.feed(wanted{order{Holder: true, Until: w.now.Add(w.renewFor)}})
			})
		}
		for i, e := range w.ends {
			consider(e.at, func() {
				w.ends = append(w.ends[:i:i], w.ends[i+1:]...)
				w.end(e.in)
			})
		}
		for addr, t := range w.expires {
			consider(t, func() {
				delete(w.kernel, addr)
				delete(w.expires, addr)
				w.log("kernel lets %s expire", addr)
				w.look()
			})
		}
		if w.wake != 0 {
			consider(max(w.wake, w.now), func() { w.wake = 0; w.look() })
		}
		if w.now = max(next, w.now); next >= end {
			w.now = end
			return
		}
		what()
	}
}

func (w *world) look() {
	w.looked = true
	w.feed(w.seen())
}

func (w *world) seen() seen {
	s := seen{link: w.link}
	for _, p := range w.settings.addresses {
		got := w.kernel[p.Addr()]
		if got.presence == unseen {
			got.presence = missing
		}
		s.sightings = append(s.sightings, got)
	}
	return s
}

func (w *world) feed(in any) {
	pending := []any{in}
	for len(pending) > 0 {
		before := w.states()
		actions, events, wake := w.core.step(w.now, pending[0])
		pending = pending[1:]
		w.wake = wake
		for _, ev := range events {
			w.log("! %s %s: %s", ev.Kind, ev.Address, ev.Reason)
		}
		for i, after := range w.states() {
			if before[i] != after {
				w.log("%s is %s", w.settings.addresses[i].Addr(), after)
			}
		}
		for _, a := range actions {
			if in := w.do(a); in != nil {
				pending = append(pending, *in)
			}
		}
	}
}

func (w *world) states() []AddressState {
	var out []AddressState
	for _, a := range w.core.addresses {
		out = append(out, a.state)
	}
	return out
}

func (w *world) do(a action) *done {
	if a.op != opRenew || w.verbose {
		reset := ""
		if a.reset {
			reset = ", clients disconnected first"
		}
		w.log("%s %s (%s%s)", a.op, a.addr.Addr(), a.reason, reset)
	}
	d := done{addr: a.addr.Addr(), op: a.op}
	lease := w.core.want.Holder && w.now < w.core.want.Until
	if (a.op == opAdd || a.op == opRenew || a.op == opAnnounce || a.op == opTickle) && !lease {
		w.broken = a.op.String() + " without a lease"
	}
	if a.op == opRemove && w.settings.needsLink && w.kernel[d.addr].presence == foreign {
		w.broken = "remove of somebody else's address"
	}
	switch a.op {
	case opCancel:
		for i, e := range w.ends {
			if e.in.addr == d.addr {
				w.ends[i].at, w.ends[i].in.err = w.now, errCancelled
			}
		}
		return nil
	case opAdd, opRenew, opRemove:
	default:
		return nil
	}
	if w.fail[a.op] > 0 {
		w.fail[a.op]--
		d.err = errors.New("the world says no")
	}
	if t := w.slow[a.op]; t > 0 {
		w.ends = append(w.ends, pendingEnd{w.now.Add(t), d})
		return nil
	}
	w.effect(d)
	return &d
}

func (w *world) end(d done) {
	w.effect(d)
	if w.settings.observed {
		w.feed(w.seen())
	}
	w.feed(d)
}

// effect is what an action does to the kernel.
func (w *world) effect(d done) {
	switch {
	case d.err != nil || !w.settings.observed || d.op == w.vain:
	case d.op == opRemove:
		delete(w.kernel, d.addr)
		delete(w.expires, d.addr)
	default:
		w.kernel[d.addr] = sighting{presence: ours}
		if w.settings.lifetime > 0 {
			w.expires[d.addr] = w.now.Add(w.settings.lifetime)
		}
	}
}

func (w *world) log(format string, args ...any) {
	w.out = append(w.out, fmt.Sprintf("%6s ", w.now.Sub(Instant(time.Hour)).Round(time.Millisecond))+fmt.Sprintf(format, args...))
}

// Whatever comes in whatever order, the core never panics, never adds or renews without
// a lease, and, left alone without one, ends with nothing of its own on the host.
func TestCoreRandomly(t *testing.T) {
	for seed := range uint64(2000) {
		if err := randomly(seed); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func randomly(seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 1))
	w := newWorld()
	w.settings.addresses = append(w.settings.addresses, netip.MustParsePrefix("fd00::100/128"))
	w.settings.strict = r.IntN(2) == 0
	if mode := r.IntN(3); mode > 0 {
		_ = w.set([]string{"mode=" + []string{"", "commands", "hook"}[mode]})
		w.slow[opAdd], w.slow[opRemove] = time.Duration(r.IntN(300))*time.Millisecond, time.Duration(r.IntN(300))*time.Millisecond
	}
	w.core = newCore(w.settings)
	w.look()
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	address := func() string { return pick("10.0.0.100/32", "fd00::100/128") }
	for range 60 {
		var line string
		switch r.IntN(9) {
		case 0:
			line = "want " + pick("not", "50ms", "400ms", "3s")
		case 1:
			line = "renew 100ms 400ms"
		case 2:
			line = "link " + pick("up", "up", "down", "absent")
		case 3:
			line = "kernel " + address() + " " + pick("ours", "missing", "missing", "foreign", "dadfailed")
		case 4:
			addr, _, _ := strings.Cut(address(), "/")
			line = "claim " + addr + " 02:00:00:00:00:0" + pick("8", "9") + pick("", " 10.0.0.2")
		case 5:
			line = "fail " + pick("add", "remove", "renew") + " " + pick("1", "3")
		default:
			line = "run " + pick("1ms", "30ms", "300ms", "2s")
		}
		if err := w.obey(strings.Fields(line)); err != nil {
			return err
		}
		if w.broken != "" {
			return fmt.Errorf("after %s: %s", line, w.broken)
		}
	}
	clear(w.fail)
	w.kernel = map[netip.Addr]sighting{netip.MustParseAddr("10.0.0.100"): {presence: ours}}
	for _, line := range []string{"look", "want not", "run 30s"} {
		_ = w.obey(strings.Fields(line))
	}
	if w.broken != "" {
		return errors.New(w.broken)
	}
	if s := w.core.status(w.now); !s.Gone || s.Held || w.settings.observed && len(w.kernel) > 0 {
		return fmt.Errorf("nobody wants the addresses, and they are %s; the kernel has %v", s.describe(), w.kernel)
	}
	return nil
}

// Every state but the first can be reached and left, and no transition is there twice.
func TestTransitions(t *testing.T) {
	seen := map[[2]AddressState]bool{}
	reached, left := map[AddressState]bool{}, map[AddressState]bool{}
	for _, tr := range transitions {
		if seen[[2]AddressState{tr.from, tr.to}] || tr.why == "" || tr.from == tr.to {
			t.Errorf("%s to %s (%q)", tr.from, tr.to, tr.why)
		}
		seen[[2]AddressState{tr.from, tr.to}], left[tr.from], reached[tr.to] = true, true, true
	}
	for s := Absent; s <= Blocked; s++ {
		if !reached[s] || !left[s] {
			t.Errorf("%s: reached %v, left %v", s, reached[s], left[s])
		}
		var back AddressState
		text, _ := s.MarshalText()
		if err := back.UnmarshalText(text); err != nil || back != s {
			t.Errorf("%s is read as %s (%v)", s, back, err)
		}
	}
	if err := new(AddressState).UnmarshalText([]byte("elsewhere")); err == nil {
		t.Error("elsewhere is read as a state")
	}
}
