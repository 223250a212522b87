// Package howdah_test holds what is true of the repository as a whole.
package howdah_test

import (
	"fmt"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/howdah/howdah/"

// rule is what one package may import of howdah; every package may also import
// configs, which imports none. "x/..." is x and what is below it.
type rule struct {
	pkg     string
	imports []string
	// forbidden are packages of the standard library, with what is below them,
	// that would break a promise of the package.
	forbidden []string
}

// outside is what a package that only computes must not touch: the network, the
// file system, other processes. It can be tested with values alone.
var outside = []string{"net", "os", "syscall", "log"}

// rules is the map of the repository (docs/ARCHITECTURE.md): the data path on
// the left hand, the control path on the right, imports only downwards. It is a
// statement of policy. If it stands in the way of a change, the change is
// probably in the wrong package: do not change this table to fix a build.
var rules = []rule{
	{pkg: "cmd/howdah", imports: []string{"..."}},
	{pkg: "integration/...", imports: []string{"..."}},

	{pkg: "proxy", imports: []string{"balancer", "logs", "pool", "parser/...", "cluster", "auth", "wire/..."}},
	{pkg: "balancer", imports: []string{"parser/...", "cluster"}, forbidden: outside},
	{pkg: "parser", imports: []string{"parser/catalog"}, forbidden: outside},
	{pkg: "parser/catalog", forbidden: outside},
	{pkg: "parser/catalog/gen", imports: []string{"integration/pgcluster"}}, // a program: it tries real servers for parser/catalog's tables
	{pkg: "pool", imports: []string{"cluster", "auth", "wire/..."}},

	{pkg: "admin/migrate", imports: []string{"auth"}},
	{pkg: "admin/...", imports: []string{"admin/...", "logs", "balancer", "pool", "parser/...", "cluster", "auth", "wire", "watchdog/...", "vip"}},
	{pkg: "watchdog", imports: []string{"watchdog/core", "vip"}},
	{pkg: "watchdog/core", forbidden: outside},
	{pkg: "vip"},
	{pkg: "cluster", imports: []string{"auth", "wire"}},

	{pkg: "logs"},
	{pkg: "auth", imports: []string{"wire"}},
	{pkg: "wire", imports: []string{"wire/socket"}},
	{pkg: "wire/socket"},
	{pkg: "configs"},
}

// Every import of one of our packages by another is allowed by the table. Test
// files obey their package's row too, but may use integration's helpers.
func TestImports(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && file != "." && (name == "testdata" || name == "node_modules" || strings.ContainsAny(name[:1], "._")) {
			return fs.SkipDir
		}
		pkg := path.Dir(filepath.ToSlash(file))
		if d.IsDir() || filepath.Ext(file) != ".go" || pkg == "." {
			return nil
		}
		imports, err := importsOf(file)
		if err != nil {
			return err
		}
		files++
		for _, problem := range check(pkg, imports, strings.HasSuffix(file, "_test.go")) {
			t.Errorf("%s: %s", file, problem)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		t.Fatal("no Go files found")
	}
}

// importsOf lists what a file imports. A file that no build takes (a generator
// run by hand) has no place in the map.
func importsOf(file string) ([]string, error) {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return nil, err
	}
	for _, group := range f.Comments {
		for _, c := range group.List {
			if expr, err := constraint.Parse(c.Text); err == nil && expr.String() == "ignore" && c.Pos() < f.Package {
				return nil, nil
			}
		}
	}
	var imports []string
	for _, spec := range f.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		imports = append(imports, name)
	}
	return imports, nil
}

// check says which imports of a file of pkg are not allowed.
func check(pkg string, imports []string, isTest bool) []string {
	i := slices.IndexFunc(rules, func(r rule) bool { return matches(r.pkg, pkg) })
	if i < 0 {
		return []string{fmt.Sprintf("package %s has no row in the table of imports_test.go: say where it belongs", pkg)}
	}
	r := rules[i]
	var problems []string
	for _, name := range imports {
		ours, ok := strings.CutPrefix(name, module)
		switch {
		case !ok && !isTest && slices.ContainsFunc(r.forbidden, func(f string) bool { return matches(f, name) || matches(f+"/...", name) }):
			problems = append(problems, fmt.Sprintf("%s must not import %s", pkg, name))
		case !ok, ours == pkg, ours == "configs":
		case isTest && matches("integration/...", ours):
		case !slices.ContainsFunc(r.imports, func(allowed string) bool { return matches(allowed, ours) }):
			problems = append(problems, fmt.Sprintf("%s must not import %s", pkg, ours))
		}
	}
	return problems
}

// matches says whether pkg is what pattern says: itself, or with /... itself and
// all below it.
func matches(pattern, pkg string) bool {
	prefix, below := strings.CutSuffix(pattern, "...")
	if !below {
		return pattern == pkg
	}
	return strings.HasPrefix(pkg+"/", prefix)
}

// No row may allow an import that leads back to it: the arrows point one way.
func TestRulesPointOneWay(t *testing.T) {
	for _, r := range rules {
		for _, other := range rules {
			name := strings.TrimSuffix(other.pkg, "/...")
			if name == strings.TrimSuffix(r.pkg, "/...") || strings.HasPrefix(name, "parser") && strings.HasPrefix(r.pkg, "parser") || strings.HasPrefix(name, "watchdog") && strings.HasPrefix(r.pkg, "watchdog") ||
				r.imports != nil && r.imports[0] == "..." || other.imports != nil && other.imports[0] == "..." {
				continue
			}
			pkg := strings.TrimSuffix(r.pkg, "/...")
			if check(pkg, []string{module + name}, false) == nil && check(name, []string{module + pkg}, false) == nil {
				t.Errorf("%s and %s may import each other", pkg, name)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name, pkg, imported string
		isTest, allowed     bool
	}{
		{"downwards", "proxy", module + "wire", false, true},
		{"below a package", "balancer", module + "parser/catalog", false, true},
		{"the settings", "wire", module + "configs", false, true},
		{"upwards", "wire", module + "proxy", false, false},
		{"beside", "pool", module + "balancer", false, false},
		{"upwards in a test", "pool", module + "proxy", true, false},
		{"a helper in a test", "pool", module + "integration/pgcluster", true, true},
		{"a helper in the program", "pool", module + "integration/pgcluster", false, false},
		{"the settings import nothing", "configs", module + "wire", false, false},
		{"the network in the parser", "parser", "net/netip", false, false},
		{"the file system below the parser", "parser/catalog", "os", false, false},
		{"a file of cases in the parser's test", "parser", "os", true, true},
		{"a name that only begins alike", "parser", "nettle", false, true},
		{"a package that is not in the table", "utils", "fmt", false, false},
		{"the command", "cmd/howdah", module + "proxy", false, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			problems := check(tt.pkg, []string{tt.imported}, tt.isTest)
			if got := len(problems) == 0; got != tt.allowed {
				t.Errorf("%s importing %s: got %v", tt.pkg, tt.imported, problems)
			}
		})
	}
}
