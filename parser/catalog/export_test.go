package catalog

// Fact is a row of the generated table.
type Fact struct {
	Name, Volatility string
	ParallelUnsafe   bool
}

// Builtins is the generated table.
func Builtins() []Fact {
	var all []Fact
	for _, b := range builtins {
		all = append(all, Fact{b.name, b.volatility, b.parallelUnsafe})
	}
	return all
}

// IsCurated says whether a person decided about the function.
func IsCurated(name string) bool { _, ok := curated[name]; return ok }

// Why is the reason of a curated function.
func Why(name string) string { return curated[name].why }

// CuratedNames are the functions decided about one by one.
func CuratedNames() []string {
	var all []string
	for name := range curated {
		all = append(all, name)
	}
	return all
}

// RelationFact is a row of the generated table of relations.
type RelationFact struct{ Name, Tried string }

// Relations is the generated table of relations.
func Relations() []RelationFact {
	var all []RelationFact
	for _, r := range relations {
		all = append(all, RelationFact{r.name, string(r.tried)})
	}
	return all
}

// NodeRelations are the relations that a person decided about.
func NodeRelations() map[string]string { return nodeRelations }
