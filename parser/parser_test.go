package parser_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/howdah/howdah/parser"
)

const knownText = "SELECT abalance FROM pgbench_accounts WHERE aid = 4242;"

func newParser() *parser.Parser { return parser.New(parser.Options{CacheBytes: 16 << 20}) }

// TestLiteralsShareOneParse is the point of the skeleton.
func TestLiteralsShareOneParse(t *testing.T) {
	t.Parallel()
	p := newParser()
	first := p.Verdict([]byte(knownText))
	for i := range 10_000 {
		sql := fmt.Appendf(nil, "SELECT abalance\nFROM pgbench_accounts /* %d */ WHERE aid = %d;", i, i)
		if got := p.Verdict(sql); got.Access != parser.AccessRead {
			t.Fatalf("%s: %s", sql, got)
		}
	}
	stats := p.Stats()
	if first.Access != parser.AccessRead || stats.Misses != 1 || stats.SkeletonHits != 10_000 {
		t.Errorf("access %v, stats %+v", first.Access, stats)
	}
	if n := p.ExactEntries(); n > 1 {
		t.Errorf("ever new texts took %d places in the exact cache", n)
	}
}

// TestLiteralDependentTextsAreNotShared: what a literal decides is asked for each time.
func TestLiteralDependentTextsAreNotShared(t *testing.T) {
	t.Parallel()
	p := newParser()
	for range 3 {
		for _, value := range []string{"a", "b", "c"} {
			set := p.Verdict([]byte("SET x.y = '" + value + "'")).Statements[0]
			if set.Value != value || set.SQL != "SET x.y = '"+value+"'" {
				t.Errorf("value %q: got %q, %q", value, set.Value, set.SQL)
			}
			config := p.Verdict([]byte("SELECT set_config('x.y', '" + value + "', false)")).Statements[0]
			if config.Value != value || config.Set != parser.SetValue {
				t.Errorf("value %q: got %q, %v", value, config.Value, config.Set)
			}
			explain := p.Verdict([]byte("EXPLAIN (ANALYZE '" + map[string]string{"a": "on", "b": "off", "c": "true"}[value] + "') CREATE TEMP TABLE t AS SELECT 1"))
			if explain.CreatesTemp != (value != "b") {
				t.Errorf("value %q: EXPLAIN creates temp: %v", value, explain.CreatesTemp)
			}
		}
	}
	if stats := p.Stats(); stats.ExactHits == 0 || stats.SkeletonHits != 0 {
		t.Errorf("stats %+v", stats)
	}
}

// TestUnparsableLiteralDoesNotPoison: a bad text must not give its verdict to good ones.
func TestUnparsableLiteralDoesNotPoison(t *testing.T) {
	t.Parallel()
	p := newParser()
	for _, c := range []struct {
		sql  string
		want parser.Access
	}{
		{"SELECT a::float(99) FROM t", parser.AccessRead}, // the server refuses it anywhere
		{"SELECT a::float(5) FROM t", parser.AccessRead},
		{"SELECT FROM WHERE 1", parser.AccessUnknown},
		{"SELECT FROM WHERE 2", parser.AccessUnknown},
	} {
		if got := p.Verdict([]byte(c.sql)).Access; got != c.want {
			t.Errorf("%s: got %v, want %v", c.sql, got, c.want)
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	p := parser.New(parser.Options{CacheBytes: limit})
	for i := range 20_000 {
		p.Verdict(fmt.Appendf(nil, "SELECT c%d FROM t%d", i, i))
		p.Verdict([]byte(knownText))
	}
	stats := p.Stats()
	if stats.Bytes > limit || stats.Bytes == 0 || stats.Evictions == 0 {
		t.Errorf("stats %+v", stats)
	}
	if p.ExactEntries() == 0 || p.SkeletonEntries() == 0 {
		t.Errorf("entries: %d exact, %d skeletons", p.ExactEntries(), p.SkeletonEntries())
	}
	before := stats.Misses
	p.Verdict([]byte(knownText))
	if p.Stats().Misses != before {
		t.Error("a text in constant use was evicted")
	}
}

// TestHitsDoNotAllocate holds the promise of the hot path.
func TestHitsDoNotAllocate(t *testing.T) {
	p := newParser()
	prepared := []byte("SELECT abalance FROM pgbench_accounts WHERE aid = $1")
	long := []byte("SELECT a FROM t WHERE b IN (" + strings.Repeat("1,", 2000) + "1)")
	literal := []byte(knownText)
	begin := []byte("BEGIN")
	for range 20 {
		for _, sql := range [][]byte{prepared, begin, long} {
			p.Verdict(sql)
		}
	}
	i := 0
	var last parser.Last
	for _, c := range []struct {
		name string
		run  func()
	}{
		{"exact", func() { p.Verdict(prepared) }},
		{"exact BEGIN", func() { p.Verdict(begin) }},
		{"exact long", func() { p.Verdict(long) }},
		{"skeleton", func() {
			i++
			literal[len(literal)-2], literal[len(literal)-3] = byte('0'+i%10), byte('0'+i/10%10)
			p.Verdict(literal)
		}},
		{"skeleton of the last one", func() {
			i++
			literal[len(literal)-2], literal[len(literal)-3] = byte('0'+i%10), byte('0'+i/10%10)
			p.VerdictAfter(literal, &last)
		}},
	} {
		c.run()
		misses := p.Stats().Misses
		if got := testing.AllocsPerRun(200, c.run); got != 0 && !raceDetector {
			t.Errorf("%s: %v allocations", c.name, got)
		}
		if p.Stats().Misses != misses {
			t.Errorf("%s: was no hit", c.name)
		}
	}
}

// TestConcurrentUse lets sessions share a cache that is far too small, under the race detector.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	p := parser.New(parser.Options{CacheBytes: 1})
	var sessions sync.WaitGroup
	for s := range 8 {
		sessions.Go(func() {
			r := rand.New(rand.NewPCG(uint64(s), 1))
			for range 3000 {
				n := r.IntN(2000)
				write := n%2 == 0
				sql := fmt.Sprintf("SELECT a FROM t%d WHERE b = %d", n, r.IntN(100))
				if write {
					sql += " FOR UPDATE"
				}
				v := p.Verdict([]byte(sql))
				if (v.Access == parser.AccessWrite) != write || v.Statements[0].Relations[0].Name != fmt.Sprintf("t%d", n) {
					t.Errorf("%s: %s", sql, v)
				}
			}
		})
	}
	sessions.Wait()
	if stats := p.Stats(); stats.Evictions == 0 || stats.ExactHits+stats.SkeletonHits+stats.Misses != 8*3000 {
		t.Errorf("stats %+v", stats)
	}
}

// TestHugeTexts: no text may end the process, and long but flat ones are read.
func TestHugeTexts(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	repeat := strings.Repeat
	for _, c := range []struct {
		name, sql string
		want      parser.Access
	}{
		{"parentheses 1 MB", "SELECT " + repeat("(", mb/2-8) + "1" + repeat(")", mb/2-8), parser.AccessUnknown},
		{"plus 1 MB", "SELECT 1" + repeat("+1", mb/2-8), parser.AccessUnknown},
		{"plus behind escapes", `SELECT E'\x41\'' ` + repeat("+1", mb/2-20), parser.AccessUnknown},
		{"plus behind dollars", `SELECT $$now'$$ ` + repeat("+1", mb/2-20), parser.AccessUnknown},
		{"plus in a bad text", "SELECT U&'a'" + repeat("+1", 100_000), parser.AccessUnknown},
		{"casts", "SELECT 1" + repeat("::a", 50_000), parser.AccessUnknown},
		{"unions", "SELECT a,b" + repeat(" UNION SELECT a,b", 50_000), parser.AccessUnknown},
		{"postfix", "SELECT 1" + repeat(" isnull", 50_000), parser.AccessUnknown},
		{"joins", "SELECT 1 FROM a" + repeat(" CROSS JOIN a", 50_000), parser.AccessUnknown},
		{"calls and commas", "SELECT " + repeat("f(1,", 50_000) + "1" + repeat(")", 50_000), parser.AccessUnknown},
		{"over the limit", "SELECT 1 /*" + repeat("x", mb) + "*/", parser.AccessUnknown},
		{"at the limit of depth", "SELECT 1" + repeat(" isnull", parser.MaxNesting-5), parser.AccessRead},
		{"long IN list", "SELECT a FROM t WHERE b IN (" + repeat("12345,", 100_000) + "1)", parser.AccessRead},
		{"long IN list of negative numbers", "SELECT a FROM t WHERE b IN (" + repeat("-5,", 100_000) + "1)", parser.AccessRead},
		{"long string", "SELECT '" + repeat("x", mb/2) + "'", parser.AccessRead},
		{"many conditions", "SELECT a FROM t WHERE b = 1" + repeat(" OR b = 2", 1000), parser.AccessRead},
		{"long VALUES", "INSERT INTO t VALUES (1)" + repeat(",(1,'x')", 50_000), parser.AccessWrite},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newParser()
			if got := p.Verdict([]byte(c.sql)); got.Access != c.want {
				t.Errorf("got %v (%s), want %v", got.Access, got.Reason, c.want)
			}
		})
	}
}

// FuzzVerdict: no bytes make a verdict nil or a panic, and the caches never change an answer.
func FuzzVerdict(f *testing.F) {
	for _, sql := range corpus(f) {
		f.Add([]byte(sql))
	}
	p := newParser()
	var last parser.Last
	f.Fuzz(func(t *testing.T, sql []byte) {
		want := parser.Classify(string(sql))
		got := p.VerdictAfter(sql, &last)
		again := p.Verdict(sql)
		if got == nil || again == nil {
			t.Fatal("nil verdict")
		}
		if got.String() != again.String() {
			t.Fatalf("%q: first %s, then %s", sql, got, again)
		}
		if want.Reason != "does not parse" && got.String() != want.String() {
			t.Fatalf("%q: cached %s, classified %s", sql, got, want)
		}
	})
}

// TestVerdictAfter: what was asked before changes no answer, and one who asks the same with other literals needs no cache.
func TestVerdictAfter(t *testing.T) {
	p := newParser()
	var last parser.Last
	ask := func(sql string) *parser.Verdict {
		t.Helper()
		v := p.VerdictAfter([]byte(sql), &last)
		if want := parser.Classify(sql); v.String() != want.String() {
			t.Errorf("%s: %s, classified %s", sql, v, want)
		}
		return v
	}
	for i := range 30 {
		ask(fmt.Sprintf("SELECT a FROM t WHERE id = %d", i))
		ask(fmt.Sprintf("SELECT a FROM t WHERE id = %d", i+1000))
		if i%2 == 0 {
			ask("SELECT a FROM t WHERE id = 'it''s' -- no number")
			ask("SELECT a FROM t")
			ask(fmt.Sprintf("UPDATE t SET a = 1 WHERE id = %d", i))
			ask(fmt.Sprintf("SELECT set_config('work_mem', '%d', false)", i)) // its literals count
			ask(fmt.Sprintf("SELECT nextval('s%d')", i))
			ask("SELECT 1 FROM t WHERE id = " + strings.Repeat("1", 600))
		}
	}
	misses := p.Stats().Misses
	first := ask("SELECT b FROM t WHERE id = 5")
	for i := range 20 {
		if ask(fmt.Sprintf("SELECT b FROM t WHERE id = %d", i)) != first {
			t.Errorf("another verdict for %d", i)
		}
	}
	if n := p.Stats().Misses - misses; n != 1 {
		t.Errorf("%d misses, want the first one", n)
	}
}

func BenchmarkVerdictKnownText(b *testing.B) {
	p := newParser()
	sql := []byte("SELECT abalance FROM pgbench_accounts WHERE aid = $1")
	p.Verdict(sql)
	b.ReportAllocs()
	for b.Loop() {
		p.Verdict(sql)
	}
}

func BenchmarkVerdictSkeleton(b *testing.B) {
	p := newParser()
	sql := []byte(knownText)
	p.Verdict(sql)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		n := i
		for k := len(sql) - 2; k > len(sql)-6; k-- {
			sql[k] = byte('0' + n%10)
			n /= 10
		}
		p.Verdict(sql)
	}
}

// BenchmarkSkeleton is the cost of a text that is known but for its literals, by
// length; ns/100B is to stay below 1000.
func BenchmarkSkeleton(b *testing.B) {
	for _, c := range []struct{ name, sql string }{
		{"select", "SELECT c.name, o.total FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.total > 1000 AND o.state = 'paid' ORDER BY o.id LIMIT 1000000"},
		{"comments", "/* trace 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 */ SELECT a -- the column\n FROM t /* of /* nested */ t */ WHERE b = 7000000"},
		{"literals", "SELECT a FROM t WHERE b IN (" + strings.Repeat("1234567, 'some text', ", 40) + "1000000)"},
		{"long", "SELECT " + strings.Repeat("coalesce(first_column, second_column) AS name, ", 60) + "1 FROM t WHERE a = 1000000"},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := newParser()
			sql := []byte(c.sql)
			at := strings.LastIndexAny(c.sql, "0123456789")
			p.Verdict(sql)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				n := i
				for k := at; k >= 0 && '0' <= c.sql[k] && c.sql[k] <= '9'; k-- {
					sql[k] = byte('1' + n%9)
					n /= 9
				}
				p.Verdict(sql)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)*100/float64(len(sql)), "ns/100B")
			if misses := p.Stats().Misses; misses != 1 {
				b.Errorf("%d misses", misses)
			}
		})
	}
}

func BenchmarkClassify(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		parser.Classify(knownText)
	}
}
