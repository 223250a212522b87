package proxy

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/wire"
)

// routeSetting is howdah's setting of a session.
const routeSetting = "howdah.route"

// statsSetting is what SHOW shows beside settings.
const statsSetting = "howdah.stats"

// answerOwn answers statements for howdah itself: SET, RESET, SHOW and
// set_config() of its settings, EXPLAIN (HOWDAH), and signals to its sessions (signal.go). No server gets them.
//
// Only among other statements in one unit a change of a setting goes along, as
// one of the custom settings that PostgreSQL lets everybody make: it means
// nothing there, and its order among the others is kept. The others cannot.
func (s *session) answerOwn() (done bool, err error) {
	s.bindSignals()
	if s.in.Session.Tx == balancer.TxFailed {
		return true, s.refuse("25P02", "current transaction is aborted, commands ignored until end of transaction block")
	}
	alone := s.cycle == nil && s.unit.ready
	among := false // an operator's question that a Query holds among other statements
	var asks *parser.Statement
	for i := range s.unit.msgs {
		m := &s.unit.msgs[i]
		v := ownVerdict(m)
		if v == nil {
			continue
		}
		if m.taken && len(v.Statements) > 0 && v.Statements[0].IsOwn() {
			return true, s.refuse("42P05", fmt.Sprintf("prepared statement %q already exists", m.stmt.name))
		}
		alone = alone && len(v.Statements) == 1 && v.Statements[0].IsOwn()
		for j := range v.Statements {
			st := &v.Statements[j]
			if !st.IsOwn() {
				continue
			}
			if err := s.checkOwn(st); err != nil {
				if err == errEnded {
					return true, err
				}
				return true, s.report(err)
			}
			switch {
			case st.Console != "" && s.unit.simple && len(v.Statements) > 1:
				among = true
			case st.Kind == parser.KindShow || st.Kind == parser.KindExplain || st.Signal.Session != 0:
				asks = st
			}
		}
	}
	switch {
	case alone:
		return true, s.answerAlone()
	case asks != nil:
		return true, s.report(&wire.Error{Code: "0A000", Message: "howdah answers this statement only by itself",
			Hint: "Send it in a query string of its own, not together with others."})
	case among:
		return s.answerAmong()
	}
	return false, nil
}

// ownVerdict is the verdict of the statement that a message makes, describes or runs.
func ownVerdict(m *message) *parser.Verdict {
	if m.verdict != nil {
		return m.verdict
	}
	return verdictOf(m.stmt)
}

// checkOwn refuses a setting that there is not, and a value that it cannot have.
func (s *session) checkOwn(st *parser.Statement) error {
	if st.Kind == parser.KindExplain {
		return nil
	}
	if st.Signal.Session != 0 {
		return s.checkSignal(st.Signal)
	}
	if st.Console != "" {
		_, err := s.askConsole(st)
		return err
	}
	name := st.Setting
	if st.Kind == parser.KindShow {
		name = st.Object
	}
	if name != routeSetting && !(name == statsSetting && st.Kind == parser.KindShow) {
		return &wire.Error{Code: "42704", Message: fmt.Sprintf("unrecognized configuration parameter %q", name),
			Hint: "howdah has the setting howdah.route, and shows howdah.stats too."}
	}
	if st.Kind == parser.KindShow || st.Set == parser.SetReset || st.Set == parser.SetLocal && resets(st) {
		return nil
	}
	hint, ok := parser.ParseRoute(st.Value)
	if !ok || st.Set == parser.SetOpaque {
		return &wire.Error{Code: "22023", Message: fmt.Sprintf("invalid value for parameter %q: %q", routeSetting, st.Value),
			Hint: "Write auto, primary, read, or node:NAME with the name of a backend."}
	}
	if hint.Route != parser.RouteNode {
		return nil
	}
	var names []string
	for _, n := range s.srv.cluster.View().Nodes {
		if n.Name == hint.Node {
			return nil
		}
		names = append(names, n.Name)
	}
	return &wire.Error{Code: "22023", Message: fmt.Sprintf("invalid value for parameter %q: %q", routeSetting, st.Value),
		Detail: fmt.Sprintf("There is no backend %q.", hint.Node), Hint: "The backends are " + strings.Join(names, ", ") + "."}
}

// resets is SET LOCAL … TO DEFAULT.
func resets(st *parser.Statement) bool {
	return st.Kind == parser.KindSet && st.Value == "" && strings.HasSuffix(strings.ToLower(st.SQL), "default")
}

// answerAlone answers a unit of nothing but own statements.
func (s *session) answerAlone() error {
	u := &s.unit
	b := s.out[:0]
	binaryRow := false
	for i := range u.msgs {
		m := &u.msgs[i]
		switch m.typ {
		case wire.Parse:
			b = wire.AppendMessage(b, wire.ParseComplete)
		case wire.Bind:
			binaryRow = wantsBinary(s.client.Buffered()[m.off : m.off+m.size])
			b = wire.AppendMessage(b, wire.BindComplete)
		case wire.Describe:
			v := ownVerdict(m)
			if s.client.Buffered()[m.off+wire.HeaderSize] == 'S' {
				b = appendParameters(b, &v.Statements[0])
			}
			b = s.appendColumnsOf(b, &v.Statements[0], binaryRow && s.client.Buffered()[m.off+wire.HeaderSize] == 'P')
		case wire.Close:
			s.closeHere(m)
			b = wire.AppendMessage(b, wire.CloseComplete)
		case wire.Query, wire.Execute:
			v := ownVerdict(m)
			st := &v.Statements[0]
			if m.typ == wire.Query && (st.Signal.Session != 0 || s.ownColumns(st) != nil) {
				b = s.appendColumnsOf(b, st, false)
			}
			var err error
			if b, err = s.runOwn(b, v, st, binaryRow); err != nil {
				return s.report(err)
			}
		case wire.Sync:
			b = wire.AppendReady(b, s.clientStatus())
		}
	}
	if u.simple {
		b = wire.AppendReady(b, s.clientStatus())
	}
	if s.in.Session.Tx == balancer.TxNone {
		s.stmts.closePortals()
	}
	return s.answered(b)
}

// appendColumnsOf appends the description of a statement's result.
func (s *session) appendColumnsOf(b []byte, st *parser.Statement, binaryRow bool) []byte {
	if st.Signal.Session != 0 {
		return appendSignalColumn(b, st, binaryRow)
	}
	return appendOwnColumns(b, s.ownColumns(st))
}

// runOwn carries out one statement and appends its rows and completion.
func (s *session) runOwn(b []byte, v *parser.Verdict, st *parser.Statement, binaryRow bool) ([]byte, error) {
	tag := "SET"
	if st.Signal.Session != 0 {
		b, err := s.appendSignalled(b, st.Signal, binaryRow)
		return wire.AppendMessage(b, wire.CommandComplete, "SELECT 1", "\x00"), err
	}
	if st.Console != "" {
		return s.appendAnswer(b, st), nil
	}
	switch st.Kind {
	case parser.KindShow:
		tag = "SHOW"
		if st.Object == statsSetting {
			for _, row := range s.srv.stats() {
				b = appendOwnRow(b, row[0], row[1])
			}
		} else {
			b = appendOwnRow(b, s.route())
		}
	case parser.KindExplain:
		tag = "EXPLAIN"
		for _, line := range s.explainOwn(v, st) {
			b = appendOwnRow(b, line)
		}
	case parser.KindSelect:
		tag = "SELECT 1"
		s.setOwn(st)
		b = appendOwnRow(b, st.Value)
	default:
		if len(st.SQL) > 0 && (st.SQL[0] == 'r' || st.SQL[0] == 'R') {
			tag = "RESET"
		}
		if st.Set == parser.SetLocal && s.in.Session.Tx == balancer.TxNone {
			b = wire.AppendNotice(b, "WARNING", &wire.Error{Code: "25P01", Message: "SET LOCAL can only be used in transaction blocks"})
		}
		s.setOwn(st)
	}
	return wire.AppendMessage(b, wire.CommandComplete, tag, "\x00"), nil
}

// setOwn takes in a change of a setting, which outside of a block is final at once.
func (s *session) setOwn(st *parser.Statement) {
	s.note(st)
	if s.in.Session.Tx == balancer.TxNone {
		s.commit(nil)
	}
}

// ownColumns are the columns of an own statement's result, all text; nil if it has none.
func (s *session) ownColumns(st *parser.Statement) []string {
	if st.Console != "" {
		a, _ := s.askConsole(st) // checkOwn has seen that it can be answered
		return a.Columns
	}
	switch st.Kind {
	case parser.KindShow:
		if st.Object == statsSetting {
			return []string{"name", "value"}
		}
		return []string{st.Object}
	case parser.KindExplain:
		return []string{"QUERY PLAN"}
	case parser.KindSelect:
		if st.Object != "" {
			return []string{st.Object}
		}
		return []string{"set_config"}
	}
	return nil
}

// textOID is the type text.
const textOID = 25

// appendOwnColumns appends a RowDescription of text columns, or NoData.
func appendOwnColumns(b []byte, columns []string) []byte {
	if columns == nil {
		return wire.AppendMessage(b, wire.NoData)
	}
	body := binary.BigEndian.AppendUint16(nil, uint16(len(columns)))
	for _, name := range columns {
		body = append(append(body, name...), 0)
		body = append(body, 0, 0, 0, 0, 0, 0) // of no table
		body = binary.BigEndian.AppendUint32(body, textOID)
		body = append(body, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0) // any length, no modifier, as text
	}
	return wire.AppendMessage(b, wire.RowDescription, string(body))
}

// appendParameters appends a ParameterDescription: a signal's integers, or parameters of unspecified type.
func appendParameters(b []byte, st *parser.Statement) []byte {
	if st.Signal.Parameter {
		types := []uint32{parser.Int4OID}
		if st.Signal.WaitType != 0 {
			types = append(types, st.Signal.WaitType)
		}
		body := binary.BigEndian.AppendUint16(nil, uint16(len(types)))
		for _, oid := range types {
			body = binary.BigEndian.AppendUint32(body, oid)
		}
		return wire.AppendMessage(b, wire.ParameterDescription, string(body))
	}
	body := binary.BigEndian.AppendUint16(nil, uint16(st.Params))
	return wire.AppendMessage(b, wire.ParameterDescription, string(append(body, make([]byte, 4*st.Params)...)))
}

func appendOwnRow(b []byte, values ...string) []byte {
	body := binary.BigEndian.AppendUint16(nil, uint16(len(values)))
	for _, v := range values {
		body = binary.BigEndian.AppendUint32(body, uint32(len(v)))
		body = append(body, v...)
	}
	return wire.AppendMessage(b, wire.DataRow, string(body))
}
