package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// groupingFile says whether the scheduler first shares the processors out to sessions (setsid(2)), and then to a session's processes: 1, as most
// distributions have it, or 0 (sched(7), autogroup).
const groupingFile = "/proc/sys/kernel/sched_autogroup_enabled"

// ungroup has the scheduler treat all processes alike until restore is called, unless it is to be left as it is. Each backend of PostgreSQL is a session,
// so that a proxy gets no more of a processor than one of them, and how the kernel (6.18, at least) divides up a group between processors makes some wait for seconds and
// scatters what is measured by a factor of two. does is what the scheduler does meanwhile.
func ungroup(file string, leave bool) (does string, restore func() error, err error) {
	nothing := func() error { return nil }
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "by process, as always with this kernel", nothing, nil
	case err != nil:
		return "", nil, fmt.Errorf("read how the scheduler groups: %w", err)
	case strings.TrimSpace(string(text)) == "0":
		return "by process (kernel.sched_autogroup_enabled is 0)", nothing, nil
	case leave:
		return "by session, then by process (kernel.sched_autogroup_enabled is 1)", nothing, nil
	}
	if err := os.WriteFile(file, []byte("0"), 0); err != nil {
		return "", nil, fmt.Errorf("have the scheduler treat all processes alike (-grouped leaves it as it is): %w", err)
	}
	return "by process (kernel.sched_autogroup_enabled is 0 for the run, and else 1)", func() error {
		if err := os.WriteFile(file, text, 0); err != nil {
			return fmt.Errorf("have the scheduler group as before: %w", err)
		}
		return nil
	}, nil
}
