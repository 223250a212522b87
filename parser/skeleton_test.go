package parser_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v5"

	"github.com/howdah/howdah/parser"
)

// TestSkeleton: the forms of literals, comments and gaps; "-" is no skeleton.
func TestSkeleton(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, sql, want string }{
		{"nothing to replace", "SELECT a FROM t", "SELECT a FROM t"},
		{"number", "SELECT 4242;", "SELECT 1;"},
		{"int8 is a float token", "SELECT 2147483648, 2147483647, 0002147483647", "SELECT .0, 1, 1"},
		{"decimals", "SELECT 1., .5, 1e10, 1.5E-3", "SELECT .0, .0, .0, .0"},
		{"number in a name", "SELECT t1.a2", "SELECT t1.a2"},
		{"minus", "SELECT a -1, -1", "SELECT a -1, -1"},
		{"parameter", "SELECT $1, $22", "SELECT $1, $22"},
		{"string", "SELECT 'abc', '', 'a''b'", "SELECT 'x', '', 'x'"},
		{"backslash in a plain string", `SELECT 'a\b'`, `SELECT '\'`},
		{"escape string", `SELECT E'a\'b', e''`, `SELECT E'x', e''`},
		{"spelling escape string stays", `SELECT E'\x6eow'`, `SELECT E'\x6eow'`},
		{"national", "SELECT N'a'", "SELECT N'x'"},
		{"bits", "SELECT B'1', x'F'", "SELECT B'', x''"},
		{"unicode", "SELECT U&'a'", "-"},
		{"unicode name", `SELECT U&"a"`, "-"},
		{"dollar", "SELECT $$a'b$$, $t$ $$ $t$, $$$$", "SELECT 'x', 'x', ''"},
		{"dollar after operator", "SELECT u&$$a$$", "SELECT u& 'x'"},
		{"dollar in a name", "SELECT a$$b$$", "SELECT a$$b$$"},
		{"dollars adjoin", "SELECT $$a$$$$b$$", "SELECT 'x' 'x'"},
		{"strings adjoin", "SELECT $$a$$'b'", "-"},
		{"now stays", "SELECT 'now', 'know'", "SELECT 'now', 'x'"},
		{"continued", "SELECT 'a'\n'b'", "-"},
		{"continued after comment", "SELECT 'a' -- c\n  'b'", "-"},
		{"not continued", "SELECT 'a' 'b'", "SELECT 'x' 'x'"},
		{"quoted name", `SELECT "a 1" FROM "b""c"`, `SELECT "a 1" FROM "b""c"`},
		{"white space", " SELECT\n\t1 ,  2 ", "SELECT 1 , 1"},
		{"comments", "/* a */SELECT/* /* b */ */1 -- c", "--\n SELECT 1"},
		{"hint", " -- a\n/* HOWDAH: route=Primary,x */SELECT 1", "/*howdah:route=primary*/ SELECT 1"},
		{"hint with a node", "--howdah:route=node:pg1\nSELECT 1", "/*howdah:route=node:pg1*/ SELECT 1"},
		{"no hint inside", "SELECT /* howdah: route=primary */ 1", "SELECT 1"},
		{"comment keeps tokens apart", "SELECT a/**/b, 1-/**/-2", "SELECT a b, 1- -1"},
		{"comment in operator", "SELECT 1+--x\n2", "SELECT 1+ 1"},
		{"divide", "SELECT a / b, a/b", "SELECT a / b, a/b"},
		{"slice and cast", "SELECT a[1:2]::int", "SELECT a[1:1]::int"},
		{"time prefix", "SELECT date'2020-01-01'", "SELECT date'x'"},
		{"hexadecimal", "SELECT 0x1F", "-"},
		{"underscore", "SELECT 1_000", "-"},
		{"junk after number", "SELECT 1a", "-"},
		{"dots", "SELECT 1..2", "-"},
		{"unterminated string", "SELECT 'a", "-"},
		{"unterminated comment", "SELECT 1 /* a", "-"},
		{"unterminated dollar", "SELECT $a$ b $$", "-"},
		{"empty name", `SELECT ""`, "-"},
		{"zero byte", "SELECT 'a\x00'", "-"},
		{"invalid name", "SELECT \xff", "-"},
		{"latin1 literal", "SELECT '\xe9'", "SELECT 'x'"},
		{"strange byte", `SELECT \ 1`, "-"},
		{"only comments", "/* a */ -- b", "--\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := parser.Skeleton(c.sql)
			if !ok {
				got = "-"
			}
			if got != c.want {
				t.Errorf("%q\ngot  %q\nwant %q", c.sql, got, c.want)
			}
		})
	}
}

// token is one token as PostgreSQL's own scanner sees it.
type token struct {
	kind pg.Token
	text string // empty for literals
}

// scan drops comments, and the text of literals.
func scan(sql string) ([]token, error) {
	result, err := pg.Scan(sql)
	if err != nil {
		return nil, err
	}
	var tokens []token
	for _, s := range result.Tokens {
		switch s.Token {
		case pg.Token_SQL_COMMENT, pg.Token_C_COMMENT:
			continue
		case pg.Token_ICONST, pg.Token_FCONST, pg.Token_SCONST, pg.Token_BCONST, pg.Token_XCONST:
			tokens = append(tokens, token{kind: s.Token})
		default:
			tokens = append(tokens, token{kind: s.Token, text: sql[s.Start:s.End]})
		}
	}
	return tokens, nil
}

// checkSkeleton holds the skeleton to what makes it sound: the same tokens, but for
// the contents of literals, and the same verdict.
func checkSkeleton(t *testing.T, sql string) {
	t.Helper()
	skeleton, ok := parser.Skeleton(sql)
	if !ok {
		return
	}
	if len(skeleton) > len(sql)+len(sql)/2 {
		t.Fatalf("%q: skeleton %q is too long", sql, skeleton)
	}
	if again, ok := parser.Skeleton(skeleton); !ok || again != skeleton {
		t.Fatalf("%q: skeleton %q has skeleton %q, %v", sql, skeleton, again, ok)
	}
	want, err := scan(sql)
	if err != nil {
		return
	}
	got, err := scan(skeleton)
	if err != nil {
		t.Fatalf("%q: skeleton %q does not scan: %v", sql, skeleton, err)
	}
	if len(got) != len(want) {
		t.Fatalf("%q: skeleton %q has other tokens\ngot  %v\nwant %v", sql, skeleton, got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%q: skeleton %q: token %d is %v, want %v", sql, skeleton, i, got[i], want[i])
		}
	}
	checkVerdicts(t, sql, skeleton)
}

// checkVerdicts: the text's verdict is its skeleton's, unless one of them says
// that it depends on literals (what does not parse always says so).
func checkVerdicts(t *testing.T, sql, skeleton string) {
	t.Helper()
	a, b := parser.Classify(sql), parser.Classify(skeleton)
	if a.Reason == "does not parse" || b.LiteralDependent {
		return
	}
	if a.String() != b.String() {
		t.Fatalf("%q: skeleton %q has another verdict\ngot  %s\nwant %s", sql, skeleton, b, a)
	}
}

// corpus is every text of the golden files, and every statement of the scripts
// that are tried on servers.
func corpus(t testing.TB) []string {
	t.Helper()
	return append(goldenTexts(t), scriptTexts(t)...)
}

// scriptTexts are the statements of the corpus' scripts for psql.
func scriptTexts(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("../integration/corpus/testdata/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	var texts []string
	for _, file := range files {
		script, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		for line := range strings.Lines(string(script)) {
			if strings.HasPrefix(line, `\`) && text.Len() == 0 {
				continue
			}
			text.WriteString(strings.ReplaceAll(line, `\;`, ";"))
			if strings.HasSuffix(line, ";\n") {
				texts = append(texts, strings.TrimSpace(text.String()))
				text.Reset()
			}
		}
	}
	return texts
}

func goldenTexts(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	var texts []string
	for _, file := range files {
		for _, c := range readGolden(t, file) {
			texts = append(texts, c.sql)
		}
	}
	return texts
}

func TestSkeletonKeepsTokensAndVerdict(t *testing.T) {
	t.Parallel()
	for _, sql := range corpus(t) {
		checkSkeleton(t, sql)
	}
}

// variants are texts that mean the same: other literals, case of keywords,
// white space, comments.
func variants(sql string) []string {
	spread := strings.NewReplacer(" ", " \n\t ", "(", " ( /* ' */", ",", "--'\n,")
	return []string{
		"/* lead */ " + sql,
		sql + " -- trail",
		"\n" + sql + "\n/* a /* b */ */\n",
		spread.Replace(sql),
	}
}

// TestClassifyIgnoresLayout: a verdict does not depend on comments and white space.
func TestClassifyIgnoresLayout(t *testing.T) {
	t.Parallel()
	for _, sql := range corpus(t) {
		if strings.ContainsAny(sql, `'"$`) || strings.Contains(sql, "--") {
			continue // spreading would change literals
		}
		want := parser.Classify(sql)
		for _, v := range variants(sql) {
			got := parser.Classify(v)
			if got.Access != want.Access || got.Reason != want.Reason || got.Single != want.Single {
				t.Errorf("%q\ngot  %s\nwant %s", v, got, want)
			}
			checkSkeleton(t, v)
		}
	}
}

// TestClassifyIgnoresKeywordCase needs texts without names that case matters to.
func TestClassifyIgnoresKeywordCase(t *testing.T) {
	t.Parallel()
	for _, sql := range corpus(t) {
		want := parser.Classify(sql)
		if strings.Contains(sql, `"`) || strings.Contains(sql, "U&") || strings.Contains(sql, "$") || want.LiteralDependent || want.Hint.Node != "" {
			continue
		}
		var b strings.Builder
		for i, part := range strings.Split(sql, "'") {
			if i%2 == 0 && !strings.Contains(sql, `\`) {
				part = strings.ToUpper(part)
			}
			if i > 0 {
				b.WriteString("'")
			}
			b.WriteString(part)
		}
		if got := parser.Classify(b.String()); got.String() != want.String() {
			t.Errorf("%q\ngot  %s\nwant %s", b.String(), got, want)
		}
	}
}

// TestClassifyIgnoresLiterals puts other literals of the same kind into each text.
func TestClassifyIgnoresLiterals(t *testing.T) {
	t.Parallel()
	for _, sql := range corpus(t) {
		want := parser.Classify(sql)
		if want.LiteralDependent {
			continue
		}
		skeleton, ok := parser.Skeleton(sql)
		if !ok {
			continue
		}
		for _, literal := range []string{"'zz; DROP TABLE t --'", "'a''b'", "E'q\\'r'", "$$ ' $$", "$q$/*$q$"} {
			other := strings.ReplaceAll(skeleton, "'x'", " "+literal)
			if strings.Contains(skeleton, "E'x'") || strings.Contains(skeleton, "N'x'") {
				continue
			}
			got := parser.Classify(other)
			if got.String() != want.String() {
				t.Errorf("%q\ngot  %s\nwant %s", other, got, want)
			}
			if again, ok := parser.Skeleton(other); !ok || strings.ReplaceAll(again, "E'", "'") != strings.ReplaceAll(strings.ReplaceAll(skeleton, "'x'", " 'x'"), "  ", " ") {
				t.Errorf("%q: skeleton %q, want %q", other, again, skeleton)
			}
		}
	}
}

func FuzzSkeleton(f *testing.F) {
	for _, sql := range corpus(f) {
		f.Add(sql)
	}
	for _, sql := range []string{
		"SELECT E'\\u0041', 'a'\n'b', u&'x' uescape '!'", "SELECT $$a$$'b'", "select 1.e1, 1..2, .5.5",
		"select a$1, $1a, $_$ $_$", "select 'a'--x\n'b'", "select b'1'2'", "select \"\"", "select 1/*/* */*/2",
		"select *-/**/-1, 1+/*x*/+2", "select e'\\'", "select 'now' 'today'", "select $$today$$",
		"select current_schema, 'pg_temp'", "select '" + strings.Repeat("''", 70) + " now'", "select '" + strings.Repeat(" ", 130) + "now'",
	} {
		f.Add(sql)
	}
	f.Fuzz(checkSkeleton)
}

// TestSkeletonOfRandomTokens glues pieces that are dangerous next to each other.
func TestSkeletonOfRandomTokens(t *testing.T) {
	t.Parallel()
	pieces := []string{
		"select", "a", "E", "e", "N", "b", "x", "u", "U&", "from", "now", "$1", "$2", "1", "1.5", ".5", "1.", "2e3", "9999999999",
		"'s'", "''", "'it''s'", `'b\s'`, "'now'", "E'q\\'q'", "E'\\n'", "E'\\x61'", "N's'", "B'1'", "X'f'", "U&'s'", "'--'", "'/*'",
		"$$d$$", "$$$$", "$t$ $$ ' $t$", "$$today$$", `"q"`, `"q""q"`, `"'"`, "/* c */", "/* ' /* n */ */", "-- c\n", "--'\n",
		"+", "-", "*", "/", "<", "=", "@", "|", "&", "?", "::", ":", ".", "(", ")", "[", "]", ",", ";", "->>", "||",
		" ", " ", " ", "\n", "\t", "  ", "\r\n",
	}
	r := rand.New(rand.NewPCG(1, 2))
	scanned := 0
	for range 20_000 {
		var b strings.Builder
		for range 1 + r.IntN(9) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		if _, ok := parser.Skeleton(b.String()); ok {
			scanned++
		}
		checkSkeleton(t, b.String())
	}
	if scanned < 5000 {
		t.Errorf("only %d of the texts have a skeleton", scanned)
	}
}
