package parser

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// explainOwn: EXPLAIN (HOWDAH) asks howdah, which answers it and runs nothing.
func (w *walker) explainOwn(format string) {
	w.literalDependent = true
	if _, after, ok := strings.Cut(w.sql, ")"); ok { // the options have no brackets of their own
		w.st.Explained = strings.TrimSpace(after)
	}
	w.st.Object = format
	w.st.TransactionScoped, w.st.CreatesTemp = false, false
	w.raise(AccessSession, "EXPLAIN (HOWDAH)")
}

// explainsAny is the tree of EXPLAIN (HOWDAH) of what PostgreSQL's EXPLAIN does not take:
// COPY, SHOW, SET, BEGIN, what does not parse. It has another statement in its place,
// as only the text of that is asked for (explainOwn). Of any other text it is nil.
func explainsAny(sql string) *pg.ParseResult {
	options, _, ok := strings.Cut(sql, ")")
	if !ok || !strings.Contains(strings.ToLower(options), "howdah") {
		return nil
	}
	tree, err := pg.Parse(options + ") SELECT")
	if err != nil || len(tree.Stmts) != 1 {
		return nil
	}
	for _, option := range tree.Stmts[0].Stmt.GetExplainStmt().GetOptions() {
		if d := option.GetDefElem(); d.GetDefname() == "howdah" && isTrue(d.Arg) {
			tree.Stmts[0].StmtLen = 0 // it goes on to the end
			return tree
		}
	}
	return nil
}
