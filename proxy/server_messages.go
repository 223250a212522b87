package proxy

import (
	"fmt"

	"github.com/howdah/howdah/logs"
	"github.com/howdah/howdah/wire"
)

// verbosity is which messages of servers are logged: Pgpool-II's log_backend_messages.
type verbosity uint8

const (
	verbosityDefault verbosity = iota // as the configuration has it; of a session only
	verbosityNone
	verbosityTerse   // one of several of a kind in a row
	verbosityVerbose // all
)

// verbosities are the values of log.server_messages, and of PGPOOL SET log_backend_messages.
var verbosities = map[string]verbosity{"none": verbosityNone, "terse": verbosityTerse, "verbose": verbosityVerbose}

func (v verbosity) String() string {
	for name, of := range verbosities {
		if of == v {
			return name
		}
	}
	return "default"
}

// serverVerbosity is what the session's servers' messages are logged with.
func (s *session) serverVerbosity() verbosity {
	if s.announces.server != verbosityDefault {
		return s.announces.server
	}
	return s.set.serverMessages
}

// logServerMessage writes the name of a server's message. What is in it is never written: rows, secrets.
func (s *session) logServerMessage(v verbosity, l *lease, typ byte) {
	if v == verbosityTerse && l.logged == typ {
		return
	}
	l.logged = typ
	s.log.Info(serverMessageName(typ)+" message from backend", "node", int(l.srv.Node), logs.Always)
}

// serverMessageName is what PostgreSQL's manual calls a message of a server (section 55.7).
func serverMessageName(typ byte) string {
	switch typ {
	case wire.DataRow:
		return "DataRow"
	case wire.RowDescription:
		return "RowDescription"
	case wire.CommandComplete:
		return "CommandComplete"
	case wire.ReadyForQuery:
		return "ReadyForQuery"
	case wire.ParseComplete:
		return "ParseComplete"
	case wire.BindComplete:
		return "BindComplete"
	case wire.CloseComplete:
		return "CloseComplete"
	case wire.NoData:
		return "NoData"
	case wire.ParameterDescription:
		return "ParameterDescription"
	case wire.PortalSuspended:
		return "PortalSuspended"
	case wire.EmptyQueryResponse:
		return "EmptyQueryResponse"
	case wire.ErrorResponse:
		return "ErrorResponse"
	case wire.NoticeResponse:
		return "NoticeResponse"
	case wire.NotificationResponse:
		return "NotificationResponse"
	case wire.ParameterStatus:
		return "ParameterStatus"
	case wire.CopyData:
		return "CopyData"
	case wire.CopyDone:
		return "CopyDone"
	case wire.CopyInResponse:
		return "CopyInResponse"
	case wire.CopyOutResponse:
		return "CopyOutResponse"
	case wire.FunctionCallResponse:
		return "FunctionCallResponse"
	}
	return fmt.Sprintf("%q", typ)
}
