package parser

import (
	"unsafe"

	pg "github.com/pganalyze/pg_query_go/v5"

	"github.com/howdah/howdah/parser/catalog"
)

// Definition is what the text of a CREATE tells of what using the name does, before the catalogs have been read again.
// It is immutable and shared, as its statement is.
type Definition struct {
	// Name is without its schema, as the rest of what is in doubt.
	Name string
	// function: it is called; schema is what its name was written with, or empty.
	function bool
	schema   string
	// texts run when it is used, calls are what they call, own is what it does by itself.
	texts   []*Verdict
	calls   []Name
	own     effect
	conduct Conduct
}

// definitions are those of the names that a statement adds, or nil if the text does not tell of each of them.
func (w *walker) definitions(node *pg.Node) []*Definition {
	switch n := node.Node.(type) {
	case *pg.Node_ViewStmt:
		return []*Definition{{Name: n.ViewStmt.View.GetRelname(), texts: w.texts(func(inner *walker) { inner.statement(n.ViewStmt.Query) })}}
	case *pg.Node_CreatePolicyStmt:
		return w.running(n.CreatePolicyStmt.Table.GetRelname(), n.CreatePolicyStmt.Qual)
	case *pg.Node_CreateDomainStmt:
		d := n.CreateDomainStmt
		return w.running(lastName(d.Domainname), append([]*pg.Node{{Node: &pg.Node_TypeName{TypeName: d.TypeName}}}, d.Constraints...)...)
	case *pg.Node_CompositeTypeStmt:
		return []*Definition{{Name: n.CompositeTypeStmt.Typevar.GetRelname()}}
	case *pg.Node_CreateRangeStmt: // its functions are PostgreSQL's own
		var list []*Definition
		for _, name := range w.st.Adds {
			list = append(list, &Definition{Name: name, function: true})
		}
		return list
	case *pg.Node_CreateFunctionStmt:
		return w.ofFunctionText(n.CreateFunctionStmt)
	case *pg.Node_DefineStmt:
		return w.ofParts(n.DefineStmt)
	}
	return nil
}

// texts is the verdict on what f walks, as one query.
func (w *walker) texts(f func(inner *walker)) []*Verdict {
	inner := walker{sql: w.sql}
	inner.st.Kind, inner.st.Access = KindSelect, AccessRead
	f(&inner)
	inner.finish()
	w.literalDependent = w.literalDependent || inner.literalDependent
	v := &Verdict{Statements: []Statement{inner.st}}
	return []*Verdict{v.sum()}
}

// running is the definition of what evaluates expressions.
func (w *walker) running(name string, expressions ...*pg.Node) []*Definition {
	return []*Definition{{Name: name, texts: w.texts(func(inner *walker) {
		for _, e := range expressions {
			if m := contents(e); m != nil {
				inner.walk(m)
			}
		}
	})}}
}

// ofFunctionText judges a function as the catalogs' reader would, but by the text that makes it.
func (w *walker) ofFunctionText(n *pg.CreateFunctionStmt) []*Definition {
	f := &catalog.UserFunction{Name: lastName(n.Funcname), Schema: nameFrom(n.Funcname).Schema, Kind: 'f', Volatility: 'v'}
	if n.IsProcedure || n.SqlBody != nil || isTempSchema(f.Schema) {
		return nil
	}
	w.literalDependent = true
	source := ""
	for _, option := range n.Options {
		switch d := option.GetDefElem(); d.GetDefname() {
		case "language":
			f.Language = d.Arg.GetString_().GetSval()
		case "volatility":
			f.Volatility = (d.Arg.GetString_().GetSval() + "v")[0] // as pg_proc.provolatile has it
		case "as":
			for _, part := range d.Arg.GetList().GetItems() {
				source += part.GetString_().GetSval()
			}
		}
	}
	switch f.Language {
	case "":
		return nil // it is an error
	case "sql", "plpgsql":
		f.Body = source
	}
	f.MakesTemp = f.Language != "c" && f.Language != "internal" && mayMakeTemp(source)
	if len(f.Body) > maxJudgedBody {
		return nil
	}
	b := builder{k: &Knowledge{conduct: map[string]Conduct{}, procedures: map[string]bool{}, texts: map[string]*Verdict{}}, calls: map[string][]Name{}}
	fn := &function{fact: f, object: object{schema: f.Schema, name: f.Name}}
	b.conduct(f)
	if f.Language == "sql" {
		fn.texts = append(fn.texts, text{b.classify(f.Body), nil})
	} else {
		b.procedural(fn)
	}
	d := &Definition{Name: f.Name, function: true, schema: f.Schema, own: fn.own, conduct: b.k.conduct[f.Name], calls: b.calls[f.Name]}
	for _, t := range fn.texts {
		d.texts = append(d.texts, t.verdict)
	}
	for _, p := range n.Parameters {
		if e := p.GetFunctionParameter().GetDefexpr(); e != nil {
			d.texts = append(d.texts, w.running("", e)[0].texts...)
		}
	}
	return []*Definition{d}
}

// maxJudgedBody bounds the source that is judged at once, in bytes.
const maxJudgedBody = 32 << 10

// ofParts is an aggregate, an operator or a base type, made of functions.
func (w *walker) ofParts(n *pg.DefineStmt) []*Definition {
	d := &Definition{Name: lastName(n.Defnames), schema: nameFrom(n.Defnames).Schema, function: n.Kind == pg.ObjectType_OBJECT_AGGREGATE}
	d.texts = w.texts(func(inner *walker) {
		for _, node := range n.Definition {
			e := node.GetDefElem()
			if !partsOf[e.GetDefname()] {
				continue
			}
			name := nameFrom(e.Arg.GetTypeName().GetNames())
			if name.Name == "" {
				inner.raise(AccessUnknown, reasonUnknown)
			}
			inner.st.Functions = append(inner.st.Functions, name)
			inner.uses.Calls = append(inner.uses.Calls, Call{Function: name, Args: AnyArgs, Class: classOf(name)})
		}
	})
	return []*Definition{d}
}

// partsOf are the options of CREATE AGGREGATE, OPERATOR and TYPE that name functions which run when it is used.
var partsOf = makeSet(`sfunc sfunc1 finalfunc combinefunc serialfunc deserialfunc msfunc minvfunc mfinalfunc
	function procedure input receive typmod_in`)

// harmless is whether using what is defined only reads and does nothing that a session has to know of, in whatever
// schemas the names that it uses are.
func (d *Definition) harmless(env *Env) bool {
	k := env.Knowledge
	if d.own.access > AccessRead || d.own.scoped || d.conduct != 0 || d.function && env.Rules.mayWrite(d.schema, d.Name) {
		return false
	}
	for _, name := range d.calls {
		if env.Doubtful[name.Name] || k.conduct[name.Name] != 0 {
			return false
		}
	}
	for _, v := range d.texts {
		if env.Doubts(v) || k.Conduct(v) != 0 || v.conduct() != 0 {
			return false
		}
		if e := (text{v, env}).effect(); e.access > AccessRead || e.scoped {
			return false
		}
	}
	return true
}

// mayWrite is whether the lists may have a function among the writers; an empty schema is not known.
func (r *Rules) mayWrite(schema, name string) bool {
	if r == nil || len(r.write) == 0 {
		return false
	}
	return schema == "" || matchesAny(r.write, name) || matchesAny(r.write, schema+"."+name)
}

// Doubt completes the names in doubt with what uses them, and with the names of those definitions that are not certain to
// be harmless. The answer has the functions among the others, for Env.Made, and whether everything is in doubt.
func (k *Knowledge) Doubt(doubtful map[string]bool, definitions []*Definition) (made map[string]bool, all bool) {
	if k.WithUsers(doubtful) {
		return nil, true
	}
	for _, d := range definitions {
		if d.function {
			if made == nil {
				made = map[string]bool{}
			}
			made[d.Name] = true
		}
	}
	for changed := len(definitions) > 0; changed; {
		changed = false
		env := NewEnv(Env{Knowledge: k, Doubtful: doubtful, Made: made, AnyPath: true})
		for _, d := range definitions {
			if doubtful[d.Name] || d.harmless(env) {
				continue
			}
			doubtful[d.Name], changed = true, true
			if k.WithUsers(doubtful) {
				return nil, true
			}
		}
	}
	return made, false
}

// size is about the memory that it takes.
func (d *Definition) size() int64 {
	n := int64(unsafe.Sizeof(*d)) + int64(len(d.Name)) + namesSize(d.calls)
	for _, v := range d.texts {
		n += v.size()
	}
	return n
}
