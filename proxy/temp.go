package proxy

import (
	"slices"
	"strings"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/parser/catalog"
)

// temps are the temporary relations that a session may have: at least those
// that it has. They exist on its primary connection only.
type temps struct {
	// names are those of committed transactions; what the open one makes is in state.pending.
	names []string
	// unsure: there may be others, or temporary types and functions.
	unsure bool
}

// noteTemp takes note, at its completion, of a statement that makes temporary objects.
func (st *state) noteTemp(stmt *parser.Statement) {
	st.temp, st.hadTemp = true, true
	if len(stmt.TempNames) == 0 {
		st.temps.unsure = true
	}
	st.repin()
}

// noteUnseen takes note of a statement that may have made temporary objects unseen.
func (st *state) noteUnseen() {
	st.temp, st.temps.unsure, st.hadTemp = true, true, true
	st.repin()
}

// concernsTemp is whether a definition without a word of TEMP may change which
// temporary relations there are: DROP of one, CREATE VIEW over one, RENAME.
func (st *state) concernsTemp(stmt *parser.Statement) bool {
	return st.temp && stmt.Kind == parser.KindDDL && (stmt.Drops || slices.ContainsFunc(stmt.Relations, st.mayBeTemp))
}

// dropsTemp is whether the statement drops temporary relations and nothing else.
func (st *state) dropsTemp(stmt *parser.Statement) bool {
	return st.temp && stmt.Drops && !slices.ContainsFunc(stmt.Relations, func(n parser.Name) bool {
		return !slices.Contains(st.temps.names, n.Name) || !unqualified(n)
	})
}

// applyTemp applies a statement of a transaction that commits.
func (st *state) applyTemp(stmt *parser.Statement) {
	t := &st.temps
	switch {
	case stmt.CreatesTemp && stmt.DropsAtCommit:
	case stmt.CreatesTemp:
		t.add(stmt.TempNames...)
	case stmt.Kind == parser.KindDDL && stmt.Drops:
		for _, name := range stmt.Relations {
			// A name without a schema means the temporary relation if there is one.
			if unqualified(name) {
				t.names = slices.DeleteFunc(t.names, func(n string) bool { return n == name.Name })
			}
		}
	case stmt.Kind == parser.KindDDL:
		for _, name := range stmt.Relations {
			t.add(name.Name)
		}
	}
}

func (t *temps) add(names ...string) {
	for _, name := range names {
		if !slices.Contains(t.names, name) {
			t.names = append(t.names, name)
		}
	}
}

// endTemp follows the end of a transaction.
func (st *state) endTemp() {
	if len(st.temps.names) > maxTempNames {
		st.temps = temps{unsure: true}
	}
	st.temp = st.temps.unsure || len(st.temps.names) > 0
}

// maxTempNames bounds what is kept of a session.
const maxTempNames = 1000

// unqualified is whether a name would mean a temporary relation first.
func unqualified(name parser.Name) bool {
	return name.Schema == "" || isTempSchema(name.Schema)
}

func isTempSchema(schema string) bool {
	return strings.HasPrefix(schema, "pg_temp") || strings.HasPrefix(schema, "pg_toast_temp")
}

// mayBeTemp is whether a name may mean one of the session's temporary relations. The
// sequences of serial columns are not known by name, but by how they end.
func (st *state) mayBeTemp(name parser.Name) bool {
	if !unqualified(name) {
		return false
	}
	if isTempSchema(name.Schema) || strings.HasSuffix(name.Name, "_seq") || slices.Contains(st.temps.names, name.Name) {
		return true
	}
	for _, stmt := range st.pending {
		if slices.Contains(stmt.TempNames, name.Name) {
			return true
		}
		if stmt.Kind == parser.KindDDL && !stmt.Drops && slices.ContainsFunc(stmt.Relations, func(n parser.Name) bool { return n.Name == name.Name }) {
			return true
		}
	}
	return false
}

// pinOf is why the unit must go to the primary, if it must. A session with
// temporary relations may read elsewhere what certainly is none of them,
// unless the whole block would be bound to where it reads.
func (s *session) pinOf(v *parser.Verdict) balancer.Pin {
	st, bs := &s.state, &s.in.Session
	if st.pin == balancer.PinCounters {
		st.forgetCounters(cluster.Now())
	}
	if st.pin != balancer.PinTempObjects || st.temps.unsure || v == nil {
		return st.pin
	}
	if bs.Tx != balancer.TxNone && bs.TxIsolation > parser.IsolationReadCommitted || st.readsTemp(v) {
		return st.pin
	}
	return balancer.PinNone
}

// readsTemp is whether the text may use a temporary relation, or is no read. Of
// several verdicts together the statements are not known.
func (st *state) readsTemp(v *parser.Verdict) bool {
	if v.Access != parser.AccessRead || len(v.Statements) == 0 {
		return true
	}
	for i := range v.Statements {
		stmt := &v.Statements[i]
		for _, name := range stmt.Relations {
			if st.mayBeTemp(name) || isSystem(name) {
				return true
			}
		}
		if stmt.Uses != nil && st.usesTemp(stmt.Uses) {
			return true
		}
	}
	return false
}

// isSystem: the catalogs know of the session's temporary relations.
func isSystem(name parser.Name) bool {
	return strings.HasPrefix(name.Schema, "pg_") || name.Schema == "information_schema" || strings.HasPrefix(name.Name, "pg_")
}

// usesTemp is whether types or functions may lead to a temporary relation: its
// row type, a function of a user's that reads it, a built-in one that takes its name.
func (st *state) usesTemp(uses *parser.Uses) bool {
	for _, name := range uses.Types {
		if unqualified(name) && st.mayBeTemp(name) || strings.HasPrefix(name.Name, "reg") {
			return true
		}
	}
	for i := range uses.Calls {
		if c := &uses.Calls[i]; c.Class == catalog.Unknown || takesNames(c.Function.Name) {
			return true
		}
	}
	return false
}

// takesNames is whether a built-in function may take the name of a relation.
func takesNames(function string) bool {
	for _, prefix := range [...]string{"current_schema", "pg_", "to_reg", "has_", "col_", "obj_", "row_security", "format_type", "reg"} {
		if strings.HasPrefix(function, prefix) {
			return true
		}
	}
	return false
}
