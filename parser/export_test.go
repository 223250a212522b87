package parser

import (
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Skeleton is the lexer's answer for tests.
func Skeleton(sql string) (skeleton string, ok bool) {
	out, info := skeletonOf(sql)
	return string(out), info.ok
}

// HasRule says whether a statement node is in the table.
func HasRule(node string) bool { _, ok := statementRules[node]; return ok }

// RuleNames are the names in the table.
func RuleNames() []string {
	var names []string
	for name := range statementRules {
		names = append(names, name)
	}
	return names
}

// NodeDecisions counts the tables that have a node: 1 is right.
func NodeDecisions(node string) int {
	n := 0
	for _, in := range []bool{HasRule(node), grammarNodes[node], analyzedNodes[node]} {
		if in {
			n++
		}
	}
	return n
}

// NodeNames are the nodes in the tables that are no statements.
func NodeNames() []string {
	return slices.Concat(slices.Collect(maps.Keys(grammarNodes)), slices.Collect(maps.Keys(analyzedNodes)))
}

// Walk is the walker's verdict on one node, wherever it stands.
func Walk(m protoreflect.Message) Access {
	var w walker
	w.walk(m)
	return w.st.Access
}

// ExactEntries counts what the exact cache holds.
func (p *Parser) ExactEntries() int { return p.exact.count() }

// SkeletonEntries counts what the skeleton cache holds.
func (p *Parser) SkeletonEntries() int { return p.skeletons.count() }

func (t *table) count() int {
	n := 0
	for i := range t.sets {
		for k := range ways {
			if t.sets[i].entries[k].Load() != nil {
				n++
			}
		}
	}
	return n
}

// MaxNesting is the limit on the depth of trees.
const MaxNesting = maxNesting

// String is the verdict in one readable line a statement, for golden files.
func (v *Verdict) String() string {
	var b strings.Builder
	b.WriteString(v.Access.String())
	for _, f := range []struct {
		on   bool
		name string
	}{
		{v.TransactionScoped, "transaction-scoped"}, {v.CreatesTemp, "creates-temp"}, {v.Redefines, "redefines"}, {v.Stateful, "stateful"},
		{v.LiteralDependent, "literal-dependent"}, {v.Backslash, "backslash"},
		{v.Trustable, "trustable"}, {v.Own, "own"}, {v.Commented, "commented"}, {v.Hint.Route != RouteNone, "hint=" + v.Hint.String()},
	} {
		if f.on {
			b.WriteString(" " + f.name)
		}
	}
	for i := range v.Statements {
		b.WriteString("\n  " + v.Statements[i].line())
	}
	return b.String()
}

func (st *Statement) line() string {
	parts := []string{st.Kind.String(), st.Access.String()}
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+"="+value)
		}
	}
	join := func(names []Name) string {
		var all []string
		for _, n := range names {
			all = append(all, n.String())
		}
		return strings.Join(all, ",")
	}
	if st.Reason != "" {
		parts = append(parts, "("+st.Reason+")")
	}
	add("relations", join(st.Relations))
	add("functions", join(st.Functions))
	add("object", st.Object)
	add("explained", st.Explained)
	if st.Hold {
		parts = append(parts, "hold")
	}
	if st.Set != SetNone {
		add("set", st.Set.String())
		add("setting", st.Setting)
		add("value", st.Value)
	}
	add("sql", strings.ReplaceAll(st.SQL, "\n", `\n`))
	if st.Isolation != IsolationDefault {
		add("isolation", st.Isolation.String())
	}
	if st.ReadOnly != ReadOnlyDefault {
		add("read-only", map[ReadOnly]string{ReadOnlyYes: "yes", ReadOnlyNo: "no"}[st.ReadOnly])
	}
	if st.Chain {
		parts = append(parts, "chain")
	}
	if st.TransactionScoped {
		parts = append(parts, "transaction-scoped")
	}
	if st.CreatesTemp {
		parts = append(parts, "creates-temp")
	}
	if st.Tame {
		parts = append(parts, "tame")
	}
	add("adds", strings.Join(st.Adds, ","))
	if st.Uncovers {
		parts = append(parts, "uncovers")
	}
	add("attaches", strings.Join(st.Attaches, ","))
	add("temp", strings.Join(st.TempNames, ","))
	if st.DropsAtCommit {
		parts = append(parts, "drops-at-commit")
	}
	if st.Drops {
		parts = append(parts, "drops")
	}
	add("databases", strings.Join(st.Databases, ","))
	if st.ChangesDefaults {
		parts = append(parts, "changes-defaults")
	}
	if st.KeepsSession {
		parts = append(parts, "keeps-session")
	}
	return strings.Join(parts, " ")
}

// Table is the caches' table for tests.
type Table struct{ t *table }

// NewTable makes a table of at most maxBytes.
func NewTable(maxBytes int64) Table { return Table{newTable(maxBytes)} }

// Put remembers a verdict.
func (t Table) Put(hash uint64, text []byte, v *Verdict) { t.t.put(hash, text, v) }

// Bytes is what the entries hold.
func (t Table) Bytes() int64 { return t.t.bytes.Load() }

// Entries counts them.
func (t Table) Entries() int { return t.t.count() }

// PLText is what a body in PL/pgSQL runs.
func PLText(body string) (string, bool) { return plText(body) }

// PLTokens are the tokens of a text, with spaces between.
func PLTokens(text string) string {
	tokens, _ := plTokens(text)
	var b strings.Builder
	for i := range tokens {
		if tokens[i].kind == plEnd {
			break
		}
		b.WriteString(text[tokens[i].start:tokens[i].end] + " ")
	}
	return b.String()
}
