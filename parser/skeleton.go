package parser

import (
	"bytes"
	"unicode/utf8"
)

// skeletonInfo is what the lexer noticed beside the skeleton itself.
type skeletonInfo struct {
	// ok is false if the text has no skeleton: it is unterminated, invalid, or has
	// a rare form (U&'…', continued literals, 0x1F) that is not worth the lexer's trouble.
	ok bool
	// backslash: a plain '…' literal holds one.
	backslash bool
	// variable: a literal or a comment was taken out, so that ever new texts may have this skeleton.
	variable bool
	// escaped: the skeleton holds an E'…' or $$…$$ literal as it was.
	escaped bool
}

// skeletonOf is the text's skeleton in memory of its own.
func skeletonOf(sql string) ([]byte, skeletonInfo) {
	var l lexer
	return l.skeleton([]byte(sql))
}

// skeleton is the text's skeleton: the text with comments and runs of white
// space replaced by one space, and every literal by a placeholder of the same token
// kind. The skeleton is itself SQL. Tokens follow PostgreSQL's scan.l; the tests hold
// the two together token by token. The answer is valid until the next call.
//
// A placeholder keeps what the grammar or the walk could tell apart: the kind of
// literal, whether it is empty, whether a number fits int4, a backslash in a plain
// literal; literals that may mean the current time are kept as they are.
// A skeleton is at most half as long again as its text.
func (l *lexer) skeleton(sql []byte) ([]byte, skeletonInfo) {
	l.sql, l.dst, l.from, l.info = sql, l.dst[:0], 0, skeletonInfo{}
	if bytes.IndexByte(sql, 0) >= 0 || !l.run() {
		return nil, skeletonInfo{}
	}
	l.flush(len(sql), len(sql))
	out := l.dst
	if n := len(out); n > 0 && class[out[n-1]] == space {
		out = out[:n-1]
	}
	if !utf8.Valid(out) {
		return nil, skeletonInfo{}
	}
	l.info.ok = true
	return out, l.info
}

// lexer copies sql to dst lazily: sql[from:i] is still to be copied as it is.
type lexer struct {
	sql  []byte
	dst  []byte
	from int
	info skeletonInfo
}

// flush copies what is pending up to end, and goes on at next.
func (l *lexer) flush(end, next int) {
	l.dst = append(l.dst, l.sql[l.from:end]...)
	l.from = next
}

const (
	other = iota // no token starts so
	ident        // letters, _ and bytes above 127
	digit
	space
	self   // a token of its own, or a part of an operator, that starts nothing else
	minus  // may start a comment
	slash  // may start a comment
	dot    // may start a number
	dollar // a parameter or a dollar quote
	quote  // '
	dquote // "
)

var class = makeClasses()

func makeClasses() (t [256]uint8) {
	set := func(c uint8, chars string) {
		for i := range len(chars) {
			t[chars[i]] = c
		}
	}
	set(ident, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
	for c := 128; c < 256; c++ {
		t[c] = ident
	}
	set(digit, "0123456789")
	set(space, " \t\n\r\f") // \v became white space in the course of PostgreSQL 16 only
	set(self, ",()[];:+*%^<>=~!@#&|`?")
	set(minus, "-")
	set(slash, "/")
	set(dot, ".")
	set(dollar, "$")
	set(quote, "'")
	set(dquote, `"`)
	return t
}

// continues says whether c can go on an identifier.
func continues(c byte) bool {
	k := class[c]
	return k == ident || k == digit || k == dollar
}

// run lexes the whole text; false if it has no skeleton.
func (l *lexer) run() bool {
	sql := l.sql
	for i := 0; i < len(sql); {
		switch class[sql[i]] {
		case ident:
			start := i
			for i++; i < len(sql) && continues(sql[i]); i++ {
			}
			if i-start == 1 && i < len(sql) && (sql[i] == '\'' || sql[i] == '&') {
				if i = l.prefixed(i); i < 0 {
					return false
				}
			}
		case space:
			// One blank between two tokens is by far the commonest gap: it stays.
			if sql[i] == ' ' && i > 0 && i+1 < len(sql) {
				if k := class[sql[i+1]]; k != space && k != minus && k != slash {
					i++
					continue
				}
			}
			if i = l.gap(i); i < 0 {
				return false
			}
		case self:
			i++
		case digit:
			if i = l.number(i); i < 0 {
				return false
			}
		case quote:
			if i = l.plain(i, i+1); i < 0 {
				return false
			}
		default:
			if i = l.rare(i); i < 0 {
				return false
			}
		}
	}
	return true
}

// rare lexes what starts with - / . $ " and refuses the rest; -1 means no skeleton.
func (l *lexer) rare(i int) int {
	next := byte(0)
	if i+1 < len(l.sql) {
		next = l.sql[i+1]
	}
	switch class[l.sql[i]] {
	case minus:
		if next == '-' {
			return l.gap(i)
		}
		return i + 1
	case slash:
		if next == '*' {
			return l.gap(i)
		}
		return i + 1
	case dot:
		switch {
		case class[next] == digit:
			return l.number(i)
		case next == '.':
			return -1
		}
		return i + 1
	case dollar:
		if class[next] == digit {
			return l.param(i)
		}
		return l.dollarQuoted(i)
	case dquote:
		return l.quotedIdent(i)
	}
	return -1
}

// gap skips white space and comments from i on and leaves one space for them,
// none at the text's start. What comments say that begin the text stays.
func (l *lexer) gap(i int) int {
	end, commented := i, false
	for end < len(l.sql) {
		c := l.sql[end]
		switch {
		case class[c] == space:
			end++
			continue
		case c == '-' && end+1 < len(l.sql) && l.sql[end+1] == '-':
			l.info.variable, commented = true, true
			end = lineEnd(l.sql, end)
			continue
		case c == '/' && end+1 < len(l.sql) && l.sql[end+1] == '*':
			l.info.variable, commented = true, true
			if end = commentEnd(l.sql, end); end < 0 {
				return -1
			}
			continue
		}
		break
	}
	if end == i+1 && l.sql[i] == ' ' && i > l.from {
		return end
	}
	l.flush(i, end)
	if commented && i == 0 {
		says := readLeading(l.sql[:end])
		l.dst = appendLeading(l.dst, &says)
	}
	if n := len(l.dst); n > 0 && l.dst[n-1] != ' ' {
		l.dst = append(l.dst, ' ')
	}
	return end
}

func lineEnd(sql []byte, i int) int {
	for i < len(sql) && sql[i] != '\n' && sql[i] != '\r' {
		i++
	}
	return i
}

// commentEnd is the index after the /* comment that starts at i; they nest.
func commentEnd(sql []byte, i int) int {
	depth := 0
	for i+1 < len(sql) {
		switch {
		case sql[i] == '/' && sql[i+1] == '*':
			depth++
			i += 2
		case sql[i] == '*' && sql[i+1] == '/':
			depth--
			i += 2
			if depth == 0 {
				return i
			}
		default:
			i++
		}
	}
	return -1
}

// param lexes $1, which stays.
func (l *lexer) param(i int) int {
	for i++; i < len(l.sql) && class[l.sql[i]] == digit; i++ {
	}
	if i < len(l.sql) && class[l.sql[i]] == ident {
		return -1 // an error since PostgreSQL 15, two tokens before
	}
	return i
}

// quotedIdent lexes "…", which stays.
func (l *lexer) quotedIdent(i int) int {
	start := i + 1
	for i = start; ; {
		n := bytes.IndexByte(l.sql[i:], '"')
		if n < 0 {
			return -1
		}
		i += n + 1
		if i < len(l.sql) && l.sql[i] == '"' {
			i++
			continue
		}
		if i-1 == start {
			return -1
		}
		return i
	}
}
