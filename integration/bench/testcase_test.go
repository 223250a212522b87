package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the expected parts of testdata/*.txt")

// runCases runs every case of testdata/name: input, a line "----", the expected
// output; a line "====" parts the cases. The first line of the input is the
// case's name; f gets it all.
func runCases(t *testing.T, name string, f func(t *testing.T, input string) string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var rewritten []string
	cases := strings.Split(strings.TrimSpace(string(b)), "\n====\n")
	for _, c := range cases {
		input, want, ok := strings.Cut(c+"\n", "\n----\n")
		if !ok {
			t.Fatalf("%s: no ---- in case %q", path, c)
		}
		title, _, _ := strings.Cut(input, "\n")
		t.Run(title, func(t *testing.T) {
			got := strings.TrimRight(f(t, input), "\n")
			if got != strings.TrimRight(want, "\n") && !*update {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			rewritten = append(rewritten, input+"\n----\n"+got)
		})
	}
	if *update {
		if err := os.WriteFile(path, []byte(strings.Join(rewritten, "\n====\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
