package proxy

import (
	"bytes"
	"fmt"

	"github.com/howdah/howdah/logs"
	"github.com/howdah/howdah/wire"
)

// announce says, as Pgpool-II's notice_per_node_statement and
// log_per_node_statement do, which server gets which statement: to the client as
// notices, or to the log.
func (s *session) announce(l *lease) error {
	b := s.out[:0]
	in := s.client.Buffered()
	for i := range s.unit.msgs {
		m := &s.unit.msgs[i]
		text := s.announced(m, in[m.off:m.off+m.size])
		if text == "" {
			continue
		}
		line := fmt.Sprintf("DB node id: %d backend pid: %d statement: %s", l.srv.Node, l.srv.PID, text)
		if s.announces.notices.or(s.set.notices) {
			b = wire.AppendNotice(b, "NOTICE", &wire.Error{Code: "00000", Message: line})
		}
		if s.announces.log.or(s.set.logsStatements) {
			if mentionsPassword(text) {
				line = fmt.Sprintf("DB node id: %d backend pid: %d statement: %s", l.srv.Node, l.srv.PID, notLogged)
			}
			s.log.Info(line, logs.Always)
		}
	}
	if len(b) == 0 {
		return nil
	}
	return s.tell(b)
}

// notLogged stands for a text that may hold a password.
const notLogged = "(not logged: it may hold a password)"

// logUnit writes, as Pgpool-II's log_client_messages and log_statement do, what the client has sent.
func (s *session) logUnit() {
	in := s.client.Buffered()
	messages, statements := s.announces.messages.or(s.set.log.ClientMessages), s.announces.statements.or(s.set.log.Statements)
	for i := range s.unit.msgs {
		m := &s.unit.msgs[i]
		if messages {
			s.log.Info(messageName(m.typ)+" message from frontend", logs.Always)
		}
		text := ""
		if statements && m.typ != wire.Bind && m.typ != wire.Describe {
			text = s.announced(m, in[m.off:m.off+m.size])
		}
		switch {
		case text == "":
		case mentionsPassword(text):
			s.log.Info("statement: "+notLogged, logs.Always)
		default:
			s.log.Info("statement: "+text, logs.Always)
		}
	}
}

// messageName is what PostgreSQL's manual calls a message (section 55.7).
func messageName(typ byte) string {
	switch typ {
	case wire.Query:
		return "Query"
	case wire.Parse:
		return "Parse"
	case wire.Bind:
		return "Bind"
	case wire.Describe:
		return "Describe"
	case wire.Execute:
		return "Execute"
	case wire.Close:
		return "Close"
	case wire.Flush:
		return "Flush"
	case wire.Sync:
		return "Sync"
	case wire.FunctionCall:
		return "FunctionCall"
	}
	return fmt.Sprintf("%q", typ)
}

// announced is what Pgpool-II calls a message.
func (s *session) announced(m *message, msg []byte) string {
	body := msg[wire.HeaderSize:]
	prepared := ""
	if m.stmt != nil && len(m.stmt.parse) > 0 {
		_, rest, _ := wire.CString(m.stmt.parse[wire.HeaderSize:])
		text, _, _ := wire.CString(rest)
		prepared = string(text)
	}
	switch m.typ {
	case wire.Query:
		text, _, ok := wire.CString(body)
		if !ok {
			text = body // the beginning of one that is too long to hold
		}
		return string(text)
	case wire.Parse:
		_, rest, _ := wire.CString(body)
		text, _, _ := wire.CString(rest)
		return "Parse: " + string(text)
	case wire.Bind:
		return "Bind: " + prepared
	case wire.Describe:
		return "D message"
	case wire.Execute:
		portal, _, _ := wire.CString(body)
		return "Execute: " + s.boundText(portal)
	case wire.FunctionCall:
		return "F message"
	}
	return ""
}

// boundText is the text of the statement that the unit has bound to a portal.
func (s *session) boundText(portal []byte) string {
	in := s.client.Buffered()
	for i := len(s.unit.msgs) - 1; i >= 0; i-- {
		m := &s.unit.msgs[i]
		if m.typ != wire.Bind || m.stmt == nil || len(m.stmt.parse) == 0 {
			continue
		}
		name, _, _ := wire.CString(in[m.off+wire.HeaderSize : m.off+m.size])
		if bytes.Equal(name, portal) {
			_, rest, _ := wire.CString(m.stmt.parse[wire.HeaderSize:])
			text, _, _ := wire.CString(rest)
			return string(text)
		}
	}
	return ""
}

// mentionsPassword errs on the safe side.
func mentionsPassword(text string) bool {
	return bytes.Contains(bytes.ToLower([]byte(text)), []byte("password"))
}
