package proxy

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/wire"
)

// bindSignals makes statements of the unit that signal $1 what they are with the parameter that is bound, if that is a number of
// howdah's. Others are the servers'.
func (s *session) bindSignals() {
	var stmt *prepared
	var bound *parser.Verdict // nil if the last Bind is nothing of howdah's
	for i := range s.unit.msgs {
		switch m := &s.unit.msgs[i]; {
		case m.typ == wire.Bind:
			if stmt, bound = m.stmt, s.boundSignal(m); bound == nil {
				continue
			}
			m.verdict = bound
			for j := range s.unit.msgs {
				if of := &s.unit.msgs[j]; of.stmt == stmt && (of.typ == wire.Parse || of.typ == wire.Describe) {
					of.verdict = bound
				}
			}
		case bound != nil && m.stmt == nil && m.verdict == stmt.verdict: // it runs or describes the portal
			m.verdict = bound
		}
	}
}

// boundSignal is the verdict on a statement that signals $1 with what a Bind gives it, nil if that is no number of howdah's.
func (s *session) boundSignal(m *message) *parser.Verdict {
	if m.stmt == nil {
		return nil
	}
	types := signalTypes(m.stmt)
	if types == nil {
		return nil
	}
	var values [2]int64
	if !boundInts(s.client.Buffered()[m.off+wire.HeaderSize:m.off+m.size], types, values[:len(types)]) || values[0] <= parser.MaxProcessID {
		return nil
	}
	v, st := *m.stmt.verdict, m.stmt.verdict.Statements[0]
	st.Signal.Session = uint32(values[0])
	if len(types) == 2 {
		st.Signal.Wait, st.Signal.WaitType = values[1], types[1]
	}
	v.Statements = []parser.Statement{st}
	return &v
}

// signalTypes are the types of the parameters of a statement that signals $1: an int4, and an integer if the time to wait is $2, as its Parse
// says (PostgreSQL manual, 55.7). They are nil of any other statement.
func signalTypes(p *prepared) []uint32 {
	if v := p.verdict; v == nil || len(v.Statements) != 1 || !v.Statements[0].Signal.Parameter || !p.known() {
		return nil
	}
	expected := []uint32{parser.Int4OID}
	if wait := p.verdict.Statements[0].Signal.WaitType; wait != 0 {
		expected = append(expected, wait)
	}
	_, rest, _ := wire.CString(p.parse[wire.HeaderSize:])
	_, told, ok := wire.CString(rest)
	if !ok || len(told) < 2 {
		return nil
	}
	n := int(binary.BigEndian.Uint16(told))
	if told = told[2:]; n > len(expected) || len(told) < 4*n {
		return nil
	}
	for i := range n {
		switch oid := binary.BigEndian.Uint32(told[4*i:]); {
		case oid == 0:
		case oid == parser.Int4OID, i == 1 && (oid == parser.Int2OID || oid == parser.Int8OID): // a time is cast by the server
			expected[i] = oid
		default:
			return nil
		}
	}
	return expected
}

// boundInts reads a Bind's parameters, as text or in binary (PostgreSQL manual, 55.7): portal, statement, formats, values, formats
// of the result. It is false if they are not as many integers of these types.
func boundInts(body []byte, types []uint32, into []int64) bool {
	_, rest, ok1 := wire.CString(body)
	_, rest, ok2 := wire.CString(rest)
	if !ok1 || !ok2 || len(rest) < 2 {
		return false
	}
	formats := int(binary.BigEndian.Uint16(rest))
	if rest = rest[2:]; formats > 1 && formats != len(types) || len(rest) < 2*formats+2 {
		return false
	}
	format := func(i int) bool { // the i-th value is in binary
		return formats > 0 && binary.BigEndian.Uint16(rest[2*min(i, formats-1):]) == 1
	}
	values := rest[2*formats:]
	if int(binary.BigEndian.Uint16(values)) != len(types) {
		return false
	}
	values = values[2:]
	for i, oid := range types {
		if len(values) < 4 {
			return false
		}
		size := binary.BigEndian.Uint32(values)
		if values = values[4:]; uint64(size) > uint64(len(values)) {
			return false // also NULL
		}
		if into[i], ok1 = integer(values[:size], oid, format(i)); !ok1 {
			return false
		}
		values = values[size:]
	}
	return true
}

// integer reads a value of an integer type.
func integer(value []byte, oid uint32, inBinary bool) (int64, bool) {
	bits := map[uint32]int{parser.Int2OID: 16, parser.Int4OID: 32, parser.Int8OID: 64}[oid]
	switch {
	case !inBinary:
		n, err := strconv.ParseInt(strings.TrimSpace(string(value)), 10, bits)
		return n, err == nil
	case len(value) != bits/8:
		return 0, false
	case bits == 16:
		return int64(int16(binary.BigEndian.Uint16(value))), true
	case bits == 32:
		return int64(int32(binary.BigEndian.Uint32(value))), true
	default:
		return int64(binary.BigEndian.Uint64(value)), true
	}
}

// wantsBinary is whether a Bind asks for its only column in binary: it ends with the number of formats and the format then.
func wantsBinary(bind []byte) bool {
	return len(bind) >= 4 && binary.BigEndian.Uint32(bind[len(bind)-4:]) == 1<<16|1
}
