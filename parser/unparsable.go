package parser

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// plainVerbs begin the statements that query or change data.
var plainVerbs = makeSet("select with values table insert update delete merge explain copy")

// tellingWords make even such a statement one that may change more: settings, temporary
// objects, definitions.
var tellingWords = makeSet("set_config setseed temp temporary unlogged create")

// keepsSession looks at a text that does not parse, of a newer PostgreSQL perhaps, for
// Statement.KeepsSession. SELECT INTO makes an ordinary table, which defines nothing.
func keepsSession(sql string) bool {
	if strings.IndexByte(sql, '\\') >= 0 && keepsWithEscapes(sql) {
		return true
	}
	skeleton, info := skeletonOf(sql)
	if !info.ok {
		return false
	}
	text := strings.TrimRight(strings.ToLower(string(skeleton)), "; ")
	if strings.Contains(text, ";") {
		return false
	}
	first := true
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r < 0x80 && class[r] != ident && class[r] != digit }) {
		if first && !plainVerbs[word] || tellingWords[word] || isTempSchema(word) {
			return false
		}
		first = false
	}
	return !first
}

// keepsWithEscapes reads the text as a server does with standard_conforming_strings off, where a
// backslash in a plain literal is an escape.
func keepsWithEscapes(sql string) bool {
	text, ok := withEscapes(sql)
	if !ok || len(text) > maxParseBytes {
		return false
	}
	skeleton, info := skeletonOf(text)
	if tooDeep(skeleton, info, len(text)) {
		return false
	}
	tree, err := pg.Parse(text)
	if err != nil {
		return false
	}
	v := verdictOn(text, tree)
	return !v.Stateful && !v.Redefines
}

// withEscapes writes plain literals as E'…', with backslashes for what they are without
// standard_conforming_strings; false if a literal or comment does not end.
func withEscapes(sql string) (string, bool) {
	var b strings.Builder
	for i := 0; ; {
		start := i
		if i = plSpace(sql, i); i < 0 {
			return "", false
		}
		b.WriteString(sql[start:i])
		if i == len(sql) {
			return b.String(), true
		}
		end := 0
		if sql[i] == '\'' {
			end = plQuote(sql, i+1, '\'', true)
			b.WriteString(" E")
		} else {
			_, end = plNext(sql, i)
		}
		if end < 0 || end > len(sql) {
			return "", false
		}
		b.WriteString(sql[i:end])
		i = end
	}
}
