package parser

import "github.com/howdah/howdah/parser/catalog"

// Meaning is a name of a statement, and what it was found to mean.
type Meaning struct {
	Name Name
	// Words say how it was resolved and what using it does.
	Words string
}

// Describe says of the relations and functions of a statement what they mean in
// env, one by one, as Resolve takes them together. A nil env knows built-in names only.
func Describe(env *Env, st *Statement) (relations, functions []Meaning) {
	if env == nil {
		env = &Env{}
	}
	for _, name := range st.Relations {
		relations = append(relations, Meaning{name, describeRelation(env, name)})
	}
	for _, name := range st.Functions {
		functions = append(functions, Meaning{name, describeFunction(env, st, name)})
	}
	return relations, functions
}

func describeRelation(env *Env, name Name) string {
	k := env.Knowledge
	system, shared := systemRelation(name.Schema, name.Name)
	switch {
	case isTempSchema(name.Schema):
		return "temporary"
	case system && shared && (k == nil || len(k.relations[name.Name]) == 0):
		return "the system's: " + classWords[catalog.Safe]
	case k == nil:
		return "by its name alone"
	}
	r := resolver{env: env}
	for _, o := range k.relations[name.Name] {
		if r.visible(name.Schema, o.schema) {
			return "in the catalog: " + describeEffect(o.effect, o.label)
		}
	}
	return "a table that only holds rows, or not there"
}

// describeFunction is for all calls of the name together.
func describeFunction(env *Env, st *Statement, name Name) string {
	if e, ok := env.Rules.function(name.Name, name.String()); ok {
		return "by routing.functions: " + describeEffect(e, "")
	}
	calls := []Call{{Function: name, Args: AnyArgs, Class: classOf(name)}}
	if st.Uses != nil {
		for _, c := range st.Uses.Calls {
			if c.Function == name {
				calls = append(calls, c)
			}
		}
		calls = calls[1:]
	}
	r := resolver{env: env}
	words := ""
	for i := range calls {
		c := &calls[i]
		if env.Knowledge != nil {
			if e, found := env.Knowledge.function(&r, c, st.Uses != nil && st.Uses.planned); found {
				words = "in the catalog: " + describeEffect(e, "")
			}
		}
		if c.Class != catalog.Unknown {
			if words != "" {
				words += "; "
			}
			words += "built in: " + classWords[c.Class]
		}
	}
	if class, ok := catalog.ExtensionFunction(name.Name); ok && env.Extensions && words == "" {
		words = "of an extension, if that is meant: " + classWords[class]
	}
	switch {
	case words != "":
		return words
	case env.Waiting || env.Doubtful[name.Name]:
		return "not known yet: the catalog is being read"
	case env.Made[name.Name]:
		return "new, by its definition: only reads"
	case env.Knowledge == nil:
		return "not built in, taken for a writer"
	}
	return "not found, taken for a writer"
}

// classOf is what the name means if it means a built-in function.
func classOf(name Name) catalog.Class {
	if name.Schema == "" || name.Schema == "pg_catalog" {
		return catalog.Function(name.Name)
	}
	return catalog.Unknown
}

var classWords = map[catalog.Class]string{
	catalog.Safe:              "the same on a standby",
	catalog.TransactionScoped: "fixed for a transaction",
	catalog.NodeState:         "answers for its node or session",
	catalog.Writes:            "writes or needs the primary",
}

// describeEffect says what an effect is; label is what has it.
func describeEffect(e effect, label string) string {
	words := "only reads"
	switch {
	case e.access > AccessRead && e.reason != "":
		words = e.access.String() + " (" + e.reason + ")"
	case e.access > AccessRead:
		words = e.access.String()
	case e.scoped:
		words = "fixed for a transaction"
	}
	if label != "" && e.access <= AccessRead {
		return label + ", " + words
	}
	return words
}
