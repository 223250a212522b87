package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUngroup(t *testing.T) {
	for _, tc := range []struct {
		before       string
		leave        bool
		during, says string
	}{
		{"1\n", false, "0", "0 for the run, and else 1"},
		{"1\n", true, "1\n", "by session"},
		{"0\n", false, "0\n", "by process"},
		{"", false, "", "always"},
	} {
		file := filepath.Join(t.TempDir(), "sched_autogroup_enabled")
		if tc.before != "" {
			if err := os.WriteFile(file, []byte(tc.before), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		does, restore, err := ungroup(file, tc.leave)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(file); string(got) != tc.during || !strings.Contains(does, tc.says) {
			t.Errorf("%q: %q during the run, and the page says %q", tc.before, got, does)
		}
		if err := restore(); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(file); string(got) != tc.before {
			t.Errorf("%q: %q afterwards", tc.before, got)
		}
	}
}
