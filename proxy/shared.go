package proxy

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"

	"github.com/howdah/howdah/wire"
)

// Sessions that share connections do not have the names of their prepared statements
// for themselves there. So a named statement is made under a name that says what it is,
// and the names in Parse, Bind, Describe and Close are replaced. Where a message must
// not reach the server (Parse of what it has, Close of what others use) it gets Close of a
// statement that never exists: answers then come in their places, and an error
// before it has the server skip it like all else.

// sharedPrefix begins the name of every shared statement; absentName is of none.
const (
	sharedPrefix = "howdah_"
	absentName   = sharedPrefix + "absent"
)

// sharedName is the name of a statement by its text and parameter types, which are
// what a Parse message has behind the client's name, and what its names mean.
func sharedName(textAndTypes []byte, path, user string) string {
	h := sha256.New()
	for _, part := range []string{path, user} {
		io.WriteString(h, part)
		h.Write([]byte{0})
	}
	h.Write(textAndTypes)
	return sharedPrefix + hex.EncodeToString(h.Sum(nil)[:16])
}

// noteShared gives a new statement the name that it has on shared connections.
func (s *session) noteShared(p *prepared) {
	if s.names.database != nil {
		p.definitions = s.names.database.definitions.Load()
	}
	if !s.shared || p.name == "" || !p.known() {
		return
	}
	path, user := s.state.searchPath(s.key.User)
	p.shared = sharedName(p.parse[wire.HeaderSize+len(p.name)+1:], path, user)
}

// shares reports whether the statement is, or would be, a shared one on the lease.
func (l *lease) shares(p *prepared) bool { return l.shared && p.shared != "" }

// has reports whether the statement exists on this connection.
func (l *lease) has(p *prepared) bool {
	if l.shares(p) {
		return l.carried.statements.has(p.shared, p.definitions)
	}
	return p.on[l.slot] == l.id
}

// gets notes that the statement is being made on this connection; of shared ones
// another may have to give way.
func (l *lease) gets(p *prepared, limit int) (evicted *shelved) {
	if l.shares(p) {
		return l.carried.statements.put(p.shared, p.definitions, limit)
	}
	p.on[l.slot] = l.id
	l.traces = l.traces || p.name != ""
	return nil
}

// loses notes that the statement does not exist on this connection.
func (l *lease) loses(p *prepared) {
	if l.shares(p) {
		l.carried.statements.drop(p.shared)
		return
	}
	p.on[l.slot] = 0
}

// noteRefused takes note of an error for a shared statement: it may not be there, deallocated
// unseen, or its result may have changed. Made anew it works.
func (l *lease) noteRefused(p *prepared, code string) {
	switch code {
	case "26000":
		l.loses(p)
	case "0A000":
		l.carried.statements.spoil(p.shared)
	}
}

// appendShared appends a message that concerns a shared statement, and what must go before it.
func (s *session) appendShared(b []byte, l *lease, m *message, msg []byte) []byte {
	p := m.stmt
	m.inject, m.reused, m.named, m.evicted = false, false, false, nil
	if m.typ == wire.Close {
		return wire.AppendMessage(b, wire.Close, "S", absentName, "\x00")
	}
	had := l.has(p)
	if had && m.makes() && l.status == wire.TxFailed {
		had = false // the server must judge whether an aborted block may have the statement
	}
	if !had {
		if m.evicted = l.gets(p, s.set.maxPrepared); m.evicted != nil {
			b = wire.AppendMessage(b, wire.Close, "S", m.evicted.name, "\x00")
		}
	}
	switch m.typ {
	case wire.Parse:
		if !m.makes() && !had { // its name is taken: the server says so of a second one
			m.inject = true
			b = appendRenamed(b, p.parse, 0, p)
		}
		if m.reused = m.makes() && had; m.reused {
			p.borrowed = true
			b = wire.AppendMessage(b, wire.Close, "S", absentName, "\x00")
		} else {
			b = appendRenamed(b, msg, 0, p)
		}
		if m.named = m.makes() && s.unit.namesInSQL(p.name); m.named {
			b = wire.AppendMessage(b, wire.Close, "S", p.name, "\x00")
			b = append(b, msg...)
		}
		return b
	case wire.Bind:
		if m.inject = !had; m.inject {
			b = appendRenamed(b, p.parse, 0, p)
		}
		return appendRenamed(b, msg, bytes.IndexByte(msg[wire.HeaderSize:], 0)+1, p)
	default: // Describe
		if m.inject = !had; m.inject {
			b = appendRenamed(b, p.parse, 0, p)
		}
		return appendRenamed(b, msg, 1, p)
	}
}

// appendRenamed appends a message, of which there may be the beginning only, with the
// shared name in place of the client's, which begins at offset at of the body.
func appendRenamed(b, msg []byte, at int, p *prepared) []byte {
	at += wire.HeaderSize
	size := int(binary.BigEndian.Uint32(msg[1:])) + len(p.shared) - len(p.name)
	b = append(b, msg[0])
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	b = append(b, msg[wire.HeaderSize:at]...)
	b = append(b, p.shared...)
	return append(b, msg[at+len(p.name):]...)
}

// inClientsWords returns an ErrorResponse with the client's names of shared statements
// in place of theirs; nil if it has none.
func (s *session) inClientsWords(msg []byte) []byte {
	if !bytes.Contains(msg, []byte(sharedPrefix)) {
		return nil
	}
	body := msg[wire.HeaderSize:]
	for i := range s.unit.msgs {
		if p := s.unit.msgs[i].stmt; p != nil && p.shared != "" {
			body = bytes.ReplaceAll(body, []byte(p.shared), []byte(p.name))
		}
	}
	return wire.AppendMessage(nil, wire.ErrorResponse, string(body))
}
