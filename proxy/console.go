package proxy

import (
	"fmt"
	"strings"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/wire"
)

// Console answers operators' questions in a session: SHOW pool_nodes and its kin, SHOW
// howdah.nodes, PGPOOL SHOW. It is called by many sessions at the same time.
type Console interface {
	// Ask answers a text that parser.Statement.Console gave. For the same text the
	// answer always has the same columns. An error is an *wire.Error.
	Ask(by Asker, text string) (Answer, error)
}

// Asker is the session that asks.
type Asker struct {
	PID            uint32
	User, Database string
	// ReadNode is where it reads, NoNode if none was drawn yet.
	ReadNode cluster.NodeID
	// Settings are those of Pgpool-II that the session itself has, by name: on or off, or a word.
	Settings map[string]string
}

// Answer is a table of texts. Without columns it is a completion only.
type Answer struct {
	Columns []string
	Rows    [][]string
	// Tag completes it, as "SET"; empty is SELECT and the number of rows.
	Tag string
	// Set are settings of Asker.Settings to be changed in the session: on, off or a word, or empty for their default.
	Set map[string]string
}

// SetConsole gives the server what answers operators' questions; before that they are refused.
func (srv *Server) SetConsole(c Console) { srv.console.Store(&c) }

// choice is a switch of the session that may be left to the configuration.
type choice uint8

const (
	byDefault choice = iota
	chosenOn
	chosenOff
)

func (c choice) or(standard bool) bool {
	if c == byDefault {
		return standard
	}
	return c == chosenOn
}

func (c choice) show(standard bool) string {
	if c.or(standard) {
		return "on"
	}
	return "off"
}

// announces are the switches of a session that PGPOOL SET changes.
type announces struct {
	notices, log, statements, messages choice
	server                             verbosity
}

func (a *announces) any() bool { return *a != announces{} }

func (a *announces) named(name string) *choice {
	switch name {
	case "notice_per_node_statement":
		return &a.notices
	case "log_per_node_statement":
		return &a.log
	case "log_statement":
		return &a.statements
	case "log_client_messages":
		return &a.messages
	}
	return nil
}

// askConsole has the console answer a statement.
func (s *session) askConsole(st *parser.Statement) (Answer, error) {
	c := s.srv.console.Load()
	if c == nil && strings.HasPrefix(st.Object, "howdah.") {
		return Answer{}, &wire.Error{Code: "42704", Message: fmt.Sprintf("unrecognized configuration parameter %q", st.Object)}
	}
	if c == nil {
		return Answer{}, &wire.Error{Code: "55000", Message: "howdah is starting", Hint: "Try again."}
	}
	set := s.srv.settings.Load()
	server := s.announces.server
	if server == verbosityDefault {
		server = set.serverMessages
	}
	by := Asker{PID: s.pid, User: s.key.User, Database: s.key.Database, ReadNode: s.in.Session.ReadNode, Settings: map[string]string{
		"notice_per_node_statement": s.announces.notices.show(set.notices),
		"log_per_node_statement":    s.announces.log.show(set.logsStatements),
		"log_statement":             s.announces.statements.show(set.log.Statements),
		"log_client_messages":       s.announces.messages.show(set.log.ClientMessages),
		"log_backend_messages":      server.String(),
	}}
	return (*c).Ask(by, st.Console)
}

// appendAnswer appends the rows and the completion of a statement for the console, and
// does to the session what it asks for.
func (s *session) appendAnswer(b []byte, st *parser.Statement) []byte {
	a, err := s.askConsole(st)
	if err != nil {
		// checkOwn has seen it answered a moment ago: what it is about is gone.
		return wire.AppendMessage(b, wire.CommandComplete, "SELECT 0\x00")
	}
	for name, value := range a.Set {
		if name == "log_backend_messages" {
			s.announces.server = verbosities[value]
		} else if c := s.announces.named(name); c != nil {
			*c = map[string]choice{"on": chosenOn, "off": chosenOff}[value]
		}
	}
	for _, row := range a.Rows {
		b = appendOwnRow(b, row...)
	}
	tag := a.Tag
	if tag == "" {
		tag = fmt.Sprintf("SELECT %d", len(a.Rows))
	}
	return wire.AppendMessage(b, wire.CommandComplete, tag, "\x00")
}

// answerAmong lets the servers answer a Query that holds operators' questions among other statements:
// in their places they get the answers, as VALUES. done is false: the unit is to be run.
func (s *session) answerAmong() (done bool, err error) {
	m := &s.unit.msgs[0]
	text, _, _ := wire.CString(s.client.Buffered()[m.off+wire.HeaderSize : m.off+m.size])
	texts, ok := parser.Split(string(text))
	if !ok || len(texts) != len(m.verdict.Statements) {
		return true, s.report(&wire.Error{Code: "0A000", Message: "howdah answers this statement only by itself"})
	}
	for i := range m.verdict.Statements {
		st := &m.verdict.Statements[i]
		if st.Console == "" {
			continue
		}
		a, err := s.askConsole(st)
		if err != nil {
			return true, s.report(err)
		}
		texts[i] = valuesOf(a)
	}
	m.instead = wire.AppendQuery(nil, strings.Join(texts, ";\n"))
	return false, nil
}

// valuesOf is a statement that answers what a says.
func valuesOf(a Answer) string {
	var b strings.Builder
	b.WriteString("SELECT * FROM (VALUES ")
	rows := a.Rows
	if len(rows) == 0 {
		rows = [][]string{make([]string, len(a.Columns))}
	}
	for i, row := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		for j, value := range row {
			b.WriteString([2]string{"(", ","}[min(j, 1)])
			b.WriteString(quoteText(value) + "::pg_catalog.text")
		}
		b.WriteByte(')')
	}
	b.WriteString(") AS howdah(")
	for i, c := range a.Columns {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + strings.ReplaceAll(c, `"`, `""`) + `"`)
	}
	b.WriteByte(')')
	if len(a.Rows) == 0 {
		b.WriteString(" WHERE false")
	}
	return b.String()
}

// quoteText writes a literal that means the same whatever standard_conforming_strings is.
func quoteText(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.Contains(quoted, `\`) {
		return " E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}
