package catalog

import "strings"

// Class says where a call of a function may run.
type Class uint8

const (
	// Unknown is not a built-in function.
	Unknown Class = iota
	// Safe gives the same answer on a hot standby that has replayed far enough,
	// or one that no program can rely on (random, clock_timestamp).
	Safe
	// TransactionScoped is Safe, but its answer is fixed for a transaction: two
	// nodes' transactions start at two times.
	TransactionScoped
	// NodeState answers from the state of the session or of the node it runs on.
	NodeState
	// Writes writes, locks, ends something, or runs SQL that its arguments hold.
	Writes
)

// String is for logs and tests.
func (c Class) String() string {
	switch c {
	case Safe:
		return "safe"
	case TransactionScoped:
		return "transaction-scoped"
	case NodeState:
		return "node-state"
	case Writes:
		return "writes"
	default:
		return "unknown"
	}
}

// builtin is what servers say of all functions of one name, and what trials of
// them showed. A type that is no function's name too is one here, as volatile as
// its input: PostgreSQL takes json('1') for a cast.
type builtin struct {
	name string
	// since and until are the first and the last major version that has it, of
	// those in builtinSource.
	since, until uint8
	// volatility is the set of provolatile over all overloads, sorted.
	volatility string
	// parallelUnsafe is true if any overload is marked PARALLEL UNSAFE.
	parallelUnsafe bool
	tried          evidence
}

// Function classifies the built-in function called name, as the grammar folded
// it. All overloads count: the worst decides.
//
// The caller has to know that the name means the built-in one. A
// pg_catalog-qualified name always does. An unqualified one does not if
// search_path puts another schema before pg_catalog explicitly, or if a user
// function of that name takes arguments that fit better.
func Function(name string) Class {
	if class, ok := functionClasses[name]; ok {
		return class
	}
	return familyOf(name)
}

// Volatile is whether every built-in function called name is volatile, so that no plan is made
// by calling it (PostgreSQL manual, Function Volatility Categories).
func Volatile(name string) bool { return alwaysVolatile[name] }

var alwaysVolatile = func() map[string]bool {
	names := map[string]bool{}
	for _, b := range builtins {
		if b.volatility == "v" {
			names[b.name] = true
		}
	}
	return names
}()

// functionClasses are the classes of all names in builtins, computed once: a look-up
// is asked for each call in each new text.
var functionClasses = func() map[string]Class {
	classes := make(map[string]Class, len(builtins))
	for _, b := range builtins {
		classes[b.name] = b.class()
		if family := familyOf(b.name); family != Unknown {
			classes[b.name] = family
		}
		if rule, ok := curated[b.name]; ok {
			classes[b.name] = rule.class
		}
	}
	return classes
}()

// familyOf is the class that the beginning of a name tells, else Unknown.
func familyOf(name string) Class {
	for _, r := range curatedPrefixes {
		if strings.HasPrefix(name, r.prefix) {
			return r.class
		}
	}
	return Unknown
}

// class trusts STABLE and IMMUTABLE unless a trial showed otherwise, but not
// together with PARALLEL UNSAFE: that is how PostgreSQL marks a function that only
// pretends to be stable. It never trusts VOLATILE: that a call did nothing to be
// seen and was answered alike does not prove that it is harmless
// (pg_reload_conf). What a trial cannot know is in curated.
func (b builtin) class() Class {
	switch {
	case strings.Contains(b.volatility, "v"), b.parallelUnsafe, b.tried.any(effect):
		return Writes
	case b.tried.any(otherAnswer):
		return NodeState
	}
	return Safe
}

// Source names the servers that the tables were read from.
func Source() string { return builtinSource }
