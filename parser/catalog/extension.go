package catalog

import "strings"

// extensions are those, of PostgreSQL's own distribution and some that many have,
// of whose functions volatility does not say enough.
var extensions = map[string]rule{
	"uuid-ossp": {Safe, whyHarmless},
	"pgcrypto":  {Safe, whyHarmless},

	"dblink":    {Writes, whyRuns},
	"tablefunc": {Writes, whyRuns},
	"xml2":      {Writes, whyRuns},

	"pageinspect":        {NodeState, whyFiles},
	"pg_buffercache":     {NodeState, whyNode},
	"pg_freespacemap":    {NodeState, whyFiles},
	"pg_proctab":         {NodeState, whyNode},
	"pg_qualstats":       {NodeState, whyNode},
	"pg_stat_kcache":     {NodeState, whyNode},
	"pg_stat_statements": {NodeState, whyNode},
	"pg_visibility":      {NodeState, whyFiles},
	"pg_wait_sampling":   {NodeState, whyNode},
	"pg_walinspect":      {NodeState, whyFiles},
	"pgrowlocks":         {NodeState, whyNode},
	"pgstattuple":        {NodeState, whyFiles},
	"sslinfo":            {NodeState, whySession},
}

// ExtensionFunction is what a function of this name is if it belongs to an extension that
// many databases have; false if no such extension has one. Only a database knows whether it does.
func ExtensionFunction(name string) (Class, bool) {
	class, ok := extensionFunctions[name]
	return class, ok
}

var extensionFunctions = func() map[string]Class {
	classes := map[string]Class{}
	for _, names := range extensionNames {
		safe, stable, _ := strings.Cut(names, "|")
		for _, name := range strings.Fields(safe) {
			classes[name] = Safe
		}
		for _, name := range strings.Fields(stable) {
			classes[name] = TransactionScoped
		}
	}
	return classes
}()

// Judged is whether its extension is one of which more is known than its functions say.
func (f *UserFunction) Judged() bool {
	_, ok := extensions[f.Extension]
	return ok
}

// Class is what is known of a function from its own words, but for one in language
// sql or plpgsql, whose body says more. STABLE and IMMUTABLE are believed; a stable function may
// answer from the transaction's time.
func (f *UserFunction) Class() Class {
	if r, ok := extensions[f.Extension]; ok {
		return r.class
	}
	switch f.Volatility {
	case 'i':
		return Safe
	case 's':
		return TransactionScoped
	}
	return Writes
}
