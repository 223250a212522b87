package catalog

// Fact is a row of a generated table.
type Fact struct {
	Name         string
	Since, Until int
	// Volatility and ParallelUnsafe are of functions only.
	Volatility     string
	ParallelUnsafe bool
	Tried          string
	// Derived is the class that the facts give, without what a person says.
	Derived Class
}

// Builtins is the generated table of functions.
func Builtins() []Fact {
	var all []Fact
	for _, b := range builtins {
		all = append(all, Fact{b.name, int(b.since), int(b.until), b.volatility, b.parallelUnsafe, string(b.tried), b.class()})
	}
	return all
}

// Relations is the generated table of relations.
func Relations() []Fact {
	var all []Fact
	for _, r := range relations {
		all = append(all, Fact{Name: r.name, Since: int(r.since), Until: int(r.until), Tried: string(r.tried)})
	}
	return all
}

// Curated are the functions that a person decided about, with the reasons.
func Curated() map[string]string {
	all := map[string]string{}
	for name, r := range curated {
		all[name] = r.why
	}
	return all
}

// NodeRelations are the relations that a person decided about, with the reasons.
func NodeRelations() map[string]string { return nodeRelations }
