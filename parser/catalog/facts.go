package catalog

// Facts are what the catalogs of one database say about the names that may
// change what a statement does: functions, and of relations, operators, casts and
// types those that are more than they seem. They are immutable.
type Facts struct {
	// Fingerprint changes when any fact may have changed.
	Fingerprint string
	Functions   []UserFunction
	Relations   []Relation
	Operators   []Operator
	Casts       []Cast
	Types       []Type
	// Bytes is about the memory that they take.
	Bytes int64
}

// OID identifies an object of one kind in its database.
type OID string

// UserFunction is a function, procedure, aggregate or window function that PostgreSQL is not born with.
type UserFunction struct {
	OID          OID
	Schema, Name string
	Kind         byte // pg_proc.prokind: f, p, a, w
	Language     string
	Volatility   byte // pg_proc.provolatile: i, s, v
	// Args is the number of arguments, Defaults how many of the last may be left out;
	// of a variadic one the last may stand for any number, none included.
	Args, Defaults int
	Variadic       bool
	// ArgTypes are the types' OIDs, separated by spaces.
	ArgTypes string
	// OfRow: its first argument may be a row, so that t.f may mean f(t).
	OfRow bool
	// SearchPath is what SET search_path of the function's definition gives; empty
	// if it has none and runs with its caller's.
	SearchPath string
	// Extension is the extension that it belongs to, or empty.
	Extension string
	// Body is the source of one in language sql or plpgsql, empty if it is too long. Qualified: it was stored parsed,
	// and names in it have their schemas.
	Body      string
	Qualified bool
	// DefaultValues are the expressions of Defaults, as one SELECT, with names qualified.
	DefaultValues string
	// ForAll: everybody may look into its schema, so that it is found in every search path with it.
	ForAll bool
	// Parts are an aggregate's own functions.
	Parts []OID
	// MakesTemp: its source mentions temporary objects.
	MakesTemp bool
}

// Relation is a relation whose reading is more than reading a table.
type Relation struct {
	OID          OID
	Schema, Name string
	Kind         byte // pg_class.relkind: v, S, f, r, p, m
	Unlogged     bool
	// Definition is a view's query, with names qualified.
	Definition string
	// Policies are the conditions of row-level security that reads have to obey,
	// as one SELECT, with names qualified.
	Policies string
	// Children are relations that are read with it and are in the facts too.
	Children []OID
}

// Operator is an operator that PostgreSQL is not born with.
type Operator struct {
	Schema, Name string
	// Function is what it calls.
	Function OID
}

// Cast is a cast with a function that PostgreSQL is not born with.
type Cast struct {
	// Schema and Name are the target type's.
	Schema, Name string
	Function     OID
	// Implicit: it takes place without being asked for.
	Implicit bool
}

// Type is a type that evaluates what a user wrote: a domain with conditions, a
// base type with functions.
type Type struct {
	OID          OID
	Schema, Name string
	// Check is a domain's conditions as one SELECT, with names qualified.
	Check string
	// Base is the type under a domain, which may be one of these.
	Base OID
	// Functions are those that read a value's text.
	Functions []OID
}

// Takes is whether a call with so many arguments may mean the function; a negative number is any.
func (f *UserFunction) Takes(args int) bool {
	if args < 0 {
		return true
	}
	if f.Variadic {
		return args >= f.Args-1-f.Defaults
	}
	return args >= f.Args-f.Defaults && args <= f.Args
}
