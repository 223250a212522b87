package parser_test

import (
	"testing"

	"github.com/howdah/howdah/parser"
)

// TestConduct: what functions and procedures do beside their answer, and what that makes of
// the statements that call them.
func TestConduct(t *testing.T) {
	t.Parallel()
	const facts = `
function app.sets args=1 volatile plpgsql: BEGIN PERFORM set_config('search_path', $1, false); END
function app.setslocal args=1 volatile plpgsql: BEGIN PERFORM set_config('search_path', $1, true); SET LOCAL timezone = 'UTC'; END
function app.sqlsets args=1 volatile: SELECT set_config('search_path', $1, false)
function app.nested args=0 volatile plpgsql: BEGIN INSERT INTO t VALUES (sqlsets('a')); END
function app.opaquesets args=1 volatile plpgsql: BEGIN EXECUTE format('SET search_path = %I', $1); END
function app.opaquenested args=1 volatile plpgsql: BEGIN EXECUTE format('SELECT 1'); PERFORM app.sets($1); END
function app.updates args=1 volatile plpgsql: BEGIN EXECUTE format('SELECT 1'); UPDATE t SET a = 1; END
function app.temp args=0 volatile plpgsql: BEGIN CREATE TEMP TABLE x (a int); END
function app.defines args=0 volatile plpgsql: BEGIN CREATE TABLE x (a int); END
function app.mightdefine args=0 volatile plpgsql: BEGIN EXECUTE format('CREATE TABLE x (a int)'); END
function app.reads args=0 volatile plpgsql: BEGIN RETURN 1; END
procedure app.p_writes args=0 plpgsql: BEGIN INSERT INTO t VALUES (1); COMMIT; PERFORM reads(); END
procedure app.p_sets args=0 plpgsql: BEGIN PERFORM sets('a'); END
procedure app.p_defines args=0 plpgsql: BEGIN DROP TABLE t; END
procedure app.p_calls args=0 plpgsql: BEGIN CALL app.p_defines(); END
procedure app.p_callsgood args=0 plpgsql: BEGIN CALL app.p_writes(); END
procedure app.p_opaque args=0 plpgsql: BEGIN EXECUTE format('SELECT 1'); END
procedure app.p_sql args=0: DELETE FROM t
procedure app.p_c args=0
procedure app.p_temp args=0 plpgsql: BEGIN CREATE TEMP TABLE x (a int); END
`
	env := envOf(t, "TestConduct", facts)
	for _, c := range []struct {
		sql    string
		want   parser.Conduct
		set    parser.SetOp
		leaves bool
	}{
		{sql: "SELECT 1"},
		{sql: "SELECT reads(), updates(1)"},
		{sql: "SELECT sets('a')", want: parser.ConductSets, set: parser.SetOpaque},
		{sql: "SELECT setslocal('a')", want: parser.ConductSetsLocal, set: parser.SetLocal},
		{sql: "SELECT set_config('a.b', 'c', false), setslocal('a')", want: parser.ConductSetsLocal, set: parser.SetOpaque},
		{sql: "SELECT app.sqlsets('a')", want: parser.ConductSets, set: parser.SetOpaque},
		{sql: "INSERT INTO t VALUES (nested())", want: parser.ConductSets, set: parser.SetOpaque},
		{sql: "SELECT opaquesets('a')", want: parser.ConductSets, set: parser.SetOpaque},
		{sql: "SELECT opaquenested('a')", want: parser.ConductSets, set: parser.SetOpaque},
		{sql: "EXPLAIN SELECT sets('a')"},
		{sql: "EXPLAIN ANALYZE SELECT sets('a')", want: parser.ConductSets, set: parser.SetOpaque},
		{sql: "SELECT temp()", want: parser.ConductTemp},
		{sql: "SELECT defines()", want: parser.ConductRedefines},
		{sql: "SELECT mightdefine()"},
		{sql: "CALL p_writes()", leaves: true},
		{sql: "CALL p_writes(lower('x'), 1)", leaves: true},
		{sql: "CALL p_sets()", want: parser.ConductSets, set: parser.SetOpaque, leaves: true},
		{sql: "CALL p_defines()", want: parser.ConductRedefines},
		{sql: "CALL app.p_calls()", want: parser.ConductRedefines},
		{sql: "CALL p_callsgood()", leaves: true},
		{sql: "CALL p_opaque()", want: parser.ConductRedefines},
		{sql: "CALL p_sql()", leaves: true},
		{sql: "CALL p_c()", want: parser.ConductRedefines},
		{sql: "CALL p_missing()"},
		{sql: "DO 'BEGIN PERFORM sets(''a''); END'", want: parser.ConductSets, set: parser.SetOpaque},
		{sql: "DO 'BEGIN UPDATE t SET a = 1; PERFORM reads(); END'"},
		{sql: "DO 'BEGIN SET LOCAL timezone = ''UTC''; END'", set: parser.SetLocal},
		{sql: "DO 'BEGIN SET search_path = a; END'", set: parser.SetOpaque},
		{sql: "DO 'BEGIN CALL p_writes(); END'"},
		{sql: "DO 'BEGIN DROP TABLE t; PERFORM reads(); END'"},
		{sql: "DO LANGUAGE plpython3u 'x = 1'"},
		{sql: "CALL p_temp()", want: parser.ConductTemp, leaves: true},
	} {
		v := parser.Classify(c.sql)
		resolved := parser.Resolve(v, env)
		if got := env.Knowledge.Conduct(v); got != c.want {
			t.Errorf("%s: got %d, want %d", c.sql, got, c.want)
		}
		if got := resolved.Statements[0].Set; got != c.set {
			t.Errorf("%s: Set is %v, want %v", c.sql, got, c.set)
		}
		if c.set != parser.SetNone && !resolved.Stateful {
			t.Errorf("%s: not stateful", c.sql)
		}
		if got := env.Knowledge.LeavesNames(&v.Statements[0]); got != c.leaves {
			t.Errorf("%s: leaves names: %v", c.sql, got)
		}
	}
}
