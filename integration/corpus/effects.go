package main

import (
	"regexp"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"github.com/howdah/howdah/parser"
)

// effect is what a text does besides answering, as far as the trial must know.
type effect uint8

const (
	// answers: it is worth comparing.
	answers effect = iota
	// changesSession: it has no answer but what it does to the session.
	changesSession
	// mayWrite: only the standby may try it; a second run on the primary would
	// do twice what it does.
	mayWrite
)

// statementEffects are the statements that do not just answer. What is not
// here and no query may write.
var statementEffects = map[string]effect{
	"SelectStmt": answers, "ExplainStmt": answers, "VariableShowStmt": answers, "CopyStmt": answers,

	"VariableSetStmt": changesSession, "TransactionStmt": changesSession, "ConstraintsSetStmt": changesSession,
	"PrepareStmt": changesSession, "ExecuteStmt": changesSession, "DeallocateStmt": changesSession,
	"DeclareCursorStmt": changesSession, "FetchStmt": changesSession, "ClosePortalStmt": changesSession,
	"ListenStmt": changesSession, "UnlistenStmt": changesSession, "DiscardStmt": changesSession,
	"LoadStmt": changesSession, "CheckPointStmt": changesSession,
}

// acting matches functions whose effect is on the session or the node that runs
// them, so that running them elsewhere does something else though the answer is the same.
var acting = regexp.MustCompile(`^(pg_(try_)?advisory_.*|setseed|set_config|pg_(cancel|terminate)_backend|` +
	`pg_reload_conf|pg_rotate_logfile|pg_stat_reset.*|pg_stat_force_next_flush|pg_log_backend_memory_contexts|pg_prewarm)$`)

// forbidden are functions that no trial may call: the cluster would not be the same after.
var forbidden = regexp.MustCompile(`(?i)pg_promote|pg_wal_replay_pause|pg_wal_replay_resume`)

// effectOf looks at what the text says. What does not parse may be compared: a
// server refuses it anyway.
func effectOf(sql string) effect {
	tree, err := pg.Parse(sql)
	if err != nil {
		return answers
	}
	most := answers
	for _, raw := range tree.Stmts {
		m := raw.Stmt.ProtoReflect()
		field := m.WhichOneof(m.Descriptor().Oneofs().Get(0))
		if field == nil {
			continue
		}
		e, known := statementEffects[string(field.Message().Name())]
		if !known {
			e = mayWrite
		}
		if c := raw.Stmt.GetCopyStmt(); c != nil && (c.IsFrom || c.Filename != "") {
			e = mayWrite
		}
		if x := raw.Stmt.GetExplainStmt(); x != nil && explainsWrite(x) {
			e = mayWrite
		}
		most = max(most, e)
	}
	return most
}

// explainsWrite is whether it may run something other than a SELECT.
func explainsWrite(x *pg.ExplainStmt) bool {
	if x.Query.GetSelectStmt() != nil {
		return false
	}
	for _, option := range x.Options {
		if option.GetDefElem().GetDefname() == "analyze" {
			return true
		}
	}
	return x.Query.GetExecuteStmt() != nil
}

// acts is whether the text calls a function that acts where it runs.
func acts(sql string, v *parser.Verdict) bool {
	for i := range v.Statements {
		if v.Statements[i].Kind == parser.KindExplain && !strings.Contains(strings.ToLower(sql), "analyze") {
			continue // it is not called
		}
		for _, f := range v.Statements[i].Functions {
			if acting.MatchString(f.Name) {
				return true
			}
		}
	}
	return false
}

// setsSetting is whether the text must be repeated in the other sessions, for
// their settings to be those of the first one.
func setsSetting(v *parser.Verdict) bool {
	for i := range v.Statements {
		st := &v.Statements[i]
		if st.Set != parser.SetNone && st.Set != parser.SetLocal || st.Kind == parser.KindDiscard && st.Object == "all" {
			return true
		}
	}
	return false
}

// inOrder is whether the rows of the text's i-th answer come in an order that
// the statement asks for.
func inOrder(sql string) []bool {
	tree, err := pg.Parse(sql)
	if err != nil {
		return nil
	}
	ordered := make([]bool, len(tree.Stmts))
	for i, raw := range tree.Stmts {
		query := raw.Stmt.GetSelectStmt()
		if c := raw.Stmt.GetCopyStmt(); c != nil {
			query = c.Query.GetSelectStmt()
		}
		ordered[i] = raw.Stmt.GetExplainStmt() != nil || query != nil && len(query.SortClause) > 0
	}
	return ordered
}

// ownFunctions is whether the text calls functions that are not in builtin.
func ownFunctions(v *parser.Verdict, builtin map[string]bool) bool {
	for i := range v.Statements {
		for _, f := range v.Statements[i].Functions {
			if f.Schema != "" && f.Schema != "pg_catalog" || !builtin[strings.ToLower(f.Name)] {
				return true
			}
		}
	}
	return false
}
