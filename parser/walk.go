package parser

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/howdah/howdah/parser/catalog"
)

// walker visits every node of one statement and raises its access by what it
// meets. It goes down by reflection, so that no position an expression may stand in can
// be forgotten.
type walker struct {
	sql string
	st  Statement
	// ctes are the names of WITH members that a FROM item here would mean.
	ctes             *scope
	literalDependent bool
	// floor is the access that the statement's kind alone asks for.
	floor Access
	// sure: something raised the access that no user can vouch for, other than a
	// function that is not known.
	sure bool
	// params is the highest $n.
	params int
	// inside counts the query nodes above: 0 at the statement itself.
	inside int
	// uses collects the names, and certain is the access without them.
	uses    Uses
	certain Access
	// planOnly: the statement is explained and does not run. What it would write or
	// lock is as good as read; its functions may be called to make the plan.
	planOnly bool
	// asksSchema: it asks for the first schema of search_path; saysTemp: a literal
	// names a temporary schema. Both together ask whether that comes first: a session of
	// which it does makes the schema by asking, which a standby refuses.
	asksSchema, saysTemp bool
}

// scope is one visible WITH member; the chain goes outwards.
type scope struct {
	name  string
	outer *scope
}

func (s *scope) has(name string) bool {
	for ; s != nil; s = s.outer {
		if s.name == name {
			return true
		}
	}
	return false
}

// raise keeps the highest access and the reason that first reached it, for what
// is certain whatever names mean.
func (w *walker) raise(access Access, reason string) {
	w.raiseByName(access, reason)
	w.sure = w.sure || access > AccessRead
	w.certain = max(w.certain, access)
}

// raiseByName is raise for what depends on a name, which uses must note.
func (w *walker) raiseByName(access Access, reason string) {
	if access > w.st.Access {
		w.st.Access, w.st.Reason = access, reason
	}
}

// scoped notes an answer that is fixed for the transaction, whatever names mean.
func (w *walker) scoped() {
	w.st.TransactionScoped, w.uses.TransactionScoped = true, true
}

// finish completes w.st when all is walked.
func (w *walker) finish() {
	w.st.dedup()
	w.st.Params = max(w.st.Params, w.params)
	w.st.Trustable = w.st.Access >= AccessWrite && !w.sure && w.st.Set == SetNone
	if w.certain <= AccessRead {
		w.st.Uses = w.uses.keep(w.st.Relations)
	}
}

// effect is raise for what only happens when the statement runs.
func (w *walker) effect(access Access, reason string) {
	if !w.planOnly {
		w.raise(access, reason)
	}
}

// contents is the message inside a Node, or nil.
func contents(node *pg.Node) protoreflect.Message {
	if node == nil || node.Node == nil {
		return nil
	}
	m := node.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().Get(0))
	if field == nil || field.Kind() != protoreflect.MessageKind {
		return nil
	}
	return m.Get(field).Message()
}

// each calls f for the fields of m that are set, in the order of their
// declaration. (Range has an order that changes with every build of the program, and with it
// reasons would.)
func each(m protoreflect.Message, f func(protoreflect.FieldDescriptor, protoreflect.Value)) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		if field := fields.Get(i); m.Has(field) {
			f(field, m.Get(field))
		}
	}
}

// children walks every message that m holds.
func (w *walker) children(m protoreflect.Message) {
	each(m, func(field protoreflect.FieldDescriptor, value protoreflect.Value) {
		w.field(field, value)
	})
}

func (w *walker) field(field protoreflect.FieldDescriptor, value protoreflect.Value) {
	if field.Kind() != protoreflect.MessageKind {
		return
	}
	if !field.IsList() {
		w.walk(value.Message())
		return
	}
	list := value.List()
	for i := range list.Len() {
		w.walk(list.Get(i).Message())
	}
}

// walk decides about one node, then goes down.
func (w *walker) walk(m protoreflect.Message) {
	switch n := m.Interface().(type) {
	case *pg.Node:
		// Of its hundreds of fields one is set.
		if inner := contents(n); inner != nil {
			w.walk(inner)
		}
		return
	case *pg.A_Const:
		w.constant(n)
		return
	case *pg.ColumnRef:
		w.column(n)
		return
	case *pg.ParamRef:
		w.params = max(w.params, int(n.Number))
		return
	case *pg.Alias, *pg.String:
		return
	case *pg.SelectStmt:
		w.query(m, n.WithClause)
		return
	case *pg.InsertStmt:
		w.modify(m, "INSERT", n.Relation, n.WithClause)
		return
	case *pg.UpdateStmt:
		w.modify(m, "UPDATE", n.Relation, n.WithClause)
		return
	case *pg.DeleteStmt:
		w.modify(m, "DELETE", n.Relation, n.WithClause)
		return
	case *pg.MergeStmt:
		w.modify(m, "MERGE", n.Relation, n.WithClause)
		return
	case *pg.IntoClause:
		w.into(n)
		return
	case *pg.LockingClause:
		// Its relations are aliases of FROM items.
		w.effect(AccessWrite, lockReasons[n.Strength])
		return
	case *pg.RangeVar:
		w.relation(n)
		return
	case *pg.FuncCall:
		w.function(n)
	case *pg.A_Expr:
		w.uses.expression(n)
	case *pg.SubLink:
		if n.SubLinkType == pg.SubLinkType_ANY_SUBLINK || n.SubLinkType == pg.SubLinkType_ALL_SUBLINK {
			w.uses.operator(n.OperName)
		}
	case *pg.CaseExpr:
		if n.Arg != nil {
			w.uses.operator(nil)
		}
	case *pg.JoinExpr:
		if len(n.UsingClause) > 0 || n.IsNatural {
			w.uses.operator(nil)
		}
	case *pg.SortBy:
		if len(n.UseOp) > 0 {
			w.uses.operator(n.UseOp)
		}
	case *pg.A_Indirection:
		for _, part := range n.Indirection {
			w.uses.field(part)
			w.sequenceField(part)
		}
	case *pg.TypeName:
		w.uses.typeName(n)
	case *pg.SQLValueFunction:
		w.valueFunction(n.Op)
	case *pg.RangeTableSample:
		w.sample(n)
	case *pg.CurrentOfExpr:
		w.raise(AccessWrite, "WHERE CURRENT OF")
	case *pg.NextValueExpr:
		w.raise(AccessWrite, "function nextval")
	default:
		w.known(m)
	}
	w.children(m)
}

// known raises what no table knows: a node that came with a newer library.
func (w *walker) known(m protoreflect.Message) {
	name := string(m.Descriptor().Name())
	if _, ok := statementRules[name]; !ok && !grammarNodes[name] && !analyzedNodes[name] {
		w.raise(AccessUnknown, reasonNode)
	}
}

// column looks for what only sequences have: a standby shows a sequence's state
// as it will be after values that are not given out yet.
func (w *walker) column(n *pg.ColumnRef) {
	if len(n.Fields) == 0 {
		return
	}
	w.uses.column(n)
	w.sequenceField(n.Fields[len(n.Fields)-1])
}

func (w *walker) sequenceField(n *pg.Node) {
	switch n.GetString_().GetSval() {
	case "last_value", "log_cnt", "is_called":
		w.raise(AccessSession, "sequence state")
	}
}

var lockReasons = map[pg.LockClauseStrength]string{
	pg.LockClauseStrength_LOCK_CLAUSE_STRENGTH_UNDEFINED: "row lock",
	pg.LockClauseStrength_LCS_NONE:                       "row lock",
	pg.LockClauseStrength_LCS_FORKEYSHARE:                "FOR KEY SHARE",
	pg.LockClauseStrength_LCS_FORSHARE:                   "FOR SHARE",
	pg.LockClauseStrength_LCS_FORNOKEYUPDATE:             "FOR NO KEY UPDATE",
	pg.LockClauseStrength_LCS_FORUPDATE:                  "FOR UPDATE",
}

// constant finds the words that date and time types read as the start of the
// transaction, whatever their type turns out to be. The lexer keeps such literals in
// the skeleton, so they need not make the verdict literal dependent.
func (w *walker) constant(c *pg.A_Const) {
	s := c.GetSval()
	if s == nil || len(s.Sval) > maxTimeText {
		return
	}
	if mentionsNow(s.Sval) {
		w.scoped()
	}
	w.saysTemp = w.saysTemp || mentionsTemp(s.Sval)
}

// query walks a SELECT with its WITH members in scope.
func (w *walker) query(m protoreflect.Message, with *pg.WithClause) {
	saved := w.ctes
	w.inside++
	w.with(with)
	each(m, func(field protoreflect.FieldDescriptor, value protoreflect.Value) {
		if field.Name() != "with_clause" {
			w.field(field, value)
		}
	})
	w.inside--
	w.ctes = saved
}

// with walks WITH members. Without RECURSIVE each sees those before it; with
// RECURSIVE all see all (PostgreSQL manual, SELECT, WITH clause).
func (w *walker) with(with *pg.WithClause) {
	if with == nil {
		return
	}
	if with.Recursive {
		for _, node := range with.Ctes {
			w.push(node.GetCommonTableExpr())
		}
	}
	for _, node := range with.Ctes {
		cte := node.GetCommonTableExpr()
		if cte == nil {
			w.walk(node.ProtoReflect())
			continue
		}
		w.children(cte.ProtoReflect())
		if !with.Recursive {
			w.push(cte)
		}
	}
}

func (w *walker) push(cte *pg.CommonTableExpr) {
	if cte != nil {
		w.ctes = &scope{name: cte.Ctename, outer: w.ctes}
	}
}

// modify walks INSERT, UPDATE, DELETE and MERGE. Their target is never a WITH member.
func (w *walker) modify(m protoreflect.Message, verb string, target *pg.RangeVar, with *pg.WithClause) {
	reason := verb
	if w.inside > 0 {
		reason += " in WITH"
	}
	w.effect(AccessWrite, reason)
	if target != nil {
		w.target(target)
	}
	saved := w.ctes
	w.inside++
	w.with(with)
	each(m, func(field protoreflect.FieldDescriptor, value protoreflect.Value) {
		if name := field.Name(); name != "with_clause" && name != "relation" {
			w.field(field, value)
		}
	})
	w.inside--
	w.ctes = saved
}

// target lists a relation that no WITH member can hide.
func (w *walker) target(n *pg.RangeVar) {
	w.named(n)
	if isTempSchema(n.Schemaname) {
		w.raise(AccessSession, "temporary relation "+n.Relname)
	}
}

// into is the target of SELECT INTO or CREATE TABLE AS; nothing below it is an expression.
func (w *walker) into(n *pg.IntoClause) {
	if w.st.Kind == KindSelect {
		w.st.Kind = KindWrite
	}
	w.effect(AccessWrite, "SELECT INTO")
	if rel := n.Rel; rel != nil {
		w.named(rel)
		if isTemp(rel) {
			w.createsTemp(rel)
			w.st.DropsAtCommit = n.OnCommit == pg.OnCommitAction_ONCOMMIT_DROP
		}
	}
}

// relation lists a relation, unless a WITH member hides it.
func (w *walker) relation(n *pg.RangeVar) {
	if n.Schemaname == "" && w.ctes.has(n.Relname) {
		return
	}
	w.named(n)
	if isTempSchema(n.Schemaname) || n.Relpersistence == "t" {
		if w.st.Kind == KindDDL {
			w.createsTemp(n)
		}
		w.raise(AccessSession, "temporary relation "+n.Relname)
		return
	}
	if system, shared := systemRelation(n.Schemaname, n.Relname); system && !shared {
		w.raise(AccessSession, "state of the node: "+n.Relname)
	}
	e := namedLikeSequence(Name{n.Schemaname, n.Relname})
	w.raiseByName(e.access, e.reason)
}

// namedLikeSequence is reading a relation whose name is that of a serial column's
// sequence, as far as only the name is known.
func namedLikeSequence(name Name) effect {
	if !strings.HasSuffix(name.Name, "_seq") {
		return effect{}
	}
	return effect{access: AccessSession, reason: "state of sequence " + name.Name}
}

func (w *walker) createsTemp(n *pg.RangeVar) {
	w.st.CreatesTemp = true
	w.st.TempNames = append(w.st.TempNames, n.Relname)
}

func (w *walker) named(n *pg.RangeVar) {
	w.st.Relations = append(w.st.Relations, Name{Schema: n.Schemaname, Name: n.Relname})
}

func isTempSchema(schema string) bool {
	return schema == "pg_temp" || strings.HasPrefix(schema, "pg_temp_") || strings.HasPrefix(schema, "pg_toast_temp")
}

// function decides by the name alone: all overloads count.
func (w *walker) function(n *pg.FuncCall) {
	name := nameFrom(n.Funcname)
	w.st.Functions = append(w.st.Functions, name)
	class := w.classOf(name, n.Args)
	w.asksSchema = w.asksSchema || name.Name == "current_schema"
	w.uses.call(n, name, class)
	w.st.CallsUnknown = w.st.CallsUnknown || class == catalog.Unknown
	access, scoped := accessOf(class)
	if w.planOnly && class == catalog.Unknown {
		access = AccessRead // a function that a plan is made with is not volatile
	}
	w.st.TransactionScoped = w.st.TransactionScoped || scoped
	w.sure = w.sure || class != catalog.Unknown && access > AccessRead
	// What is a write already is understood well enough.
	if access < AccessUnknown || w.floor < AccessWrite {
		w.raiseByName(access, "function "+name.String())
	}
	if name.Name == "set_config" {
		w.literalDependent = true
	}
	// What random() gives after setseed() only one connection can go on with.
	if (name.Name == "set_config" || name.Name == "setseed") && w.st.Set == SetNone {
		w.st.Set = SetOpaque
	}
}

// accessOf is what calling a function of the class is.
func accessOf(class catalog.Class) (access Access, scoped bool) {
	switch class {
	case catalog.Safe:
		return AccessRead, false
	case catalog.TransactionScoped:
		return AccessRead, true
	case catalog.NodeState:
		return AccessSession, false
	case catalog.Writes:
		return AccessWrite, false
	}
	return AccessUnknown, false
}

func (w *walker) valueFunction(op pg.SQLValueFunctionOp) {
	w.asksSchema = w.asksSchema || op == pg.SQLValueFunctionOp_SVFOP_CURRENT_SCHEMA
	switch op {
	case pg.SQLValueFunctionOp_SVFOP_CURRENT_ROLE, pg.SQLValueFunctionOp_SVFOP_CURRENT_USER,
		pg.SQLValueFunctionOp_SVFOP_USER, pg.SQLValueFunctionOp_SVFOP_SESSION_USER,
		pg.SQLValueFunctionOp_SVFOP_CURRENT_CATALOG, pg.SQLValueFunctionOp_SVFOP_CURRENT_SCHEMA:
	default:
		w.scoped()
	}
}

// sample knows the two methods that PostgreSQL is born with, and those of its extensions
// tsm_system_rows and tsm_system_time.
func (w *walker) sample(n *pg.RangeTableSample) {
	method := nameFrom(n.Method)
	switch builtin := method.Schema == "" || method.Schema == "pg_catalog"; {
	case method.Name == "system_rows", method.Name == "system_time":
	case !builtin || method.Name != "bernoulli" && method.Name != "system":
		w.raise(AccessUnknown, "sampling method "+method.String())
	}
}

// nameFrom reads a list of String nodes: the last is the name, the one before it the schema.
func nameFrom(parts []*pg.Node) Name {
	var name Name
	if n := len(parts); n > 0 {
		name.Name = parts[n-1].GetString_().GetSval()
		if n > 1 {
			name.Schema = parts[n-2].GetString_().GetSval()
		}
	}
	return name
}
