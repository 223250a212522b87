package proxy

import (
	"slices"
	"strings"

	"github.com/howdah/howdah/parser"
)

// names is what a session resolves the names in its statements with.
type names struct {
	database *database
	// last is what the client's last text was.
	last  parser.Last
	known *knowing
	// env is for known and the session's settings of version and changes; nil: not made yet.
	env              *parser.Env
	version, changes uint64
	// unchecked are verdicts with functions that ran while the catalogs were not
	// known: it is still to be seen whether they may have made temporary objects, or changed settings.
	unchecked []*parser.Verdict
	// redefined is what the transaction may have changed of what names mean.
	redefined redefinition
}

// resolve is the verdict when its names are looked up as this session would
// have them; v may be nil. In the steady state it takes no lock and allocates nothing.
func (s *session) resolve(v *parser.Verdict) *parser.Verdict {
	v, conduct := s.resolved(v)
	s.unit.conduct |= conduct
	return v
}

// resolved is resolve, and what the functions and procedures do that the statement calls.
func (s *session) resolved(v *parser.Verdict) (*parser.Verdict, parser.Conduct) {
	if v == nil || s.names.database == nil {
		return v, 0
	}
	var conduct parser.Conduct
	env := s.environment()
	if env.Waiting || env.Doubts(v) {
		s.names.check(v)
	} else if env.Knowledge != nil {
		conduct = env.Knowledge.Conduct(v)
	}
	return parser.Resolve(v, env), conduct
}

// maxUnchecked bounds names.unchecked; the rest counts as anything done.
const maxUnchecked = 100

// check remembers a verdict to be looked at when the catalogs are known.
func (n *names) check(v *parser.Verdict) {
	calls := slices.ContainsFunc(v.Statements, func(st parser.Statement) bool { return len(st.Functions) > 0 })
	if calls && len(n.unchecked) <= maxUnchecked && !slices.Contains(n.unchecked, v) {
		n.unchecked = append(n.unchecked, v)
	}
}

// checked looks at what was remembered: what may have been done.
func (n *names) checked(k *parser.Knowledge) parser.Conduct {
	var c parser.Conduct
	if len(n.unchecked) > maxUnchecked {
		c = parser.ConductTemp | parser.ConductSets
	}
	for _, v := range n.unchecked {
		c |= k.Conduct(v)
	}
	clear(n.unchecked)
	n.unchecked = n.unchecked[:0]
	return c
}

// inDoubt is whether what was remembered cannot be looked at yet.
func (n *names) inDoubt(known *knowing) bool {
	if known.knowledge == nil || len(known.doubtful) == 0 {
		return false
	}
	doubts := parser.Env{Doubtful: known.doubtful}
	return slices.ContainsFunc(n.unchecked, doubts.Doubts)
}

// judge is the verdict on a text, as the operator's patterns have it. It is for
// once: a prepared statement keeps it.
func (s *session) judge(text []byte) *parser.Verdict {
	return s.set.rules.Judge(s.srv.parser.VerdictAfter(text, &s.names.last), text)
}

// judgeNow is judge if that takes neither parsing nor the matching of much text, else nil.
func (s *session) judgeNow(text []byte) *parser.Verdict {
	if len(text) > matchedNow && s.set.rules.HasPatterns() {
		return nil
	}
	v := s.srv.parser.KnownAfter(text, &s.names.last)
	if v == nil {
		return nil
	}
	return s.set.rules.Judge(v, text)
}

// matchedNow is how long a text may be that is matched with patterns while others wait, in bytes.
const matchedNow = 1 << 10

// environment returns what the session resolves names with now.
func (s *session) environment() *parser.Env {
	n := &s.names
	known := n.database.current.Load()
	if len(n.unchecked) > 0 && n.inDoubt(known) {
		// What it called may have made temporary objects or changed settings: until that is known, nothing is.
		return parser.NewEnv(parser.Env{Rules: known.rules, Waiting: true})
	}
	if n.env != nil && n.known == known && n.version == s.state.version && n.changes == s.state.changes {
		return n.env
	}
	if n.known != known && known.knowledge != nil {
		// A standby that does not show the definitions yet must not be read from.
		s.in.Session.FloorPrimary = max(s.in.Session.FloorPrimary, known.since)
		if len(n.unchecked) > 0 {
			c := n.checked(known.knowledge)
			if c&parser.ConductTemp != 0 {
				s.state.noteUnseen()
			}
			if c&parser.ConductSets != 0 {
				s.noteUnknown()
			}
		}
	}
	value, user := s.state.searchPath(s.key.User)
	path, ok := parser.ParseSearchPath(value, user)
	ok = ok && value != unknownPath
	key := value + "\x00" + user
	if !ok {
		key = unknownPath
	}
	n.known, n.version, n.changes = known, s.state.version, s.state.changes
	n.env = known.environment(key, path, !ok)
	return n.env
}

// unknownPath is no value of search_path.
const unknownPath = "\x00"

// begin takes in the search_path that the session begins with.
func (st *state) begin(path string) {
	st.firstPath = path
	if namesTempSchema(path) {
		st.opaque = true // tables made without a word of TEMP may be temporary
		st.repin()
	}
}

// namesTempSchema is whether a search path, or what sets it, names the temporary schema.
func namesTempSchema(text string) bool {
	return strings.Contains(strings.ToLower(text), "pg_temp")
}

// searchPath is the session's search_path and the role that "$user" in it means, the
// open transaction's changes included. An empty role, and unknownPath, are not known.
func (st *state) searchPath(login string) (value, user string) {
	p := pathState{first: st.firstPath, login: login, value: st.firstPath, session: login, user: login}
	for i := range st.settings {
		p.set(st.settings[i].name, st.settings[i].value)
	}
	for _, stmt := range st.pending {
		switch stmt.Set {
		case parser.SetValue:
			p.set(stmt.Setting, stmt.Value)
		case parser.SetLocal:
			if stmt.Value == "" {
				p.unknown(stmt.Setting) // it may be TO DEFAULT
			} else {
				p.set(stmt.Setting, stmt.Value)
			}
		case parser.SetReset:
			p.reset(stmt.Setting)
		case parser.SetResetAll:
			p.reset("search_path")
		case parser.SetOpaque:
			p.unknown(stmt.Setting)
		}
	}
	return p.value, p.user
}

// pathState follows the settings that a search path depends on.
type pathState struct {
	first, login         string
	value, session, user string
}

func (p *pathState) set(name, value string) {
	switch strings.ToLower(name) {
	case "":
		p.unknown("")
	case "search_path":
		p.value = value
	case "session_authorization":
		p.session, p.user = value, value
	case "role":
		if p.user = value; value == "none" {
			p.user = p.session
		}
	}
}

func (p *pathState) reset(name string) {
	switch name {
	case "search_path":
		p.value = p.first
	case "session_authorization":
		p.session, p.user = p.login, p.login
	case "role":
		p.user = p.session
	}
}

// unknown takes in a change of which only the setting's name is known, or not even that.
func (p *pathState) unknown(name string) {
	switch strings.ToLower(name) {
	case "", "search_path":
		p.value = unknownPath
	case "session_authorization", "role":
		p.user = ""
	}
}

// redefinition is what a transaction did to what names mean.
type redefinition struct {
	done     bool                 // something
	all      bool                 // and any name may be concerned
	names    []string             // or these, and what uses them
	makes    []*parser.Definition // and what these do not tell
	uncovers bool                 // and functions that were hidden
	attaches []string             // tables that are read through others now
	fewer    bool                 // something is gone
}

// add takes in a statement, nil if it is not known.
func (r *redefinition) add(stmt *parser.Statement) {
	r.done = true
	r.fewer = r.fewer || stmt != nil && stmt.Drops
	switch {
	case stmt == nil || !stmt.Tame && len(stmt.Adds) == 0 || len(r.names)+len(r.makes)+len(r.attaches) > maxDoubted:
		r.all, r.names, r.makes, r.attaches = true, nil, nil, nil
	case !r.all:
		if r.makes = append(r.makes, stmt.Makes...); len(stmt.Makes) == 0 {
			r.names = append(r.names, stmt.Adds...)
		}
		r.uncovers = r.uncovers || stmt.Uncovers
		r.attaches = append(r.attaches, stmt.Attaches...)
	}
}

// noteRedefined takes note that names may mean something else now, before the
// client does; a nil statement is not known.
func (s *session) noteRedefined(stmt *parser.Statement) {
	if s.names.database == nil || stmt != nil && (s.state.dropsTemp(stmt) || s.names.leaves(stmt)) {
		return
	}
	s.names.redefined.add(stmt)
	s.names.database.redefined(&s.names.redefined)
}

// leaves is whether a CALL certainly leaves definitions alone.
func (n *names) leaves(stmt *parser.Statement) bool {
	if stmt.Kind != parser.KindCall || n.known == nil || n.known.knowledge == nil {
		return false
	}
	doubts := parser.Env{Doubtful: n.known.doubtful}
	return !doubts.DoubtsIn(stmt) && n.known.knowledge.LeavesNames(stmt)
}

// noteSets takes note of functions and procedures that ran on l and may have changed
// settings: nobody can repeat that elsewhere.
func (s *session) noteSets(l *lease, c parser.Conduct) {
	switch {
	case l.failed:
	case c&parser.ConductSets != 0:
		s.note(&unseenSetting)
	case c&parser.ConductSetsLocal != 0:
		s.note(&unseenLocalSetting)
	}
	if c&parser.ConductRedefines != 0 {
		s.noteRedefined(nil)
	}
}

// unseenSetting and unseenLocalSetting stand for settings that functions and procedures made.
var (
	unseenSetting      = parser.Statement{Kind: parser.KindSelect, Set: parser.SetOpaque}
	unseenLocalSetting = parser.Statement{Kind: parser.KindSelect, Set: parser.SetLocal}
)

// endRedefinition does it once more at the end of a transaction: what was read
// of the catalogs meanwhile did not show its changes.
func (s *session) endRedefinition() {
	if r := s.names.redefined; r.done {
		s.names.redefined = redefinition{}
		s.names.database.redefined(&r)
	}
}

// doubtDefinitions is for work that broke off: whether it has changed what names mean is not known.
func (s *session) doubtDefinitions() {
	if v := s.unit.verdict; s.names.database != nil && (s.names.redefined.done || s.cycle != nil && (v == nil || v.Redefines)) {
		s.names.redefined = redefinition{}
		s.names.database.invalidate()
	}
}
