package parser

import "strconv"

var accessNames = [...]string{"none", "read", "transaction", "session", "write", "unknown"}

// String is for logs and tests.
func (a Access) String() string { return nameOf(accessNames[:], int(a)) }

var kindNames = [...]string{
	"unknown", "select", "write", "ddl", "utility", "explain", "show", "copy-to", "copy-from",
	"begin", "commit", "rollback", "savepoint", "release", "rollback-to", "two-phase",
	"set", "set-transaction", "discard", "prepare", "execute", "deallocate",
	"declare", "fetch", "close", "listen", "unlisten", "notify", "call",
}

// String is for logs and tests.
func (k Kind) String() string { return nameOf(kindNames[:], int(k)) }

var isolationNames = [...]string{
	"default", "read uncommitted", "read committed", "repeatable read", "serializable",
}

// String is the level as SQL writes it.
func (i Isolation) String() string { return nameOf(isolationNames[:], int(i)) }

var setOpNames = [...]string{"none", "value", "local", "reset", "reset-all", "opaque"}

// String is for logs and tests.
func (s SetOp) String() string { return nameOf(setOpNames[:], int(s)) }

func nameOf(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return strconv.Itoa(i)
}

// String is the name as SQL would write it, without quotes.
func (n Name) String() string {
	if n.Schema == "" {
		return n.Name
	}
	return n.Schema + "." + n.Name
}
