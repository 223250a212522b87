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
	"strconv"
	"strings"
)

// differences are what may differ, by suite.
type differences map[string]*known

// known are the tests of a suite that may differ, by name, and texts that may be in the output of any, with why.
type known struct {
	tests map[string]difference
	texts map[string]string
}

// difference is why a test differs, always or by chance.
type difference struct {
	why      string
	byChance bool
}

// readDifferences reads lines of "mode suite test: why"; mode is session, transaction or both. A test with a ? behind its name
// differs by chance. In the place of a test may be a text, quoted as in Go.
func readDifferences(path, mode string) (differences, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read known differences: %w", err)
	}
	all := differences{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		words := strings.SplitN(line, " ", 3)
		if len(words) != 3 {
			return nil, fmt.Errorf("read known differences: %q is not mode, suite, test: why", line)
		}
		if words[0] != mode && words[0] != "both" {
			continue
		}
		k := all[words[1]]
		if k == nil {
			k = &known{map[string]difference{}, map[string]string{}}
			all[words[1]] = k
		}
		if err := k.add(words[2]); err != nil {
			return nil, fmt.Errorf("read known differences: %q: %w", line, err)
		}
	}
	return all, nil
}

// add takes in "test: why", or "text: why".
func (k *known) add(line string) error {
	if quoted, err := strconv.QuotedPrefix(line); err == nil {
		text, err := strconv.Unquote(quoted)
		why, found := strings.CutPrefix(line[len(quoted):], ": ")
		if err != nil || !found {
			return errors.New("it is not a text: why")
		}
		k.texts[text] = why
		return nil
	}
	what, why, found := strings.Cut(line, ": ")
	if !found {
		return errors.New("it is not a test: why")
	}
	name, byChance := strings.CutSuffix(what, "?")
	k.tests[name] = difference{why, byChance}
	return nil
}

// report prints which tests differ, and returns an error if one does that should not, or does not that should.
func report(w io.Writer, suite string, direct, through *outcome, may *known, kept bool) error {
	if may == nil {
		may = &known{}
	}
	var bad []error
	same := 0
	for _, name := range slices.Sorted(maps.Keys(direct.outputs)) {
		diff, why, err := compare(direct.outputs[name], through.outputs[name], may.texts)
		if err != nil {
			return err
		}
		k, isKnown := may.tests[name]
		switch {
		case diff == "" && isKnown && !k.byChance:
			bad = append(bad, fmt.Errorf("%s %s: is the same now; take it from the known differences", suite, name))
		case diff == "":
			same++
		case why != "":
			fmt.Fprintf(w, "%s %s differs as known: %s\n", suite, name, why)
		case through.ignored[name]:
			fmt.Fprintf(w, "%s %s differs; PostgreSQL's schedule ignores what it answers\n", suite, name)
		case isKnown:
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

// compare returns how two outputs differ, the first lines of it, and why if they differ by one of the known texts only.
func compare(direct, through string, texts map[string]string) (diff, why string, err error) {
	a, err := os.ReadFile(direct)
	if err != nil {
		return "", "", fmt.Errorf("read output: %w", err)
	}
	if through == "" {
		return "there is no output through howdah", "", nil
	}
	b, err := os.ReadFile(through)
	if err != nil {
		return "", "", fmt.Errorf("read output: %w", err)
	}
	if bytes.Equal(a, b) {
		return "", "", nil
	}
	for text, known := range texts {
		if bytes.Equal(bytes.ReplaceAll(a, []byte(text), nil), bytes.ReplaceAll(b, []byte(text), nil)) {
			why = known
		}
	}
	out, err := exec.Command("diff", "-U3", direct, through).Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		return "", "", fmt.Errorf("run diff: %w", err)
	}
	lines := strings.SplitAfter(string(out), "\n")
	if len(lines) > maxDiffLines {
		lines = append(lines[:maxDiffLines], fmt.Sprintf("… and %d more lines\n", len(lines)-maxDiffLines))
	}
	return strings.Join(lines, ""), why, nil
}

// maxDiffLines are as many of a difference as are shown; -out keeps the outputs whole.
const maxDiffLines = 60
