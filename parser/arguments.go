package parser

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"github.com/howdah/howdah/parser/catalog"
)

// classOf is the class of a call, by the name and, where they say more than the
// name, the arguments.
func (w *walker) classOf(name Name, args []*pg.Node) catalog.Class {
	switch {
	case name.Schema == "information_schema" && schemaFunctions[name.Name]:
		return catalog.Safe
	case name.Schema != "" && name.Schema != "pg_catalog":
		return catalog.Unknown
	}
	if name.Schema == "" && jsonSyntax[name.Name] {
		return catalog.Safe
	}
	class := catalog.Function(name.Name)
	if w.planOnly && catalog.Volatile(name.Name) {
		return catalog.Safe // it is not called
	}
	switch {
	case name.Name == "current_setting" && len(args) > 0:
		// Another literal may name another setting.
		w.literalDependent = true
		if s := args[0].GetAConst().GetSval(); s != nil && sharedSettings[strings.ToLower(s.Sval)] {
			return catalog.Safe
		}
	case name.Name == "ts_rewrite" && len(args) == 3:
		return catalog.Safe // with two, the second is SQL to run
	case name.Name == "age" && len(args) == 1 && isTransactionID(args[0]):
		return catalog.NodeState
	}
	if sql, ok := textToRun(name.Name, args); ok {
		w.literalDependent = true
		return w.runs(sql, class)
	}
	return class
}

// jsonSyntax looks like functions and is grammar since PostgreSQL 17. Where it is not, only
// a user's function can be meant, which a database's Knowledge has.
var jsonSyntax = makeSet("json_exists json_value json_query json_scalar json_serialize")

// textToRun is the argument of a built-in function that is SQL which it runs, if it is a constant.
func textToRun(function string, args []*pg.Node) (string, bool) {
	place := -1
	table := function == "table_to_xml" || function == "table_to_xml_and_xmlschema"
	switch {
	case function == "ts_rewrite" && len(args) == 2:
		place = 1
	case table:
		place = 0
	case function == "ts_stat", strings.HasPrefix(function, "query_to_xml"):
		place = 0
	}
	if place < 0 || place >= len(args) {
		return "", false
	}
	arg := args[place]
	for arg.GetTypeCast() != nil {
		arg = arg.GetTypeCast().Arg
	}
	s := arg.GetAConst().GetSval()
	if s != nil && table {
		return "SELECT * FROM " + s.Sval, isRelation(s.Sval)
	}
	return s.GetSval(), s != nil
}

// isRelation is whether a text is the name of a relation and nothing more.
func isRelation(text string) bool {
	tokens, ok := plTokens(text)
	for i := range tokens {
		if want := i%2 == 0; want != tokens[i].name() || !want && !tokens[i].is(".") && tokens[i].kind != plEnd {
			return false
		}
	}
	return ok
}

// runs takes in what SQL does that a function runs, and what calling that is: class, unless
// it is known to read.
func (w *walker) runs(sql string, class catalog.Class) catalog.Class {
	v := Classify(sql)
	if len(v.Statements) != 1 || v.Single != KindSelect {
		return class
	}
	st := &v.Statements[0]
	if st.Uses == nil && st.Access > AccessRead {
		return class
	}
	w.raiseByName(st.Access, st.Reason)
	w.sure = w.sure || st.Access > AccessRead && !st.Trustable
	w.st.Relations = append(w.st.Relations, st.Relations...)
	w.st.Functions = append(w.st.Functions, st.Functions...)
	w.st.CallsUnknown = w.st.CallsUnknown || st.CallsUnknown
	w.st.TransactionScoped = w.st.TransactionScoped || st.TransactionScoped
	if u := st.Uses; u != nil {
		w.uses.join(u)
	}
	return catalog.Safe
}

// isTransactionID is whether an expression looks like a transaction id, whose
// age a node counts from the newest id that it has seen.
func isTransactionID(node *pg.Node) bool {
	if cast := node.GetTypeCast(); cast != nil {
		return nameFrom(cast.TypeName.GetNames()).Name == "xid" || isTransactionID(cast.Arg)
	}
	fields := node.GetColumnRef().GetFields()
	if len(fields) == 0 {
		return false
	}
	switch fields[len(fields)-1].GetString_().GetSval() {
	case "datfrozenxid", "relfrozenxid", "xmin", "xmax", "backend_xid", "backend_xmin", "catalog_xmin":
		return true
	}
	return false
}
