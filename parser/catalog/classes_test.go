package catalog_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/howdah/howdah/parser/catalog"
)

var update = flag.Bool("update", false, "rewrite testdata/classes.txt")

// TestClasses holds the class of each function that is not plainly safe, and of
// each relation, so that a new table or rule shows what it changes: a line is the
// class, the name, the versions, volatility and the trials.
func TestClasses(t *testing.T) {
	t.Parallel()
	const file = "testdata/classes.txt"
	var b strings.Builder
	b.WriteString("# class, function, versions, volatility, trial; Safe ones only if volatile or tried with another result than equal\n")
	for _, f := range catalog.Builtins() {
		class := catalog.Function(f.Name)
		if class == catalog.Safe && f.Derived == catalog.Safe {
			continue
		}
		fmt.Fprintf(&b, "%s %s %d-%d %s %s\n", class, f.Name, f.Since, f.Until, f.Volatility, f.Tried)
	}
	b.WriteString("# class, relation, versions, trial\n")
	for _, r := range catalog.Relations() {
		class, _ := catalog.SystemRelation(r.Name)
		fmt.Fprintf(&b, "%s %s %d-%d %s\n", class, r.Name, r.Since, r.Until, r.Tried)
	}
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() == string(want) {
		return
	}
	expected := map[string]bool{}
	for line := range strings.Lines(string(want)) {
		expected[line] = true
	}
	for line := range strings.Lines(b.String()) {
		if !expected[line] {
			t.Errorf("got, not expected: %s", line)
		}
		delete(expected, line)
	}
	for line := range expected {
		t.Errorf("expected, not got: %s", line)
	}
	if !t.Failed() {
		t.Error("lines are in another order")
	}
}
