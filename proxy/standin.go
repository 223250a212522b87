package proxy

import (
	"bytes"
	"encoding/binary"

	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/wire"
)

// A block that has failed takes no new statement (25P02), so one that the connection lacks cannot be made there. But it takes
// the empty one, and of a statement that does not end the block Bind is refused whatever it is; so the empty one stands
// in for it, and the client gets Bind's own error, not that of a Parse which it never sent
// (exec_parse_message and exec_bind_message in PostgreSQL's postgres.c). The same goes for Describe of a statement without
// result and parameters, which is not refused at all.

// mustStandIn reports whether the empty statement is to be used in place of m's. Behind an Execute the
// block may have ended.
func (u *unit) mustStandIn(l *lease, m *message) bool {
	if l.status != wire.TxFailed || u.continues || m.stmt == nil || !m.stmt.known() || l.has(m.stmt) || endsFailed(m.stmt.verdict) {
		return false
	}
	if m.typ != wire.Bind && (m.typ != wire.Describe || !m.stmt.isBare()) {
		return false
	}
	for i := range u.msgs {
		if earlier := &u.msgs[i]; earlier == m {
			return true
		} else if earlier.typ == wire.Execute {
			return false
		}
	}
	return false
}

// endsFailed reports whether a failed block takes the statement.
func endsFailed(v *parser.Verdict) bool {
	if v == nil {
		return false
	}
	switch v.Single {
	case parser.KindCommit, parser.KindRollback, parser.KindRollbackTo, parser.KindTwoPhase:
		return true
	}
	return false
}

// isBare reports whether the statement certainly has neither parameters nor a result.
func (p *prepared) isBare() bool {
	if bytes.IndexByte(p.parse, '$') >= 0 || !bytes.HasSuffix(p.parse, []byte("\x00\x00\x00")) {
		return false // the text's end, and no types
	}
	if p.told == noColumns {
		return true
	} else if p.verdict == nil {
		return false
	}
	switch p.verdict.Single {
	case parser.KindBegin, parser.KindSetTransaction, parser.KindSavepoint, parser.KindRelease, parser.KindSet,
		parser.KindListen, parser.KindUnlisten, parser.KindDeallocate, parser.KindDiscard:
		return true
	}
	return false
}

// appendStandIn appends msg, a Bind or Describe, for the empty statement, with the Parse of that before it: it has as many
// parameters, all of them integers, as a wrong number would be the error.
func (s *session) appendStandIn(b []byte, l *lease, m *message, msg []byte) []byte {
	const int4 = 23
	s.losesUnnamed(l)
	m.inject, m.reused, m.named, m.evicted = false, false, false, nil
	body := msg[wire.HeaderSize:]
	at := 1 // a Describe's 'S'
	if m.typ == wire.Bind {
		at = bytes.IndexByte(body, 0) + 1
	}
	rest := body[at+len(m.stmt.name):]
	types := []byte{0, 0}
	if m.typ == wire.Bind {
		n := m.stmt.parameters(rest[1:])
		types = binary.BigEndian.AppendUint16(nil, n)
		for range n {
			types = binary.BigEndian.AppendUint32(types, int4)
		}
	}
	b = wire.AppendMessage(b, wire.Parse, "\x00\x00", string(types))
	return wire.AppendMessage(b, m.typ, string(body[:at]), string(rest))
}

// parameters is how many parameters the statement has: those of which Parse gave a type, or more if its text has more and is
// analysed when it is made. Of what was not understood it is the number that a Bind gives: after the statement's name that has the
// number of formats, the formats, the number of values.
func (p *prepared) parameters(bind []byte) uint16 {
	_, rest, _ := wire.CString(p.parse[wire.HeaderSize:])
	_, types, ok := wire.CString(rest)
	if !ok || len(types) < 2 {
		return 0
	}
	typed := binary.BigEndian.Uint16(types)
	if v := p.verdict; v != nil && len(v.Statements) == 1 && v.Single != parser.KindUnknown {
		switch v.Single {
		case parser.KindSelect, parser.KindWrite, parser.KindExplain, parser.KindDeclareCursor, parser.KindCall:
			return max(typed, uint16(v.Statements[0].Params))
		}
		return typed
	}
	if len(bind) < 2 {
		return 0
	}
	at := 2 + 2*int(binary.BigEndian.Uint16(bind))
	if len(bind) < at+2 {
		return 0
	}
	return binary.BigEndian.Uint16(bind[at:])
}

// losesUnnamed notes that messages of howdah's own end the connection's unnamed statement. Each that the unit may come
// back to is meant: one that it displaces stays if the server skips what displaces it.
func (s *session) losesUnnamed(l *lease) {
	if p := s.stmts.unnamed; p != nil {
		l.loses(p)
	}
	for i := range s.unit.msgs {
		m := &s.unit.msgs[i]
		if p := m.stmt; p != nil && p.name == "" {
			l.loses(p)
		}
		if m.displaced != nil {
			l.loses(m.displaced)
		}
	}
}
