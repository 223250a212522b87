package parser_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/howdah/howdah/parser"
)

// TestMillionsOfTexts: ever new texts neither grow the caches beyond their bound,
// as counted and as the heap has it, nor drive out what is used all the time.
func TestMillionsOfTexts(t *testing.T) {
	const limit = 4 << 20
	texts := 2_000_000
	if raceDetector {
		texts /= 20
	}
	p := parser.New(parser.Options{CacheBytes: limit})
	kinds := []string{
		"SELECT a FROM t WHERE b = %d",
		"/* trace %d */ SELECT now()",
		"INSERT INTO t VALUES (%d, 'x')",
		"SELECT data->>'k%d' FROM t",
	}
	p.Verdict([]byte(knownText))
	before := heapBytes()
	buffer := make([]byte, 0, 100)
	for i := range texts {
		buffer = fmt.Appendf(buffer[:0], kinds[i%len(kinds)], i)
		p.Verdict(buffer)
		if i%100 == 0 {
			p.Verdict([]byte(knownText))
		}
	}
	stats := p.Stats()
	if stats.Bytes > limit || stats.Misses > 10 {
		t.Errorf("stats %+v", stats)
	}
	if grown := heapBytes() - before; grown > 2*limit {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
	runtime.KeepAlive(p)
}

// TestTableIsBounded fills a table itself with far more entries than it has
// room for, of all sizes.
func TestTableIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	entries := 200_000
	if raceDetector {
		entries /= 10
	}
	table := parser.NewTable(limit)
	verdict := parser.Classify("SELECT a, b FROM t, u WHERE f(a) = 1")
	text := make([]byte, 5000)
	for i := range entries {
		n := copy(text, fmt.Appendf(nil, "%d", i))
		table.Put(uint64(i)*0x9e3779b97f4a7c15, text[:n+i%7*i%4000], verdict)
		if table.Bytes() > limit {
			t.Fatalf("%d bytes after %d entries", table.Bytes(), i)
		}
	}
	if table.Bytes() < limit/4 || table.Entries() < 10 {
		t.Errorf("only %d bytes, %d entries", table.Bytes(), table.Entries())
	}
}

// heapBytes is what is reachable.
func heapBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
