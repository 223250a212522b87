package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of the times in /proc/PID/stat. Linux fixes USER_HZ at
// 100 for every architecture that Go supports.
const clockTick = 10 * time.Millisecond

// procStat is what /proc/PID/stat tells of one process. See proc_pid_stat(5).
type procStat struct {
	parent int
	// childCPU is the CPU time of children that ended and were waited for
	// (cutime + cstime), in steps of a clock tick.
	childCPU time.Duration
}

// parseStat reads the line of /proc/PID/stat. The command's name may hold
// spaces and parentheses, so fields are counted from the last parenthesis.
func parseStat(line string) (procStat, error) {
	i := strings.LastIndexByte(line, ')')
	if i < 0 {
		return procStat{}, fmt.Errorf("parse stat: no command in %q", line)
	}
	f := strings.Fields(line[i+1:]) // f[0] is field 3, the state
	if len(f) < 15 {
		return procStat{}, fmt.Errorf("parse stat: %d fields in %q", len(f), line)
	}
	parent, err1 := strconv.Atoi(f[1])
	cutime, err2 := strconv.ParseInt(f[13], 10, 64)
	cstime, err3 := strconv.ParseInt(f[14], 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return procStat{}, fmt.Errorf("parse stat: %w", err)
	}
	return procStat{parent: parent, childCPU: time.Duration(cutime+cstime) * clockTick}, nil
}

// parseSchedstat reads the time on CPU from /proc/PID/task/TID/schedstat.
func parseSchedstat(line string) (time.Duration, error) {
	f := strings.Fields(line)
	if len(f) != 3 {
		return 0, fmt.Errorf("parse schedstat: %d fields in %q", len(f), line)
	}
	ns, err := strconv.ParseInt(f[0], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("parse schedstat: %w", err)
	}
	return time.Duration(ns), nil
}

// parseRSS finds VmRSS in the text of /proc/PID/status; in bytes.
func parseRSS(status string) (int64, error) {
	sc := bufio.NewScanner(strings.NewReader(status))
	for sc.Scan() {
		rest, ok := strings.CutPrefix(sc.Text(), "VmRSS:")
		if !ok {
			continue
		}
		kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("parse VmRSS: %w", err)
		}
		return kb << 10, nil
	}
	return 0, errors.New("parse status: no VmRSS line")
}

// procfs reads processes from a /proc tree.
type procfs struct{ root string }

// treeCPU is the CPU time that pid and its descendants have spent so far. The
// difference of two readings is right also when children ended in between, as
// long as their parent waited for them: their time is then in its childCPU
// (to a clock tick). Threads of a living process are assumed not to end, which
// holds for every contender.
func (p procfs) treeCPU(pid int) (time.Duration, error) {
	stats, err := p.stats()
	if err != nil {
		return 0, err
	}
	if _, ok := stats[pid]; !ok {
		return 0, fmt.Errorf("read CPU time: process %d is gone", pid)
	}
	var total time.Duration
	for id, st := range stats {
		if !descends(stats, id, pid) {
			continue
		}
		own, err := p.processCPU(id)
		if err != nil {
			return 0, err
		}
		total += own + st.childCPU
	}
	return total, nil
}

// rss is the resident memory of one process in bytes.
func (p procfs) rss(pid int) (int64, error) {
	b, err := os.ReadFile(filepath.Join(p.root, strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	return parseRSS(string(b))
}

func (p procfs) stats() (map[int]procStat, error) {
	entries, err := os.ReadDir(p.root)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	stats := make(map[int]procStat, len(entries))
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, err := os.ReadFile(filepath.Join(p.root, e.Name(), "stat"))
		if err != nil {
			continue // it ended since the listing
		}
		st, err := parseStat(string(b))
		if err != nil {
			return nil, fmt.Errorf("process %d: %w", pid, err)
		}
		stats[pid] = st
	}
	return stats, nil
}

// processCPU sums the threads' times; a process that just ended has none.
func (p procfs) processCPU(pid int) (time.Duration, error) {
	dir := filepath.Join(p.root, strconv.Itoa(pid), "task")
	threads, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("list threads: %w", err)
	}
	var total time.Duration
	for _, t := range threads {
		b, err := os.ReadFile(filepath.Join(dir, t.Name(), "schedstat"))
		if errors.Is(err, fs.ErrNotExist) {
			if _, gone := os.Stat(filepath.Join(dir, t.Name())); gone == nil {
				return 0, fmt.Errorf("read CPU time: this kernel has no schedstat (CONFIG_SCHED_INFO): %w", err)
			}
			continue
		}
		if err != nil {
			continue // ESRCH: the thread ended
		}
		ns, err := parseSchedstat(string(b))
		if err != nil {
			return 0, err
		}
		total += ns
	}
	return total, nil
}

// descends reports whether id is root or one of its descendants.
func descends(stats map[int]procStat, id, root int) bool {
	for range len(stats) { // bounds the walk should a pid be reused under it
		if id == root {
			return true
		}
		st, ok := stats[id]
		if !ok {
			return false
		}
		id = st.parent
	}
	return false
}
