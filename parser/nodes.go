package parser

// reasonNode is the reason for a node that the walk has no decision about.
const reasonNode = "unknown expression"

// Every node of the library's tree that is no statement is in one of the two sets
// below, so that what a new version brings is a decision and not an accident (a test
// compares them with the library; a node in neither set is AccessUnknown).

// grammarNodes are what the grammar makes. Most only hold others, and are what
// these are; walk says more about some.
var grammarNodes = makeSet(`
	A_ArrayExpr A_Const A_Expr A_Indices A_Indirection A_Star AccessPriv Alias AlterTableCmd BitString BoolExpr
	Boolean BooleanTest CTECycleClause CTESearchClause CaseExpr CaseWhen CoalesceExpr CollateClause
	ColumnDef ColumnRef CommonTableExpr Constraint CreateOpClassItem CurrentOfExpr DefElem Float FuncCall
	FunctionParameter GroupingFunc GroupingSet IndexElem InferClause Integer IntoClause JoinExpr
	JsonAggConstructor JsonArrayAgg JsonArrayConstructor JsonArrayQueryConstructor JsonFormat
	JsonIsPredicate JsonKeyValue JsonObjectAgg JsonObjectConstructor JsonOutput JsonReturning
	JsonValueExpr List LockingClause MergeWhenClause MinMaxExpr MultiAssignRef NamedArgExpr NullTest
	ObjectWithArgs OnConflictClause ParamRef PartitionBoundSpec PartitionCmd PartitionElem
	PartitionRangeDatum PartitionSpec PublicationObjSpec PublicationTable RangeFunction
	RangeSubselect RangeTableFunc RangeTableFuncCol RangeTableSample RangeVar ResTarget RoleSpec
	RowExpr SQLValueFunction SetToDefault SortBy StatsElem String SubLink TableLikeClause
	TriggerTransition TypeCast TypeName VacuumRelation WindowDef WithClause XmlExpr XmlSerialize`)

// analyzedNodes are what the server makes of a tree later. None can come from a text.
var analyzedNodes = makeSet(`
	Aggref AlternativeSubPlan ArrayCoerceExpr ArrayExpr CallContext CaseTestExpr CoerceToDomain
	CoerceToDomainValue CoerceViaIO CollateExpr ConvertRowtypeExpr DistinctExpr FieldSelect
	FieldStore FromExpr FuncExpr InlineCodeBlock InferenceElem IntList JsonConstructorExpr
	MergeAction NextValueExpr NullIfExpr OidList OnConflictExpr OpExpr Param Query RTEPermissionInfo
	RangeTblEntry RangeTblFunction RangeTblRef RelabelType RowCompareExpr RowMarkClause
	ScalarArrayOpExpr SortGroupClause SubPlan SubscriptingRef TableFunc TableSampleClause TargetEntry
	Var WindowClause WindowFunc WithCheckOption`)
