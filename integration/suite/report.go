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
		quoted, err := strconv.QuotedPrefix(words[2])
		text := err == nil
		what, why, found := quoted, "", false
		if text {
			why, found = strings.CutPrefix(words[2][len(quoted):], ": ")
		} else {
			what, why, found = strings.Cut(words[2], ": ")
		}
		if !found {
			return nil, fmt.Errorf("read known differences: %q does not say why", line)
		}
		if text {
			what, _ = strconv.Unquote(what)
			k.texts[what] = why
			continue
		}
		name, byChance := strings.CutSuffix(what, "?")
		k.tests[name] = difference{why, byChance}
	}
	return all, nil
}

// report prints which tests differ, and returns an error if one does that should not, or does not that should.
func report(w io.Writer, suite string, direct, through *outcome, may *known, kept bool) error {
	if may == nil {
		may = &known{}
	}
	var bad []error
	same := 0
	for _, name := range slices.Sorted(maps.Keys(direct.outputs)) {
		diff, err := compare(direct.outputs[name], through.outputs[name])
		if err != nil {
			return err
		}
		k, isKnown := may.tests[name]
		switch {
		case diff == "" && isKnown && !k.byChance:
			bad = append(bad, fmt.Errorf("%s %s: is the same now; take it from the known differences", suite, name))
		case diff == "":
			same++
		case through.ignored[name]:
			fmt.Fprintf(w, "%s %s differs; PostgreSQL's schedule ignores what it answers\n", suite, name)
		case isKnown:
			fmt.Fprintf(w, "%s %s differs as known: %s\n", suite, name, k.why)
		default:
			if why, err := may.inText(direct.outputs[name], through.outputs[name]); err != nil {
				return err
			} else if why != "" {
				fmt.Fprintf(w, "%s %s differs as known: %s\n", suite, name, why)
				continue
			}
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

// inText is why two outputs differ, if it is by a known text only that is in one of them.
func (k *known) inText(direct, through string) (why string, err error) {
	if through == "" {
		return "", nil
	}
	a, err := os.ReadFile(direct)
	if err != nil {
		return "", fmt.Errorf("read output: %w", err)
	}
	b, err := os.ReadFile(through)
	if err != nil {
		return "", fmt.Errorf("read output: %w", err)
	}
	for text, why := range k.texts {
		if bytes.Equal(bytes.ReplaceAll(a, []byte(text), nil), bytes.ReplaceAll(b, []byte(text), nil)) {
			return why, nil
		}
	}
	return "", nil
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
