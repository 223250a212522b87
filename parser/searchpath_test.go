package parser_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/howdah/howdah/parser"
)

func TestParseSearchPath(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value, user string
		want        string // joined by |
		known       bool
	}{
		{`"$user", public`, "alice", "alice|public", true},
		{`"$user", public`, "", "", false},
		{`$user`, "alice", "alice", true},
		{``, "", "", true},
		{`""`, "", "", true},
		{`App ,"App",  "a ""b"", c"`, "", `app|App|a "b", c`, true},
		{`a,b,pg_catalog`, "", "a|b|pg_catalog", true},
		{`a b`, "", "", false},
		{`a,`, "", "", false},
		{`,a`, "", "", false},
		{`"a`, "", "", false},
		{`"a"b`, "", "", false},
	} {
		path, known := parser.ParseSearchPath(c.value, c.user)
		if got := strings.Join(path, "|"); known != c.known || known && got != c.want {
			t.Errorf("%s: got %q %v, want %q %v", c.value, got, known, c.want, c.known)
		}
	}
}

// FuzzParseSearchPath: what is read can be written, and is then read the same.
func FuzzParseSearchPath(f *testing.F) {
	for _, seed := range []string{"", `"$user", public`, `a, "B""c"`, `"`, `a"b`, "\t x\n,y"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		path, known := parser.ParseSearchPath(value, "me")
		if !known || len(path) == 0 {
			return
		}
		var quoted []string
		for _, name := range path {
			if name == "$user" {
				t.Fatalf("%q: $user is left", value)
			}
			quoted = append(quoted, `"`+strings.ReplaceAll(name, `"`, `""`)+`"`)
		}
		again, known := parser.ParseSearchPath(strings.Join(quoted, ", "), "me")
		if !known || !slices.Equal(again, path) {
			t.Errorf("%q: got %q, and from that %q", value, path, again)
		}
	})
}
