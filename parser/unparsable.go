package parser

import "strings"

// plainVerbs begin the statements that query or change data.
var plainVerbs = makeSet("select with values table insert update delete merge explain copy")

// tellingWords make even such a statement one that may change more: settings, temporary
// objects, definitions.
var tellingWords = makeSet("set_config setseed temp temporary unlogged create")

// keepsSession looks at a text that does not parse, of a newer PostgreSQL perhaps, for
// Statement.KeepsSession. SELECT INTO makes an ordinary table, which defines nothing.
func keepsSession(sql string) bool {
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
