package parser

import (
	"slices"
	"strings"
	"sync/atomic"
)

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
	// Doubtful are names, without schema, of which Knowledge may not be right any more. A statement with
	// one of them is AccessUnknown, too. What uses them is to be among them (Knowledge.WithUsers).
	Doubtful map[string]bool
	// Made are names of functions that Knowledge has not, but that are known to be harmless unless Doubtful.
	Made map[string]bool
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
	if e.Knowledge == nil || len(e.Doubtful)+len(e.Made) > 0 {
		return e.id
	}
	return e.Knowledge.id
}

var ids atomic.Uint64

// nextID is a number never used before.
func nextID() uint64 { return ids.Add(1) }

// Doubts is whether a statement of v has a doubtful name.
func (e *Env) Doubts(v *Verdict) bool {
	if len(e.Doubtful) == 0 {
		return false
	}
	for i := range v.Statements {
		if e.DoubtsIn(&v.Statements[i]) {
			return true
		}
	}
	return false
}

// DoubtsIn is whether the statement has a doubtful name.
func (e *Env) DoubtsIn(st *Statement) bool {
	if len(e.Doubtful) == 0 {
		return false
	}
	for _, name := range st.Functions { // what a statement that is no read calls concerns the session, too
		if e.Doubtful[name.Name] {
			return true
		}
	}
	for _, name := range st.Relations {
		// A second sequence of the same name for a serial column has a number behind it.
		if e.Doubtful[name.Name] || e.Doubtful[strings.TrimRight(name.Name, "0123456789")] {
			return true
		}
	}
	if st.Uses == nil {
		return false
	}
	for i := range st.Uses.Calls {
		if e.Doubtful[st.Uses.Calls[i].Function.Name] {
			return true
		}
	}
	doubtful := func(n Name) bool { return e.Doubtful[n.Name] }
	return slices.ContainsFunc(st.Uses.Operators, doubtful) || slices.ContainsFunc(st.Uses.Types, doubtful) ||
		slices.ContainsFunc(st.Uses.Fields, func(f string) bool { return e.Doubtful[f] })
}
