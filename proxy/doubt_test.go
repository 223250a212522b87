package proxy

import (
	"maps"
	"slices"
	"testing"

	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/parser/catalog"
)

// What is doubted during a reading of the catalogs is in doubt after it, too, and a reading that an
// invalidation overtook is of no use.
func TestDoubtAndReadings(t *testing.T) {
	d := &database{wake: make(chan struct{}, 1)}
	before := parser.NewKnowledge(&catalog.Facts{}, parser.KnowledgeOptions{})
	after := parser.NewKnowledge(&catalog.Facts{}, parser.KnowledgeOptions{})
	d.current.Store(&knowing{knowledge: before})
	want := func(step string, k *parser.Knowledge, names ...string) {
		t.Helper()
		now := d.current.Load()
		if got := slices.Sorted(maps.Keys(now.doubtful)); now.knowledge != k || !slices.Equal(got, names) {
			t.Fatalf("%s: knows %p, doubts %v; want %p, %v", step, now.knowledge, got, k, names)
		}
	}
	d.doubt([]string{"a"})
	want("doubt", before, "a")
	began := d.changed
	d.doubt([]string{"b"})
	want("doubt during a reading", before, "a", "b")
	if d.settle(began, &knowing{knowledge: after}) {
		t.Error("nothing more to read, though b is in doubt")
	}
	want("the reading", after, "b")
	began = d.changed
	d.invalidate()
	want("invalidate", nil)
	d.doubt([]string{"c"})
	if d.settle(began, &knowing{knowledge: before}) {
		t.Error("a reading from before counts")
	}
	want("a useless reading", nil)
	if !d.settle(d.changed, &knowing{knowledge: before}) {
		t.Error("there is more to read")
	}
	want("the next reading", before)
	for range maxDoubted + 1 {
		d.doubt([]string{string(rune('a' + d.changed))})
	}
	want("too many", nil)
}

// A transaction's doubts are its statements', the widest counts.
func TestRedefinition(t *testing.T) {
	for _, c := range []struct {
		sql   string
		all   bool
		names []string
	}{
		{"CREATE TABLE t (a int)", false, nil},
		{"CREATE TABLE t (a serial); CREATE VIEW v AS SELECT 1", false, []string{"t_a_seq", "v"}},
		{"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS ''", true, nil},
		{"CREATE VIEW v AS SELECT 1; CREATE EXTENSION x; CREATE SEQUENCE s", true, nil},
	} {
		var r redefinition
		v := parser.Classify(c.sql)
		for i := range v.Statements {
			r.add(&v.Statements[i])
		}
		if !r.done || r.all != c.all || !slices.Equal(r.names, c.names) {
			t.Errorf("%s: %+v", c.sql, r)
		}
	}
}
