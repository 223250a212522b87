package parser

import "github.com/howdah/howdah/parser/catalog"

// Conduct is a set of what functions and procedures that a text calls may do beside their
// answer, which a session has to know of.
type Conduct uint8

const (
	// ConductSets changes settings of the session.
	ConductSets Conduct = 1 << iota
	// ConductSetsLocal changes settings of the transaction.
	ConductSetsLocal
	// ConductTemp makes temporary objects.
	ConductTemp
	// ConductRedefines changes what names mean.
	ConductRedefines
)

// Conduct is what the functions and procedures do that the text calls, and those that they
// call in turn, by the look of their source. Only names count, whatever their schemas and
// arguments. What views and triggers call is not seen, nor sources in languages other than
// SQL and PL/pgSQL but for the word of temporary objects.
func (k *Knowledge) Conduct(v *Verdict) Conduct {
	var c Conduct
	if len(k.conduct) > 0 {
		for i := range v.Statements {
			if st := &v.Statements[i]; !st.planned {
				c |= k.conductOf(st)
			}
		}
	}
	return c
}

func (k *Knowledge) conductOf(st *Statement) Conduct {
	var c Conduct
	for _, name := range st.Functions {
		c |= k.conduct[name.Name]
	}
	return c
}

// LeavesNames is whether a CALL certainly changes no definition: all that may be meant, and
// all that it calls, is understood.
func (k *Knowledge) LeavesNames(st *Statement) bool {
	for _, name := range st.Functions {
		if k.conduct[name.Name]&ConductRedefines != 0 || k.functions[name.Name] == nil && !k.procedures[name.Name] && classOf(name) == catalog.Unknown {
			return false
		}
	}
	return st.calls
}

// conduct notes what a function or procedure does by itself, and what it calls.
func (b *builder) conduct(f *catalog.UserFunction) {
	var c Conduct
	var v *Verdict
	switch {
	case f.Kind == 'a':
		return
	case f.Language == "sql":
		v = b.classify(bodyOf(f))
	case f.Language == "plpgsql":
		v = b.classifyPL(f.Body)
	}
	switch {
	case v != nil:
		c = v.conduct()
		for i := range v.Statements {
			b.calls[f.Name] = append(b.calls[f.Name], v.Statements[i].Functions...)
		}
	case f.Body != "":
		c = b.suspected(f)
	case f.Kind == 'p':
		c = ConductRedefines
	}
	if f.MakesTemp {
		c |= ConductTemp
	}
	if f.Kind == 'p' {
		b.k.procedures[f.Name] = true
	}
	if c != 0 {
		b.k.conduct[f.Name] |= c
	}
}

// conduct is what the statements of a body do by themselves.
func (v *Verdict) conduct() Conduct {
	var c Conduct
	for i := range v.Statements {
		st := &v.Statements[i]
		switch {
		case st.Set == SetLocal:
			c |= ConductSetsLocal
		case st.Set != SetNone:
			c |= ConductSets
		}
		if st.CreatesTemp {
			c |= ConductTemp
		}
		if st.Redefines && !st.calls { // of CALL the procedure says more
			c |= ConductRedefines
		}
	}
	return c
}

// suspected is what a body may do of which only words are understood. A function that
// executes texts is not taken for one that defines something: it may be called all the time.
func (b *builder) suspected(f *catalog.UserFunction) Conduct {
	var c Conduct
	if maySet(f.Body) {
		c |= ConductSets
	}
	if f.Kind == 'p' && mayDefine(f.Body) {
		c |= ConductRedefines
	}
	tokens, _ := plTokens(f.Body)
	for i := range tokens {
		if t := &tokens[i]; t.kind == plWord && tokens[i+1].is("(") {
			b.calls[f.Name] = append(b.calls[f.Name], Name{Name: t.text})
		}
	}
	return c
}

// spread gives callers the conduct of what they call, until nothing changes.
func (b *builder) spread() {
	if len(b.k.conduct) == 0 {
		return
	}
	for changed := true; changed; {
		changed = false
		for caller, calls := range b.calls {
			c := b.k.conduct[caller]
			for _, name := range calls {
				c |= b.k.conduct[name.Name]
			}
			if c != b.k.conduct[caller] {
				b.k.conduct[caller], changed = c, true
			}
		}
	}
}
