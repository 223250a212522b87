package parser

// Access is what a statement does, as far as routing is concerned. Higher
// values need the primary more: a text's access is the highest of its statements'.
type Access uint8

const (
	// AccessNone is the empty statement.
	AccessNone Access = iota
	// AccessRead only reads: a standby gives the same answer as the primary.
	AccessRead
	// AccessTransaction is transaction control: BEGIN, COMMIT, SAVEPOINT …
	AccessTransaction
	// AccessSession changes or reads state of the session or of the node that
	// answers: SET, LISTEN, PREPARE, currval(), system catalogs, pg_is_in_recovery() …
	// It belongs on the primary but changes no data.
	AccessSession
	// AccessWrite writes, locks, or needs what only the primary has.
	AccessWrite
	// AccessUnknown was not understood; it is treated as a write.
	AccessUnknown
)

// Kind is the kind of a statement, as fine as the session's books need it.
type Kind uint8

const (
	KindUnknown Kind = iota // did not parse, or no kind below
	KindSelect              // SELECT, VALUES, TABLE
	KindWrite               // INSERT, UPDATE, DELETE, MERGE, SELECT INTO …
	KindDDL
	KindUtility // any other utility statement (VACUUM, CALL, DO, LOCK …)
	KindExplain
	KindShow
	KindCopyTo
	KindCopyFrom
	KindBegin // BEGIN, START TRANSACTION
	KindCommit
	KindRollback
	KindSavepoint
	KindRelease
	KindRollbackTo
	KindTwoPhase       // PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED
	KindSet            // SET, RESET of one or all settings, SET ROLE, SET SESSION AUTHORIZATION …
	KindSetTransaction // SET TRANSACTION (also SET LOCAL transaction_…)
	KindDiscard
	KindPrepare
	KindExecute
	KindDeallocate
	KindDeclareCursor
	KindFetch // FETCH, MOVE
	KindCloseCursor
	KindListen
	KindUnlisten
	KindNotify
	KindCall // CALL, DO: may do anything, transaction control included
)

// Isolation is a transaction isolation level as named in a statement.
type Isolation uint8

const (
	IsolationDefault Isolation = iota // not named
	IsolationReadUncommitted
	IsolationReadCommitted
	IsolationRepeatableRead
	IsolationSerializable
)

// ReadOnly is a transaction's access mode as named in a statement.
type ReadOnly uint8

const (
	ReadOnlyDefault ReadOnly = iota // not named
	ReadOnlyYes
	ReadOnlyNo
)

// Name is a possibly schema-qualified name as PostgreSQL's grammar folded it.
// Schema is empty if the text named none.
type Name struct {
	Schema, Name string
}

// SetOp is what a KindSet statement does to the session's settings.
type SetOp uint8

const (
	SetNone     SetOp = iota
	SetValue          // SET x = …
	SetLocal          // SET LOCAL x = …: ends with the transaction
	SetReset          // RESET x, SET x TO DEFAULT
	SetResetAll       // RESET ALL
	SetOpaque         // a setting changed in a way that cannot be repeated elsewhere from the text (set_config with a parameter, SET … FROM CURRENT)
)

// Statement is the verdict on one statement. It is immutable and shared. Where
// what a name means decides, Access is that of the worst case that the text and the
// built-in functions allow; Resolve knows better with a database's help.
type Statement struct {
	Kind   Kind
	Access Access
	// Reason says in a few words why Access is what it is ("function nextval",
	// "FOR UPDATE", "INSERT in WITH"). It is a constant or names an object; never a literal of the text.
	Reason string
	// Relations are the relations it names, CTE names excluded.
	Relations []Name
	// Functions are the functions it calls.
	Functions []Name
	// Uses is what it uses by name, for Resolve; nil if no name could change the
	// verdict: it names nothing, or is no read whatever its names mean.
	Uses *Uses

	// SQL is the statement's own text; filled only for KindBegin, KindSet,
	// KindSetTransaction and a repeatable set_config(), which the session may have to
	// repeat on another server connection. It is the literal text: never log it.
	SQL string
	// Object is the name that PREPARE, EXECUTE, DEALLOCATE (empty: ALL), a cursor
	// (CLOSE ALL: empty), SAVEPOINT, RELEASE, ROLLBACK TO, LISTEN, UNLISTEN (*:
	// empty) or SHOW gives; of DISCARD its target: "all", "plans", "sequences",
	// "temp"; of a repeatable set_config() or a Signal its column's alias; of EXPLAIN (HOWDAH) its FORMAT.
	Object string
	// Hold is DECLARE … WITH HOLD: the cursor outlives its transaction.
	Hold bool
	// Set and Setting (lower case; "role", "session_authorization",
	// "timezone" for their special syntax) describe a KindSet; Value is its constant, if it is one.
	//
	// A KindSelect that calls set_config() has Set too, and SQL if it can be
	// repeated elsewhere. Setting is empty if a statement sets several settings.
	// SET CONSTRAINTS is a KindSet with SetNone: it ends with the transaction.
	Set     SetOp
	Setting string
	Value   string
	// Isolation and ReadOnly are those of KindBegin, KindSetTransaction and of
	// SET SESSION CHARACTERISTICS (a KindSet).
	Isolation Isolation
	ReadOnly  ReadOnly
	// Chain is COMMIT AND CHAIN or ROLLBACK AND CHAIN.
	Chain bool

	// TransactionScoped is a read whose answer is fixed for the whole
	// transaction (now(), CURRENT_TIMESTAMP …): inside a transaction block
	// that also uses the primary it must run there.
	TransactionScoped bool
	// CreatesTemp is a statement that makes a temporary object. TempNames are the
	// relations among them, and some that exist already; if it has none, what is made is something
	// else or not known. DropsAtCommit is ON COMMIT DROP.
	CreatesTemp   bool
	TempNames     []string
	DropsAtCommit bool
	// Drops is a DROP of the Relations.
	Drops bool
	// CallsUnknown is a statement that calls a function of which the text and the
	// built-in names say nothing.
	CallsUnknown bool
	// Trustable is a statement that would be a read if only the functions that are
	// not known read; a hint may say so.
	Trustable bool
	// Explained is the text of the statement that EXPLAIN (HOWDAH) asks about, empty of
	// every other statement. It may hold literals: never log it.
	Explained string
	// Params is the highest $n in the text.
	Params int
	// Console is what howdah answers as an operator's question (SHOW pool_nodes, PGPOOL
	// SHOW …), in one spelling; empty of every other statement.
	Console string
	// Signal is what it does to a session of howdah's.
	Signal Signal
	// LocksSession is a statement that takes an advisory lock for the session.
	LocksSession bool
	// ReadsCounters is a statement that looks at how often relations or functions were used on
	// its node (pg_stat_user_tables and its kin).
	ReadsCounters bool
	// KeepsSession is a statement that was not understood, but certainly is one query
	// or change of data that leaves settings, temporary objects and definitions alone.
	KeepsSession bool
	// ChangesDefaults is a statement that changes the settings which later sessions begin
	// with: ALTER DATABASE SET, ALTER ROLE SET.
	ChangesDefaults bool
	// Databases are those that the statement makes, drops or renames, with both names: what was known of them concerns
	// others from now on.
	Databases []string
	// Redefines is a statement that may change what names mean to other
	// sessions, so that their Knowledge ends with it; but not if it is Tame: then nothing is more
	// than a read that was none before. If it has Adds, only these names, without a schema, are in doubt, and what
	// uses them. Uncovers: so are the functions that were hidden (Knowledge.Hidden). Attaches are tables
	// that are read through others from now on; it is Tame if they are ordinary tables (Knowledge.IsOrdinary).
	Redefines bool
	Tame      bool
	Adds      []string
	// Makes are the definitions of the Adds, if the text tells of each: Knowledge.Doubt says which of them must be in doubt.
	Makes    []*Definition
	Uncovers bool
	Attaches []string

	// planned is EXPLAIN without ANALYZE: what it holds does not run.
	planned bool
	// calls is CALL: only the procedure can say whether it changes definitions.
	calls bool
}

// Verdict is the verdict on a whole query text. It is immutable and shared by
// all sessions that send the text (or one that differs from it in literals only).
type Verdict struct {
	Statements []Statement
	// Access is the highest of the statements'; AccessNone if there is none.
	Access Access
	// Reason is that of the first statement with Access.
	Reason string
	// Single is the only statement's kind, or KindUnknown if there are none or several.
	Single Kind
	// TransactionScoped, CreatesTemp and Redefines are true if they are for any statement.
	TransactionScoped bool
	CreatesTemp       bool
	Redefines         bool
	// Stateful is true if any statement is not a plain KindSelect / KindWrite
	// / KindDDL / KindShow / KindExplain / KindCopy*, or if it calls set_config(): the
	// session has books to keep when it completes. False is the fast path.
	Stateful bool
	// LiteralDependent is true if another literal in the same text could have
	// given another verdict; such a verdict is shared by the exact text only.
	LiteralDependent bool
	// Trustable is true if every statement is a read or Trustable, and one is not a read.
	Trustable bool
	// Own is true if any statement is for howdah itself (Statement.IsOwn), or may be by its parameter (Signal).
	Own bool
	// Traceless is true if the text certainly leaves nothing on its connection that DISCARD ALL would take away.
	// Only Resolve says so, as it depends on what names mean.
	Traceless bool
	// Commented is true if the text begins with a comment, and Hint is what such a comment asks for.
	Commented bool
	Hint      Hint
	// Fingerprint is the same for all texts of one skeleton (or for one text, if it has
	// none), within one process; 0 if a Parser did not make the verdict.
	Fingerprint uint64
	// Backslash is true if a plain '…' literal holds a backslash. The verdict is
	// then right only while standard_conforming_strings is on; if the session has
	// turned it off, treat it as AccessUnknown.
	Backslash bool

	// resolved is what Resolve and Judge found; shared by copies of the verdict.
	resolved *resolutions
	// settled: the operator's patterns have decided, whatever names mean.
	settled bool
}
