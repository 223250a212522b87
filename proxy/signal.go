package proxy

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"
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
	if sig.Wait < 0 {
		return &wire.Error{Code: "22003", Message: `"timeout" must not be negative`}
	}
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

// appendSignalled carries a signal out, and appends its row: whether there is such a session and, where time was given, whether it has ended.
func (s *session) appendSignalled(b []byte, sig parser.Signal, binaryRow bool) ([]byte, error) {
	target := s.srv.signal(sig)
	done := target != nil
	switch {
	case !done:
		b = wire.AppendNotice(b, "WARNING", &wire.Error{Code: "01000", Message: fmt.Sprintf("PID %d is not a PostgreSQL backend process", sig.Session),
			Hint: "It is a number of howdah's, but no session has it now."})
	case sig.Wait > 0:
		var err error
		if done, err = s.awaitEnd(target, sig); err != nil {
			return b, err
		}
		if !done {
			unit := "milliseconds"
			if sig.Wait == 1 {
				unit = "millisecond"
			}
			b = wire.AppendNotice(b, "WARNING", &wire.Error{Code: "01000",
				Message: fmt.Sprintf("backend with PID %d did not terminate within %d %s", sig.Session, sig.Wait, unit)})
		}
	}
	row := "f"
	switch {
	case binaryRow && done:
		row = "\x01"
	case binaryRow:
		row = "\x00"
	case done:
		row = "t"
	}
	return appendOwnRow(b, row), nil
}

// awaitEndEvery is how often a session that waits for another one's end looks for it.
const awaitEndEvery = 5 * time.Millisecond

// awaitEnd waits until target, which has been told to end, has left its connections and is gone, for as long as the signal says. A cancel request
// ends the wait with an error.
func (s *session) awaitEnd(target *session, sig parser.Signal) (ended bool, err error) {
	ctx, done := s.waiting(s.srv.context)
	defer done()
	look := time.NewTicker(awaitEndEvery)
	defer look.Stop()
	const longest = math.MaxInt64 / int64(time.Millisecond)
	over := time.NewTimer(time.Duration(min(sig.Wait, longest)) * time.Millisecond)
	defer over.Stop()
	for s.srv.registry.numbered(sig.Session) == target {
		select {
		case <-look.C:
		case <-over.C:
			return false, nil
		case <-ctx.Done():
			if err := context.Cause(ctx); err != context.Canceled {
				return false, err
			}
			return false, errStopped
		}
	}
	return true, nil
}

// signal cancels what a session runs, or ends it. It returns that session, nil if there is none, and does not wait for the effect.
func (srv *Server) signal(sig parser.Signal) *session {
	s := srv.registry.numbered(sig.Session)
	if s == nil {
		return nil
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
	return s
}

// endedCanceling is whether an error is that of a statement which was canceled because the session is to end: the client gets
// its end instead.
func (s *session) endedCanceling(code string) bool {
	return code == errCanceled.Code && s.wakeup.Load()&wakeEnd != 0
}

// boolOID is the type bool.
const boolOID = 16

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
