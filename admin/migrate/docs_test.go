package migrate

import (
	"os"
	"strings"
	"testing"
)

// The guide has every parameter of Pgpool-II and every setting of PgBouncer, with its key if there is one.
func TestGuideIsComplete(t *testing.T) {
	data, err := os.ReadFile("../../docs/MIGRATING-FROM-PGPOOL.md")
	if err != nil {
		t.Fatal(err)
	}
	guide := string(data)
	missing := func(name string) {
		t.Helper()
		if !strings.Contains(guide, "| `"+name+"` | ") {
			t.Errorf("the guide lacks %s", name)
		}
	}
	for _, p := range params {
		missing(p.name)
	}
	for name := range bouncerParams {
		missing(name)
	}
	for name := range renamed {
		if !strings.Contains(strings.ToLower(guide), "`"+name+"`") {
			t.Errorf("the guide lacks the older name %s", name)
		}
	}
}
