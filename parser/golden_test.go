package parser_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/howdah/howdah/parser"
)

var update = flag.Bool("update", false, "rewrite the expected verdicts in testdata")

// goldenCase is one text and its verdict, as testdata/*.txt have them: the
// text, a line ----, the verdict, an empty line. Lines that start with # before a text are comments.
type goldenCase struct {
	comment, sql, want string
}

func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		cases := readGolden(t, file)
		p := parser.New(parser.Options{})
		for i := range cases {
			c := &cases[i]
			got := parser.Classify(c.sql).String()
			for range 4 { // the caches must not change the answer
				cached := p.Verdict([]byte(c.sql))
				if cached.String() != got {
					t.Errorf("%s: %s\ncached: %s\nclassified: %s", file, c.sql, cached, got)
				}
			}
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

func readGolden(t testing.TB, file string) []goldenCase {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []goldenCase
	var c goldenCase
	part := &c.sql
	for line := range strings.Lines(string(text) + "\n") {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case part == &c.sql && c.sql == "" && strings.HasPrefix(line, "#"):
			c.comment += line + "\n"
		case part == &c.sql && line == "----":
			part = &c.want
		case part == &c.want && line == "":
			c.sql, c.want = strings.TrimSuffix(c.sql, "\n"), strings.TrimSuffix(c.want, "\n")
			cases = append(cases, c)
			c = goldenCase{}
			part = &c.sql
		case part == &c.sql && c.sql == "" && line == "":
			if c.comment != "" {
				c.comment += "\n"
			}
		default:
			*part += line + "\n"
		}
	}
	if c.sql != "" {
		t.Fatalf("%s: text without a verdict: %s", file, c.sql)
	}
	return cases
}

func writeGolden(t *testing.T, file string, cases []goldenCase) {
	t.Helper()
	var b strings.Builder
	for i, c := range cases {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(c.comment + c.sql + "\n----\n" + c.want + "\n")
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
