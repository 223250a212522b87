package parser

import (
	"regexp"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// bodyOfDo is the source of a DO block.
func bodyOfDo(n *pg.DoStmt) string {
	for _, arg := range n.Args {
		if d := arg.GetDefElem(); d.GetDefname() == "as" {
			return d.Arg.GetString_().GetSval()
		}
	}
	return ""
}

// block is a DO block. One that may change settings makes them unknown.
func (w *walker) block(n *pg.DoStmt) {
	body := bodyOfDo(n)
	w.st.CreatesTemp = mayMakeTemp(body)
	if sql, ok := plText(body); ok && languageOfDo(n) == "plpgsql" {
		if v := Classify(sql).merged(); v != nil {
			inner := &v.Statements[0]
			w.st.Set, w.st.CreatesTemp, w.st.Functions = inner.Set, inner.CreatesTemp, inner.Functions
			w.st.Redefines = inner.Redefines || inner.calls
			return
		}
	}
	if maySet(body) {
		w.st.Set = SetOpaque
	}
	w.st.Redefines = mayDefine(body)
}

func languageOfDo(n *pg.DoStmt) string {
	for _, arg := range n.Args {
		if d := arg.GetDefElem(); d.GetDefname() == "language" {
			return d.Arg.GetString_().GetSval()
		}
	}
	return "plpgsql"
}

// mayDefine looks for the words of a DO block that could define something. What a
// function defines that it calls is not seen.
func mayDefine(body string) bool {
	body = strings.ToLower(body)
	for _, word := range [...]string{"create", "alter", "drop", "execute", "call", "import"} {
		if strings.Contains(body, word) {
			return true
		}
	}
	return false
}

// makesTemp finds the words of source code that makes temporary objects; catalog.Load
// looks for the same in functions.
var makesTemp = regexp.MustCompile(`(?i)\b(pg_)?temp(orary)?(_\d+)?\b`)

func mayMakeTemp(body string) bool { return makesTemp.MatchString(body) }

// setting finds set_config() and SET, with what stands before that.
var setting = regexp.MustCompile(`(?i)([a-z0-9_"\x80-\xff]*)(\s*)\b(set_config|setseed|set|reset|discard)\b`)

// maySet is whether source code may change settings of the session: whether a SET begins a
// statement in it, that of a string to be executed included. In UPDATE t SET and ALTER … SET
// a name stands before it.
func maySet(body string) bool {
	commented := strings.Contains(body, "--") || strings.Contains(body, "/*") // anything may stand before a SET
	for _, found := range setting.FindAllStringSubmatch(body, -1) {
		before, word := strings.ToLower(found[1]), strings.ToLower(found[3])
		if word != "set" || before == "" || commented || slices.Contains(startOfStatement, before) {
			return true
		}
	}
	return false
}

// startOfStatement are the words of PL/pgSQL that a statement may follow.
var startOfStatement = []string{"begin", "then", "else", "loop", "execute"}

// widest is SetLocal, or SetOpaque, if one of two statements sets something for longer.
func widest(a, b SetOp) SetOp {
	switch {
	case b == SetNone:
		return a
	case b == SetLocal && (a == SetNone || a == SetLocal):
		return SetLocal
	}
	return SetOpaque
}

// merged is the verdict on a text that is always run as a whole, in few statements: one with
// what is certain, one with all the names that the others use. It is nil if a statement was not understood.
func (v *Verdict) merged() *Verdict {
	var certain, named Statement
	var uses Uses
	for i := range v.Statements {
		st := &v.Statements[i]
		certain.Functions = append(certain.Functions, st.Functions...)
		certain.CreatesTemp = certain.CreatesTemp || st.CreatesTemp
		certain.Redefines = certain.Redefines || st.Redefines && !st.calls
		certain.calls = certain.calls || st.calls
		certain.Set = widest(certain.Set, st.Set)
		switch u := st.Uses; {
		case u == nil && st.Access == AccessUnknown:
			return nil
		case u == nil:
			certain.TransactionScoped = certain.TransactionScoped || st.TransactionScoped
			if st.Access > certain.Access {
				certain.Access, certain.Reason = st.Access, st.Reason
			}
		default:
			uses.join(u)
			named.Relations = append(named.Relations, st.Relations...)
		}
	}
	named.dedup()
	certain.dedup()
	named.Uses = uses.keep(named.Relations)
	merged := &Verdict{Statements: []Statement{certain}}
	if named.Uses != nil {
		merged.Statements = append(merged.Statements, named)
	}
	return merged.sum()
}
