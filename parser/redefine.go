package parser

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v5"
)

// redefinition is what a definition does to what names mean. Knowledge is about names that
// may do more than read, wherever in the search path they are; so what adds nothing of that kind,
// or takes something away, leaves it right, and what adds something makes one name doubtful.
type redefinition struct {
	redefines bool
	// tame: Knowledge stays right, if perhaps too careful.
	tame bool
	// adds are the only names of which it may not be right any more; with none, and not tame, it may be any.
	adds []string
}

var (
	leaves = redefinition{}
	tame   = redefinition{redefines: true, tame: true}
	anyOne = redefinition{redefines: true}
)

// adding is a redefinition that adds names; an empty one is not known.
func adding(names ...string) redefinition {
	if slices.Contains(names, "") {
		return anyOne
	}
	return redefinition{redefines: true, adds: names}
}

func oneOf(yes bool, r redefinition) redefinition {
	if yes {
		return r
	}
	return anyOne
}

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

// tameDefinitions are the definitions that make nothing more than a read. Operator classes are used by
// ORDER BY and its kin, which Knowledge does not follow.
var tameDefinitions = map[string]bool{
	"AlterEnumStmt": true, "AlterCollationStmt": true, "AlterOpFamilyStmt": true, "AlterTSConfigurationStmt": true, "AlterTSDictionaryStmt": true,
	"AlterFdwStmt": true, "AlterForeignServerStmt": true, "AlterOperatorStmt": true, "CreateAmStmt": true, "CreateConversionStmt": true,
	"CreateEnumStmt": true, "CreateFdwStmt": true, "CreateForeignServerStmt": true, "CreateOpClassStmt": true, "CreateOpFamilyStmt": true,
}

// redefinition says whether the statement may change what names mean to other sessions.
func (w *walker) redefinition(name string, kind Kind, node *pg.Node) redefinition {
	switch n := node.Node.(type) {
	case *pg.Node_DoStmt:
		return redefinition{redefines: w.st.Redefines}
	case *pg.Node_CreateTableAsStmt:
		// An ordinary table or a materialized view is no more than it seems.
		return ofUnlogged(n.CreateTableAsStmt.Into.GetRel())
	case *pg.Node_SelectStmt:
		return ofUnlogged(n.SelectStmt.IntoClause.GetRel())
	}
	switch {
	case kind == KindUnknown || kind == KindCall || kind == KindTwoPhase:
		return anyOne
	case kind != KindDDL:
		return leaves
	case leavesNames[name] && node.GetGrantStmt().GetObjtype() != pg.ObjectType_OBJECT_SCHEMA: // who may not look into a schema skips it
		return leaves
	case tameDefinitions[name]:
		return tame
	}
	return ofDefinition(node)
}

func ofUnlogged(rel *pg.RangeVar) redefinition {
	if rel.GetRelpersistence() != "u" {
		return leaves
	}
	return adding(rel.Relname)
}

// ofDefinition is what CREATE, ALTER and DROP do. Of functions and procedures any name is in doubt: what they do to
// the session that calls them (temporary tables, settings) concerns all that it sends afterwards.
func ofDefinition(node *pg.Node) redefinition {
	switch n := node.Node.(type) {
	case *pg.Node_CreateStmt:
		return ofTable(n.CreateStmt)
	case *pg.Node_CreateForeignTableStmt:
		base := n.CreateForeignTableStmt.BaseStmt
		return oneOf(len(base.GetInhRelations()) == 0, adding(base.GetRelation().GetRelname()))
	case *pg.Node_CreateSeqStmt:
		if isTemp(n.CreateSeqStmt.Sequence) {
			return leaves
		}
		return adding(n.CreateSeqStmt.Sequence.GetRelname())
	case *pg.Node_ViewStmt:
		if isTemp(n.ViewStmt.View) {
			return leaves
		}
		return oneOf(!n.ViewStmt.Replace, adding(n.ViewStmt.View.GetRelname()))
	case *pg.Node_CreateDomainStmt:
		return adding(lastName(n.CreateDomainStmt.Domainname))
	case *pg.Node_CompositeTypeStmt:
		return adding(n.CompositeTypeStmt.Typevar.GetRelname())
	case *pg.Node_DefineStmt:
		return oneOf(!n.DefineStmt.Replace, ofDefine(n.DefineStmt))
	case *pg.Node_CreateSchemaStmt:
		return oneOf(len(n.CreateSchemaStmt.SchemaElts) == 0, tame)
	case *pg.Node_RuleStmt:
		return oneOf(n.RuleStmt.Event != pg.CmdType_CMD_SELECT, tame) // those on writes are the primary's
	case *pg.Node_RenameStmt:
		return ofRename(n.RenameStmt)
	case *pg.Node_AlterObjectSchemaStmt:
		return ofMove(n.AlterObjectSchemaStmt)
	case *pg.Node_AlterTableStmt:
		if n.AlterTableStmt.Objtype == pg.ObjectType_OBJECT_INDEX {
			return tame
		}
		table := n.AlterTableStmt.Objtype == pg.ObjectType_OBJECT_TABLE
		return oneOf(!slices.ContainsFunc(n.AlterTableStmt.Cmds, func(c *pg.Node) bool { return !isTame(c.GetAlterTableCmd(), table) }), tame)
	case *pg.Node_DropStmt:
		return ofDrop(n.DropStmt)
	}
	return anyOne
}

// ofTable: a table is read as it seems, but an unlogged one is not on standbys, and serial columns have sequences.
func ofTable(n *pg.CreateStmt) redefinition {
	table := n.Relation.GetRelname()
	if isTemp(n.Relation) {
		return leaves
	}
	var added []string
	if n.Relation.GetRelpersistence() == "u" {
		if len(n.InhRelations) > 0 {
			return anyOne // who reads its parent reads it
		}
		added = append(added, table)
	}
	for _, e := range n.TableElts {
		switch {
		case e.GetTableLikeClause().GetOptions() != 0:
			return anyOne // it may copy a column with a sequence
		case hasSequence(e.GetColumnDef()):
			sequence := table + "_" + e.GetColumnDef().Colname + "_seq"
			if len(sequence) >= maxIdentifier {
				return anyOne // it is shortened
			}
			added = append(added, sequence)
		}
	}
	if len(added) == 0 {
		return tame
	}
	return adding(added...)
}

// maxIdentifier is NAMEDATALEN: names are shorter, in bytes.
const maxIdentifier = 64

// hasSequence is whether the column gets values from a sequence that is made for it.
func hasSequence(c *pg.ColumnDef) bool {
	if c == nil {
		return false
	}
	if slices.ContainsFunc(c.Constraints, func(n *pg.Node) bool { return n.GetConstraint().GetContype() == pg.ConstrType_CONSTR_IDENTITY }) {
		return true
	}
	return strings.Contains(lastName(c.TypeName.GetNames()), "serial")
}

// ofDefine is CREATE AGGREGATE, OPERATOR, TYPE, COLLATION and TEXT SEARCH ….
func ofDefine(n *pg.DefineStmt) redefinition {
	switch n.Kind {
	case pg.ObjectType_OBJECT_OPERATOR, pg.ObjectType_OBJECT_TYPE:
		return adding(lastName(n.Defnames))
	case pg.ObjectType_OBJECT_COLLATION, pg.ObjectType_OBJECT_TSCONFIGURATION, pg.ObjectType_OBJECT_TSDICTIONARY,
		pg.ObjectType_OBJECT_TSPARSER, pg.ObjectType_OBJECT_TSTEMPLATE:
		return tame
	}
	return anyOne
}

// ofRename: Knowledge has the old name still.
func ofRename(n *pg.RenameStmt) redefinition {
	switch n.RenameType {
	case pg.ObjectType_OBJECT_COLUMN, pg.ObjectType_OBJECT_ATTRIBUTE, pg.ObjectType_OBJECT_TABCONSTRAINT, pg.ObjectType_OBJECT_DOMCONSTRAINT,
		pg.ObjectType_OBJECT_INDEX, pg.ObjectType_OBJECT_TRIGGER, pg.ObjectType_OBJECT_POLICY, pg.ObjectType_OBJECT_COLLATION,
		pg.ObjectType_OBJECT_OPCLASS, pg.ObjectType_OBJECT_OPFAMILY:
		return tame
	case pg.ObjectType_OBJECT_TABLE, pg.ObjectType_OBJECT_VIEW, pg.ObjectType_OBJECT_MATVIEW, pg.ObjectType_OBJECT_SEQUENCE,
		pg.ObjectType_OBJECT_FOREIGN_TABLE, pg.ObjectType_OBJECT_TYPE, pg.ObjectType_OBJECT_DOMAIN:
		return adding(n.Newname)
	}
	return anyOne
}

// ofMove: Knowledge has it in the old schema still.
func ofMove(n *pg.AlterObjectSchemaStmt) redefinition {
	switch n.ObjectType {
	case pg.ObjectType_OBJECT_TABLE, pg.ObjectType_OBJECT_VIEW, pg.ObjectType_OBJECT_MATVIEW, pg.ObjectType_OBJECT_SEQUENCE, pg.ObjectType_OBJECT_FOREIGN_TABLE:
		if n.ObjectType == pg.ObjectType_OBJECT_TABLE {
			return anyOne // its sequences go with it
		}
		return adding(n.Relation.GetRelname())
	}
	return anyOne
}

// isTame is whether a part of ALTER TABLE, or of ALTER for other relations, makes reading it do no more than before.
func isTame(c *pg.AlterTableCmd, table bool) bool {
	switch c.GetSubtype() {
	case pg.AlterTableType_AT_SetRelOptions, pg.AlterTableType_AT_ResetRelOptions:
		return table // of a view they say with whose rights it reads
	case pg.AlterTableType_AT_AddColumn:
		return !hasSequence(c.Def.GetColumnDef())
	case pg.AlterTableType_AT_DropColumn, pg.AlterTableType_AT_ColumnDefault, pg.AlterTableType_AT_SetNotNull, pg.AlterTableType_AT_DropNotNull,
		pg.AlterTableType_AT_SetStatistics, pg.AlterTableType_AT_SetStorage, pg.AlterTableType_AT_SetCompression,
		pg.AlterTableType_AT_AddConstraint, pg.AlterTableType_AT_DropConstraint, pg.AlterTableType_AT_ValidateConstraint,
		pg.AlterTableType_AT_AlterConstraint, pg.AlterTableType_AT_ClusterOn, pg.AlterTableType_AT_DropCluster,
		pg.AlterTableType_AT_EnableTrig, pg.AlterTableType_AT_DisableTrig, pg.AlterTableType_AT_EnableTrigAll, pg.AlterTableType_AT_DisableTrigAll,
		pg.AlterTableType_AT_EnableTrigUser, pg.AlterTableType_AT_DisableTrigUser, pg.AlterTableType_AT_ReplicaIdentity,
		pg.AlterTableType_AT_DetachPartition, pg.AlterTableType_AT_DropInherit, pg.AlterTableType_AT_DisableRowSecurity,
		pg.AlterTableType_AT_SetTableSpace, pg.AlterTableType_AT_AlterColumnType, pg.AlterTableType_AT_ChangeOwner, pg.AlterTableType_AT_SetLogged:
		return true
	}
	return false
}

// ofDrop: what is gone does nothing any more. But functions may have hidden others of the same name, and
// with a schema or an extension any may go. (With CASCADE those go that name what is dropped, in their arguments or
// in the body; who has hidden another one by such a function, and drops it so, has a definition that changed unseen.)
func ofDrop(n *pg.DropStmt) redefinition {
	if n.RemoveType == pg.ObjectType_OBJECT_INDEX || n.RemoveType == pg.ObjectType_OBJECT_TRIGGER {
		return leaves
	}
	switch n.RemoveType {
	case pg.ObjectType_OBJECT_SCHEMA:
		return oneOf(n.Behavior != pg.DropBehavior_DROP_CASCADE, tame)
	case pg.ObjectType_OBJECT_TABLE, pg.ObjectType_OBJECT_VIEW, pg.ObjectType_OBJECT_MATVIEW, pg.ObjectType_OBJECT_SEQUENCE,
		pg.ObjectType_OBJECT_FOREIGN_TABLE, pg.ObjectType_OBJECT_DOMAIN, pg.ObjectType_OBJECT_TYPE,
		pg.ObjectType_OBJECT_OPERATOR, pg.ObjectType_OBJECT_OPCLASS, pg.ObjectType_OBJECT_OPFAMILY, pg.ObjectType_OBJECT_CAST,
		pg.ObjectType_OBJECT_COLLATION, pg.ObjectType_OBJECT_RULE, pg.ObjectType_OBJECT_POLICY, pg.ObjectType_OBJECT_STATISTIC_EXT,
		pg.ObjectType_OBJECT_CONVERSION, pg.ObjectType_OBJECT_ACCESS_METHOD, pg.ObjectType_OBJECT_PUBLICATION, pg.ObjectType_OBJECT_EVENT_TRIGGER,
		pg.ObjectType_OBJECT_FDW, pg.ObjectType_OBJECT_FOREIGN_SERVER, pg.ObjectType_OBJECT_TSCONFIGURATION, pg.ObjectType_OBJECT_TSDICTIONARY,
		pg.ObjectType_OBJECT_TSPARSER, pg.ObjectType_OBJECT_TSTEMPLATE:
		return tame
	}
	return anyOne
}

// lastName is a qualified name's last part, empty if there is none.
func lastName(parts []*pg.Node) string {
	if len(parts) == 0 {
		return ""
	}
	return parts[len(parts)-1].GetString_().GetSval()
}

func isTemp(n *pg.RangeVar) bool {
	return n.GetRelpersistence() == "t" || isTempSchema(n.GetSchemaname())
}
