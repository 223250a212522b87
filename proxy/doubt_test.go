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
	d.doubt([]string{"a"}, nil, nil)
	want("doubt", before, "a")
	began := d.changed
	d.doubt([]string{"b"}, nil, nil)
	want("doubt during a reading", before, "a", "b")
	if d.settle(began, &knowing{knowledge: after}) {
		t.Error("nothing more to read, though b is in doubt")
	}
	want("the reading", after, "b")
	began = d.changed
	d.invalidate()
	want("invalidate", nil)
	d.doubt([]string{"c"}, nil, nil)
	if d.settle(began, &knowing{knowledge: before}) {
		t.Error("a reading from before counts")
	}
	want("a useless reading", nil)
	if !d.settle(d.changed, &knowing{knowledge: before}) {
		t.Error("there is more to read")
	}
	want("the next reading", before)
	for range maxDoubted + 1 {
		d.doubt([]string{string(rune('a' + d.changed))}, nil, nil)
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
		{"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS ''; DROP FUNCTION g", false, []string{"f", "g"}},
		{"DROP SCHEMA s CASCADE; CREATE VIEW v AS SELECT 1", false, []string{"v"}},
		{"CREATE VIEW v AS SELECT 1; CREATE EXTENSION x; CREATE SEQUENCE s", true, nil},
	} {
		var r redefinition
		v := parser.Classify(c.sql)
		for i := range v.Statements {
			r.add(&v.Statements[i])
		}
		names := slices.Clone(r.names)
		for _, made := range r.makes {
			names = append(names, made.Name)
		}
		slices.Sort(names)
		if !r.done || r.all != c.all || !slices.Equal(names, c.names) {
			t.Errorf("%s: %+v", c.sql, r)
		}
	}
}

// What is doubted of a database depends on what is known of it: what uses a name is in doubt with it, all
// if that is everything; what hid others may show them; a table that is attached may be more than it seems.
func TestWhatIsDoubted(t *testing.T) {
	known := parser.NewKnowledge(&catalog.Facts{
		Functions: []catalog.UserFunction{
			{OID: "1", Schema: "public", Name: "inner_f", Kind: 'f', Language: "plpgsql", Volatility: 'v', Body: "begin return 1; end"},
			{OID: "2", Schema: "public", Name: "outer_f", Kind: 'f', Language: "plpgsql", Volatility: 'v', Body: "begin return inner_f(); end"},
			{OID: "3", Schema: "public", Name: "twice", Kind: 'f', Language: "sql", Volatility: 'i', Body: "SELECT 1"},
			{OID: "4", Schema: "app", Name: "twice", Kind: 'f', Language: "sql", Volatility: 'i', Body: "SELECT 1"},
			{OID: "5", Schema: "app", Name: "of_cast", Kind: 'f', Language: "sql", Volatility: 'i', Body: "SELECT 1"},
		},
		Relations: []catalog.Relation{
			{OID: "10", Schema: "public", Name: "v", Kind: 'v', Definition: "SELECT public.outer_f() FROM public.t"},
			{OID: "11", Schema: "public", Name: "vv", Kind: 'v', Definition: "SELECT * FROM public.v"},
			{OID: "12", Schema: "public", Name: "u", Kind: 'r', Unlogged: true},
		},
		Operators: []catalog.Operator{{Schema: "public", Name: "===", Function: "1"}},
		Casts:     []catalog.Cast{{Schema: "public", Name: "c", Function: "5", Implicit: true}},
	}, parser.KnowledgeOptions{})
	for _, c := range []struct {
		sql   string
		all   bool
		names []string
	}{
		{"CREATE OR REPLACE FUNCTION inner_f() RETURNS int LANGUAGE sql AS 'DELETE FROM t'", false, []string{"===", "inner_f", "outer_f", "v", "vv"}},
		{"CREATE POLICY p ON t USING (nextval('s') > 0)", false, []string{"t", "v", "vv"}},
		{"CREATE OR REPLACE FUNCTION of_cast() RETURNS int LANGUAGE sql AS 'DELETE FROM t'", true, nil},
		{"CREATE OR REPLACE FUNCTION inner_f() RETURNS int LANGUAGE sql AS ''", false, nil},
		{"CREATE POLICY p ON t USING (true)", false, nil},
		{"DROP SCHEMA app CASCADE", false, []string{"twice"}},
		{"ALTER TABLE p ATTACH PARTITION t DEFAULT", false, nil},
		{"ALTER TABLE p ATTACH PARTITION u DEFAULT", true, nil},
		{"CREATE UNLOGGED TABLE x (a int); ALTER TABLE x INHERIT p", true, nil},
	} {
		d := &database{wake: make(chan struct{}, 1)}
		d.current.Store(&knowing{knowledge: known})
		var r redefinition
		v := parser.Classify(c.sql)
		for i := range v.Statements {
			r.add(&v.Statements[i])
		}
		d.redefined(&r)
		now := d.current.Load()
		if got := slices.Sorted(maps.Keys(now.doubtful)); now.waiting != c.all || !slices.Equal(got, c.names) {
			t.Errorf("%s: doubts %v, all: %v; want %v, %v", c.sql, got, now.waiting, c.names, c.all)
		}
	}
}

// What comes while nothing is known does not make the reading useless that is under way: its answer is looked at with that in mind.
func TestDoubtWhileWaiting(t *testing.T) {
	known := parser.NewKnowledge(&catalog.Facts{
		Functions: []catalog.UserFunction{
			{OID: "3", Schema: "public", Name: "twice", Kind: 'f', Language: "sql", Volatility: 'i', Body: "SELECT 1"},
			{OID: "4", Schema: "app", Name: "twice", Kind: 'f', Language: "sql", Volatility: 'i', Body: "SELECT 1"},
		},
		Relations: []catalog.Relation{{OID: "12", Schema: "public", Name: "u", Kind: 'r', Unlogged: true}},
	}, parser.KnowledgeOptions{})
	for _, c := range []struct {
		sql   string
		all   bool
		names []string
	}{
		{"ALTER TABLE p ATTACH PARTITION t DEFAULT", false, nil},
		{"ALTER TABLE p ATTACH PARTITION u DEFAULT", true, nil},
		{"CREATE VIEW t AS SELECT nextval('s'); ALTER TABLE p ATTACH PARTITION t DEFAULT", true, nil},
		{"DROP SCHEMA app CASCADE", false, []string{"twice"}},
		{"CREATE VIEW v AS SELECT 1", false, nil},
		{"CREATE VIEW v AS SELECT nextval('s')", false, []string{"v"}},
	} {
		d := &database{wake: make(chan struct{}, 1)}
		d.current.Store(waitFor(nil))
		began := d.changed
		var r redefinition
		v := parser.Classify(c.sql)
		for i := range v.Statements {
			r.add(&v.Statements[i])
		}
		d.redefined(&r)
		for _, names := range [][]string{c.names, nil} { // of the reading that was under way, and the next
			if d.settle(began, &knowing{knowledge: known}) != (began == d.changed) {
				t.Errorf("%s: whether there is more to read", c.sql)
			}
			now := d.current.Load()
			all := c.all && began != d.changed
			if got := slices.Sorted(maps.Keys(now.doubtful)); now.waiting != all || !slices.Equal(got, names) {
				t.Errorf("%s: doubts %v, all: %v; want %v, %v", c.sql, got, now.waiting, names, all)
			}
			began = d.changed
		}
	}
}
