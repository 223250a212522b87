package proxy

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/wire"
)

// pg_cancel_backend() and pg_terminate_backend() of a number that howdah has told a client as its process id (BackendKeyData) mean
// that client's session, whichever connection it has at the time; servers know nothing of it. Other numbers are those of
// servers' processes, and go there.

// errEnded is what a session ends with that another one has ended.
var errEnded = &wire.Error{Code: "57P01", Message: "terminating connection due to administrator command"}

// checkSignal refuses a signal by the rules of PostgreSQL: to sessions of the same user, of roles that the user is a member of, or to
// all but superusers' with pg_signal_backend. One to the session itself takes effect at once.
func (s *session) checkSignal(sig parser.Signal) error {
	if sig.Session == s.pid {
		if sig.Terminate {
			return errEnded
		}
		return errCanceled
	}
	target := s.srv.registry.numbered(sig.Session)
	if target == nil || target.key.User == s.key.User {
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
		member, err := s.srv.members.isMember(s.srv.context, s.srv, s.key.User, role, s.set)
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

// boolOID is the type bool.
const boolOID = 16

// appendSignalColumn appends the RowDescription of a signal's row.
func appendSignalColumn(b []byte, st *parser.Statement) []byte {
	body := binary.BigEndian.AppendUint16(nil, 1)
	body = append(append(body, cmp.Or(st.Object, st.Signal.Function())...), 0)
	body = append(body, 0, 0, 0, 0, 0, 0) // of no table
	body = binary.BigEndian.AppendUint32(body, boolOID)
	body = append(body, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0)
	return wire.AppendMessage(b, wire.RowDescription, string(body))
}

// wantsBinary is whether a Bind without parameters asks for its only column in binary: it ends with the number of formats and
// the format then.
func wantsBinary(bind []byte) bool {
	return len(bind) >= 4 && binary.BigEndian.Uint32(bind[len(bind)-4:]) == 1<<16|1
}
