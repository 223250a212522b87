package parser_test

import (
	"strings"
	"testing"

	"github.com/howdah/howdah/parser"
)

func TestWithoutLiterals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sql  string
		cut  bool
		want string
	}{
		{"SELECT a FROM t WHERE b = 4711 AND c = 'secret' -- secret", false, "SELECT a FROM t WHERE b = 1 AND c = 'x'"},
		{"ALTER ROLE a PASSWORD 'secret'", false, "ALTER ROLE a PASSWORD 'x'"},
		{"SELECT $$secret$$", false, "SELECT 'x'"},
		{`SELECT E'\x73ecret'`, false, "-"},
		{"SELECT 'secret", false, "-"},
		{"INSERT INTO t VALUES ('secret', 'secr", true, "INSERT INTO t VALUES ('x',…"},
		{"SELECT 1 /* secret", true, "SELECT 1…"},
		{`SELECT "a`, true, "SELECT…"},
		{"SELECT $a$secret", true, "SELECT…"},
		{`SELECT E'secret\'`, true, "SELECT E…"},
	} {
		got, ok := parser.WithoutLiterals(c.sql, c.cut)
		if !ok {
			got = "-"
		}
		if got != c.want || strings.Contains(got, "secr") {
			t.Errorf("%q: %q, want %q", c.sql, got, c.want)
		}
	}
}
