package parser

import (
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"

	"github.com/howdah/howdah/parser/catalog"
)

// byArguments corrects the class of a built-in function whose arguments say more than its name.
func (w *walker) byArguments(name string, args []*pg.Node, class catalog.Class) catalog.Class {
	switch {
	case class == catalog.Unknown:
		return class
	case name == "current_setting" && len(args) > 0:
		// Another literal may name another setting.
		w.literalDependent = true
		if s := args[0].GetAConst().GetSval(); s != nil && sharedSettings[strings.ToLower(s.Sval)] {
			return catalog.Safe
		}
	case name == "age" && len(args) == 1 && isTransactionID(args[0]):
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
