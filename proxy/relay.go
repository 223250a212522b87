package proxy

import (
	"errors"
	"fmt"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/pool"
	"github.com/howdah/howdah/wire"
)

// maxControl is the longest message that is gathered to be understood; only
// rows and copy data, which are not, are usually longer. What is longer still
// is passed on unread.
const maxControl = 1 << 20

// maxShift bounds what is moved, message by message, to keep it back.
const maxShift = 64 << 10

// maxError is the longest error message that is gathered; all must be, or the
// books would be wrong.
const maxError = 64 << 20

// action is what to do with a server's message.
type action uint8

const (
	forward action = iota
	swallow
	replace // by session.instead
)

// process deals with what lies in the lease's read buffer: runs of messages
// for the client are written as they lie there.
func (s *session) process(l *lease) error {
	in := l.srv.Buffered()
	start, pos, logged := 0, l.held, s.serverVerbosity()
	if l.passing > 0 {
		pos = min(l.passing, len(in))
		l.passing -= pos
		if l.passSwallow {
			start = pos
		}
	}
	for len(in)-pos >= wire.HeaderSize {
		typ, size, err := wire.Header(in[pos:])
		if err != nil {
			return s.breakOff(l, in, start, pos, serverError{err})
		}
		act := forward
		if typ == wire.ErrorResponse && size > maxError {
			return s.breakOff(l, in, start, pos, serverError{fmt.Errorf("error message of %d bytes", size)})
		}
		bulk := typ == wire.DataRow && !l.asks || typ == wire.CopyData
		whole := len(in)-pos >= size
		switch {
		case bulk || (!whole && size > maxControl && typ != wire.ErrorResponse):
			if logged > verbosityNone {
				s.logServerMessage(logged, l, typ)
			}
			if act, err = l.bulk(typ); err != nil {
				return s.breakOff(l, in, start, pos, err)
			}
			switch {
			case !whole:
				l.passing, l.passSwallow = size-(len(in)-pos), act == swallow
				size = len(in) - pos
			case act == forward && logged == verbosityNone:
				size += wire.Run(in[pos+size:], typ) // of which the same would be decided
			}
		case !whole:
			return s.flush(l, in, start, pos)
		default:
			if logged > verbosityNone {
				s.logServerMessage(logged, l, typ)
			}
			if act, err = s.message(l, typ, in[pos:pos+size]); err != nil {
				if typ == wire.ErrorResponse && err != errEnded && !isUnasked(err) {
					pos += size // the client is told the server's last words
				}
				return s.breakOff(l, in, start, pos, err)
			}
		}
		if act == forward {
			pos += size
			continue
		}
		if l.holding && act == swallow && l.passing == 0 && pos-start <= maxShift {
			copy(in[start+size:], in[start:pos]) // what is held back is one piece
			start, pos = start+size, pos+size
			continue
		}
		if pos > start && !l.healing {
			l.holding = false
			if err := s.client.Write(in[start:pos]); err != nil {
				return clientError{err}
			}
		}
		pos += size
		start = pos
		if act == replace {
			if err := s.client.Write(s.instead); err != nil {
				return clientError{err}
			}
			s.instead = nil
		}
	}
	return s.flush(l, in, start, pos)
}

// breakOff ends process with an error. What came before it goes to the client, which may have the beginning of a row already.
func (s *session) breakOff(l *lease, in []byte, start, pos int, err error) error {
	l.ending = true
	s.flush(l, in, start, pos) //nolint:errcheck // the error is the earlier one
	return err
}

// flush gives the client in[start:pos] and marks all before pos as used. While the
// lease is holding, it only remembers what was understood.
func (s *session) flush(l *lease, in []byte, start, pos int) error {
	if l.holding && pos-start > maxControl {
		l.holding = false // a flood of notices, say
	}
	if l.holding && (!l.due || l.ending) {
		l.srv.Discard(start)
		l.held = pos - start
		return nil
	}
	l.held = 0
	if pos > start && !l.healing {
		l.holding = false
		if err := s.client.Write(in[start:pos]); err != nil {
			return clientError{err}
		}
	}
	l.srv.Discard(pos)
	return nil
}

// bulk decides on a row or copy data, or the beginning of a message that is too long to be understood.
func (l *lease) bulk(typ byte) (action, error) {
	l.ending = false
	e := l.next()
	switch {
	case e == nil && !isAsynchronous(typ):
		return forward, unasked(typ)
	case l.healing || e != nil && e.swallow:
		return swallow, nil
	}
	l.give()
	return forward, nil
}

// isAsynchronous is whether a server may send a message of the type at any time.
func isAsynchronous(typ byte) bool {
	return typ == wire.NoticeResponse || typ == wire.NotificationResponse || typ == wire.ParameterStatus
}

// unaskedError is about a message that is no answer to anything.
type unaskedError struct{ typ byte }

func (e unaskedError) Error() string { return fmt.Sprintf("message %q that nothing asked for", e.typ) }

func unasked(typ byte) error { return serverError{unaskedError{typ}} }

func isUnasked(err error) bool {
	var unasked unaskedError
	return errors.As(err, &unasked)
}

// crashShutdown is the SQLSTATE of the warning with which a backend ends when another one of its server has crashed.
const crashShutdown = "57P02"

// message keeps the books of one whole message of a server and decides what
// to do with it.
func (s *session) message(l *lease, typ byte, msg []byte) (action, error) {
	e := l.next()
	l.ending = false
	act := forward
	if l.healing || (e != nil && e.swallow) {
		act = swallow
	}
	if l.abandoned && (typ == wire.NoticeResponse || typ == wire.NotificationResponse || typ == wire.ParameterStatus) {
		if typ == wire.ParameterStatus {
			s.parameter(l, msg, swallow) // the connection's next session is told by it
		}
		return swallow, nil
	}
	switch typ {
	case wire.NoticeResponse:
		if l.slot == balancer.ToPrimary && e != nil && e.reply == replyExecute {
			l.holding = false // it runs: what it says is for now
		}
		l.ending = l.holding && string(wire.ErrorField(msg[wire.HeaderSize:], 'C')) == crashShutdown
		return act, nil
	case wire.NotificationResponse:
		return s.notification(l), nil
	case wire.ParameterStatus:
		return s.parameter(l, msg, act), nil
	case wire.ErrorResponse:
		return s.serverSaysError(l, e, msg, act)
	}
	if e == nil {
		return act, unasked(typ)
	}
	switch typ {
	case wire.ReadyForQuery:
		return s.ready(l, e, msg, act)
	case wire.CommandComplete, wire.EmptyQueryResponse, wire.PortalSuspended:
		s.completed(l, e, typ, msg, act)
	case wire.ParseComplete:
		return act, l.answered(e, replyParse, typ)
	case wire.BindComplete:
		return act, l.answered(e, replyBind, typ)
	case wire.CloseComplete:
		if e.reply == replyReused {
			msg[0] = wire.ParseComplete // of the same length
			l.pop()
			return act, nil
		}
		return act, l.answered(e, replyClose, typ)
	case wire.NoData:
		l.noteColumns(e, noColumns)
		return act, l.answered(e, replyDescribe, typ)
	case wire.RowDescription:
		if e.reply == replyDescribe {
			if e.stmt != nil {
				l.noteColumns(e, columnsOf(msg))
			}
			l.pop()
		}
	case wire.CopyInResponse:
		l.holding = false
		s.copyInBegins(l, e)
	case wire.CopyOutResponse, wire.CopyDone, wire.FunctionCallResponse:
		l.holding = false
	case wire.ParameterDescription:
	case wire.DataRow: // of howdah's own question
		l.noteCommit(msg[wire.HeaderSize:])
	default:
		return act, serverError{fmt.Errorf("unexpected message %q", typ)}
	}
	return act, nil
}

// answered takes note of a reply of one message.
func (l *lease) answered(e *expected, want reply, typ byte) error {
	if e.reply != want {
		return serverError{fmt.Errorf("message %q out of order", typ)}
	}
	l.pop()
	return nil
}

// completed takes note of the end of a statement.
func (s *session) completed(l *lease, e *expected, typ byte, msg []byte, act action) {
	v, index := e.verdict, 0
	stateless := typ == wire.EmptyQueryResponse || v != nil && !v.Stateful && !v.Redefines
	if act == forward {
		if l.give(); !stateless {
			l.holding = false
		}
		s.srv.traffic.completed(l.srv.Node, s.pid, msg[wire.HeaderSize:])
	}
	if e.reply == replyExecute {
		l.pop()
	} else {
		// Every statement of a simple Query has one CommandComplete.
		index = l.completions
		l.completions++
	}
	if act == swallow || stateless {
		return
	}
	if v == nil || index >= len(v.Statements) {
		l.ended = true
		s.noteRedefined(nil)
		s.noteUnknown()
		return
	}
	s.noteCompleted(l, &v.Statements[index], string(msg[wire.HeaderSize:]) == "ROLLBACK\x00")
}

// noteCompleted keeps the session's books of a statement that completed;
// rolledBack says that its tag was ROLLBACK.
func (s *session) noteCompleted(l *lease, stmt *parser.Statement, rolledBack bool) {
	if stmt.Redefines {
		s.noteRedefined(stmt)
	}
	if len(stmt.Databases) > 0 {
		s.remade = append(s.remade, stmt.Databases...)
		s.srv.catalogs.remade(s.remade)
	}
	if stmt.ChangesDefaults {
		s.newDefaults = true // ready makes them known
	}
	l.ended = l.ended || stmt.Access == parser.AccessTransaction || stmt.Kind == parser.KindCall || stmt.Kind == parser.KindExecute
	switch stmt.Kind {
	case parser.KindCommit:
		if rolledBack {
			s.state.rollback()
		} else {
			s.commit(l)
			s.endRedefinition()
			if l.slot == balancer.ToPrimary {
				s.writes.committed()
			}
		}
	case parser.KindTwoPhase:
		s.commit(l) // PREPARE TRANSACTION keeps the settings; the others change none
	case parser.KindRollback:
		s.state.rollback()
	case parser.KindUnknown:
		if !stmt.KeepsSession {
			l.ended = true
			s.noteUnknown()
		}
	default:
		s.note(stmt)
		if l.slot == balancer.ToRead {
			l.applied = len(s.state.pending) // it ran here
		}
	}
}

// noteUnknown takes note of a statement that was not understood: it may have
// changed the session in ways that cannot be repeated elsewhere.
func (s *session) noteUnknown() {
	s.state.opaque = true
	s.state.repin()
}

// ready takes note of a ReadyForQuery.
func (s *session) ready(l *lease, e *expected, msg []byte, act action) (action, error) {
	if e.reply != replyQuery && e.reply != replySync {
		return act, serverError{errors.New("ReadyForQuery out of order")}
	}
	if len(msg) != wire.HeaderSize+1 || !isTxStatus(msg[wire.HeaderSize]) {
		return act, serverError{errors.New("malformed ReadyForQuery")}
	}
	if e.version != 0 && !l.failed && !l.healing { // healing began with it: it failed
		l.hasSettings(&s.state)
	}
	if msg[wire.HeaderSize] == wire.TxIdle && l.slot == balancer.ToPrimary {
		if s.names.redefined.done {
			s.endRedefinition()
		}
		if len(s.remade) > 0 { // what was read meanwhile did not show it
			s.srv.catalogs.remade(s.remade)
			s.remade = nil
		}
		if s.newDefaults {
			s.newDefaults = false
			s.srv.renewDefaults()
		}
	}
	l.pop()
	if l.slot == balancer.ToPrimary && !e.swallow {
		s.noteReady(msg[wire.HeaderSize]) // before the client can know of it
	}
	l.status, l.ignoring, l.copyIn, l.completions = msg[wire.HeaderSize], false, false, 0
	if act == forward {
		l.holding = false
	} else if !l.healing {
		l.failed = false
	}
	if act == swallow && !l.prepares() {
		s.begun(s.srv.context)
	}
	return act, nil
}

func isTxStatus(b byte) bool { return b == wire.TxIdle || b == wire.TxOpen || b == wire.TxFailed }

// serverSaysError takes note of an ErrorResponse.
func (s *session) serverSaysError(l *lease, e *expected, msg []byte, act action) (action, error) {
	body := msg[wire.HeaderSize:]
	severity := wire.ErrorField(body, 'V')
	fatal := string(severity) == "FATAL" || string(severity) == "PANIC"
	if s.endedCanceling(string(wire.ErrorField(body, 'C'))) {
		return swallow, errEnded
	}
	if l.healing {
		if e != nil && !fatal {
			l.dropToSync(nil)
		}
		return swallow, nil
	}
	if l.holding && refusesColumns(body) && s.unit.remakable && e.remakes() {
		return swallow, s.remake(l, e)
	}
	if l.holding && l.slot == balancer.ToRead && s.curable(body, l.srv.Node) {
		s.noteRefusal(l, e, body)
		l.healing, l.holding, l.held = true, false, 0
		if !fatal {
			l.dropToSync(nil)
		}
		if l.ignoring && !l.owes() {
			return swallow, s.endCycle(l)
		}
		return swallow, nil
	}
	if e != nil && e.quiet && !fatal {
		if e.stmt != nil {
			e.stmt.refusal = append([]byte(nil), body...)
		}
		l.dropToSync(nil)
		return swallow, nil
	}
	if e == nil && !l.cycling && !fatal {
		return swallow, unasked(wire.ErrorResponse) // only within a cycle could a Sync end it
	}
	l.failed = true
	s.srv.traffic.failed(l.srv.Node, s.pid, severity)
	if fatal && l.holding {
		// The end of the connection follows: then the unit runs again elsewhere.
		l.lastWords, l.ending = append([]byte(nil), msg...), true
		return swallow, nil
	}
	l.holding = false
	switch {
	case fatal:
		// The connection ends; what the client is told is decided then.
		l.lastWords = append([]byte(nil), msg...)
		return swallow, nil
	case e == nil:
		l.ignoring = true
		return forward, nil
	case e != nil && e.replay && l.slot == balancer.ToRead:
		// The standby may not have the role, say, yet.
		l.healing, l.held, l.broken = true, 0, true
		return swallow, nil
	case act == swallow && e.reply == replyQuery:
		l.carried.unsure = true
		// A setting that could be made once could not be made again.
		return swallow, &wire.Error{Code: "XX000", Message: "the session's settings could not be restored on another server connection",
			Detail: string(wire.ErrorField(body, 'M')), Hint: "Connect again."}
	default:
		begins := e.begins
		if l.dropToSync(&s.stmts); begins {
			l.refusedBegin(msg)
			return swallow, nil
		}
	}
	if l.shared {
		if e != nil && e.stmt != nil && l.shares(e.stmt) {
			l.noteRefused(e.stmt, string(wire.ErrorField(body, 'C')))
		}
		if s.instead = s.inClientsWords(msg); s.instead != nil {
			return replace, nil
		}
	}
	return forward, nil
}

// parameter takes note of a ParameterStatus. The client hears of those of the
// primary connection only: what a read node reports, the primary has reported. But a
// block that fails on the read node ends its settings there first.
func (s *session) parameter(l *lease, msg []byte, act action) action {
	name, value := l.srv.NoteParameter(msg[wire.HeaderSize:])
	if s.srv.cluster.NoteReport(l.srv.Node, name, value); name == "in_hot_standby" && value == "on" {
		return swallow // that is the node's; where the session writes is a primary
	}
	old, ok := s.told.Get(name)
	if b := find(s.state.base, name); b != nil && act != swallow && s.unit.resets() {
		// To the connection it is as at its login, to the session not: the setting is put back before its next use.
		if old == b.value {
			return swallow
		}
		s.told = s.told.With(name, b.value)
		s.instead = pool.AppendParameterStatus(s.instead[:0], name, b.value)
		return replace
	}
	if l.slot != balancer.ToPrimary && (act == swallow || l.applied == 0 || old == value) {
		return swallow
	}
	if ok && old == value && act == swallow {
		return swallow
	}
	if !ok || old != value {
		s.told = s.told.With(name, value)
		s.noteEncoding()
		if name == "application_name" && len(s.set.redirects) > 0 {
			s.redirect()
		}
	}
	return forward
}

// noteEncoding pins the session to the primary while its texts cannot be
// understood safely: in some client encodings the second byte of a character
// can look like a quote, and without standard_conforming_strings a backslash is one.
func (s *session) noteEncoding() {
	encoding, _ := s.told.Get("client_encoding")
	conforming, ok := s.told.Get("standard_conforming_strings")
	unsafe := ok && conforming != "on"
	switch encoding {
	case "SJIS", "BIG5", "GBK", "UHC", "GB18030", "JOHAB", "SHIFT_JIS_2004":
		unsafe = true
	}
	s.state.unsafe = unsafe
	s.state.repin()
}

// notification decides on a NotificationResponse: LISTEN is on the primary only.
func (s *session) notification(l *lease) action {
	if l.slot != balancer.ToPrimary {
		return swallow
	}
	// What it tells of must be visible to the session's next read.
	s.in.Session.FloorPrimary = cluster.Now()
	return forward
}

// params returns what a client is told of a server's settings at login.
func appendParams(dst []byte, p *pool.Params) []byte {
	for name, value := range p.All() {
		dst = pool.AppendParameterStatus(dst, name, value)
	}
	return dst
}
