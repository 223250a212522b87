package migrate

import (
	"fmt"
	"path"
	"strings"
)

// setting is one assignment of a pgpool.conf.
type setting struct {
	name  string // lower case
	value string // without quotes
	file  string
	line  int
}

// place is where a setting stands, for comments and the report.
func (s setting) place() string { return fmt.Sprintf("%s:%d", path.Base(s.file), s.line) }

// maxIncludeDepth is Pgpool-II's own limit of include in include.
const maxIncludeDepth = 10

// maxSettings bounds what is read: a file of another kind has no end of them.
const maxSettings = 100_000

// reader gathers settings and what could not be read.
type reader struct {
	open     func(name string) ([]byte, error)
	settings []setting
	problems []string
}

func (r *reader) problem(file string, line int, format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf("%s:%d: %s", file, line, fmt.Sprintf(format, args...)))
}

// read takes in a file and what it includes. Pgpool-II's syntax: key = value with
// an optional equals sign, '…' with backslash escapes, comments from # on.
func (r *reader) read(file string, text []byte, depth int) {
	for i, line := range strings.Split(string(text), "\n") {
		n := i + 1
		name, rest := word(strings.TrimSpace(line))
		if name == "" {
			if rest != "" && rest[0] != '#' {
				r.problem(file, n, "is no setting; write name = value")
			}
			continue
		}
		rest = strings.TrimSpace(rest)
		rest = strings.TrimSpace(strings.TrimPrefix(rest, "="))
		value, problem := valueOf(rest)
		switch {
		case problem != "":
			r.problem(file, n, "%s: %s", name, problem)
		case strings.EqualFold(name, "include"):
			r.include(file, n, value, depth)
		case len(r.settings) >= maxSettings:
			if len(r.settings) == maxSettings {
				r.problem(file, n, "more than %d settings", maxSettings)
				r.settings = append(r.settings, setting{})
			}
			return
		default:
			r.settings = append(r.settings, setting{strings.ToLower(name), value, file, n})
		}
	}
}

func (r *reader) include(file string, line int, name string, depth int) {
	if depth >= maxIncludeDepth {
		r.problem(file, line, "include: more than %d files deep", maxIncludeDepth)
		return
	}
	if !path.IsAbs(name) {
		name = path.Join(path.Dir(file), name)
	}
	text, err := r.open(name)
	if err != nil {
		r.problem(file, line, "include: %v", err)
		return
	}
	r.read(name, text, depth+1)
}

// word takes a name off the front of s.
func word(s string) (name, rest string) {
	i := 0
	for i < len(s) && (s[i] == '_' || s[i] == '.' || s[i] >= '0' && s[i] <= '9' || s[i]|0x20 >= 'a' && s[i]|0x20 <= 'z') {
		i++
	}
	return s[:i], s[i:]
}

// valueOf reads a value, to the end of the line or a comment.
func valueOf(s string) (value, problem string) {
	if !strings.HasPrefix(s, "'") {
		value, _, _ = strings.Cut(s, "#")
		if value = strings.TrimSpace(value); value == "" {
			return "", "has no value"
		}
		return value, ""
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\'':
			if rest := strings.TrimSpace(s[i+1:]); rest != "" && rest[0] != '#' {
				return "", "something follows the closing quote"
			}
			return b.String(), ""
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteString(unescape(s[i]))
		default:
			b.WriteByte(c)
		}
	}
	return "", "the quote is not closed"
}

// unescape is what a backslash and c stand for. One that escapes nothing stays: it was meant for a
// regular expression, or keeps a semicolon from ending one.
func unescape(c byte) string {
	switch c {
	case 'n':
		return "\n"
	case 't':
		return "\t"
	case 'r':
		return "\r"
	case 'b':
		return "\b"
	case 'f':
		return "\f"
	case '\'', '\\':
		return string(c)
	}
	return "\\" + string(c)
}
