package proxy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/wire"
)

// message is one message of a unit.
type message struct {
	typ       byte
	taken     bool      // a Parse whose name is taken: the server refuses it
	inject    bool      // stmt's Parse must be sent before it
	standIn   bool      // the empty statement stands in for stmt
	reused    bool      // a Parse of a shared statement that the connection has
	named     bool      // a Parse of a shared statement that is made under the client's name too
	unknown   bool      // it closes a statement that was not made by Parse
	gone      bool      // it uses the unnamed statement, which the session does not have
	displaces bool      // it ends the unnamed statement: a Query, or a Parse of a new one
	displaced *prepared // which that was, nil if there was none
	off, size int
	stmt      *prepared       // the statement it makes or uses, nil if not known
	verdict   *parser.Verdict // Execute, Query: what runs
	shows     *prepared       // Describe of a portal: the named statement that it runs, if it was bound in this unit
	evicted   *shelved        // the shared statement that is closed for stmt
	instead   []byte          // what the server gets in its place; nil is the message itself
}

// makes reports whether the message makes its statement.
func (m *message) makes() bool { return m.typ == wire.Parse && !m.taken }

// unit is what the session handles at once: a simple Query or FunctionCall,
// or extended messages up to a Sync or Flush. Its bytes are the first ones of the
// client's buffer. It is reused for every unit.
type unit struct {
	number  uint64
	size    int
	rest    int // bytes of the last message that are not in the buffer: too long to hold
	msgs    []message
	verdict *parser.Verdict // of all statements it makes or runs; nil if there is none or one is not known
	merged  *parser.Verdict // what verdict points to if there are several; kept for the next unit

	simple bool // a single Query
	ready  bool // it ends with ReadyForQuery: a Query, FunctionCall or Sync is its last message
	flush  bool // its last message is a Flush; neither: the unit was cut because of its length
	// settles: it was cut off to learn what the server says to it, before more of its cycle is understood.
	settles bool
	names   bool // it makes, describes or runs a statement
	opaque  bool // part of it is not understood
	// keepsPortal: a portal of it may be used by a later unit of the transaction.
	keepsPortal bool
	unrun       bool // it makes the unnamed portal, and does not run it
	sent        bool // a server has got it
	continues   bool // the cycle had earlier units there
	executes    int
	binds       bool      // it makes a portal
	bound       *prepared // the named statement of the last Bind, nil if there is none
	stateful    bool      // a statement of it may name prepared ones
	foreign     bool      // it runs a portal of an earlier unit
	// reruns is how often it was run again elsewhere; refused is the statement of it that a
	// read node refused with refusedCode because no standby can run it, nil if none was;
	// cure is why it was run again last.
	reruns      int
	cure        cure
	remakable   bool      // it can run again for that
	remade      *prepared // the statement that is made anew for cureColumns
	refused     *parser.Verdict
	refusedCode string
	// conduct is what the functions and procedures do that it calls.
	conduct parser.Conduct
}

// parses counts the unit's Parse messages; one whose name is taken counts for two.
func (u *unit) parses() int {
	n := 0
	for i := range u.msgs {
		if m := &u.msgs[i]; m.typ == wire.Parse {
			n++
			if m.taken {
				n++
			}
		}
	}
	return n
}

// bindsAhead reports whether the unit makes a portal that a later unit of the
// same cycle may use.
func (u *unit) bindsAhead() bool {
	return u.binds && !u.ready
}

// mayEndBlock reports whether the unit can have ended a transaction block.
func (u *unit) mayEndBlock() bool {
	if u.opaque {
		return true
	}
	for i := range u.msgs {
		v := u.msgs[i].verdict
		if v == nil {
			continue
		}
		for j := range v.Statements {
			switch v.Statements[j].Kind {
			case parser.KindCommit, parser.KindRollback, parser.KindTwoPhase, parser.KindCall, parser.KindUnknown, parser.KindExecute:
				return true
			}
		}
	}
	return false
}

// mayEndPortal reports whether the unit, carried out, can have closed the unnamed portal or put another one in its place.
func (u *unit) mayEndPortal() bool {
	for i := range u.msgs {
		switch u.msgs[i].typ {
		case wire.Bind, wire.Close, wire.Query:
			return true
		}
	}
	return false
}

// creates reports whether a message of the unit makes p.
func (u *unit) creates(p *prepared) bool {
	for i := range u.msgs {
		if m := &u.msgs[i]; m.stmt == p && m.makes() {
			return true
		}
	}
	return false
}

// opensBlock reports whether a statement of the unit begins a transaction block.
func (u *unit) opensBlock() bool {
	for i := range u.msgs {
		m := &u.msgs[i]
		if v := m.verdict; v != nil && (m.typ == wire.Query || m.typ == wire.Execute) && v.Stateful {
			for j := range v.Statements {
				if v.Statements[j].Kind == parser.KindBegin {
					return true
				}
			}
		}
	}
	return false
}

// namesInSQL reports whether SQL of the unit names the statement (EXECUTE, DEALLOCATE).
func (u *unit) namesInSQL(name string) bool {
	if !u.stateful {
		return false
	}
	for i := range u.msgs {
		v := u.msgs[i].verdict
		if v == nil || !v.Stateful {
			continue
		}
		for j := range v.Statements {
			if st := &v.Statements[j]; st.Object == name && (st.Kind == parser.KindExecute || st.Kind == parser.KindDeallocate) {
				return true
			}
		}
	}
	return false
}

// maxUnitMessages bounds a unit, keptMessages what is kept of its room for the next one.
const (
	maxUnitMessages = 20_000
	keptMessages    = 32
)

func (u *unit) reset() {
	msgs := u.msgs[:0]
	if cap(msgs) > keptMessages {
		msgs = nil
	}
	*u = unit{number: u.number + 1, msgs: msgs, merged: u.merged}
}

// message adds a message, in its place: many are made.
func (u *unit) message(typ byte, off, size int) *message {
	n := len(u.msgs)
	u.msgs = slices.Grow(u.msgs, 1)[:n+1]
	m := &u.msgs[n]
	*m = message{typ: typ, off: off, size: size}
	return m
}

// add takes in the verdict of a statement; nil is one that is not known.
func (u *unit) add(v *parser.Verdict) {
	u.names = true
	u.stateful = u.stateful || v != nil && v.Stateful
	switch {
	case v == nil:
		u.opaque = true
		u.verdict = nil
	case u.opaque || u.verdict == v:
	case u.verdict == nil:
		u.verdict = v
	default:
		reads := v.Access <= parser.AccessRead && u.verdict.Access <= parser.AccessRead
		trusted := (v.Trustable || v.Access <= parser.AccessRead) && (u.verdict.Trustable || u.verdict.Access <= parser.AccessRead)
		if u.verdict != u.merged {
			if u.merged == nil {
				u.merged = new(parser.Verdict)
			}
			*u.merged = *u.verdict
			u.merged.Statements, u.merged.Single = nil, parser.KindUnknown
			u.verdict = u.merged
		}
		if v.Access > u.merged.Access {
			u.merged.Access, u.merged.Reason = v.Access, v.Reason
		}
		u.merged.TransactionScoped = u.merged.TransactionScoped || v.TransactionScoped
		u.merged.CreatesTemp = u.merged.CreatesTemp || v.CreatesTemp
		u.merged.Redefines = u.merged.Redefines || v.Redefines
		u.merged.Stateful = u.merged.Stateful || v.Stateful
		u.merged.Own = u.merged.Own || v.Own
		u.merged.Trustable = trusted && !reads
		u.merged.Commented = u.merged.Commented || v.Commented
		u.merged.Traceless = u.merged.Traceless && v.Traceless
		u.merged.Hint = stricter(u.merged.Hint, v.Hint)
		u.merged.Fingerprint = 0
	}
}

// stricter is the hint for two statements of one unit, which runs in one place: if
// they differ, for the primary if any asks for that, else none.
func stricter(a, b parser.Hint) parser.Hint {
	switch {
	case a == b:
		return a
	case a.Route == parser.RoutePrimary || b.Route == parser.RoutePrimary:
		return parser.Hint{Route: parser.RoutePrimary}
	}
	return parser.Hint{}
}

// readQuery reads the simple Query at the start of the client's buffer.
func (s *session) readQuery() error {
	u := &s.unit
	u.reset()
	u.simple, u.ready = true, true
	msg, err := s.readMessage(0)
	if err != nil {
		return err
	}
	s.planQuery(msg, 0)
	return nil
}

// readCall reads the FunctionCall at the start of the client's buffer.
func (s *session) readCall() error {
	u := &s.unit
	u.reset()
	u.ready = true
	msg, err := s.readMessage(0)
	if err != nil {
		return err
	}
	u.add(nil)
	u.executes++
	u.message(wire.FunctionCall, 0, len(msg))
	u.size = len(msg)
	return nil
}

// planQuery understands a simple Query, alone or at the end of extended messages.
func (s *session) planQuery(msg []byte, off int) {
	u := &s.unit
	m := u.message(wire.Query, off, len(msg))
	if text, _, ok := wire.CString(msg[wire.HeaderSize:]); ok && u.rest == 0 {
		m.verdict = s.judge(text)
	} else if u.rest > 0 && isBulk(msg[wire.HeaderSize:]) {
		m.verdict = &bulk
	}
	m.displaces, m.displaced = true, s.stmts.displaceUnnamed(u.number)
	u.add(s.resolve(m.verdict))
	u.executes++
	u.size = off + len(msg)
}

// bulk is the verdict on a text that is too long to be held and begins as
// texts of such length do. It is the primary's, and changes nothing of the session.
var bulk = parser.Verdict{Access: parser.AccessUnknown, Reason: "too long", Single: parser.KindWrite}

// isBulk reports whether a text begins with a statement that only moves data.
func isBulk(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	for _, word := range []string{"insert", "update", "delete", "merge", "select", "with"} {
		if len(text) > len(word) && strings.EqualFold(string(text[:len(word)]), word) {
			return true
		}
	}
	return false
}

// readMessage waits until the message at offset off of the unit is in the
// client's buffer. Of a message that is too long to hold it returns what is
// there and sets unit.rest.
func (s *session) readMessage(off int) ([]byte, error) {
	if err := s.need(off + wire.HeaderSize); err != nil {
		return nil, err
	}
	_, size, err := wire.Header(s.client.Buffered()[off:])
	if err != nil {
		return nil, protocolLost{err}
	}
	if limit := s.set.maxBuffered; off+size > limit {
		have := min(off+size, max(limit, off+wire.HeaderSize))
		if err := s.need(have); err != nil {
			return nil, err
		}
		// Of its length's last part more may have arrived already.
		have = min(off+size, len(s.client.Buffered()))
		s.unit.rest = off + size - have
		return s.client.Buffered()[off:have], nil
	}
	if err := s.need(off + size); err != nil {
		return nil, err
	}
	return s.client.Buffered()[off : off+size], nil
}

// readExtended reads extended messages up to a Sync or Flush. A unit that
// grows over what may be held ends early; the rest follows as further units
// of the same cycle.
func (s *session) readExtended() error {
	u := &s.unit
	u.reset()
	off := 0
	for {
		msg, err := s.readMessage(off)
		if err != nil {
			return err
		}
		typ := msg[0]
		if typ == wire.Query {
			// It continues the implicit transaction and ends with its own ReadyForQuery.
			s.planQuery(msg, off)
			u.ready = true
			return nil
		}
		if typ == wire.FunctionCall {
			// A unit of its own, in the same cycle. It is the primary's, and so is what has not been answered before it.
			u.add(nil)
			s.stmts.spare = nil
			return nil
		}
		if typ == wire.Terminate {
			// Without a Sync nothing before it would have been committed.
			return errTerminated
		}
		if u.stateful && s.namesDeallocated(typ, msg[wire.HeaderSize:]) {
			u.settles = true
			return nil // it begins another unit of the cycle
		}
		if err := s.planMessage(typ, msg, off); err != nil {
			return err
		}
		off += len(msg)
		u.size = off
		if typ == wire.Sync {
			u.ready = true
			u.keepsPortal = u.keepsPortal || u.unrun
			return nil
		}
		if typ == wire.Flush || u.rest > 0 || off >= s.set.maxBuffered || len(u.msgs) >= maxUnitMessages {
			if u.flush = typ == wire.Flush; !u.flush {
				u.add(nil)
				s.stmts.spare = nil // the next unit comes before this one is answered
			}
			return nil
		}
	}
}

// namesDeallocated reports whether a message names a statement that a DEALLOCATE of the unit may have ended: whether
// it has is known when the server has answered.
func (s *session) namesDeallocated(typ byte, body []byte) bool {
	name, ok := namedStatement(typ, body)
	if !ok || len(name) == 0 || s.stmts.find(name) == nil {
		return false
	}
	for i := range s.unit.msgs {
		m := &s.unit.msgs[i]
		if m.typ != wire.Execute || m.verdict == nil || m.verdict.Single != parser.KindDeallocate {
			continue
		}
		if object := m.verdict.Statements[0].Object; object == "" || object == string(name) {
			return true
		}
	}
	return false
}

// namedStatement is the name of the prepared statement that an extended message makes, uses or closes.
func namedStatement(typ byte, body []byte) (name []byte, ok bool) {
	switch typ {
	case wire.Bind:
		if _, body, ok = wire.CString(body); !ok {
			return nil, false
		}
	case wire.Describe, wire.Close:
		if len(body) == 0 || body[0] != 'S' {
			return nil, false
		}
		body = body[1:]
	case wire.Parse:
	default:
		return nil, false
	}
	name, _, ok = wire.CString(body)
	return name, ok
}

// planMessage understands one extended message.
func (s *session) planMessage(typ byte, msg []byte, off int) error {
	u := &s.unit
	m := u.message(typ, off, len(msg))
	body := msg[wire.HeaderSize:]
	ok := true
	switch typ {
	case wire.Parse:
		ok = s.planParse(m, msg, body)
	case wire.Bind:
		portal, rest, ok1 := wire.CString(body)
		name, _, ok2 := wire.CString(rest)
		if ok = ok1 && ok2; ok {
			s.planUse(m, name)
			s.stmts.bound(portal, verdictOf(m.stmt), s.set.maxStatements)
			u.binds, u.bound = true, nil
			if m.stmt != nil && m.stmt.name != "" {
				u.bound = m.stmt
			}
			if u.unrun = len(portal) == 0; !u.unrun {
				u.keepsPortal = true
			}
		}
	case wire.Describe:
		if ok = len(body) > 1; ok {
			name, _, _ := wire.CString(body[1:])
			if body[0] == 'S' {
				s.planUse(m, name)
			} else {
				m.verdict = s.stmts.portalVerdict(name)
				m.shows = u.bound
				u.add(s.resolve(m.verdict))
			}
		}
	case wire.Execute:
		portal, rest, ok1 := wire.CString(body)
		if ok = ok1 && len(rest) >= 4; ok {
			m.verdict = s.stmts.portalVerdict(portal)
			u.add(s.resolve(m.verdict))
			u.executes++
			u.foreign = u.foreign || !u.binds
			u.unrun = u.unrun && len(portal) > 0
			if binary.BigEndian.Uint32(rest) != 0 {
				u.keepsPortal = true
			}
		}
	case wire.Close:
		if ok = len(body) > 1; ok && body[0] == 'S' {
			name, _, _ := wire.CString(body[1:])
			if m.stmt = s.stmts.find(name); m.stmt == nil && len(name) > 0 {
				m.unknown = true
			} else if m.stmt != nil {
				m.stmt.used = u.number
				s.stmts.forget(m.stmt)
			}
		}
	case wire.Sync:
		ok = len(body) == 0
	case wire.Flush, wire.CopyData, wire.CopyDone, wire.CopyFail:
	default:
		return &wire.Error{Code: "08P01", Message: fmt.Sprintf("invalid frontend message type %d", typ)}
	}
	if !ok {
		// Malformed, or one statement too many: for the primary.
		u.add(nil)
	}
	return nil
}

// planParse takes in a new statement. A name that is taken already stays what
// it is: the server refuses the message.
func (s *session) planParse(m *message, msg, body []byte) bool {
	name, rest, ok := wire.CString(body)
	text, _, ok2 := wire.CString(rest)
	if !ok {
		return false
	}
	if len(name) > 0 {
		if old := s.stmts.find(name); old != nil {
			m.stmt, m.taken = old, true
			old.used = s.unit.number
			s.unit.add(s.resolve(old.verdict))
			return true
		}
	}
	m.displaces, m.displaced = len(name) == 0, s.stmts.unnamed
	if len(name) > 0 && (len(s.stmts.named) >= s.set.maxStatements || s.stmts.held+len(msg)+preparedSize > s.set.maxStatementMemory) {
		return false // it lives on the primary, unknown here
	}
	if !ok2 || s.unit.rest > 0 {
		// Its text cannot be understood: it is the primary's, and so is what uses it.
		m.stmt = s.stmts.parsed(name, nil, nil, s.unit.number)
		return false
	}
	v := s.judge(text)
	m.stmt = s.stmts.parsed(name, msg, v, s.unit.number)
	s.noteShared(m.stmt)
	s.unit.add(s.resolve(v))
	return true
}

// planUse notes that a message uses the statement.
func (s *session) planUse(m *message, name []byte) {
	m.stmt = s.stmts.find(name)
	if m.stmt != nil {
		m.stmt.used = s.unit.number
	}
	m.gone = m.stmt == nil && len(name) == 0
	s.unit.add(s.resolve(verdictOf(m.stmt)))
}

func verdictOf(p *prepared) *parser.Verdict {
	if p == nil {
		return nil
	}
	return p.verdict
}
