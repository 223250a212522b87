package proxy

import (
	"slices"
	"strings"
	"time"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
)

// freshVersion is the version of a session at its login. It is not 0, which in expected stands for settings that only
// a block has.
const freshVersion = 1

// state is what a session has changed of itself and what can be repeated on
// another server connection: its settings, in the order they were made.
type state struct {
	// version grows with every change, from freshVersion. A lease that has
	// another version must be brought up to date before it is used.
	version  uint64
	settings []setting
	// pending are the changes of the open transaction; changes grows with every
	// change of them.
	pending []*parser.Statement
	changes uint64
	// base are settings that the session began with and that are no startup parameters of its
	// connections, as others share these: they are in settings unless the client has changed them.
	base []setting
	// pin is why everything must go to the primary, if it must.
	pin balancer.Pin
	// temp, opaque and unsafe are the causes of pin.
	temp, opaque, unsafe bool
	temps                temps
	// counters: it looked at usage counters of the primary, at looked (cluster.Now) for the last
	// time; the mildest cause of pin.
	counters bool
	looked   int64
	// hadTemp: there was something temporary, of which a server keeps the schema.
	hadTemp bool
	// listening: LISTEN is active on the primary connection.
	listening bool
	// locks, cursors and sqlPrepared: the primary connection has an advisory lock of the
	// session's, a cursor WITH HOLD, a statement made by SQL's PREPARE.
	locks, cursors, sqlPrepared bool
	// review: some of these may have ended.
	review bool
	// sequences: it has values for currval() that the session will ask for.
	sequences bool

	// isolation and readOnly are what a BEGIN that names none gets; first* as at login.
	isolation, firstIsolation parser.Isolation
	readOnly, firstReadOnly   bool
	// route is howdah.route without what the open transaction changed, firstRoute as at login.
	route, firstRoute parser.Hint
	// rerouted: howdah.route may have changed since the balancer was told.
	rerouted bool
	// firstPath is search_path at login; unknownPath if it could not be asked.
	firstPath string
}

// settings are replaced as a whole and never changed in place: connections keep them (carried).

// setting is one changed setting, the SQL that makes it, and its value if that is a constant.
type setting struct{ name, sql, value string }

// adopt reports whether the session's settings are those of the list, and then makes the session share it: lists
// are never changed in place, so that from then on a look at their addresses is enough.
func (st *state) adopt(list []setting) bool {
	if len(list) != len(st.settings) {
		return false
	}
	if len(list) == 0 || &list[0] == &st.settings[0] {
		return true
	}
	if !slices.Equal(list, st.settings) {
		return false
	}
	st.settings = list
	return true
}

// has reports whether the session has changed the setting.
func (st *state) has(name string) bool {
	for i := range st.settings {
		if strings.EqualFold(st.settings[i].name, name) {
			return true
		}
	}
	return false
}

// bound reports whether the session has something on its primary connection
// that cannot be repeated on another one.
func (st *state) bound() bool { return st.keep() != keepNothing }

// note takes in a statement that completed; it takes effect with its
// transaction (commit or rollback), but for what is not transactional.
func (s *session) note(stmt *parser.Statement) {
	st := &s.state
	if stmt.CreatesTemp {
		st.noteTemp(stmt)
	}
	if len(stmt.Attaches) > 0 && st.concernsTemp(stmt) {
		st.temps.unsure = true // who reads its parents, or theirs, reads it
	}
	st.changes++
	if stmt.Setting == "search_path" && namesTempSchema(stmt.SQL) {
		st.opaque, st.hadTemp = true, true // tables made without a word of TEMP may be temporary
		st.repin()
	}
	if stmt.ReadsCounters {
		st.counters, st.looked = true, cluster.Now()
		st.repin()
	}
	st.cursors = st.cursors || stmt.Hold
	st.locks = st.locks || stmt.LocksSession
	st.sqlPrepared = st.sqlPrepared || stmt.Kind == parser.KindPrepare
	switch {
	case stmt.Kind == parser.KindDeallocate:
		s.deallocated(stmt.Object)
	case stmt.Kind == parser.KindRelease:
		st.release(stmt.Object)
	case stmt.Kind == parser.KindRollbackTo:
		st.rollbackTo(stmt.Object)
	case stmt.CreatesTemp, st.concernsTemp(stmt), stmt.Set != parser.SetNone, // SET LOCAL for the node where the block reads
		stmt.Kind == parser.KindSavepoint, stmt.Kind == parser.KindDiscard,
		stmt.Kind == parser.KindListen, stmt.Kind == parser.KindUnlisten:
		if len(st.pending) >= maxPending || len(stmt.SQL) > pendingLook && pendingSize(st.pending)+len(stmt.SQL) > maxPendingSize {
			st.opaque, st.pending = true, nil
			st.repin()
			return
		}
		st.pending = append(st.pending, stmt)
		st.rerouted = true
	}
}

// release merges a savepoint's changes into the ones around it.
func (st *state) release(name string) {
	if i := st.savepoint(name); i >= 0 {
		st.pending = append(st.pending[:i], st.pending[i+1:]...)
	}
}

// rollbackTo drops the changes since a savepoint, which stays.
func (st *state) rollbackTo(name string) {
	if i := st.savepoint(name); i >= 0 {
		st.pending = st.pending[:i+1]
		st.rerouted = true
	}
}

func (st *state) savepoint(name string) int {
	for i := len(st.pending) - 1; i >= 0; i-- {
		if p := st.pending[i]; p.Kind == parser.KindSavepoint && p.Object == name {
			return i
		}
	}
	return -1
}

// rollback drops the pending changes.
func (st *state) rollback() {
	st.rerouted = st.rerouted || len(st.pending) > 0
	st.changes++
	clear(st.pending)
	st.pending = st.pending[:0]
	if st.temp {
		st.endTemp()
		st.repin()
	}
}

// commit applies the pending changes; l is the lease on which they were made.
func (s *session) commit(l *lease) {
	st := &s.state
	if len(st.pending) == 0 {
		return
	}
	before := st.version
	for _, stmt := range st.pending {
		s.apply(stmt)
	}
	st.rollback()
	st.repin()
	made := st.settings
	st.rebase()
	if l != nil && st.version != before && l.version == before {
		l.hasSettings(st)
		if len(made) != len(st.settings) {
			l.version, l.carried.settings = elsewhereVersion, made
		}
	}
}

// rebase puts back what a session began with where RESET or DISCARD ALL took it away.
func (st *state) rebase() {
	for _, b := range st.base {
		if find(st.settings, b.name) == nil {
			st.settings = append(slices.Clip(st.settings), b)
		}
	}
}

func (s *session) apply(stmt *parser.Statement) {
	st := &s.state
	st.applyTemp(stmt)
	switch {
	case stmt.Kind == parser.KindListen:
		st.listening = true
	case stmt.Kind == parser.KindUnlisten:
		if stmt.Object == "" || stmt.Object == "*" {
			st.listening = false
		}
	case stmt.Kind == parser.KindDiscard:
		s.discarded(stmt.Object)
	case stmt.IsOwn():
		if stmt.Set != parser.SetLocal {
			st.route = st.routeAfter(stmt)
		}
	case stmt.Set != parser.SetNone && stmt.Set != parser.SetLocal:
		st.set(stmt)
	}
}

// set applies a change of a setting.
func (st *state) set(stmt *parser.Statement) {
	st.version++
	switch stmt.Set {
	case parser.SetOpaque:
		st.opaque = true
	case parser.SetResetAll:
		// RESET ALL leaves role and session_authorization as they are.
		var kept []setting
		for _, old := range st.settings {
			if old.name == "role" || old.name == "session_authorization" {
				kept = append(kept, old)
			}
		}
		st.settings, st.route = kept, st.firstRoute
		st.isolation, st.readOnly = st.firstIsolation, st.firstReadOnly
	case parser.SetReset:
		st.forget(stmt.Setting)
		st.setDefault(stmt)
		if find(st.settings, severalModes) != nil && strings.HasPrefix(stmt.Setting, "default_transaction_") {
			st.opaque = true // that set this one too, and others
		}
	case parser.SetValue:
		next, known := setting{stmt.Setting, stmt.SQL, stmt.Value}, true
		if stmt.Setting == dateStyle {
			next, known = withDateStyle(find(st.settings, dateStyle), next)
		}
		st.opaque = st.opaque || !known
		if stmt.Setting != severalModes { // another of these may set others
			st.forget(stmt.Setting)
		}
		st.settings = append(slices.Clip(st.settings), next)
		st.setDefault(stmt)
	}
}

// severalModes is the name of SET SESSION CHARACTERISTICS that names several modes.
const severalModes = "session characteristics"

// forget removes a setting and what ends with it.
func (st *state) forget(name string) {
	st.remove(name)
	if name == "session_authorization" {
		st.remove("role")
	}
}

// setDefault follows what later BEGINs depend on.
func (st *state) setDefault(stmt *parser.Statement) {
	reset := stmt.Set == parser.SetReset
	switch stmt.Setting {
	case "default_transaction_isolation":
		if st.isolation = isolationOf(stmt.Value); reset {
			st.isolation = st.firstIsolation
		}
	case "default_transaction_read_only":
		if st.readOnly = isTrue(stmt.Value); reset {
			st.readOnly = st.firstReadOnly
		}
	case severalModes:
		if stmt.Isolation != parser.IsolationDefault {
			st.isolation = stmt.Isolation
		}
		if stmt.ReadOnly != parser.ReadOnlyDefault {
			st.readOnly = stmt.ReadOnly == parser.ReadOnlyYes
		}
	}
}

func (st *state) remove(name string) {
	for i := range st.settings {
		if st.settings[i].name == name {
			st.settings = slices.Concat(st.settings[:i], st.settings[i+1:])
			return
		}
	}
}

// What is kept of a session is bounded; one that changes more different
// settings, or more in one transaction, stays on the primary.
const (
	maxSettings = 200
	maxPending  = 2000
	// The texts of the one, and of the other, together.
	maxSettingsSize = 64 << 10
	maxPendingSize  = 256 << 10
	pendingLook     = maxPendingSize / maxPending // shorter ones cannot exceed that
)

func settingsSize(settings []setting) int {
	size := 0
	for i := range settings {
		size += len(settings[i].name) + len(settings[i].sql) + len(settings[i].value)
	}
	return size
}

func pendingSize(pending []*parser.Statement) int {
	size := 0
	for _, stmt := range pending {
		size += len(stmt.SQL) + len(stmt.Value) + len(stmt.Object)
	}
	return size
}

func (st *state) repin() {
	if len(st.settings) > maxSettings || settingsSize(st.settings) > maxSettingsSize {
		st.opaque, st.settings = true, nil
	}
	switch {
	case st.unsafe:
		st.pin = balancer.PinUnsafeEncoding
	case st.temp:
		st.pin = balancer.PinTempObjects
	case st.opaque:
		st.pin = balancer.PinOpaqueSetting
	case st.counters:
		st.pin = balancer.PinCounters
	default:
		st.pin = balancer.PinNone
	}
}

// countersFor is how long a session that looked at usage counters stays on the primary, so that what it
// does then is counted where it looks again. Who looks now and then, as a pool's
// health check does, must not keep its connection there for good.
const countersFor = time.Minute

// forgetCounters ends that.
func (st *state) forgetCounters(now int64) {
	if st.pin == balancer.PinCounters && now-st.looked > int64(countersFor) {
		st.counters = false
		st.repin()
	}
}

// discarded follows DISCARD, which ran on the primary.
func (s *session) discarded(what string) {
	st := &s.state
	switch what {
	case "sequences":
		st.sequences = false
	case "temp":
		st.temp, st.temps = false, temps{}
	case "all":
		first := state{version: st.version + 1, changes: st.changes + 1, firstIsolation: st.firstIsolation, firstReadOnly: st.firstReadOnly,
			isolation: st.firstIsolation, readOnly: st.firstReadOnly, firstPath: st.firstPath, unsafe: st.unsafe, pending: st.pending,
			route: st.firstRoute, firstRoute: st.firstRoute, rerouted: true, hadTemp: st.hadTemp, base: st.base}
		*st = first
		s.in.Session.Wrote, s.in.Session.WroteInBlock = false, false
		s.deallocated("")
	}
}

// deallocated follows DEALLOCATE, which ran on the primary; an empty name is ALL.
func (s *session) deallocated(name string) {
	if name != "" {
		if p := s.stmts.named[name]; p != nil {
			s.stmts.forget(p)
			p.on[balancer.ToPrimary] = 0
			s.stale = append(s.stale, p)
		}
		return
	}
	if l := s.leases[balancer.ToPrimary]; l != nil && s.shared {
		l.carried.statements = shelf{}
	}
	for _, p := range s.stmts.named {
		p.on[balancer.ToPrimary] = 0
		s.stale = append(s.stale, p)
	}
	s.stmts.forgetAll()
	s.state.sqlPrepared = false
}

// isolationOf understands a value of default_transaction_isolation. What it
// does not know is taken as the strictest, which routes most carefully.
func isolationOf(v string) parser.Isolation {
	switch strings.ToLower(v) {
	case "read committed":
		return parser.IsolationReadCommitted
	case "read uncommitted":
		return parser.IsolationReadUncommitted
	case "repeatable read":
		return parser.IsolationRepeatableRead
	}
	return parser.IsolationSerializable
}

func isTrue(v string) bool {
	switch strings.ToLower(v) {
	case "on", "true", "t", "yes", "y", "1", "tru", "tr", "ye":
		return true
	}
	return false
}
