package parser

import (
	"context"
	"slices"

	"github.com/howdah/howdah/parser/catalog"
)

// Knowledge is what a database's own names mean: its functions, and those of its
// relations, operators, casts and types whose use is more than a read. Views,
// policies and functions in the languages sql and plpgsql are followed to what they use. It is
// immutable, and right as long as nobody changes the database's definitions.
//
// It does not know triggers and rules on writes, as writes go to the primary
// anyway; output functions of types, which are trusted; operators that ORDER
// BY, DISTINCT and GROUP BY use unnamed, which PostgreSQL requires to be immutable.
type Knowledge struct {
	id    uint64
	rules *Rules

	functions map[string][]*function // by name without schema, as the rest
	relations map[string][]*object
	operators map[string][]*object
	types     map[string][]*object
	// implicit is what casts do that take place without being asked for.
	implicit []*object

	// conduct is that of functions and procedures by name, procedures are all of them.
	conduct    map[string]Conduct
	procedures map[string]bool

	// users are the objects that use a name, by theirs.
	users map[string][]string

	// texts are the verdicts on bodies and definitions, for the next Knowledge.
	texts map[string]*Verdict
	bytes int64
}

// KnowledgeOptions say how facts are judged.
type KnowledgeOptions struct {
	// Rules are the operator's; they hold inside views and functions too.
	Rules *Rules
	// ReadForeign lets foreign tables be read through standbys.
	ReadForeign bool
	// Before is the Knowledge that this one replaces, to save work; it may be nil.
	Before *Knowledge
}

// object is something with a name and what its use does.
type object struct {
	schema, name string
	// label is the object in a reason: "view app.v".
	label string
	// own is what its use does by itself; effect also has what that uses.
	own, effect effect
	// uses are the objects it is made of, texts the SQL that it runs.
	uses  []*object
	texts []text
	// promised: its definition promises that it only reads, and promise is what it does then.
	promised bool
	promise  effect
}

// text is SQL that runs when something is used.
type text struct {
	verdict *Verdict
	env     *Env
}

// function is a function or aggregate with what tells its calls from others'.
type function struct {
	object
	fact *catalog.UserFunction
}

// NewKnowledge judges facts. It takes some tens of microseconds for every view
// and function with a body that Before does not know.
func NewKnowledge(f *catalog.Facts, o KnowledgeOptions) *Knowledge {
	k := &Knowledge{id: nextID(), rules: o.Rules, bytes: f.Bytes,
		functions: map[string][]*function{}, relations: map[string][]*object{},
		operators: map[string][]*object{}, types: map[string][]*object{}, conduct: map[string]Conduct{}, procedures: map[string]bool{}, texts: map[string]*Verdict{}}
	b := builder{k: k, options: o, byOID: map[catalog.OID]*object{}, relationOf: map[catalog.OID]*object{}, typeOf: map[catalog.OID]*object{},
		calls: map[string][]Name{}}
	b.qualified = b.env(Env{SearchPath: []string{"pg_catalog"}})
	b.anywhere = b.env(Env{AnyPath: true})
	b.functions(f.Functions)
	b.relations(f.Relations)
	b.operators(f.Operators)
	b.types(f.Types)
	b.casts(f.Casts)
	b.settle()
	b.spread()
	b.noteUsers()
	for text, v := range k.texts {
		k.bytes += int64(len(text)) + v.size()
	}
	return k
}

// HasFunction is whether the database has a function or aggregate of its own with a name, in any schema.
func (k *Knowledge) HasFunction(name string) bool {
	return len(k.functions[name]) > 0 || k.procedures[name]
}

// Bytes is about the memory that the Knowledge takes.
func (k *Knowledge) Bytes() int64 { return k.bytes }

// function is what the functions that a call may mean do, together; false if there is none.
// If the call is only planned, those that are volatile and not in language sql are not called.
func (k *Knowledge) function(r *resolver, c *Call, planned bool) (effect, bool) {
	var e effect
	found := false
	candidates := k.functions[c.Function.Name]
	for i, fn := range candidates {
		if !fn.fact.Takes(c.Args) || !r.visible(c.Function.Schema, fn.schema) || r.hidden(c, fn, candidates[:i], candidates[i+1:]) {
			continue
		}
		found = true
		if ruled, ok := r.env.Rules.function(fn.schema + "." + fn.name); ok {
			e.join(ruled)
		} else if !planned || fn.fact.Volatility != 'v' || fn.fact.Language != "plpgsql" && len(fn.texts)+len(fn.uses) > 0 {
			e.join(fn.effect)
		}
	}
	return e, found
}

// hidden is whether another function with the very same arguments comes first in
// the search path, in a schema that no right is needed for.
func (r *resolver) hidden(c *Call, fn *function, lists ...[]*function) bool {
	if c.Function.Schema != "" || r.env.AnyPath {
		return false
	}
	place := slices.Index(r.env.SearchPath, fn.schema)
	for _, list := range lists {
		for _, other := range list {
			if other.fact.ArgTypes != fn.fact.ArgTypes || other.fact.Variadic || fn.fact.Variadic {
				continue
			}
			if at := slices.Index(r.env.SearchPath, other.schema); other.fact.ForAll && at >= 0 && at < place {
				return true
			}
		}
	}
	return false
}

// visible is whether a name that is written with the schema asked, or none, may
// mean what is in schema.
func (r *resolver) visible(asked, schema string) bool {
	if asked != "" {
		return asked == schema
	}
	if schema == "pg_catalog" {
		return true
	}
	r.pathMattered = true
	return r.env.AnyPath || slices.Contains(r.env.SearchPath, schema)
}

// known adds to e what the names of a statement do, but for its calls.
func (r *resolver) known(e *effect, st *Statement) {
	k := r.env.Knowledge
	for _, name := range st.Relations {
		r.join(e, name, k.relations)
	}
	for _, name := range st.Uses.Operators {
		r.join(e, name, k.operators)
	}
	for _, name := range st.Uses.Types {
		r.join(e, name, k.types)
	}
	for i := range st.Uses.Calls {
		if c := &st.Uses.Calls[i]; c.Args == 1 {
			r.join(e, c.Function, k.types) // text(x) may be a cast
		}
	}
	for _, field := range st.Uses.Fields {
		for _, fn := range k.functions[field] {
			if fn.fact.OfRow && fn.fact.Takes(1) && r.visible("", fn.schema) {
				e.join(fn.effect)
			}
		}
	}
	for _, o := range k.implicit {
		e.join(o.effect)
	}
}

// join adds what the objects do that a name may mean.
func (r *resolver) join(e *effect, name Name, objects map[string][]*object) {
	for _, o := range objects[name.Name] {
		if r.visible(name.Schema, o.schema) {
			e.join(o.effect)
		}
	}
}

// LoadKnowledge reads a database's catalogs and judges what they say. For whom
// the facts change, catalog.Load and NewKnowledge save work.
func LoadKnowledge(ctx context.Context, q catalog.Querier, maxBytes int64, o KnowledgeOptions) (*Knowledge, error) {
	f, err := catalog.Load(ctx, q, "", maxBytes)
	if err != nil {
		return nil, err
	}
	return NewKnowledge(f, o), nil
}
