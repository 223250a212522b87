package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestParseSummary(t *testing.T) {
	t.Parallel()
	runCases(t, "pgbench.txt", func(_ *testing.T, input string) string {
		s, err := parseSummary(input)
		if err != nil {
			return "error: " + err.Error()
		}
		return fmt.Sprintf("%d transactions, %g ms, %g tps", s.transactions, s.average, s.tps)
	})
}

func TestParseLog(t *testing.T) {
	t.Parallel()
	text := "0 1 250 0 1700000000 123456\n3 2 1999 0 1700000001 42\n"
	got, err := parseLog(strings.NewReader(text), []float64{7})
	if err != nil {
		t.Fatal(err)
	}
	if want := []float64{7, 0.25, 1.999}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, bad := range []string{"0 1 250\n", "0 1 failed 0 1700000000 1\n"} {
		if _, err := parseLog(strings.NewReader(bad), nil); err == nil {
			t.Errorf("%q was read without an error", bad)
		}
	}
}

func TestLastLinesKeepsTheEnd(t *testing.T) {
	t.Parallel()
	got := lastLines(strings.Repeat("noise\n", 50) + "FATAL: the reason\n")
	if !strings.HasSuffix(got, "FATAL: the reason") || strings.Count(got, "\n") != 11 {
		t.Errorf("got %q", got)
	}
}
