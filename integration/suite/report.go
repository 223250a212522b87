package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// differences are the tests that may differ, by suite and name.
type differences map[string]map[string]difference

// difference is why a test differs, always or by chance.
type difference struct {
	why      string
	byChance bool
}

// readDifferences reads lines of "mode suite test: why"; mode is session, transaction or both. A test with a ? behind its name
// differs by chance.
func readDifferences(path, mode string) (differences, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read known differences: %w", err)
	}
	known := differences{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		what, why, found := strings.Cut(line, ": ")
		words := strings.Fields(what)
		if !found || len(words) != 3 {
			return nil, fmt.Errorf("read known differences: %q is not mode, suite, test: why", line)
		}
		if words[0] != mode && words[0] != "both" {
			continue
		}
		if known[words[1]] == nil {
			known[words[1]] = map[string]difference{}
		}
		name, byChance := strings.CutSuffix(words[2], "?")
		known[words[1]][name] = difference{why, byChance}
	}
	return known, nil
}

// report prints which tests differ, and returns an error if one does that should not, or does not that should.
func report(w io.Writer, suite string, direct, through *outcome, known map[string]difference, kept bool) error {
	var bad []error
	same := 0
	for _, name := range slices.Sorted(maps.Keys(direct.outputs)) {
		diff, err := compare(direct.outputs[name], through.outputs[name])
		if err != nil {
			return err
		}
		k, may := known[name]
		switch {
		case diff == "" && may && !k.byChance:
			bad = append(bad, fmt.Errorf("%s %s: is the same now; take it from the known differences", suite, name))
		case diff == "":
			same++
		case through.ignored[name]:
			fmt.Fprintf(w, "%s %s differs; PostgreSQL's schedule ignores what it answers\n", suite, name)
		case may:
			fmt.Fprintf(w, "%s %s differs as known: %s\n", suite, name, k.why)
		default:
			bad = append(bad, fmt.Errorf("%s %s: differs", suite, name))
			if !kept {
				fmt.Fprintf(w, "%s %s:\n%s\n", suite, name, diff)
			}
		}
	}
	fmt.Fprintf(w, "%s: %d of %d tests print the same direct and through howdah\n", suite, same, len(direct.outputs))
	if len(through.reads) > 0 {
		all, primary := int64(0), through.reads[0]
		for _, n := range through.reads {
			all += n
		}
		fmt.Fprintf(w, "%s: %d SELECTs, %.0f %% of them on standbys, %d not planned\n", suite, all, percent(all-primary, all), through.fast)
		if suite == "regress" && through.share != nil {
			through.share.print(w, suite)
		}
	}
	return errors.Join(bad...)
}

// compare returns how two outputs differ, the first lines of it.
func compare(direct, through string) (string, error) {
	a, err := os.ReadFile(direct)
	if err != nil {
		return "", fmt.Errorf("read output: %w", err)
	}
	if through == "" {
		return "there is no output through howdah", nil
	}
	b, err := os.ReadFile(through)
	if err != nil {
		return "", fmt.Errorf("read output: %w", err)
	}
	if bytes.Equal(a, b) {
		return "", nil
	}
	out, err := exec.Command("diff", "-U3", direct, through).Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		return "", fmt.Errorf("run diff: %w", err)
	}
	lines := strings.SplitAfter(string(out), "\n")
	if len(lines) > maxDiffLines {
		lines = append(lines[:maxDiffLines], fmt.Sprintf("… and %d more lines\n", len(lines)-maxDiffLines))
	}
	return strings.Join(lines, ""), nil
}

// maxDiffLines are as many of a difference as are shown; -out keeps the outputs whole.
const maxDiffLines = 60
