package proxy

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/wire"
)

// answerHere answers what needs no server: BEGIN, which is sent with the
// first statement of its block; the end of a block that never reached a
// server; and a Sync when nothing was sent before it.
func (s *session) answerHere() (done bool, err error) {
	u := &s.unit
	bs := &s.in.Session
	if u.rest > 0 || s.cycle != nil {
		return false, nil
	}
	if !u.names {
		return s.answerNothing()
	}
	if bs.Tx == balancer.TxFailed && bs.TxNode != cluster.NoNode && s.openBlock() == nil {
		bs.TxNode = cluster.NoNode // its connection is gone, and the block with it
	}
	if bs.Tx == balancer.TxFailed && s.endsFirst() {
		if err := s.endFirst(); err != nil {
			return true, err
		}
	} else if bs.Tx == balancer.TxFailed && bs.TxNode == cluster.NoNode {
		return true, s.answerAborted()
	}
	if u.opaque || u.verdict == nil || !u.ready || u.executes != 1 || u.parses() > 1 {
		return false, nil
	}
	v := u.verdict
	switch v.Single {
	case parser.KindBegin, parser.KindCommit, parser.KindRollback:
		if !s.withoutParameters() {
			return false, nil
		}
	}
	switch {
	case v.Single == parser.KindBegin && bs.Tx == balancer.TxNone && s.state.listening:
		// A server that does not know of the block would have the client notified within it.
		return false, nil
	case v.Single == parser.KindBegin && bs.Tx == balancer.TxNone:
		st := &v.Statements[0]
		return true, s.answerSelf(v, beginTag(st.SQL), func() { s.beginBlock(st); s.beginBound = u.binds })
	case v.Single == parser.KindCommit && bs.Tx == balancer.TxDeferred && !v.Statements[0].Chain:
		return true, s.answerSelf(v, "COMMIT", func() { s.commit(nil); s.endBlock() })
	case v.Single == parser.KindRollback && bs.Tx == balancer.TxDeferred && !v.Statements[0].Chain:
		return true, s.answerSelf(v, "ROLLBACK", func() { s.state.rollback(); s.endBlock() })
	}
	return false, nil
}

// withoutParameters reports whether the unit's statements have none, and its Bind messages give none: a server would
// refuse a number that is not the statement's.
func (s *session) withoutParameters() bool {
	in := s.client.Buffered()
	for i := range s.unit.msgs {
		m := &s.unit.msgs[i]
		if m.typ != wire.Parse && m.typ != wire.Bind {
			continue
		}
		_, rest, _ := wire.CString(in[m.off+wire.HeaderSize : m.off+m.size])
		_, rest, ok := wire.CString(rest)
		switch {
		case !ok || m.stmt == nil:
			return false
		case m.typ == wire.Parse && string(rest) != "\x00\x00":
			return false
		case m.typ == wire.Bind && (m.stmt.parameters(rest) != 0 || !bindsNone(rest)):
			return false
		}
	}
	return true
}

// bindsNone reports whether a Bind gives no value; rest is what follows the statement's name: the formats, the values, and
// the formats of the result, which a statement without one does not look at.
func bindsNone(rest []byte) bool {
	for range 2 {
		if len(rest) < 2 || rest[0] != 0 || rest[1] != 0 {
			return false
		}
		rest = rest[2:]
	}
	return len(rest) >= 2 && len(rest) == 2+2*int(binary.BigEndian.Uint16(rest))
}

// beginTag is the command tag of BEGIN or START TRANSACTION.
func beginTag(sql string) string {
	if len(sql) > 0 && (sql[0] == 's' || sql[0] == 'S') {
		return "START TRANSACTION"
	}
	return "BEGIN"
}

// beginBlock opens a block that no server knows of yet.
func (s *session) beginBlock(st *parser.Statement) {
	bs := &s.in.Session
	bs.Tx, bs.TxNode, bs.TxPrimary = balancer.TxDeferred, cluster.NoNode, false
	bs.TxIsolation, bs.TxReadOnly = s.state.isolation, s.state.readOnly
	s.forgetBlock()
	if bs.Settings.Balance != balancer.BalanceSession {
		bs.ReadNode = cluster.NoNode // the block chooses its own
	}
	if st.Isolation != parser.IsolationDefault {
		bs.TxIsolation = st.Isolation
	}
	if st.ReadOnly != parser.ReadOnlyDefault {
		bs.TxReadOnly = st.ReadOnly == parser.ReadOnlyYes
	}
	s.begin, s.beginRead, s.unseenBegin = st.SQL, st.SQL, false
	if st.ReadOnly == parser.ReadOnlyNo {
		// A standby refuses READ WRITE. The level is kept: the block may ask for it.
		s.beginRead = "BEGIN ISOLATION LEVEL " + bs.TxIsolation.String()
		if bs.TxIsolation == parser.IsolationDefault {
			s.beginRead = "BEGIN"
		}
	}
}

// endBlock forgets the block.
func (s *session) endBlock() {
	bs := &s.in.Session
	bs.Tx, bs.TxNode, bs.TxPrimary, bs.TxReadOnly = balancer.TxNone, cluster.NoNode, false, false
	bs.TxIsolation = parser.IsolationDefault
	s.forgetBlock()
	s.begin, s.beginRead, s.unseenBegin = "", "", false
	s.stmts.closePortals()
}

// forgetBlock forgets what the block left on the primary.
func (s *session) forgetBlock() {
	s.in.Session.TxWriteNode = cluster.NoNode
	s.in.Session.TxWritten.Reset()
}

// answerSelf answers the unit, which runs one statement without rows, as a server would.
func (s *session) answerSelf(v *parser.Verdict, tag string, effect func()) error {
	u := &s.unit
	b := s.out[:0]
	for i := range u.msgs {
		m := &u.msgs[i]
		switch m.typ {
		case wire.Parse:
			b = wire.AppendMessage(b, wire.ParseComplete)
		case wire.Bind:
			b = wire.AppendMessage(b, wire.BindComplete)
		case wire.Describe:
			if s.client.Buffered()[m.off+wire.HeaderSize] == 'S' {
				b = wire.AppendMessage(b, wire.ParameterDescription, "\x00\x00")
			}
			b = wire.AppendMessage(b, wire.NoData)
		case wire.Close:
			s.closeHere(m)
			b = wire.AppendMessage(b, wire.CloseComplete)
		case wire.Execute, wire.Query:
			effect()
			b = wire.AppendMessage(b, wire.CommandComplete, tag, "\x00")
		}
		if m.typ == wire.Sync || m.typ == wire.Query {
			b = wire.AppendReady(b, s.clientStatus())
		}
	}
	return s.answered(b)
}

// closeHere closes a statement wherever it was made.
func (s *session) closeHere(m *message) {
	if m.stmt == nil {
		return
	}
	for _, l := range s.leases {
		s.closeOn(l, m.stmt, &s.side)
	}
}

// answered gives the client an answer made here and drops the unit.
func (s *session) answered(b []byte) error {
	s.client.Discard(s.unit.size)
	s.unit.size = 0
	return s.tell(b)
}

// answerNothing answers a unit that names no statement, if no server has
// anything to do with it.
func (s *session) answerNothing() (bool, error) {
	u := &s.unit
	if s.openBlock() != nil {
		return false, nil // a portal may be meant
	}
	b := s.out[:0]
	for i := range u.msgs {
		m := &u.msgs[i]
		switch m.typ {
		case wire.Sync:
			b = wire.AppendReady(b, s.clientStatus())
		case wire.Flush, wire.CopyData, wire.CopyDone, wire.CopyFail:
		case wire.Close:
			if m.unknown && s.leases[balancer.ToPrimary] != nil {
				return false, nil // PREPARE may have made it
			}
			s.closeHere(m)
			if string(s.client.Buffered()[m.off+wire.HeaderSize:m.off+m.size]) == "P\x00" {
				s.beginBound = false
			}
			b = wire.AppendMessage(b, wire.CloseComplete)
		default:
			return false, nil
		}
	}
	if s.in.Session.Tx == balancer.TxNone {
		s.stmts.closePortals()
	}
	return true, s.answered(b)
}

// refuse reports an error of a server's kind for the unit.
func (s *session) refuse(code, message string) error {
	return s.report(&wire.Error{Code: code, Message: message})
}

// answerAborted answers in a block that failed without a server: only its end is obeyed.
func (s *session) answerAborted() error {
	u := &s.unit
	if v := u.verdict; v != nil && !u.opaque && u.ready && u.executes == 1 && (v.Single == parser.KindCommit || v.Single == parser.KindRollback) {
		return s.answerSelf(v, "ROLLBACK", func() { s.endAborted(v.Statements[0].Chain) })
	}
	return s.refuse("25P02", "current transaction is aborted, commands ignored until end of transaction block")
}

// endsFirst is whether a Query ends a failed block, which is not the primary's, and has more to
// say that the node of the block may not do: ROLLBACK; INSERT ….
func (s *session) endsFirst() bool {
	u := &s.unit
	if !u.simple || len(u.msgs) != 1 || u.opaque || u.verdict == nil || len(u.verdict.Statements) < 2 {
		return false
	}
	if l := s.openBlock(); l != nil && l.slot == balancer.ToPrimary {
		return false
	}
	if first := u.verdict.Statements[0].Kind; first != parser.KindCommit && first != parser.KindRollback {
		return false
	}
	for i := range u.verdict.Statements[1:] {
		if access := u.verdict.Statements[i+1].Access; access > parser.AccessTransaction || s.in.Session.TxNode == cluster.NoNode {
			return true
		}
	}
	return false
}

// endFirst answers the statement that ends the failed block, and leaves the rest to be run as
// a Query of its own: where it stood are spaces, so that errors show the right place.
func (s *session) endFirst() error {
	u := &s.unit
	m := &u.msgs[0]
	text, _, _ := wire.CString(s.client.Buffered()[m.off+wire.HeaderSize : m.off+m.size])
	texts, ok := parser.Split(string(text))
	if !ok || len(texts) != len(u.verdict.Statements) {
		return nil
	}
	end := strings.Index(string(text), texts[0]) + len(texts[0])
	rest := strings.Repeat(" ", utf8.RuneCount(text[:end])) + string(text[end:])
	chain := u.verdict.Statements[0].Chain
	s.endOthers(nil)
	s.endAborted(chain)
	m.instead, m.verdict = wire.AppendQuery(nil, rest), s.judge([]byte(rest))
	u.verdict = nil
	u.add(s.resolve(m.verdict))
	return s.tell(wire.AppendMessage(s.out[:0], wire.CommandComplete, "ROLLBACK\x00"))
}

// endAborted ends a block that no server knows of; AND CHAIN begins another like it.
func (s *session) endAborted(chain bool) {
	s.state.rollback()
	if !chain {
		s.endBlock()
		return
	}
	bs := &s.in.Session
	bs.Tx, bs.TxNode, bs.TxPrimary = balancer.TxDeferred, cluster.NoNode, false
	s.forgetBlock()
}

// abortTransaction makes the block, if there is one, a failed one that no
// server knows of: blocks open on servers are rolled back.
func (s *session) abortTransaction() {
	bs := &s.in.Session
	if bs.Tx == balancer.TxNone {
		return
	}
	bs.Tx, bs.TxNode = balancer.TxFailed, cluster.NoNode
	s.endOthers(nil)
}

// refusedBegin takes note that the server refuses the BEGIN before the unit, and so ignores the unit: a cancel request may
// hit the BEGIN, or a timeout. Nothing is told the client before the server is ready again: it would be told that there is no block.
func (l *lease) refusedBegin(msg []byte) {
	l.refused = append([]byte(nil), msg...)
	if next := l.next(); next != nil {
		next.swallow = true // the unit's Sync
	}
}

// beginRefused gives the client the server's reason, for the statement that came with the BEGIN: of its block it knows already,
// which has failed.
func (s *session) beginRefused(l *lease) error {
	u := &s.unit
	s.cycle = nil
	s.abortTransaction()
	b := append(s.out[:0], l.refused...)
	l.refused, l.failed, l.ended = nil, false, false
	if u.ready {
		b = wire.AppendReady(b, s.clientStatus())
	} else {
		s.skipping = true
	}
	return s.answered(b)
}

// endOthers rolls back the block on all leases but l: they only read in it, or what
// they did in it is lost with the rest.
// The answers are read when the lease is used next.
func (s *session) endOthers(l *lease) {
	for _, o := range s.leases {
		if o != nil && o != l && o.inTransaction() {
			s.endOn(o)
		}
	}
}

// endOn rolls back the block on a lease.
func (s *session) endOn(o *lease) {
	o.status = wire.TxIdle
	if p := s.stmts.unnamed; p != nil {
		o.loses(p) // a simple Query ends it
	}
	o.expect(expected{reply: replyQuery, swallow: true})
	if err := o.srv.Write(wire.AppendQuery(s.out[:0], "ROLLBACK")); err != nil {
		s.dropLease(o)
	}
}

// finishTransaction keeps the books of the transaction after a ReadyForQuery.
func (s *session) finishTransaction(l *lease) error {
	bs := &s.in.Session
	failed, ended := l.failed, l.ended || s.unit.mayEndBlock()
	l.failed, l.ended = false, false
	switch l.status {
	case wire.TxIdle:
		if bs.Tx != balancer.TxNone {
			if !failed && bs.Tx != balancer.TxFailed && !ended && !s.unseenBegin {
				return &wire.Error{Code: "XX000", Message: "the transaction block was lost", Hint: "Connect again, and report this: it is a defect of howdah."}
			}
			s.endOthers(l)
		}
		if failed {
			s.state.rollback()
		} else {
			s.commit(l)
		}
		s.endBlock()
	case wire.TxOpen:
		if bs.Tx == balancer.TxNone {
			// Opened by a unit that did more than BEGIN.
			s.beginUnasked(l)
		}
		bs.Tx, bs.TxNode = balancer.TxOpen, l.srv.Node
		s.beginBound = s.beginBound && !s.unit.mayEndPortal()
		if ended {
			s.endOthers(l) // COMMIT AND CHAIN began another one here
		}
	case wire.TxFailed:
		if bs.Tx == balancer.TxNone {
			s.beginUnasked(l)
		}
		bs.Tx, bs.TxNode = balancer.TxFailed, l.srv.Node
	}
	s.closeStale()
	return nil
}

// beginUnasked begins the block that the server says to be in.
func (s *session) beginUnasked(l *lease) {
	begin := s.beginOf()
	s.beginBlock(begin)
	s.in.Session.TxPrimary = l.slot == balancer.ToPrimary
	s.unseenBegin = begin == &unknownBegin
}

// unknownBegin stands for a BEGIN that was not seen (in a procedure, behind
// COMMIT AND CHAIN, or that of PostgreSQL 18 itself for a pipeline with a FunctionCall, which a Sync ends): nothing but the primary is safe in its block.
var unknownBegin = parser.Statement{Kind: parser.KindBegin, SQL: "BEGIN", Isolation: parser.IsolationSerializable, ReadOnly: parser.ReadOnlyNo}

// beginOf returns the last BEGIN among the unit's statements.
func (s *session) beginOf() *parser.Statement {
	found := &unknownBegin
	for i := range s.unit.msgs {
		if v := s.unit.msgs[i].verdict; v != nil {
			for j := range v.Statements {
				if v.Statements[j].Kind == parser.KindBegin {
					found = &v.Statements[j]
				}
			}
		}
	}
	return found
}

// closeStale closes, on the read node, the statements that were deallocated on the primary.
func (s *session) closeStale() {
	if len(s.stale) == 0 {
		return
	}
	for _, p := range s.stale {
		s.closeOn(s.leases[balancer.ToRead], p, &s.side)
	}
	clear(s.stale)
	s.stale = s.stale[:0]
}
