package parser

import (
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v5"
)

const (
	// maxParseBytes bounds the text given to pg_query: its tree takes some
	// hundred times as much memory. Nothing that long is a read worth spreading.
	maxParseBytes = 1 << 20

	reasonUnparsable = "does not parse"
	reasonTooLong    = "too long to parse"
	reasonTooDeep    = "too deeply nested to parse"
	reasonUnknown    = "unknown statement"
)

// Classify is the verdict on a text, without any cache: tens of microseconds
// for an ordinary statement. It never returns nil and never fails: what it cannot
// read is AccessUnknown.
func Classify(sql string) *Verdict {
	v := classifyText(sql)
	says := readLeading([]byte(sql[:leadingBytes(sql)]))
	v.Commented, v.Hint = says.commented, says.hint()
	return v
}

// classifyText is Classify but for what comments say.
func classifyText(sql string) *Verdict {
	switch {
	case len(sql) > maxParseBytes:
		return opaque(reasonTooLong)
	case strings.IndexByte(sql, 0) >= 0 || !utf8.ValidString(sql):
		// The library would stop reading at a zero byte.
		return opaque(reasonUnparsable)
	}
	skeleton, info := skeletonOf(sql)
	if tooDeep(skeleton, info, len(sql)) {
		return opaque(reasonTooDeep)
	}
	v := classifyTree(sql)
	v.Backslash = info.backslash || !info.ok && strings.IndexByte(sql, '\\') >= 0
	return v
}

// opaque is the verdict on a text that was not understood.
func opaque(reason string) *Verdict { return opaqueOf(reason, false) }

func opaqueOf(reason string, keepsSession bool) *Verdict {
	v := &Verdict{Statements: []Statement{{Kind: KindUnknown, Access: AccessUnknown, Reason: reason,
		KeepsSession: keepsSession, Redefines: !keepsSession}}}
	v.LiteralDependent = true
	return v.sum()
}

func classifyTree(sql string) *Verdict {
	tree, err := pg.Parse(sql)
	if err != nil {
		if v := pgpoolStatement(sql); v != nil {
			return v
		}
		if tree = explainsAny(sql); tree == nil {
			return opaqueOf(reasonUnparsable, keepsSession(sql))
		}
	}
	return verdictOn(sql, tree)
}

// verdictOn is the verdict on a text that was parsed.
func verdictOn(sql string, tree *pg.ParseResult) *Verdict {
	v := &Verdict{Statements: make([]Statement, 0, len(tree.Stmts))}
	for _, raw := range tree.Stmts {
		w := walker{sql: textOf(sql, raw)}
		w.statement(raw.Stmt)
		w.finish()
		v.Statements = append(v.Statements, w.st)
		v.LiteralDependent = v.LiteralDependent || w.literalDependent
	}
	return v.sum()
}

// textOf is the statement's own text; length 0 means up to the end.
func textOf(sql string, raw *pg.RawStmt) string {
	start := min(max(int(raw.StmtLocation), 0), len(sql))
	end := len(sql)
	if n := int(raw.StmtLen); n > 0 {
		end = min(start+n, len(sql))
	}
	return strings.TrimSpace(sql[start:end])
}

// sum fills the fields that summarise the statements.
func (v *Verdict) sum() *Verdict {
	for i := range v.Statements {
		st := &v.Statements[i]
		if i == 0 || st.Access > v.Access {
			v.Access, v.Reason = st.Access, st.Reason
		}
		v.TransactionScoped = v.TransactionScoped || st.TransactionScoped
		v.CreatesTemp = v.CreatesTemp || st.CreatesTemp
		v.Redefines = v.Redefines || st.Redefines
		st.LocksSession = !st.planned && locksSession(st.Functions)
		st.ReadsCounters = st.readsCounters()
		v.Own = v.Own || st.IsOwn() || st.Signal.Parameter
		v.Stateful = v.Stateful || st.stateful()
	}
	v.Trustable = v.Access >= AccessWrite
	for i := range v.Statements {
		st := &v.Statements[i]
		v.Trustable = v.Trustable && (st.Access <= AccessRead || st.Trustable)
	}
	if len(v.Statements) == 1 {
		v.Single = v.Statements[0].Kind
	}
	v.resolved = &resolutions{}
	return v
}

// locksSession is whether a function takes an advisory lock that outlives its transaction.
func locksSession(functions []Name) bool {
	for _, f := range functions {
		switch f.Name {
		case "pg_advisory_lock", "pg_advisory_lock_shared", "pg_try_advisory_lock", "pg_try_advisory_lock_shared":
			return true
		}
	}
	return false
}

func (st *Statement) stateful() bool {
	switch st.Kind {
	case KindSelect, KindWrite, KindDDL, KindShow, KindExplain, KindCopyTo, KindCopyFrom:
		return st.Set != SetNone || st.CreatesTemp || st.LocksSession || st.ChangesDefaults || st.ReadsCounters || len(st.Databases) > 0
	}
	return true
}

// dedup removes repeated names, keeping the first of each.
func (st *Statement) dedup() {
	st.Relations = uniqueNames(st.Relations)
	st.Functions = uniqueNames(st.Functions)
}

func uniqueNames(names []Name) []Name {
	if len(names) < 2 {
		return names
	}
	seen := make(map[Name]bool, len(names))
	kept := names[:0]
	for _, n := range names {
		if !seen[n] {
			seen[n] = true
			kept = append(kept, n)
		}
	}
	return kept
}
