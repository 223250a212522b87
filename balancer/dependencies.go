package balancer

// Dependencies say which relations are written, too, by who writes a relation or
// calls a function in a write: what triggers, rules and foreign keys do, and which
// views show it. They are immutable and shared.
type Dependencies struct {
	relations, functions map[string][]string
}

// Dependency is one pair, in bare names.
type Dependency struct {
	Object    string
	Function  bool   // Object is a function
	Dependent string // a relation
}

// NewDependencies also follows the dependents' own dependents. It returns nil for no pairs.
func NewDependencies(pairs []Dependency) *Dependencies {
	if len(pairs) == 0 {
		return nil
	}
	direct := &Dependencies{relations: map[string][]string{}, functions: map[string][]string{}}
	for _, p := range pairs {
		m := direct.relations
		if p.Function {
			m = direct.functions
		}
		m[p.Object] = append(m[p.Object], p.Dependent)
	}
	d := &Dependencies{relations: map[string][]string{}, functions: map[string][]string{}}
	for object, first := range direct.relations {
		d.relations[object] = direct.closure(first)
	}
	for object, first := range direct.functions {
		d.functions[object] = direct.closure(first)
	}
	return d
}

// closure is all that first leads to, each once.
func (d *Dependencies) closure(first []string) []string {
	seen := map[string]bool{}
	var all []string
	for rest := first; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		all = append(all, name)
		rest = append(rest[:len(rest):len(rest)], d.relations[name]...)
	}
	return all
}

func (d *Dependencies) ofRelation(name string) []string {
	if d == nil {
		return nil
	}
	return d.relations[name]
}

func (d *Dependencies) ofFunction(name string) []string {
	if d == nil {
		return nil
	}
	return d.functions[name]
}
