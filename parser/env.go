package parser

import "sync/atomic"

// Env is what the names of a session's statements are resolved with. It is
// immutable; sessions of one database, search_path and configuration share one, as
// its identity is what verdicts remember their resolutions by.
type Env struct {
	// Rules are the operator's; nil is none. With Knowledge they are those that it was made with.
	Rules *Rules
	// Knowledge is the database's; nil is none: only Rules and what PostgreSQL is
	// born with are known.
	Knowledge *Knowledge
	// Waiting: there will be Knowledge soon. Until then a statement that it could
	// turn into anything but a read is AccessUnknown.
	Waiting bool
	// Extensions: there is no database to ask, and functions that are called as those of
	// well-known extensions are taken for these.
	Extensions bool
	// SearchPath has the schemas in the order they are searched, "$user"
	// replaced. pg_catalog is in it only if it was named.
	SearchPath []string
	// AnyPath: SearchPath is not known. Names without a schema then mean whatever
	// they may mean in any schema.
	AnyPath bool

	id uint64
}

// NewEnv completes an Env, which must not be changed afterwards.
func NewEnv(e Env) *Env {
	e.id = nextID()
	if e.Knowledge != nil {
		e.Rules = e.Knowledge.rules
	}
	return &e
}

// sharedID is the identity of all Envs that differ in their search path only;
// without Knowledge no path matters, but then sessions share the Env too.
func (e *Env) sharedID() uint64 {
	if e.Knowledge == nil {
		return e.id
	}
	return e.Knowledge.id
}

var ids atomic.Uint64

// nextID is a number never used before.
func nextID() uint64 { return ids.Add(1) }
