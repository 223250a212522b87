package parser

import "strings"

// plKind is the kind of a token of PL/pgSQL, which are those of SQL.
type plKind uint8

const (
	plEnd    plKind = iota
	plWord          // an identifier or keyword without quotes
	plQuoted        // "identifier"
	plString        // any literal in quotes or dollars
	plNumber        // also $1
	plSymbol        // an operator, := .. or one of ( ) [ ] , ; . :
)

// plToken is one token of a body: src[start:end].
type plToken struct {
	kind       plKind
	start, end int
	// text is the token; of a plWord it is in lower case.
	text string
}

func (t *plToken) is(symbol string) bool { return t.kind == plSymbol && t.text == symbol }

func (t *plToken) name() bool { return t.kind == plWord || t.kind == plQuoted }

// plTokens cuts a body into tokens, comments and white space left out; false if a literal
// or comment does not end. The last token is plEnd.
func plTokens(src string) ([]plToken, bool) {
	var list []plToken
	for i := 0; ; {
		i = plSpace(src, i)
		if i < 0 {
			return nil, false
		}
		if i == len(src) {
			return append(list, plToken{kind: plEnd, start: i, end: i}), true
		}
		kind, end := plNext(src, i)
		if end < 0 {
			return nil, false
		}
		t := plToken{kind: kind, start: i, end: end, text: src[i:end]}
		if kind == plWord {
			t.text = strings.ToLower(t.text)
		}
		list = append(list, t)
		i = end
	}
}

// plSpace is where the next token begins; negative if a comment does not end.
func plSpace(src string, i int) int {
	for i < len(src) {
		switch rest := src[i:]; {
		case class[src[i]] == space:
			i++
		case strings.HasPrefix(rest, "--"):
			if n := strings.IndexAny(rest, "\n\r"); n >= 0 {
				i += n
			} else {
				i = len(src)
			}
		case strings.HasPrefix(rest, "/*"):
			if i = plComment(src, i); i < 0 {
				return -1
			}
		default:
			return i
		}
	}
	return i
}

// plComment is the end of the comment at i; such comments nest.
func plComment(src string, i int) int {
	for depth := 0; i < len(src); {
		switch rest := src[i:]; {
		case strings.HasPrefix(rest, "/*"):
			depth++
			i += 2
		case strings.HasPrefix(rest, "*/"):
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

const (
	plSelf      = "()[],;:."
	plOperators = "~!@#^&|`?+-*/%<>="
)

// plNext is the token at i; its end is negative if it has none.
func plNext(src string, i int) (plKind, int) {
	c := src[i]
	switch {
	case c == '\'':
		return plString, plQuote(src, i+1, '\'', false)
	case c == '"':
		return plQuoted, plQuote(src, i+1, '"', false)
	case c == '$':
		return plDollar(src, i)
	case isDigit(c), c == '.' && i+1 < len(src) && isDigit(src[i+1]):
		return plNumber, plDigits(src, i)
	case class[c] == ident:
		return plName(src, i)
	case strings.HasPrefix(src[i:], ":=") || strings.HasPrefix(src[i:], "..") || strings.HasPrefix(src[i:], "::"):
		return plSymbol, i + 2
	case strings.IndexByte(plSelf, c) >= 0:
		return plSymbol, i + 1
	case strings.IndexByte(plOperators, c) >= 0:
		return plSymbol, plOperator(src, i)
	}
	return plSymbol, i + 1 // no character of SQL's; what holds it will not parse
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// plQuote is the end of a literal whose content begins at i. A doubled quote is content.
func plQuote(src string, i int, quote byte, escapes bool) int {
	for ; i < len(src); i++ {
		switch {
		case escapes && src[i] == '\\':
			i++
		case src[i] != quote:
		case i+1 < len(src) && src[i+1] == quote:
			i++
		default:
			return i + 1
		}
	}
	return -1
}

// plDollar is $1 or a literal between dollars.
func plDollar(src string, i int) (plKind, int) {
	j := i + 1
	if j < len(src) && isDigit(src[j]) {
		for j < len(src) && isDigit(src[j]) {
			j++
		}
		return plNumber, j
	}
	for j < len(src) && src[j] != '$' && continues(src[j]) {
		j++
	}
	if j >= len(src) || src[j] != '$' {
		return plSymbol, i + 1
	}
	tag := src[i : j+1]
	if n := strings.Index(src[j+1:], tag); n >= 0 {
		return plString, j + 1 + n + len(tag)
	}
	return plString, -1
}

// plDigits is the end of a number; 1..2 is 1, .. and 2.
func plDigits(src string, i int) int {
	for i < len(src) {
		switch c := src[i]; {
		case c == '.' && i+1 < len(src) && src[i+1] == '.':
			return i
		case (c == '+' || c == '-') && (src[i-1] == 'e' || src[i-1] == 'E') && i+1 < len(src) && isDigit(src[i+1]):
		case c == '.', continues(c) && c != '$':
		default:
			return i
		}
		i++
	}
	return i
}

// plName is an identifier, or a literal that begins with letters: E'…', U&'…'.
func plName(src string, i int) (plKind, int) {
	if i+1 < len(src) && src[i+1] == '\'' && strings.IndexByte("eEbBxXnN", src[i]) >= 0 {
		return plString, plQuote(src, i+2, '\'', src[i] == 'e' || src[i] == 'E')
	}
	if i+2 < len(src) && (src[i] == 'u' || src[i] == 'U') && src[i+1] == '&' {
		switch src[i+2] {
		case '\'':
			return plString, plQuote(src, i+3, '\'', false)
		case '"':
			return plQuoted, plQuote(src, i+3, '"', false)
		}
	}
	for i < len(src) && continues(src[i]) {
		i++
	}
	return plWord, i
}

// plOperator is the end of an operator: it stops before a comment, and ends in + or - only
// if it has a character that SQL's own operators have not (PostgreSQL manual, Operators).
func plOperator(src string, i int) int {
	start, special := i, false
	for i < len(src) && strings.IndexByte(plOperators, src[i]) >= 0 {
		if rest := src[i:]; i > start && (strings.HasPrefix(rest, "--") || strings.HasPrefix(rest, "/*")) {
			break
		}
		special = special || strings.IndexByte("~!@#%^&|`?", src[i]) >= 0
		i++
	}
	for i > start+1 && !special && (src[i-1] == '+' || src[i-1] == '-') {
		i--
	}
	return i
}
