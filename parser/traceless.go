package parser

import "github.com/howdah/howdah/parser/catalog"

// isTraceless is whether the resolved verdict's text leaves nothing on its connection that DISCARD ALL would take
// away, neither settings nor statements, cursors, locks, temporary objects or values of sequences. Certainly so are reads
// of tables by what PostgreSQL is born with, and transaction control. What of a user's own a name may mean, in any
// schema, may set something unseen: a view through a function, a function in another language.
func (e *Env) isTraceless(v *Verdict) bool {
	if e.Knowledge == nil || e.Waiting || len(v.Statements) == 0 {
		return false
	}
	for i := range v.Statements {
		if !e.leavesNothing(&v.Statements[i]) {
			return false
		}
	}
	return true
}

func (e *Env) leavesNothing(st *Statement) bool {
	switch st.Kind {
	case KindBegin, KindCommit, KindRollback, KindSavepoint, KindRelease, KindRollbackTo:
		return true
	case KindSelect:
		return st.Access == AccessRead && !st.stateful() && !st.IsOwn() && (st.Uses == nil || !e.usesOwn(st))
	}
	return false
}

// usesOwn is whether a read may use what is not PostgreSQL's own, but for tables.
func (e *Env) usesOwn(st *Statement) bool {
	k := e.Knowledge
	if len(k.implicit) > 0 || e.DoubtsIn(st) {
		return true
	}
	for i := range st.Uses.Calls {
		c := &st.Uses.Calls[i]
		if _, ruled := e.Rules.function(c.Function.Name, c.Function.String()); ruled { // that it reads says nothing of what it sets
			return true
		}
		if c.Class == catalog.Unknown || e.Made[c.Function.Name] || k.HasFunction(c.Function.Name) || len(k.types[c.Function.Name]) > 0 {
			return true
		}
	}
	for _, name := range st.Relations {
		if len(k.relations[name.Name]) > 0 {
			return true
		}
	}
	for _, name := range st.Uses.Operators {
		if len(k.operators[name.Name]) > 0 {
			return true
		}
	}
	for _, name := range st.Uses.Types {
		if len(k.types[name.Name]) > 0 {
			return true
		}
	}
	for _, field := range st.Uses.Fields {
		if k.HasFunction(field) {
			return true
		}
	}
	return false
}
