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
	// adds are the only names of which it may not be right any more, they and what uses them; with none, and not tame, it may be any.
	adds []string
	// uncovers: functions may be gone that hid others.
	uncovers bool
	// attaches are the tables that others are read through from now on; if they are ordinary ones it is tame.
	attaches []string
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
	"GrantRoleStmt": true, "GrantStmt": true, "IndexStmt": true, "ReassignOwnedStmt": true, "ReplicaIdentityStmt": true, "SecLabelStmt": true,
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
	case kind == KindTwoPhase && node.GetTransactionStmt().GetKind() != pg.TransactionStmtKind_TRANS_STMT_COMMIT_PREPARED:
		return leaves // nobody sees what was prepared
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

// ofDefinition is what CREATE, ALTER and DROP do.
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
		return adding(n.ViewStmt.View.GetRelname())
	case *pg.Node_CreateFunctionStmt:
		return ofFunction(n.CreateFunctionStmt)
	case *pg.Node_AlterFunctionStmt:
		return adding(lastName(n.AlterFunctionStmt.Func.GetObjname()))
	case *pg.Node_CreatePolicyStmt:
		return adding(n.CreatePolicyStmt.Table.GetRelname())
	case *pg.Node_AlterPolicyStmt:
		return adding(n.AlterPolicyStmt.Table.GetRelname())
	case *pg.Node_CreateCastStmt:
		// Without a function it runs nothing, and calls are known by their names, not by their arguments' types.
		return oneOf(n.CreateCastStmt.Func == nil && !n.CreateCastStmt.Inout, tame)
	case *pg.Node_CreateRangeStmt:
		return ofRange(n.CreateRangeStmt)
	case *pg.Node_CreateDomainStmt:
		return adding(lastName(n.CreateDomainStmt.Domainname))
	case *pg.Node_CompositeTypeStmt:
		return adding(n.CompositeTypeStmt.Typevar.GetRelname())
	case *pg.Node_DefineStmt:
		return ofDefine(n.DefineStmt)
	case *pg.Node_CreateSchemaStmt:
		return ofSchema(n.CreateSchemaStmt)
	case *pg.Node_RuleStmt:
		if n.RuleStmt.Event != pg.CmdType_CMD_SELECT {
			return tame // those on writes are the primary's
		}
		return adding(n.RuleStmt.Relation.GetRelname()) // it is a view from now on
	case *pg.Node_AlterDomainStmt:
		return adding(lastName(n.AlterDomainStmt.TypeName))
	case *pg.Node_RenameStmt:
		return ofRename(n.RenameStmt)
	case *pg.Node_AlterObjectSchemaStmt:
		return ofMove(n.AlterObjectSchemaStmt)
	case *pg.Node_AlterTableStmt:
		return ofAlter(n.AlterTableStmt)
	case *pg.Node_DropStmt:
		return ofDrop(n.DropStmt)
	case *pg.Node_DropOwnedStmt:
		return uncovering
	case *pg.Node_GrantStmt: // on a schema
		if n.GrantStmt.IsGrant {
			return tame
		}
		return uncovering // functions in a schema that not all may look into hide nothing
	}
	return anyOne
}

// uncovering is for what takes away anything: what is known is right but where a function hid another.
var uncovering = redefinition{redefines: true, tame: true, uncovers: true}

// ofSchema is CREATE SCHEMA with what it makes there.
func ofSchema(n *pg.CreateSchemaStmt) redefinition {
	sum := tame
	for _, element := range n.SchemaElts {
		r := leaves
		switch element.Node.(type) {
		case *pg.Node_IndexStmt, *pg.Node_GrantStmt, *pg.Node_CreateTrigStmt:
		default:
			r = ofDefinition(element)
		}
		if r.redefines && !r.tame && len(r.adds) == 0 || len(r.attaches) > 0 {
			return anyOne
		}
		sum.adds = append(sum.adds, r.adds...)
	}
	sum.tame = len(sum.adds) == 0
	return sum
}

// ofFunction: nothing but triggers calls a trigger's.
func ofFunction(n *pg.CreateFunctionStmt) redefinition {
	if result := n.ReturnType; result != nil && !result.Setof && len(result.ArrayBounds) == 0 && !n.IsProcedure {
		switch name := nameFrom(result.Names); {
		case name.Schema != "" && name.Schema != "pg_catalog":
		case name.Name == "trigger", name.Name == "event_trigger":
			return tame
		}
	}
	return adding(lastName(n.Funcname))
}

// ofRange: a range type comes with a multirange type, and both with functions of their names.
func ofRange(n *pg.CreateRangeStmt) redefinition {
	name := lastName(n.TypeName)
	multi := strings.Replace(name, "range", "multirange", 1)
	if multi == name {
		multi += "_multirange"
	}
	for _, param := range n.Params {
		if d := param.GetDefElem(); d.GetDefname() == "multirange_type_name" {
			multi = lastName(d.Arg.GetTypeName().GetNames())
		}
	}
	return oneOf(len(multi) < maxIdentifier, adding(name, multi))
}

// ofAlter is ALTER TABLE, and ALTER for other relations.
func ofAlter(n *pg.AlterTableStmt) redefinition {
	if n.Objtype == pg.ObjectType_OBJECT_INDEX {
		return tame
	}
	name := n.Relation.GetRelname()
	r := tame
	for _, node := range n.Cmds {
		switch c := node.GetAlterTableCmd(); c.GetSubtype() {
		case pg.AlterTableType_AT_EnableRowSecurity:
			r.adds = append(r.adds, name)
		case pg.AlterTableType_AT_SetRelOptions, pg.AlterTableType_AT_ResetRelOptions:
			if n.Objtype != pg.ObjectType_OBJECT_TABLE {
				r.adds = append(r.adds, name) // of a view they say with whose rights it reads
			}
		case pg.AlterTableType_AT_AddColumn, pg.AlterTableType_AT_AddIdentity:
			column := c.Name
			if def := c.Def.GetColumnDef(); c.Subtype == pg.AlterTableType_AT_AddColumn {
				if !hasSequence(def) {
					continue
				}
				column = def.Colname
			}
			sequence := name + "_" + column + "_seq"
			if len(sequence) >= maxIdentifier {
				return anyOne
			}
			r.adds = append(r.adds, sequence)
		case pg.AlterTableType_AT_AttachPartition:
			r.attaches = append(r.attaches, c.Def.GetPartitionCmd().GetName().GetRelname())
		case pg.AlterTableType_AT_AddInherit:
			r.attaches = append(r.attaches, name)
		default:
			if !isTame(c) {
				return anyOne
			}
		}
	}
	if r.tame = len(r.adds) == 0; r.tame {
		return r
	}
	if len(r.attaches) > 0 {
		return anyOne
	}
	return r
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
		case e.GetTableLikeClause().GetOptions()&likeIdentity != 0:
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

// likeIdentity is LIKE … INCLUDING IDENTITY (PostgreSQL: CREATE_TABLE_LIKE_IDENTITY in src/include/nodes/parsenodes.h).
const likeIdentity = 1 << 5

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
	case pg.ObjectType_OBJECT_AGGREGATE, pg.ObjectType_OBJECT_OPERATOR, pg.ObjectType_OBJECT_TYPE:
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
	case pg.ObjectType_OBJECT_DATABASE:
		return leaves
	case pg.ObjectType_OBJECT_COLUMN, pg.ObjectType_OBJECT_ATTRIBUTE, pg.ObjectType_OBJECT_TABCONSTRAINT, pg.ObjectType_OBJECT_DOMCONSTRAINT,
		pg.ObjectType_OBJECT_INDEX, pg.ObjectType_OBJECT_TRIGGER, pg.ObjectType_OBJECT_POLICY, pg.ObjectType_OBJECT_COLLATION,
		pg.ObjectType_OBJECT_OPCLASS, pg.ObjectType_OBJECT_OPFAMILY, pg.ObjectType_OBJECT_CONVERSION, pg.ObjectType_OBJECT_STATISTIC_EXT,
		pg.ObjectType_OBJECT_TSCONFIGURATION, pg.ObjectType_OBJECT_TSDICTIONARY, pg.ObjectType_OBJECT_TSPARSER, pg.ObjectType_OBJECT_TSTEMPLATE,
		pg.ObjectType_OBJECT_EVENT_TRIGGER, pg.ObjectType_OBJECT_RULE, pg.ObjectType_OBJECT_FDW, pg.ObjectType_OBJECT_FOREIGN_SERVER,
		pg.ObjectType_OBJECT_PUBLICATION, pg.ObjectType_OBJECT_SUBSCRIPTION, pg.ObjectType_OBJECT_TABLESPACE:
		return tame
	case pg.ObjectType_OBJECT_TABLE, pg.ObjectType_OBJECT_VIEW, pg.ObjectType_OBJECT_MATVIEW, pg.ObjectType_OBJECT_SEQUENCE,
		pg.ObjectType_OBJECT_FOREIGN_TABLE, pg.ObjectType_OBJECT_TYPE, pg.ObjectType_OBJECT_DOMAIN:
		return adding(n.Newname)
	case pg.ObjectType_OBJECT_FUNCTION, pg.ObjectType_OBJECT_PROCEDURE, pg.ObjectType_OBJECT_ROUTINE, pg.ObjectType_OBJECT_AGGREGATE:
		return adding(n.Newname, lastName(n.Object.GetObjectWithArgs().GetObjname())) // it may have hidden others
	}
	return anyOne
}

// ofMove: Knowledge has it in the old schema still.
func ofMove(n *pg.AlterObjectSchemaStmt) redefinition {
	switch n.ObjectType {
	case pg.ObjectType_OBJECT_COLLATION, pg.ObjectType_OBJECT_CONVERSION, pg.ObjectType_OBJECT_OPCLASS, pg.ObjectType_OBJECT_OPFAMILY,
		pg.ObjectType_OBJECT_STATISTIC_EXT, pg.ObjectType_OBJECT_TSCONFIGURATION, pg.ObjectType_OBJECT_TSDICTIONARY,
		pg.ObjectType_OBJECT_TSPARSER, pg.ObjectType_OBJECT_TSTEMPLATE:
		return tame
	case pg.ObjectType_OBJECT_TYPE, pg.ObjectType_OBJECT_DOMAIN:
		return adding(lastName(n.Object.GetList().GetItems()))
	case pg.ObjectType_OBJECT_TABLE, pg.ObjectType_OBJECT_VIEW, pg.ObjectType_OBJECT_MATVIEW, pg.ObjectType_OBJECT_SEQUENCE, pg.ObjectType_OBJECT_FOREIGN_TABLE:
		if n.ObjectType == pg.ObjectType_OBJECT_TABLE {
			return anyOne // its sequences go with it
		}
		return adding(n.Relation.GetRelname())
	case pg.ObjectType_OBJECT_FUNCTION, pg.ObjectType_OBJECT_PROCEDURE, pg.ObjectType_OBJECT_ROUTINE, pg.ObjectType_OBJECT_AGGREGATE:
		return adding(lastName(n.Object.GetObjectWithArgs().GetObjname()))
	}
	return anyOne
}

// isTame is whether a part of ALTER TABLE, or of ALTER for other relations, makes reading it do no more than before.
func isTame(c *pg.AlterTableCmd) bool {
	switch c.GetSubtype() {
	case pg.AlterTableType_AT_DropColumn, pg.AlterTableType_AT_ColumnDefault, pg.AlterTableType_AT_SetNotNull, pg.AlterTableType_AT_DropNotNull,
		pg.AlterTableType_AT_SetStatistics, pg.AlterTableType_AT_SetStorage, pg.AlterTableType_AT_SetCompression,
		pg.AlterTableType_AT_AddConstraint, pg.AlterTableType_AT_DropConstraint, pg.AlterTableType_AT_ValidateConstraint,
		pg.AlterTableType_AT_AlterConstraint, pg.AlterTableType_AT_ClusterOn, pg.AlterTableType_AT_DropCluster,
		pg.AlterTableType_AT_EnableTrig, pg.AlterTableType_AT_DisableTrig, pg.AlterTableType_AT_EnableTrigAll, pg.AlterTableType_AT_DisableTrigAll,
		pg.AlterTableType_AT_EnableTrigUser, pg.AlterTableType_AT_DisableTrigUser, pg.AlterTableType_AT_EnableAlwaysTrig,
		pg.AlterTableType_AT_EnableReplicaTrig, pg.AlterTableType_AT_ForceRowSecurity, pg.AlterTableType_AT_NoForceRowSecurity,
		pg.AlterTableType_AT_DropIdentity, pg.AlterTableType_AT_SetIdentity, pg.AlterTableType_AT_DropExpression,
		pg.AlterTableType_AT_AddOf, pg.AlterTableType_AT_DropOf, pg.AlterTableType_AT_DropOids,
		pg.AlterTableType_AT_GenericOptions, pg.AlterTableType_AT_AlterColumnGenericOptions, pg.AlterTableType_AT_SetOptions, pg.AlterTableType_AT_ResetOptions, pg.AlterTableType_AT_SetAccessMethod, pg.AlterTableType_AT_ReplicaIdentity,
		pg.AlterTableType_AT_DetachPartition, pg.AlterTableType_AT_DropInherit, pg.AlterTableType_AT_DisableRowSecurity,
		pg.AlterTableType_AT_SetTableSpace, pg.AlterTableType_AT_AlterColumnType, pg.AlterTableType_AT_ChangeOwner, pg.AlterTableType_AT_SetLogged:
		return true
	}
	return false
}

// ofDrop: what is gone does nothing any more. But functions may have hidden others of the same name, and with a schema any may
// go. (With CASCADE of other things those go that name what is dropped, in their arguments or
// in the body; who has hidden another one by such a function, and drops it so, has a definition that changed unseen.)
func ofDrop(n *pg.DropStmt) redefinition {
	if n.RemoveType == pg.ObjectType_OBJECT_INDEX || n.RemoveType == pg.ObjectType_OBJECT_TRIGGER {
		return leaves
	}
	switch n.RemoveType {
	case pg.ObjectType_OBJECT_EXTENSION:
		return uncovering
	case pg.ObjectType_OBJECT_SCHEMA, pg.ObjectType_OBJECT_LANGUAGE:
		if n.Behavior == pg.DropBehavior_DROP_CASCADE {
			return uncovering
		}
		return tame
	case pg.ObjectType_OBJECT_FUNCTION, pg.ObjectType_OBJECT_PROCEDURE, pg.ObjectType_OBJECT_ROUTINE, pg.ObjectType_OBJECT_AGGREGATE:
		var names []string
		for _, o := range n.Objects {
			names = append(names, lastName(o.GetObjectWithArgs().GetObjname()))
		}
		r := adding(names...)
		r.uncovers = len(r.adds) > 0 && n.Behavior == pg.DropBehavior_DROP_CASCADE
		return r
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
