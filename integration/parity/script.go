package parity

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Script is what one file says.
type Script struct {
	Name  string
	Steps []Step
	// OnStandby and OnPrimary are pieces of statements and where they must run.
	OnStandby, OnPrimary []string
	// Needs are environment variables without which the script does not run.
	Needs []string
	// Mode is the only pool.mode in which the answers must be the same; empty: in each.
	Mode string
	// Since is the oldest version of the servers, 14 say, that do what it shows; 0: all do.
	Since int
	// OwnErrors are SQLSTATEs of errors that howdah itself may have to say, which
	// then lack the fields file, line and routine.
	OwnErrors []string

	fault error // a comment that says nonsense
}

// Step is one line of a .proto file or one block of a .sql file.
type Step struct {
	Line    int
	Conn    string // which connection, "" is the first
	Command string
	Args    []Arg
	Options map[string]string
}

// Arg is one argument: a word, a string, bytes or NULL.
type Arg struct {
	Text   string
	Null   bool
	Quoted bool
}

// Load reads a script file.
func Load(path string) (*Script, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read script: %w", err)
	}
	s := &Script{Name: filepath.Base(path)}
	if filepath.Ext(path) == ".sql" {
		s.addBlocks(string(text))
		return s, s.fault
	}
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || s.comment(line) {
			continue
		}
		step, err := parseStep(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, i+1, err)
		}
		step.Line = i + 1
		s.Steps = append(s.Steps, step)
	}
	return s, s.fault
}

// addBlocks makes a Query and a wait of every block.
func (s *Script) addBlocks(text string) {
	var block []string
	flush := func(line int) {
		if len(block) > 0 {
			query := Arg{Text: strings.Join(block, "\n"), Quoted: true}
			s.Steps = append(s.Steps, Step{Line: line, Command: "Query", Args: []Arg{query}}, Step{Line: line, Command: "wait"})
		}
		block = nil
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		switch {
		case strings.TrimSpace(line) == "":
			flush(i)
		case len(block) == 0 && s.comment(line):
		default:
			block = append(block, line)
		}
	}
	flush(len(lines))
}

// comment takes what a comment line says and reports whether it was one.
func (s *Script) comment(line string) bool {
	text, ok := strings.CutPrefix(line, "#")
	if !ok {
		text, ok = strings.CutPrefix(line, "--")
	}
	if !ok {
		return false
	}
	word, value, _ := strings.Cut(strings.TrimSpace(text), ": ")
	value = strings.TrimSpace(value)
	switch word {
	case "standby":
		s.OnStandby = append(s.OnStandby, value)
	case "primary":
		s.OnPrimary = append(s.OnPrimary, value)
	case "own":
		s.OwnErrors = append(s.OwnErrors, strings.Fields(value)...)
	case "since":
		var err error
		if s.Since, err = strconv.Atoi(value); err != nil {
			s.fault = fmt.Errorf("%s: read since: %w", s.Name, err)
		}
	case "mode":
		s.Mode = value
	case "needs":
		s.Needs = append(s.Needs, value)
	}
	return true
}

func parseStep(line string) (Step, error) {
	step := Step{Options: map[string]string{}}
	if conn, rest, ok := strings.Cut(line, "> "); ok && !strings.ContainsAny(conn, " \"`") {
		step.Conn, line = conn, strings.TrimSpace(rest)
	}
	step.Command, line, _ = strings.Cut(line, " ")
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		if line[0] == '"' || line[0] == '`' {
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return step, fmt.Errorf("read string %s: %w", line, err)
			}
			text, err := strconv.Unquote(quoted)
			if err != nil {
				return step, fmt.Errorf("read string %s: %w", quoted, err)
			}
			step.Args = append(step.Args, Arg{Text: text, Quoted: true})
			line = line[len(quoted):]
			continue
		}
		var word string
		word, line, _ = strings.Cut(line, " ")
		if err := step.addWord(word); err != nil {
			return step, err
		}
	}
	return step, nil
}

func (s *Step) addWord(word string) error {
	switch key, value, option := strings.Cut(word, "="); {
	case option:
		s.Options[key] = value
	case word == "NULL":
		s.Args = append(s.Args, Arg{Null: true})
	case strings.HasPrefix(word, "0x"):
		data, err := hex.DecodeString(word[2:])
		if err != nil {
			return fmt.Errorf("read bytes %s: %w", word, err)
		}
		s.Args = append(s.Args, Arg{Text: string(data), Quoted: true})
	default:
		s.Args = append(s.Args, Arg{Text: word})
	}
	return nil
}

// text is argument i, or "" if there is none.
func (s *Step) text(i int) string {
	if i >= len(s.Args) {
		return ""
	}
	return s.Args[i].Text
}

// number is argument i as a number, 0 if there is none.
func (s *Step) number(i int) (uint32, error) {
	if i >= len(s.Args) {
		return 0, nil
	}
	n, err := strconv.ParseUint(s.Args[i].Text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("read number: %w", err)
	}
	return uint32(n), nil
}

// list is an option or a bracketed list of numbers.
func list(text string) ([]uint32, error) {
	text = strings.Trim(text, "[]")
	if text == "" {
		return nil, nil
	}
	var numbers []uint32
	for _, word := range strings.Split(text, ",") {
		n, err := strconv.ParseUint(word, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("read list: %w", err)
		}
		numbers = append(numbers, uint32(n))
	}
	return numbers, nil
}
