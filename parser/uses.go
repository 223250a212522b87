package parser

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v5"

	"github.com/howdah/howdah/parser/catalog"
)

// Uses is what a statement uses by name, if it is a read provided that every name
// means something harmless: what the text alone cannot settle. Its relations are
// in Statement.Relations. Resolve asks a database's Knowledge about all of them.
// It is immutable and shared.
type Uses struct {
	// TransactionScoped is the statement's, as if every name in it were harmless.
	TransactionScoped bool
	// Calls are the functions it calls, each form of a call once.
	Calls []Call
	// Operators are the operators it uses; Schema is empty but for OPERATOR(s.+).
	Operators []Name
	// Types are the types that it casts to or names otherwise.
	Types []Name
	// Fields are the last parts of qualified column references: where t has no
	// column f, t.f means f(t).
	Fields []string
	// explained: it is the statement inside an EXPLAIN; planned: of one without ANALYZE, so that no
	// volatile function is called.
	explained, planned bool
}

// Call is one form of a function call.
type Call struct {
	Function Name
	// Args is the number of arguments, or AnyArgs.
	Args int
	// Class is what the call means if it means the built-in function of that
	// name; catalog.Unknown if there is none.
	Class catalog.Class
}

// AnyArgs is the number of arguments of a call in a notation that does not say
// it: VARIADIC, WITHIN GROUP.
const AnyArgs = -1

// reason is what of the statement needs attention, in the words of a verdict.
func (u *Uses) reason(what string) string {
	if u.explained {
		return "EXPLAIN of " + what
	}
	return what
}

// call notes a function call.
func (u *Uses) call(n *pg.FuncCall, name Name, class catalog.Class) {
	args := len(n.Args)
	if n.FuncVariadic || n.AggWithinGroup {
		args = AnyArgs
	}
	u.Calls = appendOnce(u.Calls, Call{Function: name, Args: args, Class: class})
}

// operator notes an operator by its name as the grammar gives it; no name is =.
func (u *Uses) operator(parts []*pg.Node) {
	name := nameFrom(parts)
	if name.Name == "" {
		name.Name = "="
	}
	u.Operators = appendOnce(u.Operators, name)
}

// expression notes the operators that an expression stands for.
func (u *Uses) expression(n *pg.A_Expr) {
	switch n.Kind {
	case pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN,
		pg.A_Expr_Kind_AEXPR_BETWEEN_SYM, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		for _, name := range [...]string{"<", "<=", ">", ">="} {
			u.Operators = appendOnce(u.Operators, Name{Name: name})
		}
	default:
		u.operator(n.Name)
	}
}

func (u *Uses) typeName(n *pg.TypeName) {
	if len(n.Names) > 0 {
		u.Types = appendOnce(u.Types, nameFrom(n.Names))
	}
}

// column notes t.f, which may mean f(t).
func (u *Uses) column(n *pg.ColumnRef) {
	if len(n.Fields) > 1 {
		u.field(n.Fields[len(n.Fields)-1])
	}
}

func (u *Uses) field(n *pg.Node) {
	if s := n.GetString_(); s != nil {
		u.Fields = appendOnce(u.Fields, s.Sval)
	}
}

// fewNames is up to how many names are compared one by one.
const fewNames = 16

// appendOnce appends what a short list has not; a long one is cleaned by unique in the end.
func appendOnce[T comparable](list []T, v T) []T {
	if len(list) <= fewNames && slices.Contains(list, v) {
		return list
	}
	return append(list, v)
}

// unique keeps the first of equal ones.
func unique[T comparable](list []T) []T {
	if len(list) <= fewNames {
		return list
	}
	seen := make(map[T]bool, len(list))
	return slices.DeleteFunc(list, func(v T) bool {
		again := seen[v]
		seen[v] = true
		return again
	})
}

// join takes in what another statement uses.
func (u *Uses) join(other *Uses) {
	u.TransactionScoped = u.TransactionScoped || other.TransactionScoped
	u.Calls = append(u.Calls, other.Calls...)
	u.Operators = append(u.Operators, other.Operators...)
	u.Types = append(u.Types, other.Types...)
	u.Fields = append(u.Fields, other.Fields...)
}

// keep returns what a statement with these relations must remember, nil if no
// name in it could change the verdict.
func (u *Uses) keep(relations []Name) *Uses {
	if len(u.Calls)+len(u.Operators)+len(u.Types)+len(u.Fields)+len(relations) == 0 {
		return nil
	}
	u.Calls, u.Operators, u.Types, u.Fields = unique(u.Calls), unique(u.Operators), unique(u.Types), unique(u.Fields)
	kept := *u
	return &kept
}
