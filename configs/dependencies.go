package configs

import (
	"fmt"
	"strconv"
	"strings"
)

// Dependency is an entry of routing.dml_dependencies.
type Dependency struct {
	// Object is a relation's or a function's bare name; writing it, or calling it
	// in a statement that writes, writes Dependent too.
	Object   string
	Function bool
	// Dependent is a relation's bare name.
	Dependent string
}

// maxDependencies bounds routing.dml_dependencies.
const maxDependencies = 10_000

// ParseDependency reads "object:dependent" or "function():dependent". Names are
// without schema, as PostgreSQL stores them: in lower case unless they were quoted.
func ParseDependency(text string) (Dependency, error) {
	object, dependent, ok := strings.Cut(text, ":")
	d := Dependency{Object: strings.TrimSpace(object), Dependent: strings.TrimSpace(dependent)}
	d.Object, d.Function = strings.CutSuffix(d.Object, "()")
	switch {
	case !ok || d.Object == "" || d.Dependent == "" || strings.Contains(d.Dependent, ":"):
		return d, &valueError{"is not a pair of names", "write object:dependent, as in orders:order_totals or add_order():orders"}
	case strings.ContainsAny(d.Object+d.Dependent, ".()"):
		return d, &valueError{"has a name with a schema or arguments", "write names without schema, and functions as name()"}
	}
	return d, nil
}

func validateDependencies(pairs []string, list *faultList) {
	if list.isBad("routing.dml_dependencies") {
		return
	}
	if n := len(pairs); n > maxDependencies {
		list.addAt("routing.dml_dependencies", fmt.Sprintf("has %d entries", n), fmt.Sprintf("give at most %d", maxDependencies))
		return
	}
	for i, text := range pairs {
		key := fmt.Sprintf("routing.dml_dependencies[%d]", i)
		if _, err := ParseDependency(text); err != nil && !list.isBad(key) {
			fault := err.(*valueError)
			list.addAt(key, strconv.Quote(shorten(text))+" "+fault.what, fault.advice)
		}
	}
}
