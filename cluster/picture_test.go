package cluster

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestMachinePicture holds the tables of docs/FAILOVER.md against the code; -update prints them there.
func TestMachinePicture(t *testing.T) {
	const path = "../docs/FAILOVER.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(text)
	for marker, table := range map[string]string{"phases": phaseTable(), "states": stateTable()} {
		begin, end := "<!-- "+marker+" -->\n", "<!-- end -->"
		before, rest, ok := strings.Cut(doc, begin)
		old, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s has no place for the table of %s", path, marker)
		}
		if old != table && !*update {
			t.Errorf("%s is not what the code says of the %s; -update prints it anew:\n%s", path, marker, table)
		}
		doc = before + begin + table + end + after
	}
	if *update {
		if err := os.WriteFile(path, []byte(doc), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for p := range phases {
		if p.String() == "" {
			t.Errorf("phase %d has no name", p)
		}
	}
}

func phaseTable() string {
	var b strings.Builder
	b.WriteString("| from | to | when |\n|---|---|---|\n")
	for _, s := range phaseSteps {
		fmt.Fprintf(&b, "| %v | %v | %s |\n", s.from, s.to, s.when)
	}
	return b.String()
}

func stateTable() string {
	var b strings.Builder
	b.WriteString("| from | to |\n|---|---|\n")
	for from, steps := range stateSteps {
		var names []string
		for _, to := range steps {
			names = append(names, to.String())
		}
		fmt.Fprintf(&b, "| %v | %s |\n", State(from), strings.Join(names, ", "))
	}
	return b.String()
}
