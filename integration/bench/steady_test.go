package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// Only what lies between the first report and the last counts, however the lines come in pieces.
func TestSteady(t *testing.T) {
	t.Parallel()
	const text = "pgbench: warning\nprogress: 1700000001.000 s, 900.0 tps, lat 0.1 ms stddev 0.1, 0 failed\n" +
		"progress: 1700000002.000 s, 1000.0 tps, lat 0.1 ms stddev 0.1\nprogress: 1700000002.500 s, 2000.0 tps, lat 0.1 ms\n"
	for size := 1; size <= len(text); size += 7 {
		used := 100 * time.Millisecond
		s := &steady{cpu: func() (time.Duration, error) {
			used += 10 * time.Millisecond
			return used, nil
		}}
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			s.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		got, err := s.perTransaction()
		if err != nil || got < 9.99 || got > 10.01 { // 20 ms for 2,000 transactions
			t.Errorf("in pieces of %d: %v µs, %v", size, got, err)
		}
		if s.others.String() != "pgbench: warning\n" {
			t.Errorf("in pieces of %d: the rest is %q", size, s.others.String())
		}
	}
}

func TestSteadyWithoutTransactions(t *testing.T) {
	t.Parallel()
	s := &steady{cpu: func() (time.Duration, error) { return 0, nil }}
	s.Write([]byte("progress: 1.0 s, 900.0 tps, lat 0.1 ms\n"))
	if _, err := s.perTransaction(); err == nil || !strings.Contains(err.Error(), "1 times") {
		t.Errorf("one report: %v", err)
	}
	gone := errors.New("no such process")
	s = &steady{cpu: func() (time.Duration, error) { return 0, gone }}
	s.Write([]byte("progress: 1.0 s, 900.0 tps\nprogress: 2.0 s, 900.0 tps\n"))
	if _, err := s.perTransaction(); !errors.Is(err, gone) {
		t.Errorf("a contender that has ended: %v", err)
	}
}
