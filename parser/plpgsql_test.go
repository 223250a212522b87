package parser_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v5"

	"github.com/howdah/howdah/parser"
)

// TestPLText holds what is read out of bodies in PL/pgSQL: testdata/plpgsql has them as the
// other golden files have texts.
func TestPLText(t *testing.T) {
	t.Parallel()
	for file, cases := range plCases(t) {
		for i := range cases {
			c := &cases[i]
			got := plAnswer(c.sql)
			if got != c.want && !*update {
				t.Errorf("%s: %s\ngot:  %s\nwant: %s", file, c.sql, got, c.want)
			}
			c.want = got
		}
		if *update {
			writeGolden(t, file, cases)
		}
	}
}

func plAnswer(body string) string {
	sql, ok := parser.PLText(body)
	if !ok {
		return "not understood"
	}
	if sql == "" {
		return "nothing"
	}
	return strings.ReplaceAll(strings.TrimSuffix(sql, "\n;\n"), "\n;\n", ";\n")
}

func plCases(t testing.TB) map[string][]goldenCase {
	t.Helper()
	files, err := filepath.Glob("testdata/plpgsql/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	all := map[string][]goldenCase{}
	for _, file := range files {
		all[file] = readGolden(t, file)
	}
	return all
}

// TestPLTextAgrees holds the reader against the library's parser of PL/pgSQL, which is
// PostgreSQL's own: what that finds in a body, the reader finds too.
func TestPLTextAgrees(t *testing.T) {
	t.Parallel()
	for file, cases := range plCases(t) {
		for _, c := range cases {
			if missing := plMissing(c.sql); missing != "" {
				t.Errorf("%s: %s\nnot found: %s", file, c.sql, missing)
			}
		}
	}
	if file := os.Getenv("HOWDAH_PL_BODIES"); file != "" { // a JSON list of bodies, to try more
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var bodies []string
		if err := json.Unmarshal(text, &bodies); err != nil {
			t.Fatal(err)
		}
		understood := 0
		for _, body := range bodies {
			if _, ok := parser.PLText(body); ok {
				understood++
			} else if _, err := libraryOf(body); err == nil && !strings.Contains(strings.ToLower(body), "execute") {
				t.Logf("not understood: %s", body)
			}
			if missing := plMissing(body); missing != "" {
				t.Errorf("%s\nnot found: %s", body, missing)
			}
		}
		t.Logf("%d of %d bodies understood", understood, len(bodies))
	}
}

// libraryOf is the library's tree of a body.
func libraryOf(body string) (any, error) {
	text, err := pg.ParsePlPgSqlToJSON("CREATE FUNCTION f(a int, b text) RETURNS SETOF int LANGUAGE plpgsql AS $howdah_body$" + body + "$howdah_body$")
	if err != nil {
		return nil, err
	}
	var tree any
	return tree, json.Unmarshal([]byte(text), &tree)
}

// plMissing is an expression that the library finds in a body and the reader does not.
func plMissing(body string) string {
	sql, ok := parser.PLText(body)
	if !ok || strings.Contains(body, "$howdah_body$") || strings.ContainsRune(body, 0) {
		return ""
	}
	tree, err := libraryOf(body)
	if err != nil {
		return ""
	}
	found := parser.PLTokens(sql)
	for _, query := range plQueries(tree, nil) {
		if !strings.Contains(found, parser.PLTokens(query)) {
			return query
		}
	}
	return ""
}

// plQueries collects the expressions of a tree. Of assignments it has the expression alone.
func plQueries(tree any, list []string) []string {
	switch n := tree.(type) {
	case []any:
		for _, part := range n {
			list = plQueries(part, list)
		}
	case map[string]any:
		if e, ok := n["PLpgSQL_expr"].(map[string]any); ok {
			query, _ := e["query"].(string)
			if strings.HasPrefix(query, `"__Case__Variable`) {
				return list // made by the library of CASE's expressions
			}
			if mode, _ := e["parseMode"].(float64); mode >= 3 { // target := expression
				_, after, _ := strings.Cut(query, "=")
				query = after
			}
			return append(list, query)
		}
		for name, part := range n {
			if name == "PLpgSQL_stmt_dynexecute" || name == "PLpgSQL_stmt_dynfors" || name == "dynquery" {
				continue // only constants are understood, and what they say is in the answer
			}
			if name == "argquery" {
				continue // SELECT and the arguments, put together by the library
			}
			list = plQueries(part, list)
		}
	}
	return list
}

// TestPLTextBounds: nothing that a body holds takes long or ends the process.
func TestPLTextBounds(t *testing.T) {
	t.Parallel()
	const times = 20_000
	for name, body := range map[string]string{
		"blocks":      strings.Repeat("BEGIN ", times) + strings.Repeat("END; ", times),
		"branches":    "BEGIN " + strings.Repeat("IF a THEN ", times),
		"loops":       "BEGIN " + strings.Repeat("LOOP ", times) + strings.Repeat("END LOOP; ", times) + "END",
		"brackets":    "BEGIN a := " + strings.Repeat("(", times) + strings.Repeat(")", times) + "; END",
		"statements":  "BEGIN " + strings.Repeat("a := 1; ", 10_000) + "END",
		"declared":    "DECLARE " + strings.Repeat("a int; ", 10_000) + "BEGIN END",
		"comments":    "BEGIN " + strings.Repeat("/*", times),
		"ranges":      "BEGIN " + strings.Repeat("FOR i IN a ", 8_000),
		"dynamic":     "BEGIN EXECUTE 'a'" + strings.Repeat("||'a'", 20_000) + "; END",
		"conditions":  "BEGIN EXCEPTION " + strings.Repeat("WHEN a THEN ", 8_000) + "END",
		"into":        "BEGIN SELECT " + strings.Repeat("INTO a, b ", 8_000) + "; END",
		"quotes":      "BEGIN " + strings.Repeat("$a$ $b$ ", 8_000),
		"labels":      strings.Repeat("<<a>> ", times),
		"expressions": "BEGIN RETURN " + strings.Repeat("a + ", 30_000) + "1; END",
	} {
		start := time.Now()
		if sql, ok := parser.PLText(body); ok {
			parser.Classify(sql)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
}

// FuzzPLText: the reader ends, and where the library reads a body it finds no less than that.
func FuzzPLText(f *testing.F) {
	for _, cases := range plCases(f) {
		for _, c := range cases {
			f.Add(c.sql)
		}
	}
	f.Fuzz(func(t *testing.T, body string) {
		if len(body) > 2000 || !utf8.ValidString(body) {
			return
		}
		if missing := plMissing(body); missing != "" {
			t.Errorf("not found: %s", missing)
		}
	})
}
