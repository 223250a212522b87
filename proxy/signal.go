package proxy

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/wire"
)

// pg_cancel_backend() and pg_terminate_backend() of a number that howdah has told a client as its process id (BackendKeyData) mean
// that client's session, whichever connection it has at the time; servers know nothing of it. Other numbers are those of
// servers' processes, and go there.

// errEnded is what a session ends with that another one has ended.
var errEnded = &wire.Error{Code: "57P01", Message: "terminating connection due to administrator command"}

// checkSignal refuses a signal by the rules of PostgreSQL: to sessions of the current role, of roles that it is a member of, or to
// all but superusers' with pg_signal_backend. One to the session itself takes effect at once.
func (s *session) checkSignal(sig parser.Signal) error {
	if sig.Session == s.pid {
		if sig.Terminate {
			return errEnded
		}
		return errCanceled
	}
	_, caller := s.state.searchPath(s.key.User) // the current role
	caller = cmp.Or(caller, s.key.User)
	target := s.srv.registry.numbered(sig.Session)
	if target == nil || target.key.User == caller {
		return nil
	}
	if superuser, _ := s.told.Get("is_superuser"); superuser == "on" {
		return nil
	}
	roles := []string{target.key.User}
	if !target.superuser {
		roles = append(roles, "pg_signal_backend")
	}
	for _, role := range roles {
		member, err := s.srv.members.isMember(s.srv.context, s.srv, caller, role, s.set)
		if err != nil {
			return &wire.Error{Code: "57P03", Message: "howdah cannot tell whether the session may be signaled", Detail: err.Error()}
		}
		if member {
			return nil
		}
	}
	return &wire.Error{Code: "42501", Message: fmt.Sprintf("permission denied to call %s for this session", sig.Function()),
		Detail: "Only its own user, members of that role or of pg_signal_backend, and superusers may; a superuser's session only superusers."}
}

// appendSignalled carries a signal out, and appends its row: whether there is such a session.
func (s *session) appendSignalled(b []byte, sig parser.Signal, binaryRow bool) []byte {
	sent := s.srv.signal(sig)
	if !sent {
		b = wire.AppendNotice(b, "WARNING", &wire.Error{Code: "01000", Message: fmt.Sprintf("PID %d is not a PostgreSQL backend process", sig.Session),
			Hint: "It is a number of howdah's, but no session has it now."})
	}
	row := "f"
	switch {
	case binaryRow && sent:
		row = "\x01"
	case binaryRow:
		row = "\x00"
	case sent:
		row = "t"
	}
	return appendOwnRow(b, row)
}

// signal cancels what a session runs, or ends it. It reports whether there is such a session, and does not wait for the effect.
func (srv *Server) signal(sig parser.Signal) bool {
	s := srv.registry.numbered(sig.Session)
	if s == nil {
		return false
	}
	if sig.Terminate {
		s.interrupt(wakeEnd)
		// A session whose client does not read never comes to see it.
		time.AfterFunc(cancelTimeout, func() {
			if srv.registry.numbered(sig.Session) == s {
				srv.Kill(sig.Session)
			}
		})
	}
	go s.cancel(srv.context) //nolint:errcheck // as with a server's process, nobody hears of it
	return true
}

// endedCanceling is whether an error is that of a statement which was canceled because the session is to end: the client gets
// its end instead.
func (s *session) endedCanceling(code string) bool {
	return code == errCanceled.Code && s.wakeup.Load()&wakeEnd != 0
}

// The types bool and int4.
const (
	boolOID = 16
	int4OID = 23
)

// appendSignalColumn appends the RowDescription of a signal's row.
func appendSignalColumn(b []byte, st *parser.Statement, binaryRow bool) []byte {
	body := binary.BigEndian.AppendUint16(nil, 1)
	body = append(append(body, cmp.Or(st.Object, st.Signal.Function())...), 0)
	body = append(body, 0, 0, 0, 0, 0, 0) // of no table
	body = binary.BigEndian.AppendUint32(body, boolOID)
	body = append(body, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0)
	if binaryRow {
		body[len(body)-1] = 1
	}
	return wire.AppendMessage(b, wire.RowDescription, string(body))
}

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
	if m.stmt == nil || !takesSignal(m.stmt) {
		return nil
	}
	number := boundInt4(s.client.Buffered()[m.off+wire.HeaderSize : m.off+m.size])
	if number <= parser.MaxProcessID {
		return nil
	}
	v, st := *m.stmt.verdict, m.stmt.verdict.Statements[0]
	st.Signal.Session = uint32(number)
	v.Statements = []parser.Statement{st}
	return &v
}

// takesSignal is whether a statement signals $1, of type int4 if its Parse says one (PostgreSQL manual, 55.7).
func takesSignal(p *prepared) bool {
	if v := p.verdict; v == nil || len(v.Statements) != 1 || !v.Statements[0].Signal.Parameter || !p.known() {
		return false
	}
	_, rest, _ := wire.CString(p.parse[wire.HeaderSize:])
	_, types, ok := wire.CString(rest)
	if !ok || len(types) < 2 {
		return false
	}
	switch binary.BigEndian.Uint16(types) {
	case 0:
		return true
	case 1:
		oid := types[2:]
		return len(oid) >= 4 && (binary.BigEndian.Uint32(oid) == 0 || binary.BigEndian.Uint32(oid) == int4OID)
	}
	return false
}

// boundInt4 reads a Bind's only parameter, as text or in binary (PostgreSQL manual, 55.7): portal, statement, formats, values,
// formats of the result. It is 0 if there is not just one, of type int4.
func boundInt4(body []byte) int32 {
	_, rest, ok1 := wire.CString(body)
	_, rest, ok2 := wire.CString(rest)
	if !ok1 || !ok2 || len(rest) < 2 {
		return 0
	}
	formats := int(binary.BigEndian.Uint16(rest))
	if rest = rest[2:]; formats > 1 || len(rest) < 2*formats+6 {
		return 0
	}
	inBinary := formats == 1 && binary.BigEndian.Uint16(rest) == 1
	rest = rest[2*formats:]
	values, size := binary.BigEndian.Uint16(rest), binary.BigEndian.Uint32(rest[2:])
	if rest = rest[6:]; values != 1 || uint64(size) > uint64(len(rest)) {
		return 0
	}
	value := rest[:size]
	if inBinary {
		if len(value) != 4 {
			return 0
		}
		return int32(binary.BigEndian.Uint32(value))
	}
	number, err := strconv.ParseInt(strings.TrimSpace(string(value)), 10, 32)
	if err != nil {
		return 0
	}
	return int32(number)
}

// wantsBinary is whether a Bind asks for its only column in binary: it ends with the number of formats and the format then.
func wantsBinary(bind []byte) bool {
	return len(bind) >= 4 && binary.BigEndian.Uint32(bind[len(bind)-4:]) == 1<<16|1
}
