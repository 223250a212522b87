package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// withoutWaits writes a schedule of the isolation tests in which, by the outputs that PostgreSQL expects, no session
// waits for another, the others as comments, and returns its name.
func withoutWaits(input, schedule, out string) (string, error) {
	text, err := os.ReadFile(schedule)
	if err != nil {
		return "", fmt.Errorf("read schedule: %w", err)
	}
	var kept strings.Builder
	for line := range strings.Lines(string(text)) {
		name, found := strings.CutPrefix(strings.TrimSpace(line), "test: ")
		if !found {
			continue
		}
		waits, err := expectsWait(input, name)
		if err != nil {
			return "", err
		}
		if waits {
			kept.WriteString("# left out, as a session waits in it: " + name + "\n")
			continue
		}
		kept.WriteString("test: " + name + "\n")
	}
	path := filepath.Join(out, "schedule")
	if err := os.WriteFile(path, []byte(kept.String()), 0o644); err != nil {
		return "", fmt.Errorf("write schedule: %w", err)
	}
	return path, nil
}

// expectsWait is whether one of a test's expected outputs shows a step that waits.
func expectsWait(input, name string) (bool, error) {
	files, err := filepath.Glob(filepath.Join(input, "expected", name+"*.out"))
	if err != nil || len(files) == 0 {
		return false, fmt.Errorf("find what %s is expected to print", name)
	}
	for _, f := range files {
		base := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(f), name), ".out")
		if base != "" && (len(base) != 2 || base[0] != '_') {
			continue // another test's
		}
		text, err := os.ReadFile(f)
		if err != nil {
			return false, fmt.Errorf("read expected output: %w", err)
		}
		if bytes.Contains(text, []byte("<waiting ...>")) {
			return true, nil
		}
	}
	return false, nil
}
