package parser

import (
	"bytes"
	"unicode/utf8"
)

// Placeholders. None is longer than half as long again as what it stands for.
const (
	holdString    = "'x'"
	holdEmpty     = "''"
	holdBackslash = `'\'`
	holdInt       = "1"
	holdFloat     = ".0"
)

// maxTimeText bounds the text of a date or time (PostgreSQL's MAXDATELEN is 128).
const maxTimeText = 128

// replace puts a placeholder where sql[start:end] was.
func (l *lexer) replace(start, end int, hold string) int {
	l.flush(start, end)
	l.dst = append(l.dst, hold...)
	l.info.variable = true
	return end
}

// number lexes an integer or a decimal number; other forms have no skeleton.
func (l *lexer) number(i int) int {
	sql, start := l.sql, i
	for i < len(sql) && class[sql[i]] == digit {
		i++
	}
	float := !fitsInt4(sql[start:i])
	if i < len(sql) && sql[i] == '.' {
		float = true
		for i++; i < len(sql) && class[sql[i]] == digit; i++ {
		}
	}
	if i < len(sql) && (sql[i] == 'e' || sql[i] == 'E') {
		float = true
		i++
		if i < len(sql) && (sql[i] == '+' || sql[i] == '-') {
			i++
		}
		digits := i
		for i < len(sql) && class[sql[i]] == digit {
			i++
		}
		if i == digits {
			return -1
		}
	}
	if i < len(sql) && (continues(sql[i]) || sql[i] == '.') {
		return -1
	}
	if float {
		return l.replace(start, i, holdFloat)
	}
	return l.replace(start, i, holdInt)
}

// fitsInt4 decides the token kind, as process_integer_literal of scan.l does.
func fitsInt4(digits []byte) bool {
	digits = bytes.TrimLeft(digits, "0")
	const most = "2147483647"
	return len(digits) < len(most) || len(digits) == len(most) && string(digits) <= most
}

// plain lexes a literal whose opening quote is just before body and which
// starts at start (they differ by a prefix that stays, as in N'…').
func (l *lexer) plain(start, body int) int {
	if l.touchesLiteral(start) {
		return -1
	}
	i := body
	for {
		n := bytes.IndexByte(l.sql[i:], '\'')
		if n < 0 {
			return -1
		}
		i += n + 1
		if i == len(l.sql) || l.sql[i] != '\'' {
			break
		}
		i++
	}
	text := l.sql[body : i-1]
	if l.continued(i) {
		return -1
	}
	backslash := bytes.IndexByte(text, '\\') >= 0
	l.info.backslash = l.info.backslash || backslash
	switch {
	case isTelling(text):
		l.info.variable = true
		return i
	case backslash:
		return l.replace(body-1, i, holdBackslash)
	case len(text) == 0:
		return l.replace(body-1, i, holdEmpty)
	}
	return l.replace(body-1, i, holdString)
}

// touchesLiteral: a quote right after a placeholder would change its meaning.
func (l *lexer) touchesLiteral(i int) bool {
	n := len(l.dst)
	return l.from == i && n > 0 && l.dst[n-1] == '\''
}

// prefixed lexes E'…', B'…', X'…', N'…', U&'…', or whatever else stands after a
// one-letter identifier that ends at i; -1 means no skeleton.
func (l *lexer) prefixed(i int) int {
	letter := lower(l.sql[i-1])
	if l.sql[i] == '&' {
		if letter == 'u' && i+1 < len(l.sql) && (l.sql[i+1] == '\'' || l.sql[i+1] == '"') {
			return -1
		}
		return i
	}
	switch letter {
	case 'e':
		return l.escaped(i)
	case 'b', 'x':
		return l.bits(i)
	}
	return l.plain(i, i+1)
}

// bits lexes B'…' and X'…', in which a quote cannot be doubled.
func (l *lexer) bits(open int) int {
	i := open + 1
	for i < len(l.sql) && isHex(l.sql[i]) {
		i++
	}
	if i == len(l.sql) || l.sql[i] != '\'' {
		return -1
	}
	i++
	if i < len(l.sql) && l.sql[i] == '\'' || l.continued(i) {
		return -1
	}
	return l.replace(open, i, holdEmpty)
}

func isHex(c byte) bool {
	c |= 0x20
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f'
}

// escaped lexes E'…'. Escapes that could spell a word keep a short literal as it is.
func (l *lexer) escaped(open int) int {
	i, spells := open+1, false
	for ; ; i++ {
		if i >= len(l.sql) {
			return -1
		}
		if l.sql[i] == '\\' {
			i++
			if i >= len(l.sql) {
				return -1
			}
			spells = spells || continues(l.sql[i])
			continue
		}
		if l.sql[i] != '\'' {
			continue
		}
		if i+1 < len(l.sql) && l.sql[i+1] == '\'' {
			i++
			continue
		}
		break
	}
	text := l.sql[open+1 : i]
	i++
	if l.continued(i) || !utf8.Valid(text) {
		return -1
	}
	const longestEscape = len(`\U00000000`)
	switch {
	case spells && len(text) <= maxTimeText*longestEscape,
		isTelling(text):
		l.info.variable, l.info.escaped = true, true
		return i
	case spells:
		// Bytes spelled \xff may be no valid text at all.
		return -1
	case len(text) == 0:
		return l.replace(open, i, holdEmpty)
	}
	return l.replace(open, i, holdString)
}

// continued says whether the literal that ends at i goes on in the next line:
// white space with a newline in it, then a quote.
func (l *lexer) continued(i int) bool {
	newline := false
	for i < len(l.sql) {
		c := l.sql[i]
		switch {
		case c == '\n' || c == '\r':
			newline = true
			i++
		case class[c] == space:
			i++
		case c == '-' && i+1 < len(l.sql) && l.sql[i+1] == '-':
			i = lineEnd(l.sql, i)
		default:
			return newline && c == '\''
		}
	}
	return false
}

// dollarQuoted lexes $tag$…$tag$. Its placeholder is a plain literal, set off
// by a space so that it cannot grow together with what stands before it.
func (l *lexer) dollarQuoted(start int) int {
	i := start + 1
	for i < len(l.sql) && (class[l.sql[i]] == ident || class[l.sql[i]] == digit && i > start+1) {
		i++
	}
	if i == len(l.sql) || l.sql[i] != '$' {
		return -1
	}
	i++
	delimiter := l.sql[start:i]
	n := bytes.Index(l.sql[i:], delimiter)
	if n < 0 || !utf8.Valid(delimiter) {
		return -1
	}
	text := l.sql[i : i+n]
	end := i + n + len(delimiter)
	if isTelling(text) {
		l.info.variable, l.info.escaped = true, true
		return end
	}
	l.flush(start, start)
	if k := len(l.dst); k > 0 && class[l.dst[k-1]] != space {
		l.dst = append(l.dst, ' ')
	}
	if n == 0 {
		return l.replace(start, end, holdEmpty)
	}
	return l.replace(start, end, holdString)
}

// isTelling is whether a literal may say something that the walk looks for; it
// stays in the skeleton. The walk sees it with doubled quotes undone.
func isTelling[T string | []byte](text T) bool {
	return len(text) <= 2*maxTimeText && (mentionsNow(text) || mentionsTemp(text))
}

// tempSchema is how the names of the schemas of temporary objects begin.
const tempSchema = "pg_temp"

// mentionsTemp finds the name of a schema of temporary objects.
func mentionsTemp[T string | []byte](text T) bool {
	for i := 0; i+len(tempSchema) <= len(text); i++ {
		if text[i] == 'p' && string(text[i:i+len(tempSchema)]) == tempSchema {
			return true
		}
	}
	return false
}

// mentionsNow finds the words that date and time input reads as the current
// transaction's time: now, today, tomorrow, yesterday (PostgreSQL manual, 8.5.1.4).
func mentionsNow[T string | []byte](text T) bool {
	for i := 2; i < len(text); i++ {
		switch text[i] | 0x20 {
		case 'w':
			if endsWord(text, i, "now") || endsWord(text, i, "tomorrow") {
				return true
			}
		case 'y':
			if endsWord(text, i, "today") || endsWord(text, i, "yesterday") {
				return true
			}
		}
	}
	return false
}

// endsWord says whether word ends at text[last], with no letter on either side.
func endsWord[T string | []byte](text T, last int, word string) bool {
	first := last - len(word) + 1
	if first < 0 || first > 0 && isLetter(text[first-1]) || last+1 < len(text) && isLetter(text[last+1]) {
		return false
	}
	for k := range len(word) {
		if text[first+k]|0x20 != word[k] {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool {
	c |= 0x20
	return 'a' <= c && c <= 'z'
}
