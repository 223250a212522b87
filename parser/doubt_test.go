package parser_test

import (
	"testing"

	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/parser/catalog"
)

// A statement with a name in doubt is no read, whatever the name stands for; the others are what they were.
func TestDoubtfulNames(t *testing.T) {
	t.Parallel()
	k := parser.NewKnowledge(&catalog.Facts{}, parser.KnowledgeOptions{})
	env := parser.NewEnv(parser.Env{Knowledge: k, SearchPath: []string{"public"}, Doubtful: map[string]bool{"x": true, "t_a_seq": true, "===": true}})
	later := parser.NewEnv(parser.Env{Knowledge: k, SearchPath: []string{"public"}})
	for _, c := range []struct {
		sql   string
		doubt bool
	}{
		{"SELECT * FROM t", false},
		{"SELECT lower(a) FROM t WHERE a = 1", false},
		{"SELECT * FROM x", true},
		{"SELECT * FROM t WHERE EXISTS (SELECT FROM app.x)", true},
		{"SELECT lower(x()) FROM t", true},
		{"SELECT a::x FROM t", true},
		{"SELECT a === 1 FROM t", true},
		{"SELECT * FROM t_a_seq1", true},
		{"SELECT t.x FROM t", true}, // it may be a function of the row
		{"SELECT 'x' FROM t", false},
	} {
		v := parser.Classify(c.sql)
		got := parser.Resolve(v, env)
		if read := got.Access == parser.AccessRead; read == c.doubt || env.Doubts(v) != c.doubt || c.doubt && got.Access != parser.AccessUnknown {
			t.Errorf("%s: %v (%s), in doubt %v; want in doubt %v", c.sql, got.Access, got.Reason, env.Doubts(v), c.doubt)
		}
		if got := parser.Resolve(v, later); got.Reason == "catalog not read yet" {
			t.Errorf("%s: still in doubt with new knowledge", c.sql)
		}
	}
}

// What no read calls may be in doubt, too: it concerns the session that runs it.
func TestDoubtfulCalls(t *testing.T) {
	t.Parallel()
	env := parser.NewEnv(parser.Env{Doubtful: map[string]bool{"x": true}})
	for _, sql := range []string{"CALL app.x()", "SELECT nextval('s'), x()", "INSERT INTO t SELECT x()", "DO $$ begin perform x(); end $$"} {
		if !env.Doubts(parser.Classify(sql)) {
			t.Errorf("%s: not in doubt", sql)
		}
	}
	if env.Doubts(parser.Classify("CALL y()")) {
		t.Error("CALL y(): in doubt")
	}
}
