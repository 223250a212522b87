package parser

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// cursorHold is CURSOR_OPT_HOLD of PostgreSQL's nodes/parsenodes.h.
const cursorHold = 0x0020

// statement fills w.st with the verdict on one top-level statement.
func (w *walker) statement(node *pg.Node) {
	m := contents(node)
	if m == nil {
		w.raise(AccessUnknown, reasonUnknown)
		w.st.Redefines = true
		return
	}
	name := string(m.Descriptor().Name())
	r, ok := statementRules[name]
	if !ok {
		w.raise(AccessUnknown, reasonUnknown)
		w.st.Redefines = true
		return
	}
	if w.planOnly && planned[name] {
		r.access = AccessRead
	}
	w.st.Kind, w.floor = r.kind, r.access
	w.raise(r.access, label(name, r.access))
	w.dispatch(node)
	if r := w.redefinition(name, w.st.Kind, node); !w.st.Redefines {
		w.st.Redefines, w.st.Tame, w.st.Adds, w.st.Uncovers, w.st.Attaches = r.redefines, r.tame, r.adds, r.uncovers, r.attaches
		if len(r.adds) > 0 {
			w.st.Makes = w.definitions(node)
		}
	}
	if w.asksSchema && w.saysTemp {
		w.raise(AccessSession, "temporary schema")
	}
}

// planned are the statements that EXPLAIN without ANALYZE plans on a standby as well.
var planned = map[string]bool{
	"InsertStmt": true, "UpdateStmt": true, "DeleteStmt": true, "MergeStmt": true,
	"CreateTableAsStmt": true, "DeclareCursorStmt": true,
}

// label is a statement's name for a reason: CreateSeqStmt -> CreateSeq.
func label(node string, access Access) string {
	if access == AccessRead {
		return ""
	}
	if l, ok := labels[node]; ok {
		return l
	}
	return strings.TrimSuffix(node, "Stmt")
}

// labels are the reasons of the statements that users meet most.
var labels = map[string]string{
	"InsertStmt": "INSERT", "UpdateStmt": "UPDATE", "DeleteStmt": "DELETE", "MergeStmt": "MERGE",
	"TruncateStmt": "TRUNCATE", "CallStmt": "CALL", "DoStmt": "DO", "LockStmt": "LOCK",
	"NotifyStmt": "NOTIFY", "ListenStmt": "LISTEN", "UnlistenStmt": "UNLISTEN", "LoadStmt": "LOAD",
	"VacuumStmt": "VACUUM or ANALYZE", "ClusterStmt": "CLUSTER", "ReindexStmt": "REINDEX",
	"CheckPointStmt": "CHECKPOINT", "RefreshMatViewStmt": "REFRESH MATERIALIZED VIEW",
	"AlterSystemStmt": "ALTER SYSTEM", "TransactionStmt": "transaction control",
	"VariableSetStmt": "SET", "VariableShowStmt": "SHOW", "ConstraintsSetStmt": "SET CONSTRAINTS",
	"DiscardStmt": "DISCARD", "PrepareStmt": "PREPARE", "ExecuteStmt": "EXECUTE",
	"DeallocateStmt": "DEALLOCATE", "DeclareCursorStmt": "DECLARE", "FetchStmt": "FETCH or MOVE",
	"ClosePortalStmt": "CLOSE", "CreateStmt": "CREATE TABLE", "CreateTableAsStmt": "CREATE TABLE AS",
	"ViewStmt": "CREATE VIEW", "CreateSeqStmt": "CREATE SEQUENCE", "IndexStmt": "CREATE INDEX",
	"AlterTableStmt": "ALTER TABLE", "DropStmt": "DROP", "CreateFunctionStmt": "CREATE FUNCTION",
}

// dispatch reads the statements that are more than their name.
func (w *walker) dispatch(node *pg.Node) {
	switch n := node.Node.(type) {
	case *pg.Node_CreatedbStmt:
		w.st.Databases = []string{n.CreatedbStmt.Dbname}
	case *pg.Node_DropdbStmt:
		w.st.Databases = []string{n.DropdbStmt.Dbname}
	case *pg.Node_DoStmt:
		w.literalDependent = true
		w.block(n.DoStmt)
	case *pg.Node_CallStmt:
		w.st.calls = true
		w.walk(n.CallStmt.ProtoReflect())
	case *pg.Node_CopyStmt:
		w.copyStmt(n.CopyStmt)
	case *pg.Node_ExplainStmt:
		w.explain(n.ExplainStmt)
	case *pg.Node_TransactionStmt:
		w.transaction(n.TransactionStmt)
	case *pg.Node_VariableSetStmt:
		w.variableSet(n.VariableSetStmt)
	case *pg.Node_ConstraintsSetStmt:
		w.literalDependent = true
		w.st.SQL = w.sql
	case *pg.Node_VariableShowStmt:
		w.st.Object = strings.ToLower(n.VariableShowStmt.Name)
		w.st.Console = consoleText(w.st.Object)
		if !sharedSettings[w.st.Object] {
			w.raise(AccessSession, "SHOW "+w.st.Object)
		}
	case *pg.Node_DiscardStmt:
		w.st.Object = discardTargets[n.DiscardStmt.Target]
	case *pg.Node_PrepareStmt:
		// Its query runs later, if ever.
		w.st.Object = n.PrepareStmt.Name
	case *pg.Node_ExecuteStmt:
		w.st.Object = n.ExecuteStmt.Name
		w.children(n.ExecuteStmt.ProtoReflect())
	case *pg.Node_DeallocateStmt:
		w.st.Object = n.DeallocateStmt.Name
	case *pg.Node_DeclareCursorStmt:
		w.st.Object = n.DeclareCursorStmt.Portalname
		w.st.Hold = n.DeclareCursorStmt.Options&cursorHold != 0
		w.children(n.DeclareCursorStmt.ProtoReflect())
	case *pg.Node_FetchStmt:
		w.st.Object = n.FetchStmt.Portalname
	case *pg.Node_ClosePortalStmt:
		w.st.Object = n.ClosePortalStmt.Portalname
	case *pg.Node_ListenStmt:
		w.st.Object = n.ListenStmt.Conditionname
	case *pg.Node_UnlistenStmt:
		w.st.Object = n.UnlistenStmt.Conditionname
	case *pg.Node_SelectStmt:
		w.selectOfSetConfig(n.SelectStmt)
		w.selectOfSignal(n.SelectStmt)
		w.walk(n.SelectStmt.ProtoReflect())
	case *pg.Node_AlterDatabaseSetStmt, *pg.Node_AlterRoleSetStmt:
		w.st.ChangesDefaults = true
	case *pg.Node_DropStmt:
		w.dropped(n.DropStmt)
	case *pg.Node_RenameStmt:
		if n.RenameStmt.RenameType == pg.ObjectType_OBJECT_DATABASE {
			w.st.Databases = []string{n.RenameStmt.Subname, n.RenameStmt.Newname}
		}
		w.walk(n.RenameStmt.ProtoReflect())
		if rel := n.RenameStmt.Relation; rel != nil && n.RenameStmt.RenameType != pg.ObjectType_OBJECT_COLUMN {
			w.st.Relations = append(w.st.Relations, Name{Schema: rel.Schemaname, Name: n.RenameStmt.Newname})
		}
	case *pg.Node_CreateStmt:
		w.walk(n.CreateStmt.ProtoReflect())
		w.st.DropsAtCommit = n.CreateStmt.Oncommit == pg.OnCommitAction_ONCOMMIT_DROP
		if len(n.CreateStmt.InhRelations) > 0 && n.CreateStmt.Partbound == nil {
			w.st.TempNames = nil // who reads its parents, permanent ones too, or theirs reads it
		}
	default:
		w.definition(node)
		w.walk(node.ProtoReflect())
	}
}

var discardTargets = map[pg.DiscardMode]string{
	pg.DiscardMode_DISCARD_ALL:       "all",
	pg.DiscardMode_DISCARD_PLANS:     "plans",
	pg.DiscardMode_DISCARD_SEQUENCES: "sequences",
	pg.DiscardMode_DISCARD_TEMP:      "temp",
}

// copyStmt: COPY of a query is as its query; a file or a program is the server's own.
func (w *walker) copyStmt(n *pg.CopyStmt) {
	switch {
	case n.IsFrom:
		w.st.Kind = KindCopyFrom
		w.raise(AccessWrite, "COPY FROM")
	case n.IsProgram:
		w.raise(AccessWrite, "COPY TO PROGRAM")
	case n.Filename != "":
		w.raise(AccessWrite, "COPY TO a file")
	}
	w.children(n.ProtoReflect())
}

// explain: without ANALYZE nothing runs. A standby has the statistics that a plan
// is made from, and may take the locks that planning a write takes.
func (w *walker) explain(n *pg.ExplainStmt) {
	analyze, own, format := false, false, ""
	for _, option := range n.Options {
		d := option.GetDefElem()
		if d == nil {
			continue
		}
		if d.Arg != nil {
			w.literalDependent = true
		}
		switch d.Defname {
		case "analyze":
			analyze = isTrue(d.Arg)
		case "howdah":
			own = isTrue(d.Arg)
		case "format":
			format = strings.ToLower(d.Arg.GetString_().GetSval())
		}
	}
	m := contents(n.Query)
	if m == nil {
		w.raise(AccessUnknown, reasonUnknown)
		return
	}
	inner := walker{sql: w.sql, planOnly: !analyze}
	inner.statement(n.Query)
	w.literalDependent, w.params = w.literalDependent || inner.literalDependent, inner.params
	w.st.Relations, w.st.Functions, w.st.planned = inner.st.Relations, inner.st.Functions, !analyze
	w.st.TransactionScoped = inner.st.TransactionScoped
	if analyze {
		w.st.CreatesTemp, w.st.TempNames, w.st.DropsAtCommit = inner.st.CreatesTemp, inner.st.TempNames, inner.st.DropsAtCommit
	}
	w.st.Redefines = inner.st.Redefines && analyze
	if inner.st.Set != SetNone && analyze {
		w.st.Set = SetOpaque
	}
	if own {
		w.explainOwn(format)
		return
	}
	w.uses, w.certain = inner.uses, max(w.certain, inner.certain)
	w.sure = w.sure || inner.sure
	w.uses.explained, w.uses.planned = true, !analyze
	w.raiseByName(inner.st.Access, "EXPLAIN of "+inner.st.Reason)
}

// isTrue reads the argument of a boolean option; what it does not know is true.
func isTrue(arg *pg.Node) bool {
	switch a := arg.GetNode().(type) {
	case *pg.Node_Integer:
		return a.Integer.Ival != 0
	case *pg.Node_Boolean:
		return a.Boolean.Boolval
	case *pg.Node_String_:
		switch strings.ToLower(a.String_.Sval) {
		case "false", "off":
			return false
		}
	}
	return true
}

// dropped lists the relations of a DROP; other objects have no name here.
func (w *walker) dropped(n *pg.DropStmt) {
	switch n.RemoveType {
	case pg.ObjectType_OBJECT_TABLE, pg.ObjectType_OBJECT_VIEW, pg.ObjectType_OBJECT_MATVIEW,
		pg.ObjectType_OBJECT_SEQUENCE, pg.ObjectType_OBJECT_FOREIGN_TABLE, pg.ObjectType_OBJECT_INDEX:
	default:
		return
	}
	w.st.Drops = true
	for _, object := range n.Objects {
		if list := object.GetList(); list != nil {
			w.st.Relations = append(w.st.Relations, nameFrom(list.Items))
		}
	}
}

// definition finds CREATE statements that make temporary objects otherwise
// than by a RangeVar, which walk sees.
func (w *walker) definition(node *pg.Node) {
	var names []*pg.Node
	switch n := node.Node.(type) {
	case *pg.Node_CreateFunctionStmt:
		names = n.CreateFunctionStmt.Funcname
	case *pg.Node_CreateEnumStmt:
		names = n.CreateEnumStmt.TypeName
	case *pg.Node_CreateRangeStmt:
		names = n.CreateRangeStmt.TypeName
	case *pg.Node_CreateDomainStmt:
		names = n.CreateDomainStmt.Domainname
	case *pg.Node_DefineStmt:
		names = n.DefineStmt.Defnames
	}
	if len(names) > 1 && isTempSchema(nameFrom(names).Schema) {
		w.st.CreatesTemp = true
	}
}
