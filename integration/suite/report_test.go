package main

import (
	"os"
	"path/filepath"
	"testing"
)

// What is known to differ is accepted, and no more than that.
func TestKnownDifferences(t *testing.T) {
	list := filepath.Join(t.TempDir(), "list")
	write := func(path, text string) string {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write(list, "# a comment\n\ntransaction regress \"WARNING: \\\"x\\\"\\n\": a: b\ntransaction regress t?: why\nsession regress u: other\n")
	all, err := readDifferences(list, "transaction")
	if err != nil {
		t.Fatal(err)
	}
	k := all["regress"]
	if len(k.tests) != 1 || k.tests["t"] != (difference{"why", true}) || len(k.texts) != 1 {
		t.Fatalf("%+v", k)
	}
	direct := write(filepath.Join(t.TempDir(), "direct"), "1\n2\n")
	for text, want := range map[string]struct {
		differs bool
		why     string
	}{
		"1\n2\n":                    {false, ""},
		"1\nWARNING: \"x\"\n2\n":    {true, "a: b"},
		"1\nWARNING: \"y\"\n2\n":    {true, ""},
		"1\nWARNING: \"x\"\n2\n3\n": {true, ""},
	} {
		diff, why, err := compare(direct, write(filepath.Join(t.TempDir(), "through"), text), k.texts)
		if err != nil || (diff != "") != want.differs || why != want.why {
			t.Errorf("%q: %q, why %q: %v", text, diff, why, err)
		}
	}
	for _, bad := range []string{"transaction regress", "transaction regress t", `transaction regress "x"`} {
		if _, err := readDifferences(write(list, bad), "transaction"); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	for _, mode := range []string{"session", "transaction"} {
		if _, err := readDifferences("testdata/differences.txt", mode); err != nil {
			t.Error(err)
		}
	}
}
