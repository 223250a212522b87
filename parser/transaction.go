package parser

import (
	pg "github.com/pganalyze/pg_query_go/v5"
)

// transaction reads transaction control.
func (w *walker) transaction(n *pg.TransactionStmt) {
	w.st.Object = n.SavepointName
	w.st.Chain = n.Chain
	switch n.Kind {
	case pg.TransactionStmtKind_TRANS_STMT_BEGIN, pg.TransactionStmtKind_TRANS_STMT_START:
		w.st.Kind = KindBegin
		w.st.SQL = w.sql
		w.literalDependent = true
		w.modes(n.Options)
	case pg.TransactionStmtKind_TRANS_STMT_COMMIT:
		w.st.Kind = KindCommit
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK:
		w.st.Kind = KindRollback
	case pg.TransactionStmtKind_TRANS_STMT_SAVEPOINT:
		w.st.Kind = KindSavepoint
	case pg.TransactionStmtKind_TRANS_STMT_RELEASE:
		w.st.Kind = KindRelease
	case pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_TO:
		w.st.Kind = KindRollbackTo
	case pg.TransactionStmtKind_TRANS_STMT_PREPARE, pg.TransactionStmtKind_TRANS_STMT_COMMIT_PREPARED,
		pg.TransactionStmtKind_TRANS_STMT_ROLLBACK_PREPARED:
		w.st.Kind = KindTwoPhase
		w.raise(AccessWrite, "two-phase commit")
	default:
		w.raise(AccessUnknown, reasonUnknown)
	}
}

// modes reads ISOLATION LEVEL and READ ONLY / READ WRITE; of one named twice the
// server takes the last. It returns the settings that the modes are.
func (w *walker) modes(options []*pg.Node) []string {
	var settings []string
	for _, node := range options {
		option := node.GetDefElem()
		if option == nil {
			continue
		}
		settings = append(settings, option.Defname)
		w.mode(option.Defname, option.Arg.GetAConst())
	}
	return settings
}

func (w *walker) mode(setting string, value *pg.A_Const) {
	switch setting {
	case "transaction_isolation", "default_transaction_isolation":
		w.st.Isolation = isolationOf(constantText(value))
	case "transaction_read_only", "default_transaction_read_only":
		w.st.ReadOnly = readOnlyOf(constantText(value))
	}
}

func isolationOf(text string) Isolation {
	for i, name := range isolationNames {
		if i > 0 && equalFold(text, name) {
			return Isolation(i)
		}
	}
	return IsolationDefault
}

// readOnlyOf reads a boolean as the server's parse_bool does, whose words may be
// cut to any unique beginning.
func readOnlyOf(text string) ReadOnly {
	switch {
	case text == "":
		return ReadOnlyDefault
	case text == "1", beginning(text, "true", 1), beginning(text, "yes", 1), beginning(text, "on", 2):
		return ReadOnlyYes
	case text == "0", beginning(text, "false", 1), beginning(text, "no", 1), beginning(text, "off", 2):
		return ReadOnlyNo
	}
	return ReadOnlyDefault
}

func beginning(text, word string, atLeast int) bool {
	return len(text) >= atLeast && len(text) <= len(word) && equalFold(text, word[:len(text)])
}

// equalFold compares ASCII without case.
func equalFold[T string | []byte](a T, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
