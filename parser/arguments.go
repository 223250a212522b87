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
	class := catalog.Function(name.Name)
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
	return class
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
