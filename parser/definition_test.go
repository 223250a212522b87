package parser_test

import (
	"strings"
	"testing"

	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/parser/catalog"
)

// What a definition's own text tells is known before the catalogs have been read again, but never more than is certain.
func TestDefinitions(t *testing.T) {
	t.Parallel()
	rules, err := parser.NewRules(nil, []string{`app\.listed`}, nil)
	if err != nil {
		t.Fatal(err)
	}
	facts := &catalog.Facts{
		Functions: []catalog.UserFunction{
			{OID: "1", Schema: "public", Name: "writer", Kind: 'f', Language: "plpgsql", Volatility: 'v', Body: "begin delete from t; return 1; end"},
			{OID: "2", Schema: "public", Name: "reader", Kind: 'f', Language: "sql", Volatility: 'v', Body: "SELECT 1"},
			{OID: "3", Schema: "public", Name: "temps", Kind: 'f', Language: "sql", Volatility: 'v', Body: "SELECT 1", MakesTemp: true},
			{OID: "4", Schema: "public", Name: "over", Kind: 'f', Language: "sql", Volatility: 'v', Args: 1, Body: "DELETE FROM t"},
			{OID: "5", Schema: "public", Name: "caller", Kind: 'f', Language: "sql", Volatility: 'v', Body: "SELECT later()"},
		},
		Relations: []catalog.Relation{{OID: "12", Schema: "public", Name: "u", Kind: 'r', Unlogged: true}},
	}
	plain := parser.NewKnowledge(facts, parser.KnowledgeOptions{})
	ruled := parser.NewKnowledge(facts, parser.KnowledgeOptions{Rules: rules})
	for _, c := range []struct {
		defined, query string
		read           bool
	}{
		{"CREATE VIEW v AS SELECT * FROM t WHERE a = 1", "SELECT * FROM v", true},
		{"CREATE VIEW v AS SELECT reader() FROM t", "SELECT * FROM v", true},
		{"CREATE VIEW v AS SELECT writer()", "SELECT * FROM v", false},
		{"CREATE VIEW v AS SELECT temps()", "SELECT * FROM v", false},
		{"CREATE VIEW v AS SELECT * FROM u", "SELECT * FROM app.v", false},
		{"CREATE VIEW v AS SELECT * FROM pg_stat_activity", "SELECT * FROM v", false},
		{"CREATE VIEW v AS SELECT now()", "SELECT * FROM v", false}, // the verdict would have to know that it is the transaction's
		{"CREATE VIEW v AS SELECT 1; CREATE OR REPLACE VIEW v AS SELECT nextval('s')", "SELECT * FROM v", false},
		{"CREATE VIEW v AS SELECT * FROM w; CREATE VIEW w AS SELECT writer()", "SELECT * FROM v", false},
		{"CREATE VIEW v AS SELECT * FROM w; CREATE VIEW w AS SELECT 1", "SELECT * FROM v", true},

		{"CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT $1'", "SELECT f(1)", true},
		{"CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES ($1)'", "SELECT f(1)", false},
		{"CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'not SQL'", "SELECT f(1)", false},
		{"CREATE FUNCTION f(int) RETURNS int LANGUAGE plpgsql AS 'begin raise notice ''x''; return $1; end'", "SELECT f(1)", true},
		{"CREATE FUNCTION f(int) RETURNS int LANGUAGE plpgsql AS 'begin delete from t; return $1; end'", "SELECT f(1)", false},
		{"CREATE FUNCTION f(int) RETURNS int LANGUAGE plpgsql AS 'begin execute $1; return $1; end'", "SELECT f(1)", false},
		{"CREATE FUNCTION f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'begin execute $1; return $1; end'", "SELECT f(1)", true},
		{"CREATE FUNCTION f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'begin delete from t; return $1; end'", "SELECT f(1)", false},
		{"CREATE FUNCTION f(int) RETURNS int LANGUAGE c IMMUTABLE AS 'x', 'f'", "SELECT f(1)", true},
		{"CREATE FUNCTION f(int) RETURNS int LANGUAGE c AS 'x', 'f'", "SELECT f(1)", false},
		{"CREATE FUNCTION f(int DEFAULT writer()) RETURNS int LANGUAGE sql AS 'SELECT $1'", "SELECT f()", false},
		{"CREATE FUNCTION f(int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT $1'", "SELECT f()", true},
		{"CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT set_config(''a.b'', ''c'', false)'", "SELECT f()", false},
		{"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT temps()'", "SELECT f()", false},
		{"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT g()'", "SELECT f()", false},
		{"CREATE FUNCTION f() RETURNS int RETURN writer()", "SELECT f()", false},
		{"CREATE FUNCTION over(int) RETURNS int LANGUAGE sql AS 'SELECT 1'", "SELECT over(1)", false}, // the other may be meant
		{"CREATE FUNCTION over(int, int) RETURNS int LANGUAGE sql AS 'SELECT 1'", "SELECT over(1, 2)", true},
		{"CREATE FUNCTION nextval(int) RETURNS int LANGUAGE sql AS 'SELECT 1'", "SELECT nextval(1)", false},
		{"CREATE FUNCTION later() RETURNS int LANGUAGE sql AS 'SELECT 1'", "SELECT caller()", false},
		{"CREATE FUNCTION later() RETURNS int LANGUAGE sql AS 'DELETE FROM t'", "SELECT caller()", false},
		{"CREATE FUNCTION app.listed() RETURNS int LANGUAGE sql AS 'SELECT 1'", "SELECT app.listed()", false},
		{"CREATE FUNCTION app.unlisted() RETURNS int LANGUAGE sql AS 'SELECT 1'", "SELECT app.unlisted()", true},
		{"CREATE FUNCTION unlisted() RETURNS int LANGUAGE sql AS 'SELECT 1'", "SELECT app.unlisted()", false}, // its schema is not known
		{"CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 1'", "SELECT p()", false},
		{"SELECT 1", "SELECT g()", false},

		{"CREATE AGGREGATE app.total(int) (sfunc = int4pl, stype = int)", "SELECT app.total(a) FROM t", true},
		{"CREATE AGGREGATE app.total(int) (sfunc = writer, stype = int)", "SELECT app.total(a) FROM t", false},
		{"CREATE AGGREGATE app.total(int) (sfunc = 'writer', stype = int)", "SELECT app.total(a) FROM t", false},
		{"CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq)", "SELECT 1 === 1", true},
		{"CREATE OPERATOR === (leftarg = int, rightarg = int, procedure = writer)", "SELECT 1 === 1", false},
		{"CREATE DOMAIN d AS int CHECK (VALUE > 0)", "SELECT 1::d", true},
		{"CREATE DOMAIN d AS int CHECK (writer() > VALUE)", "SELECT 1::d", false},
		{"CREATE DOMAIN d AS int CHECK (writer() > VALUE); CREATE DOMAIN e AS d", "SELECT 1::e", false},
		{"CREATE TYPE app.r AS RANGE (subtype = int)", "SELECT app.r(1, 2)", true},
		{"CREATE TYPE c AS (a int)", "SELECT '(1)'::c", true},
		{"CREATE POLICY p ON t USING (a = 1)", "SELECT * FROM t", true},
		{"CREATE POLICY p ON t USING (a = writer())", "SELECT * FROM t", false},
	} {
		k := plain
		if strings.Contains(c.defined, "listed") {
			k = ruled
		}
		v := parser.Classify(c.defined)
		doubtful := map[string]bool{}
		var made []*parser.Definition
		for _, st := range v.Statements {
			made = append(made, st.Makes...)
			if len(st.Makes) == 0 {
				for _, name := range st.Adds {
					doubtful[name] = true
				}
			}
		}
		functions, all := k.Doubt(doubtful, made)
		env := parser.NewEnv(parser.Env{Knowledge: k, SearchPath: []string{"public"}, Doubtful: doubtful, Made: functions})
		if got := parser.Resolve(parser.Classify(c.query), env); all || (got.Access == parser.AccessRead) != c.read {
			t.Errorf("%s; %s: %v (%s), want a read: %v; doubts %v", c.defined, c.query, got.Access, got.Reason, c.read, doubtful)
		}
	}
}
