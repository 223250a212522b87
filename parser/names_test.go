package parser_test

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/parser/catalog"
)

// TestNames resolves statements in databases that testdata/names/*.txt describe.
// Such a file has a part of facts, one a line, then a line ====, then cases as
// the other golden files have them. A fact is a kind, a name, words, and after
// ": " a text:
//
//	function app.f args=2 defaults=1 variadic row private volatile|stable|immutable ext=x path=… types=… qualified plpgsql: body
//	function app.f args=1 defaults=1 default: the default's SELECT
//	procedure app.p args=1 plpgsql: body
//	aggregate app.a args=1 parts=app.f
//	view app.v: definition
//	table app.t children=app.u policies: SELECT (…)
//	sequence app.s, unlogged app.u, foreign app.f
//	operator app.<+> function=app.f
//	cast app.t function=app.f implicit
//	domain app.d base=app.e: SELECT (…)
//	read_only app.f, write app.f    the operator's lists
//	path a,"B"                      the search path; without one any
func TestNames(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/names/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		head, cases := readNames(t, file)
		env := envOf(t, file, head)
		for i := range cases {
			c := &cases[i]
			v := parser.Resolve(parser.Classify(c.sql), env)
			got := v.Access.String()
			if v.TransactionScoped {
				got += " transaction-scoped"
			}
			if v.Reason != "" {
				got += " (" + v.Reason + ")"
			}
			if got != c.want && !*update {
				t.Errorf("%s: %s\ngot:  %s\nwant: %s", file, c.sql, got, c.want)
			}
			c.want = got
		}
		if *update {
			cases[0].comment = head + "====\n" + cases[0].comment
			writeGolden(t, file, cases)
		}
	}
}

// TestDescribe says of each name what it was found to mean, in the words that `howdah explain`
// prints. Its files are as those of TestNames.
func TestDescribe(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/describe/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		head, cases := readNames(t, file)
		env := envOf(t, file, head)
		for i := range cases {
			c := &cases[i]
			var lines []string
			for _, st := range parser.Resolve(parser.Classify(c.sql), env).Statements {
				relations, functions := parser.Describe(env, &st)
				for _, m := range relations {
					lines = append(lines, "relation "+m.Name.String()+": "+m.Words)
				}
				for _, m := range functions {
					lines = append(lines, "function "+m.Name.String()+": "+m.Words)
				}
			}
			if got := strings.Join(lines, "\n"); got != c.want && !*update {
				t.Errorf("%s: %s\ngot:  %s\nwant: %s", file, c.sql, got, c.want)
			} else {
				c.want = got
			}
		}
		if *update {
			cases[0].comment = head + "====\n" + cases[0].comment
			writeGolden(t, file, cases)
		}
	}
}

// TestExtensions: without a database functions of well-known extensions are what they are there; a
// database knows better.
func TestExtensions(t *testing.T) {
	t.Parallel()
	alone := parser.NewEnv(parser.Env{Extensions: true})
	asked := parser.NewEnv(parser.Env{Knowledge: parser.NewKnowledge(&catalog.Facts{}, parser.KnowledgeOptions{}), AnyPath: true})
	for sql, want := range map[string]parser.Access{
		"SELECT similarity(name, $1), gis.st_distance(a, b), digest(c, 'sha1') FROM t": parser.AccessRead,
		"SELECT uuid_generate_v4(), ST_AsMVT(a) FROM t":                                parser.AccessRead,
		"SELECT * FROM dblink('x', 'y') AS t(a int)":                                   parser.AccessUnknown,
		"SELECT similarity(a, b), f(c) FROM t":                                         parser.AccessUnknown,
		"SELECT similarity(a, nextval('s'))":                                           parser.AccessWrite,
		"SELECT * FROM t_id_seq":                                                       parser.AccessSession,
	} {
		v := parser.Classify(sql)
		if got := parser.Resolve(v, alone).Access; got != want {
			t.Errorf("%s: %v, want %v", sql, got, want)
		}
		if got := parser.Resolve(v, asked).Access; got == parser.AccessRead && strings.Contains(sql, "(") {
			t.Errorf("%s: a read in a database that has no such function", sql)
		}
		if got := parser.Resolve(v, parser.NewEnv(parser.Env{})).Access; got == parser.AccessRead {
			t.Errorf("%s: a read without a word of extensions", sql)
		}
	}
}

// readNames splits a file into its facts and its cases.
func readNames(t testing.TB, file string) (string, []goldenCase) {
	t.Helper()
	cases := readGolden(t, file)
	head, first, ok := strings.Cut(cases[0].comment+cases[0].sql, "====\n")
	if !ok {
		t.Fatalf("%s: no line ====", file)
	}
	cases[0].comment, cases[0].sql = "", first
	return head, cases
}

// envOf makes what a head describes.
func envOf(t testing.TB, file, head string) *parser.Env {
	t.Helper()
	f := &catalog.Facts{}
	var readOnly, write []string
	env := parser.Env{AnyPath: true}
	for line := range strings.Lines(head) {
		line = strings.TrimSpace(line)
		line, text, _ := strings.Cut(line, ": ")
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		rest := words[2:]
		switch words[0] {
		case "read_only":
			readOnly = append(readOnly, words[1])
		case "write":
			write = append(write, words[1])
		case "path":
			path, known := parser.ParseSearchPath(strings.TrimPrefix(line, "path"), "")
			env.SearchPath, env.AnyPath = path, !known
		case "function", "aggregate", "procedure":
			f.Functions = append(f.Functions, functionFact(t, words[0], words[1], rest, text))
		case "view", "table", "sequence", "unlogged", "foreign":
			f.Relations = append(f.Relations, relationFact(words[0], words[1], rest, text))
		case "operator":
			schema, name, _ := strings.Cut(words[1], ".")
			f.Operators = append(f.Operators, catalog.Operator{Schema: schema, Name: name, Function: catalog.OID(value(rest, "function"))})
		case "cast":
			schema, name, _ := strings.Cut(words[1], ".")
			f.Casts = append(f.Casts, catalog.Cast{Schema: schema, Name: name, Function: catalog.OID(value(rest, "function")), Implicit: has(rest, "implicit")})
		case "domain":
			schema, name, _ := strings.Cut(words[1], ".")
			f.Types = append(f.Types, catalog.Type{OID: catalog.OID(words[1]), Schema: schema, Name: name, Check: text, Base: catalog.OID(value(rest, "base"))})
		default:
			t.Fatalf("%s: unknown fact %q", file, line)
		}
	}
	env.Knowledge = parser.NewKnowledge(f, parser.KnowledgeOptions{Rules: rules(t, readOnly, write, nil)})
	return parser.NewEnv(env)
}

func functionFact(t testing.TB, kind, full string, words []string, body string) catalog.UserFunction {
	t.Helper()
	schema, name, _ := strings.Cut(full, ".")
	f := catalog.UserFunction{OID: catalog.OID(full), Schema: schema, Name: name, Kind: kind[0], Language: "plpgsql", Volatility: 'v',
		Variadic: has(words, "variadic"), OfRow: has(words, "row"), Extension: value(words, "ext"), SearchPath: value(words, "path"),
		ArgTypes: value(words, "types"), Body: body, Qualified: has(words, "qualified"),
		ForAll: !has(words, "private")}
	if has(words, "default") {
		f.DefaultValues, f.Body = body, ""
	}
	if f.Body != "" && !has(words, "plpgsql") {
		f.Language = "sql"
	}
	for _, volatility := range []string{"volatile", "stable", "immutable"} {
		if has(words, volatility) {
			f.Volatility = volatility[0]
		}
	}
	if n := value(words, "args"); n != "" {
		f.Args, _ = strconv.Atoi(n)
	}
	f.Defaults, _ = strconv.Atoi(value(words, "defaults"))
	if parts := value(words, "parts"); parts != "" {
		f.Parts = []catalog.OID{catalog.OID(parts)}
	}
	if kind == "function" {
		f.OID += catalog.OID("#" + value(words, "args")) // overloads are others
		if value(words, "args") == "" {
			f.OID = catalog.OID(full)
		}
	}
	return f
}

func relationFact(kind, full string, words []string, text string) catalog.Relation {
	schema, name, _ := strings.Cut(full, ".")
	r := catalog.Relation{OID: catalog.OID(full), Schema: schema, Name: name, Kind: 'r'}
	switch kind {
	case "view":
		r.Kind, r.Definition = 'v', text
	case "sequence":
		r.Kind = 'S'
	case "foreign":
		r.Kind = 'f'
	case "unlogged":
		r.Unlogged = true
	}
	if has(words, "policies") {
		r.Policies = text
	}
	if child := value(words, "children"); child != "" {
		r.Children = []catalog.OID{catalog.OID(child)}
	}
	return r
}

// value is what comes after name= among the words.
func value(words []string, name string) string {
	for _, word := range words {
		if v, ok := strings.CutPrefix(word, name+"="); ok {
			return v
		}
	}
	return ""
}

func has(words []string, word string) bool {
	for _, w := range words {
		if w == word {
			return true
		}
	}
	return false
}
