package proxy

import (
	"bytes"
	"encoding/binary"

	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/wire"
)

// read is a unit of one read, as it lies in the client's buffer, whole and nothing behind it.
type read struct {
	in []byte
	// out is what the server gets: in, or if it runs a shared statement, a copy with that one's name (rename).
	out     []byte
	shared  *prepared // nil: it runs none
	verdict *parser.Verdict
	// parse is a whole Parse message of the unnamed statement, nil if there is none; then stmt is what Bind names.
	parse []byte
	stmt  *prepared
	row   []byte // the answer's RowDescription
	// binds and describes: the answer has a BindComplete, and a RowDescription.
	binds, describes bool
}

// The messages of a read that are always the same.
var (
	describeUnnamed = wire.AppendMessage(nil, wire.Describe, "P\x00")
	executeUnnamed  = wire.AppendMessage(nil, wire.Execute, "\x00\x00\x00\x00\x00")
	emptySync       = wire.AppendMessage(nil, wire.Sync)
)

// recognize reads the unit. It takes a Query, or up to one each of Parse and Describe around Bind and Execute, of
// unnamed portals and to the last row.
func (s *session) recognize(r *read, l *lease, looped bool) bool {
	if len(r.in) > maxFast {
		return false
	}
	judge := s.judge
	if looped {
		judge = s.judgeNow
	}
	typ, body, rest := firstMessage(r.in)
	if typ == wire.Query {
		text, more, ok := wire.CString(body)
		if !ok || len(more) > 0 || len(rest) > 0 {
			return false
		}
		r.verdict = judge(text)
		return r.verdict != nil
	}
	if typ == wire.Parse {
		name, more, ok := wire.CString(body)
		text, _, ok2 := wire.CString(more)
		if !ok || !ok2 || len(name) > 0 || !bytes.HasSuffix(rest, emptySync) {
			return false
		}
		r.parse, r.verdict = r.in[:len(r.in)-len(rest)], judge(text)
		typ, body, rest = firstMessage(rest)
	}
	if typ != wire.Bind {
		return false
	}
	portal, more, ok := wire.CString(body)
	name, _, ok2 := wire.CString(more)
	if !ok || !ok2 || len(portal) > 0 || len(name) > 0 && r.parse != nil {
		return false
	}
	r.binds = true
	if r.describes = bytes.HasPrefix(rest, describeUnnamed); r.describes {
		rest = rest[len(describeUnnamed):]
	}
	if len(rest) != len(executeUnnamed)+len(emptySync) || !bytes.HasPrefix(rest, executeUnnamed) || !bytes.HasSuffix(rest, emptySync) {
		return false
	}
	if r.parse == nil {
		p := s.stmts.find(name)
		switch {
		case p == nil || p.changed || !p.known() || r.describes && len(name) > 0 && p.told == 0:
			return false
		case l != nil:
			if !l.has(p) {
				return false
			}
		case p.shared == "":
			return false
		default: // rename looks at the connection
			r.shared = p
		}
		r.stmt, r.verdict = p, p.verdict
	}
	return r.verdict != nil
}

// firstMessage takes the first message from in; its type is 0 if it is not whole.
func firstMessage(in []byte) (typ byte, body, rest []byte) {
	if len(in) < wire.HeaderSize {
		return 0, nil, nil
	}
	typ, size, err := wire.Header(in)
	if err != nil || size > len(in) {
		return 0, nil, nil
	}
	return typ, in[wire.HeaderSize:size], in[size:]
}

// maxFast bounds what goes the fast way, in bytes: more is worth being planned.
const maxFast = 8 << 10

// answered is whether b is the whole and usual answer to the read, and the tag of its end.
func (r *read) answered(b []byte) (tag []byte, ok bool) {
	end := len(b) - wire.HeaderSize - 1
	if end < 0 || b[end] != wire.ReadyForQuery || b[end+wire.HeaderSize] != wire.TxIdle {
		return nil, false
	}
	b = b[:end]
	if r.parse != nil {
		if len(b) < wire.HeaderSize || b[0] != wire.ParseComplete {
			return nil, false
		}
		b = b[wire.HeaderSize:]
	}
	if r.binds {
		if len(b) < wire.HeaderSize || b[0] != wire.BindComplete {
			return nil, false
		}
		b = b[wire.HeaderSize:]
	}
	columns := r.describes || !r.binds
	for len(b) > wire.HeaderSize {
		size := 1 + int(binary.BigEndian.Uint32(b[1:]))
		if size <= wire.HeaderSize || size > len(b) {
			return nil, false
		}
		switch b[0] {
		case wire.RowDescription:
			if !columns {
				return nil, false
			}
			columns, r.row = false, b[:size]
		case wire.DataRow:
			if columns {
				return nil, false
			}
		case wire.CommandComplete:
			return b[wire.HeaderSize:], size == len(b) && !columns
		default:
			return nil, false
		}
		b = b[size:]
	}
	return nil, false
}
