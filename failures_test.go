package howdah_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// failureTests are the packages that docs/FAILURES.md names tests of.
var failureTests = map[string]string{"quorum": "integration/quorum", "vip": "integration/vip", "chaos": "integration/chaos", "watchdog": "watchdog", "core": "watchdog/core", "cluster": "cluster"}

// TestFailuresAreTested: docs/FAILURES.md has every row of the matrix once, and the tests that it names are there, subtests by
// their names.
func TestFailuresAreTested(t *testing.T) {
	text, err := os.ReadFile("docs/FAILURES.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[int]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) +\|.*$`).FindAllStringSubmatch(string(text), -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		if n <= 54 {
			rows[n] = true
		}
		if !strings.Contains(m[0], "`") {
			t.Errorf("row %d names no test", n)
		}
	}
	for n := 1; n <= 54; n++ {
		if !rows[n] {
			t.Errorf("row %d is missing", n)
		}
	}
	tests := map[string]map[string]bool{} // of a package: its tests, and all texts in them
	for _, m := range regexp.MustCompile("`([a-z]+)\\.(Test\\w+)(?:/([^`]+))?`").FindAllStringSubmatch(string(text), -1) {
		dir, ok := failureTests[m[1]]
		if !ok {
			t.Errorf("%s: no such package", m[0])
			continue
		}
		if tests[dir] == nil {
			tests[dir] = testsOf(t, dir)
		}
		for _, name := range m[2:] {
			if name != "" && !tests[dir][name] {
				t.Errorf("%s has no %q", dir, name)
			}
		}
	}
}

// testsOf are the names of a package's tests, and the texts that could be names of subtests.
func testsOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no tests (%v)", dir, err)
	}
	found, set := map[string]bool{}, token.NewFileSet()
	for _, name := range files {
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				found[n.Name.Name] = true
			case *ast.BasicLit:
				if text, err := strconv.Unquote(n.Value); n.Kind == token.STRING && err == nil {
					found[text] = true
				}
			}
			return true
		})
	}
	return found
}
