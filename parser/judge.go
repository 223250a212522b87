package parser

import (
	"strings"

	"github.com/howdah/howdah/parser/catalog"
)

// builder makes a Knowledge.
type builder struct {
	k       *Knowledge
	options KnowledgeOptions
	// objects are all whose effect depends on others'.
	objects    []*object
	byOID      map[catalog.OID]*object // functions
	relationOf map[catalog.OID]*object
	typeOf     map[catalog.OID]*object
	// calls are the names that functions and procedures call, by their names.
	calls map[string][]Name
	// qualified is for texts that PostgreSQL wrote, with every name's schema, and
	// anywhere for those that run with the search path of whoever calls.
	qualified, anywhere *Env
}

func (b *builder) env(e Env) *Env {
	e.Rules, e.Knowledge = b.options.Rules, b.k
	return NewEnv(e)
}

// classify is Classify with the memory of the Knowledge before.
func (b *builder) classify(text string) *Verdict {
	v := b.k.texts[text]
	if v == nil && b.options.Before != nil {
		v = b.options.Before.texts[text]
	}
	if v == nil {
		v = Classify(text)
	}
	b.k.texts[text] = v
	return v
}

// classifyPL is the verdict on a body in PL/pgSQL, nil if that is not understood.
func (b *builder) classifyPL(body string) *Verdict {
	key := "plpgsql " + body
	v, known := b.k.texts[key]
	if !known && b.options.Before != nil {
		v, known = b.options.Before.texts[key]
	}
	if !known {
		if sql, ok := plText(body); ok {
			v = Classify(sql).merged()
		}
	}
	b.k.texts[key] = v
	return v
}

// primaryOnly is the effect of reading what only the primary has.
func primaryOnly(reason string) effect { return effect{access: AccessSession, reason: reason} }

func (b *builder) functions(facts []catalog.UserFunction) {
	for i := range facts {
		f := &facts[i]
		b.conduct(f)
		if f.Kind == 'p' {
			continue
		}
		fn := &function{fact: f, object: object{schema: f.Schema, name: f.Name, label: "function " + f.Schema + "." + f.Name}}
		switch {
		case f.Kind == 'a':
		case f.Language == "sql":
			fn.texts = append(fn.texts, text{b.classify(bodyOf(f)), b.pathOf(f)})
		default:
			b.procedural(fn)
		}
		b.runs(&fn.object, f.DefaultValues)
		b.k.functions[f.Name] = append(b.k.functions[f.Name], fn)
		b.byOID[f.OID] = &fn.object
		b.objects = append(b.objects, &fn.object)
	}
	for i := range facts {
		if facts[i].Kind == 'p' {
			continue
		}
		for _, part := range facts[i].Parts {
			b.uses(b.byOID[facts[i].OID], b.byOID[part])
		}
	}
}

// procedural is for functions that are not in language sql. The body of one in PL/pgSQL
// is followed if it is understood wholly; else the definition's word counts.
func (b *builder) procedural(fn *function) {
	f := fn.fact
	access, scoped := accessOf(f.Class())
	if f.Language == "plpgsql" && !f.Judged() {
		if v := b.classifyPL(f.Body); v != nil {
			fn.texts = append(fn.texts, text{v, b.pathOf(f)})
			if f.Volatility != 'v' {
				fn.promised, fn.promise = true, effect{access: access, scoped: scoped}
			}
			return
		}
	}
	fn.own = effect{access: access, scoped: scoped, reason: fn.label, guess: access > AccessRead && !f.Judged()}
	if f.Extension == "" && access == AccessWrite {
		fn.own.reason += " is volatile"
	}
}

// uses notes that o is made of part, nil if that is harmless.
func (b *builder) uses(o, part *object) {
	if part != nil && part != o {
		o.uses = append(o.uses, part)
	}
}

// runs notes SQL with qualified names, if there is any, that o runs.
func (b *builder) runs(o *object, sql string) {
	if sql != "" {
		o.texts = append(o.texts, text{b.classify(sql), b.qualified})
	}
}

// bodyOf is a function's body as statements: one that was stored parsed comes as
// BEGIN ATOMIC … END or RETURN expression.
func bodyOf(f *catalog.UserFunction) string {
	if !f.Qualified {
		return f.Body
	}
	body := strings.TrimSpace(f.Body)
	if expression, ok := strings.CutPrefix(body, "RETURN "); ok {
		return "SELECT (" + expression + ")"
	}
	return strings.TrimSuffix(strings.TrimPrefix(body, "BEGIN ATOMIC"), "END")
}

// pathOf is what names in a function's body are looked up with.
func (b *builder) pathOf(f *catalog.UserFunction) *Env {
	if f.Qualified {
		return b.qualified
	}
	if f.SearchPath == "" {
		return b.anywhere
	}
	path, known := ParseSearchPath(f.SearchPath, "")
	return b.env(Env{SearchPath: path, AnyPath: !known})
}

func (b *builder) relations(facts []catalog.Relation) {
	for i := range facts {
		f := &facts[i]
		name := f.Schema + "." + f.Name
		o := &object{schema: f.Schema, name: f.Name, label: "table " + name}
		switch {
		case f.Kind == 'v':
			o.label = "view " + name
			b.runs(o, f.Definition)
		case f.Kind == 'S':
			o.own = primaryOnly("sequence " + name)
		case f.Unlogged:
			o.own = primaryOnly("unlogged table " + name)
		case f.Kind == 'f' && !b.options.ReadForeign:
			o.own = primaryOnly("foreign table " + name)
		}
		if f.Policies != "" && f.Kind != 'v' {
			o.label = "row-level security of " + name
			b.runs(o, f.Policies)
		}
		b.k.relations[f.Name] = append(b.k.relations[f.Name], o)
		b.relationOf[f.OID] = o
		b.objects = append(b.objects, o)
	}
	for i := range facts {
		for _, child := range facts[i].Children {
			b.uses(b.relationOf[facts[i].OID], b.relationOf[child])
		}
	}
}

func (b *builder) operators(facts []catalog.Operator) {
	for _, f := range facts {
		o := &object{schema: f.Schema, name: f.Name, label: "operator " + f.Schema + "." + f.Name}
		b.uses(o, b.byOID[f.Function])
		b.k.operators[f.Name] = append(b.k.operators[f.Name], o)
		b.objects = append(b.objects, o)
	}
}

func (b *builder) types(facts []catalog.Type) {
	for i := range facts {
		f := &facts[i]
		o := &object{schema: f.Schema, name: f.Name, label: "type " + f.Schema + "." + f.Name}
		b.runs(o, f.Check)
		for _, function := range f.Functions {
			b.uses(o, b.byOID[function])
		}
		b.k.types[f.Name] = append(b.k.types[f.Name], o)
		b.typeOf[f.OID] = o
		b.objects = append(b.objects, o)
	}
	for i := range facts {
		b.uses(b.typeOf[facts[i].OID], b.typeOf[facts[i].Base])
	}
}

func (b *builder) casts(facts []catalog.Cast) {
	for _, f := range facts {
		o := &object{schema: f.Schema, name: f.Name, label: "cast to " + f.Schema + "." + f.Name}
		b.uses(o, b.byOID[f.Function])
		if f.Implicit {
			o.label = "implicit " + o.label
			b.k.implicit = append(b.k.implicit, o)
		}
		b.k.types[f.Name] = append(b.k.types[f.Name], o)
		b.objects = append(b.objects, o)
	}
}

// maxRounds bounds how often settle goes over all objects; it takes one round more
// than views and functions are nested in an order other than that of their making.
const maxRounds = 64

// settle computes the effects: the least ones that agree with each other, so that
// recursion adds nothing. An effect only ever grows.
func (b *builder) settle() {
	for range maxRounds {
		changed := false
		for _, o := range b.objects {
			if e := o.total(); e.access != o.effect.access || e.scoped != o.effect.scoped || e.sure != o.effect.sure || e.guess != o.effect.guess {
				o.effect, changed = e, true
			}
		}
		if !changed {
			return
		}
	}
	for _, o := range b.objects {
		if len(o.texts) > 0 {
			o.effect = effect{access: AccessUnknown, reason: o.label + " is nested too deeply"}
		}
	}
}

// total is what an object does as far as the others' effects are known by now.
func (o *object) total() effect {
	e := o.own
	for _, part := range o.uses {
		e.join(o.through(part.effect))
	}
	for _, t := range o.texts {
		e.join(o.through(t.effect()))
	}
	if o.promised {
		return o.keeping(e)
	}
	return e
}

// keeping is an effect of which the promise that it only reads is believed where nobody
// knows better: a function that a STABLE one calls, and that is not understood, reads too.
func (o *object) keeping(e effect) effect {
	if !e.guess {
		return e
	}
	if e.sure <= AccessRead {
		return effect{access: o.promise.access, scoped: e.scoped || o.promise.scoped}
	}
	return effect{access: e.sure, scoped: e.scoped, reason: o.label + " is not what it is declared"}
}

// through is another object's effect when it comes by way of o. Of a long way the reason
// names the two ends.
func (o *object) through(e effect) effect {
	if e.reason == "" {
		return e
	}
	if e.origin == "" {
		e.origin = e.reason
	}
	e.reason = o.label + ": " + e.origin
	return e
}

// effect is what running the text does.
func (t text) effect() effect {
	var e effect
	for i := range t.verdict.Statements {
		st := &t.verdict.Statements[i]
		if st.Uses == nil {
			e.join(effect{access: st.Access, scoped: st.TransactionScoped, reason: st.Reason, guess: st.Access == AccessUnknown})
			continue
		}
		r := resolver{env: t.env}
		e.join(r.statement(st))
	}
	return e
}
