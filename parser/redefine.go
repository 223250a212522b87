package parser

import (
	pg "github.com/pganalyze/pg_query_go/v5"
)

// leavesNames are the definitions that change nothing that Knowledge knows:
// whatever a name meant before it means after.
var leavesNames = map[string]bool{
	"AlterDatabaseRefreshCollStmt": true, "AlterDatabaseSetStmt": true, "AlterDatabaseStmt": true,
	"AlterDefaultPrivilegesStmt": true, "AlterEventTrigStmt": true, "AlterOwnerStmt": true,
	"AlterPublicationStmt": true, "AlterRoleSetStmt": true, "AlterRoleStmt": true, "AlterSeqStmt": true,
	"AlterStatsStmt": true, "AlterSubscriptionStmt": true, "AlterTableMoveAllStmt": true,
	"AlterTableSpaceOptionsStmt": true, "AlterUserMappingStmt": true, "CommentStmt": true,
	"CreateEventTrigStmt": true, "CreatePublicationStmt": true, "CreateRoleStmt": true,
	"CreateStatsStmt": true, "CreateSubscriptionStmt": true, "CreateTableSpaceStmt": true,
	"CreateTrigStmt": true, "CreateUserMappingStmt": true, "CreatedbStmt": true, "DropRoleStmt": true,
	"DropSubscriptionStmt": true, "DropTableSpaceStmt": true, "DropUserMappingStmt": true, "DropdbStmt": true,
	"GrantRoleStmt": true, "GrantStmt": true, "IndexStmt": true, "ReplicaIdentityStmt": true, "SecLabelStmt": true,
}

// redefines says whether the statement may change what names mean to other sessions.
func (w *walker) redefines(name string, kind Kind, node *pg.Node) bool {
	switch n := node.Node.(type) {
	case *pg.Node_DoStmt:
		return w.st.Redefines
	case *pg.Node_CreateStmt:
		return !isTemp(n.CreateStmt.Relation)
	case *pg.Node_CreateSeqStmt:
		return !isTemp(n.CreateSeqStmt.Sequence)
	case *pg.Node_ViewStmt:
		return !isTemp(n.ViewStmt.View)
	case *pg.Node_CreateTableAsStmt:
		// An ordinary table or a materialized view is no more than it seems.
		return n.CreateTableAsStmt.Into.GetRel().GetRelpersistence() == "u"
	case *pg.Node_SelectStmt:
		return n.SelectStmt.IntoClause.GetRel().GetRelpersistence() == "u"
	case *pg.Node_GrantStmt:
		return n.GrantStmt.Objtype == pg.ObjectType_OBJECT_SCHEMA // who may not look into it skips it
	case *pg.Node_DropStmt:
		return n.DropStmt.RemoveType != pg.ObjectType_OBJECT_INDEX && n.DropStmt.RemoveType != pg.ObjectType_OBJECT_TRIGGER
	}
	switch kind {
	case KindDDL:
		return !leavesNames[name]
	case KindUnknown, KindCall, KindTwoPhase:
		return true
	}
	return false
}

func isTemp(n *pg.RangeVar) bool {
	return n.GetRelpersistence() == "t" || isTempSchema(n.GetSchemaname())
}
