package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	// maxIncludes is how deep files may include each other, as PostgreSQL's CONF_FILE_MAX_DEPTH.
	maxIncludes = 10
	// maxIncluded is how many files all of it may be.
	maxIncluded = 1000
	// maxListed is how many names an @file may add to a field.
	maxListed = 100_000
)

// lineReader reads the records of pg_hba.conf and pg_ident.conf with all that they
// include (PostgreSQL manual 21.1), and gathers every fault.
type lineReader struct {
	faults Faults
	files  int // read so far
	depth  int
	listed int
}

// taker gets one record that has at least one field.
type taker func(file string, line int, fields [][]token)

// read gives take the records of a file.
func (l *lineReader) read(file string, r io.Reader, take taker) error {
	text, err := readBounded(r, maxHBASize)
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	// A backslash at the end of a line continues it, within comments too. One
	// that a continuation laid bare does not count again.
	var joined []byte
	kept, first := 0, 1
	for i, line := range strings.Split(string(text), "\n") {
		joined = append(joined, strings.TrimSuffix(line, "\r")...)
		if n := len(joined); n > kept && joined[n-1] == '\\' {
			joined = joined[:n-1]
			kept = len(joined)
			continue
		}
		l.line(file, first, string(joined), take)
		joined, kept, first = joined[:0], 0, i+2
	}
	l.line(file, first, string(joined), take)
	return nil
}

// readLines gives take the records of a list of texts, each counted as a line of file.
func (l *lineReader) readLines(file string, lines []string, take taker) error {
	size := 0
	for i, line := range lines {
		if size += len(line); size > maxHBASize {
			return fmt.Errorf("%s: longer than %d bytes", file, maxHBASize)
		}
		if strings.ContainsAny(strings.TrimRight(line, "\r\n"), "\r\n") {
			l.faults.add(file, i+1, "line break in a record", "write one record per list element")
			continue
		}
		l.line(file, i+1, strings.TrimRight(line, "\r\n"), take)
	}
	return nil
}

func (l *lineReader) line(file string, line int, text string, take taker) {
	fault := func(what, hint string) { l.faults.add(file, line, what, hint) }
	if strings.IndexByte(text, 0) >= 0 {
		fault("contains a zero byte", "remove it")
		return
	}
	fields, problem := splitFields(text)
	if problem != "" {
		fault(problem, `close it with "`)
		return
	}
	if len(fields) == 0 {
		return
	}
	switch what := fields[0][0]; {
	case what.is("include"), what.is("include_if_exists"), what.is("include_dir"):
		if len(fields) != 2 || len(fields[1]) != 1 {
			fault(what.text+" needs one path", "write "+what.text+" and the path of a file or directory")
			return
		}
		if err := l.include(what.text, beside(file, fields[1][0].text), take); err != nil {
			fault(err.Error(), "correct the path, or remove the line")
		}
		return
	}
	for i, field := range fields {
		expanded, err := l.expand(file, field)
		if err != nil {
			fault(err.Error(), "correct the path, or write the names here")
			return
		}
		fields[i] = expanded
	}
	take(file, line, fields)
}

// beside is where a path in a file leads: relative ones begin at the file's directory.
func beside(file, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(file), path)
}

func (l *lineReader) include(how, path string, take taker) error {
	if how != "include_dir" {
		err := l.includeFile(path, take)
		if how == "include_if_exists" && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	entries, err := os.ReadDir(path) // in the order of their names
	if err != nil {
		return fmt.Errorf("include directory: %w", err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".conf") || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if err := l.includeFile(filepath.Join(path, e.Name()), take); err != nil {
			return err
		}
	}
	return nil
}

func (l *lineReader) includeFile(path string, take taker) error {
	text, err := l.open(path)
	if err != nil {
		return err
	}
	l.depth++
	defer func() { l.depth-- }()
	return l.read(path, bytes.NewReader(text), take)
}

// open reads an included file within the limits.
func (l *lineReader) open(path string) ([]byte, error) {
	if l.depth >= maxIncludes {
		return nil, fmt.Errorf("include %s: files are included more than %d deep", path, maxIncludes)
	}
	if l.files++; l.files > maxIncluded {
		return nil, fmt.Errorf("include %s: more than %d files", path, maxIncluded)
	}
	// A pipe or a terminal would make howdah wait.
	if info, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("include: %w", err)
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("include %s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("include: %w", err)
	}
	defer f.Close()
	text, err := readBounded(f, maxHBASize)
	if err != nil {
		return nil, fmt.Errorf("include %s: %w", path, err)
	}
	return text, nil
}

// expand puts the names of @file in the place of that word.
func (l *lineReader) expand(file string, field []token) ([]token, error) {
	var out []token
	for _, t := range field {
		if t.quoted || len(t.text) < 2 || t.text[0] != '@' {
			out = append(out, t)
			continue
		}
		names, err := l.list(beside(file, t.text[1:]))
		if err != nil {
			return nil, err
		}
		out = append(out, names...)
	}
	return out, nil
}

// list reads names separated by blanks, commas and line ends.
func (l *lineReader) list(path string) ([]token, error) {
	text, err := l.open(path)
	if err != nil {
		return nil, err
	}
	l.depth++
	defer func() { l.depth-- }()
	var out []token
	for i, line := range strings.Split(string(text), "\n") {
		fields, problem := splitFields(strings.TrimSuffix(line, "\r"))
		if problem != "" || strings.IndexByte(line, 0) >= 0 {
			return nil, fmt.Errorf("%s:%d: not a list of names", path, i+1)
		}
		for _, field := range fields {
			more, err := l.expand(path, field)
			if err != nil {
				return nil, err
			}
			if l.listed += len(more); l.listed > maxListed {
				return nil, fmt.Errorf("%s: more than %d names", path, maxListed)
			}
			out = append(out, more...)
		}
	}
	return out, nil
}
