package main

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// steady is the middle of a run: from pgbench's first report of progress, a second after the last client's login, to its last one. The
// CPU time and the transactions of that part belong to each other, without logins and farewells.
type steady struct {
	// cpu is the contender's CPU time so far.
	cpu func() (time.Duration, error)

	reports      int
	at           float64       // when the last report was made, seconds
	first, last  time.Duration // CPU time at the first report and at the last
	transactions float64       // between the two
	err          error
	line         []byte // begun
	others       bytes.Buffer
}

// interval is the time between two reports of progress, in pgbench's words.
var interval = []string{"-P", "1", "--progress-timestamp"}

var reProgress = regexp.MustCompile(`^progress: ([0-9.]+) s, ([0-9.]+) tps`)

// Write takes what pgbench writes to its standard error, where it reports. It never fails.
func (s *steady) Write(p []byte) (int, error) {
	s.line = append(s.line, p...)
	for {
		line, rest, whole := bytes.Cut(s.line, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		if !s.report(string(line)) {
			s.others.Write(line)
			s.others.WriteByte('\n')
		}
		s.line = append(s.line[:0], rest...)
	}
}

// report takes a line, and says whether it is a report.
func (s *steady) report(line string) bool {
	m := reProgress.FindStringSubmatch(line)
	if m == nil {
		return false
	}
	at, err1 := strconv.ParseFloat(m[1], 64)
	tps, err2 := strconv.ParseFloat(m[2], 64)
	used, err3 := s.cpu()
	s.err = errors.Join(s.err, err1, err2, err3)
	if s.reports++; s.reports == 1 {
		s.first = used
	} else {
		s.transactions += tps * (at - s.at)
	}
	s.at, s.last = at, used
	return true
}

// perTransaction is the CPU time of one transaction, in microseconds.
func (s *steady) perTransaction() (float64, error) {
	switch {
	case s.err != nil:
		return 0, s.err
	case s.transactions == 0:
		return 0, fmt.Errorf("pgbench reported its progress %d times, with no transaction in between", s.reports)
	}
	return float64(s.last-s.first) / float64(time.Microsecond) / s.transactions, nil
}
