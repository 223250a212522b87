package parser

import "github.com/howdah/howdah/parser/catalog"

// Resolve is the verdict when the names in it are looked up in env: as the
// text verdict where names change nothing, and then it is v itself. The order of
// authority is the operator's lists, the database's knowledge, the built-in
// functions; a name that none of them knows stays unknown.
//
// The answer is remembered with v: asked again with the same env it takes no
// lock and allocates nothing. Only Access, Reason and TransactionScoped, of the
// verdict and its statements, Trustable, and Set and Stateful, for functions that change settings,
// can differ from v's, and Traceless. A nil v or env gives v.
func Resolve(v *Verdict, env *Env) *Verdict {
	if v == nil || env == nil || v.settled || v.Access == AccessNone {
		return v
	}
	if known := v.resolved.find(env.id, env.sharedID()); known != nil {
		return known
	}
	r := resolver{env: env}
	resolved := r.verdict(v)
	id := env.sharedID()
	if r.pathMattered {
		id = env.id
	}
	v.resolved.add(id, resolved)
	return resolved
}

// effect is what using a name does to a statement. The zero value is harmless.
type effect struct {
	access Access // AccessRead or less is a read
	scoped bool   // TransactionScoped
	reason string
	// origin is reason without the views and functions that led there.
	origin string
	// guess: access is that high only because nobody knows better. sure is the highest that
	// is known to be right, if that is lower.
	guess bool
	sure  Access
}

// certain is the access that is no guess.
func (e *effect) certain() Access {
	if e.guess {
		return e.sure
	}
	return e.access
}

// join adds what another name does; the reason is that of the highest access, the first if several have it.
func (e *effect) join(other effect) {
	e.scoped = e.scoped || other.scoped
	sure := max(e.certain(), other.certain())
	if other.access > max(e.access, AccessRead) {
		e.access, e.reason, e.origin, e.guess = other.access, other.reason, other.origin, other.guess
	}
	e.sure = sure
}

// resolver looks up the names of one verdict.
type resolver struct {
	env *Env
	// pathMattered: another search path could have given another answer.
	pathMattered bool
}

func (r *resolver) verdict(v *Verdict) *Verdict {
	resolved := r.names(v)
	if !r.env.isTraceless(resolved) {
		return resolved
	}
	copied := *resolved // v itself is shared with those for whom names mean something else
	copied.Traceless = true
	return &copied
}

// names is the verdict by what its names do.
func (r *resolver) names(v *Verdict) *Verdict {
	var changed *Verdict
	for i := range v.Statements {
		st := &v.Statements[i]
		set := r.setting(st)
		if st.Uses == nil && set == st.Set {
			continue
		}
		e, rest := effect{access: st.Access, scoped: st.TransactionScoped}, effect{}
		if st.Uses != nil {
			e, rest = r.parts(st)
		}
		e.join(rest)
		access := max(e.access, AccessRead)
		if st.Uses == nil {
			access = st.Access
		}
		// Nobody vouches for what other names than functions' do.
		trustable := st.Trustable && rest.access <= AccessRead && set == st.Set
		if access == st.Access && e.scoped == st.TransactionScoped && trustable == st.Trustable && set == st.Set {
			continue
		}
		if changed == nil {
			copied := *v
			changed = &copied
			changed.Statements = append([]Statement(nil), v.Statements...)
		}
		st = &changed.Statements[i]
		st.TransactionScoped, st.Trustable, st.Set = e.scoped, trustable, set
		if access != st.Access {
			st.Access, st.Reason = access, ""
			if access > AccessRead {
				st.Reason = st.Uses.reason(e.reason)
			}
		}
	}
	if changed == nil {
		return v
	}
	changed.Access, changed.Reason, changed.TransactionScoped = AccessNone, "", false
	return changed.sum()
}

// setting is Set of a statement, which may call functions that change settings: they cannot be
// repeated elsewhere.
func (r *resolver) setting(st *Statement) SetOp {
	if r.env.Knowledge == nil || len(r.env.Knowledge.conduct) == 0 || st.planned {
		return st.Set
	}
	switch c := r.env.Knowledge.conductOf(st); {
	case c&ConductSets != 0:
		return widest(st.Set, SetOpaque)
	case c&ConductSetsLocal != 0 && st.Set == SetNone:
		return SetLocal
	case c&ConductSetsLocal != 0 && st.Set != SetLocal:
		return SetOpaque
	}
	return st.Set
}

// statement is what the names of a statement do.
func (r *resolver) statement(st *Statement) effect {
	e, rest := r.parts(st)
	e.join(rest)
	return e
}

// parts is what its function calls do, and what its other names do.
func (r *resolver) parts(st *Statement) (calls, rest effect) {
	calls.scoped = st.Uses.TransactionScoped
	for i := range st.Uses.Calls {
		calls.join(r.call(&st.Uses.Calls[i], st.Uses.planned))
	}
	if r.env.Waiting {
		rest.join(r.waiting(st))
	}
	if r.env.DoubtsIn(st) {
		rest.join(effect{access: AccessUnknown, reason: notReadYet})
	}
	if r.env.Knowledge != nil {
		r.known(&rest, st)
	} else {
		for _, name := range st.Relations {
			rest.join(namedLikeSequence(name))
		}
	}
	return calls, rest
}

// call is what a function call does; planned: in a statement that is only planned.
func (r *resolver) call(c *Call, planned bool) effect {
	if e, ok := r.env.Rules.function(c.Function.Name, c.Function.String()); ok {
		return e
	}
	var e effect
	found := false
	if k := r.env.Knowledge; k != nil {
		e, found = k.function(r, c, planned)
	}
	found = found || r.env.Made[c.Function.Name]
	if c.Class != catalog.Unknown || !found {
		class := c.Class
		if class == catalog.Unknown && r.env.Extensions {
			class, _ = catalog.ExtensionFunction(c.Function.Name)
		}
		access, scoped := accessOf(class)
		if planned && class == catalog.Unknown {
			access = AccessRead // it is volatile, and not called, or believed to read
		}
		e.join(effect{access: access, scoped: scoped, reason: "function " + c.Function.String(), guess: access == AccessUnknown})
	}
	return e
}

const notReadYet = "catalog not read yet"

// waiting is what a statement is while the catalogs are not known yet: a read
// only if it uses nothing that a user could have defined.
func (r *resolver) waiting(st *Statement) effect {
	unsure := effect{access: AccessUnknown, reason: notReadYet}
	for _, name := range st.Relations {
		if system, _ := systemRelation(name.Schema, name.Name); !system {
			return unsure
		}
	}
	for i := range st.Uses.Calls {
		if c := &st.Uses.Calls[i]; c.Function.Schema != "pg_catalog" {
			if _, ok := r.env.Rules.function(c.Function.Name, c.Function.String()); !ok {
				return unsure
			}
		}
	}
	return effect{}
}
