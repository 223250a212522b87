package parser_test

import (
	"testing"

	"github.com/howdah/howdah/parser"
)

func TestParseRoute(t *testing.T) {
	for text, want := range map[string]string{
		"auto": "auto", "PRIMARY": "primary", "Read": "read", "node:pg1": "node:pg1", "NODE:Pg_1.a-b": "node:Pg_1.a-b",
	} {
		h, ok := parser.ParseRoute(text)
		if !ok || h.String() != want {
			t.Errorf("%q: got %q, %v", text, h, ok)
		}
		if again, ok := parser.ParseRoute(h.String()); !ok || again != h {
			t.Errorf("%q: reads back as %v", h, again)
		}
	}
	long := "node:"
	for range 64 {
		long += "x"
	}
	for _, text := range []string{"", "standby", "node:", "node", "node:a b", "node:é", "node:*/", " read", "read ", long} {
		if h, ok := parser.ParseRoute(text); ok {
			t.Errorf("%q: got %v, want a refusal", text, h)
		}
	}
}

// Texts that differ in their hint alone never get each other's verdict, in whatever order they come.
func TestHintsAreNotShared(t *testing.T) {
	hints := map[string]string{"": "", "/* a */": "", "/*howdah: route=read*/": "read", "--howdah: route=primary\n": "primary",
		"/* howdah: route=node:a */ ": "node:a", "/*howdah:route=node:b*/": "node:b", "/*NO LOAD BALANCE*/ ": "primary"}
	for first := range hints {
		p := parser.New(parser.Options{})
		for round := range 3 {
			for _, literal := range []string{"1", "2", "'x'"} {
				p.Verdict([]byte(first + "SELECT " + literal))
				for comment, want := range hints {
					v := p.Verdict([]byte(comment + "SELECT " + literal))
					if v.Hint.String() != want || v.Commented != (comment != "") {
						t.Fatalf("round %d: %q: hint %q, commented %v", round, comment, v.Hint, v.Commented)
					}
				}
			}
		}
	}
}

// Hints cost their texts no allocation once the shape is known.
func TestHintedShapesDoNotAllocate(t *testing.T) {
	if raceDetector {
		return // the race detector's sync.Pool drops buffers at random
	}
	p := parser.New(parser.Options{})
	text := []byte("/* howdah: route=node:pg1, because=of-this-and-that */ SELECT name FROM t WHERE id = 1000000")
	n := 0
	allocs := testing.AllocsPerRun(1000, func() {
		n++
		for i, k := len(text)-1, n; k > 0; i, k = i-1, k/10 {
			text[i] = byte('0' + k%10)
		}
		if v := p.Verdict(text); v.Hint.Node != "pg1" {
			t.Fatal(v.Hint)
		}
	})
	if allocs >= 1 {
		t.Errorf("%v allocations a verdict", allocs)
	}
}

func FuzzHint(f *testing.F) {
	f.Add("/* howdah: route=node:pg1 */ SELECT 1", "a")
	f.Add("--howdah:route=read\n/*NO LOAD BALANCE*/", "é")
	f.Fuzz(func(t *testing.T, sql, node string) {
		h := parser.Classify(sql).Hint
		if again, ok := parser.ParseRoute(h.String()); ok != (h.Route != parser.RouteNone) || ok && again != h {
			t.Fatalf("%q: hint %+v reads back as %+v, %v", sql, h, again, ok)
		}
		if h, ok := parser.ParseRoute("node:" + node); ok {
			if got := parser.Classify("/*howdah: route=" + h.String() + "*/SELECT 1").Hint; got != h {
				t.Fatalf("node %q: the comment says %+v", node, got)
			}
		}
	})
}

func TestFingerprint(t *testing.T) {
	p := parser.New(parser.Options{})
	print := func(sql string) uint64 { return p.Verdict([]byte(sql)).Fingerprint }
	first := print("SELECT f(1)")
	for range 3 {
		for _, same := range []string{"SELECT f(1)", "SELECT f(2)", "SELECT  f(3) -- x"} {
			if got := print(same); got != first || got == 0 {
				t.Errorf("%q: fingerprint %d, want %d", same, got, first)
			}
		}
		for _, other := range []string{"SELECT g(1)", "SELECT f('a')", "SET a = 1", "SET a = 2", "SELECT u&'x'"} {
			if got := print(other); got == first || got == 0 {
				t.Errorf("%q: fingerprint %d", other, got)
			}
		}
	}
}
