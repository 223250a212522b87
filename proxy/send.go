package proxy

import (
	"cmp"
	"strings"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/wire"
)

// keptScratch is how much of session.out is kept from one unit to the next.
const keptScratch = 16 << 10

// flushMessage asks a server for the answers of a cycle that has become very long: what is owed is bounded.
var flushMessage = wire.AppendMessage(nil, wire.Flush)

// send sends the unit on the lease, with what must go before it, in one
// write, and waits for the first of the answer. If nothing must, the client's bytes are sent as they lie in its buffer.
func (s *session) send(l *lease) error {
	u := &s.unit
	prefix := s.prefix(l)
	b := s.client.Buffered()[:u.size]
	if len(prefix) > 0 || s.needsParse(l) {
		b = s.assemble(l, prefix)
	}
	if l.prepares() {
		s.early()
	}
	for i := range u.msgs {
		l.expectFor(&u.msgs[i])
	}
	l.cycling = !u.ready
	s.draining = l
	var err error
	if u.rest == 0 && (u.ready || u.flush) && l.owes() {
		if err = l.srv.Exchange(b, s.drainFn); err == nil {
			s.srv.cluster.NoteAnswer(l.srv.Node) // nothing was unread before: it came just now
			s.noteAnswer(l)
		}
	} else {
		err = l.srv.WriteDuplex(b, s.drainFn)
	}
	if err != nil {
		return asServerError(err)
	}
	return nil
}

// asServerError marks an error of a write to a server; errors met while
// draining are marked already.
func asServerError(err error) error {
	switch err.(type) {
	case serverError, clientError, protocolLost, *wire.Error:
		return err
	}
	return serverError{err}
}

// drainLease relays what has arrived, without waiting: it is called while the
// server takes no more of what it is sent.
func (s *session) drainLease(l *lease) error {
	ok, err := l.srv.TryFill()
	if err != nil {
		return serverError{err}
	}
	if !ok {
		return nil
	}
	return s.process(l)
}

// sendRest passes on the end of a message that is too long to hold.
func (s *session) sendRest(l *lease) error {
	u := &s.unit
	s.client.Discard(u.size)
	u.size = 0
	for u.rest > 0 {
		if err := s.need(1); err != nil {
			return err
		}
		n := min(u.rest, len(s.client.Buffered()))
		if err := l.srv.WriteDuplex(s.client.Buffered()[:n], s.drainFn); err != nil {
			return asServerError(err)
		}
		s.client.Discard(n)
		u.rest -= n
	}
	return nil
}

// prefix returns howdah's own messages that must go before the unit: settings
// that the connection lacks, and the BEGIN of a transaction that is not open on it yet.
func (s *session) prefix(l *lease) []byte {
	tx := s.in.Session.Tx
	block := (tx == balancer.TxDeferred || tx == balancer.TxOpen) && !l.inTransaction()
	stale := l.version != s.state.version && !l.inTransaction()
	executes := s.unit.verdict != nil && s.unit.verdict.Stateful && s.executesMissing(l)
	lacks := l.slot == balancer.ToRead && tx != balancer.TxNone && (block || l.applied < len(s.state.pending)) && len(s.state.pending) > 0
	discard := s.needsDiscard(l)
	l.asks = s.asksCommit(l)
	if !stale && !block && !executes && !lacks && !discard && !l.asks || s.cycle == l && l.cycling {
		return nil
	}
	b := s.out[:0]
	if stale {
		b = s.appendSettings(b, l)
	}
	if discard {
		b = wire.AppendQuery(b, "DISCARD SEQUENCES")
		l.expect(expected{reply: replyQuery, swallow: true})
	}
	if executes {
		b = s.appendExecuted(b, l)
	}
	if block {
		// In extended messages a BEGIN that fails makes the server ignore the unit;
		// as a Query of its own it would let the unit run outside of any block.
		begin := s.begin
		if l.slot == balancer.ToRead {
			begin = s.beginRead
		}
		b = appendRun(b, l, begin, true)
		l.status = wire.TxOpen // before a Sync or Query no server says so
		l.applied = 0
		if v := s.unit.verdict; tx == balancer.TxOpen && v != nil && (v.Single == parser.KindSetTransaction || v.Single == parser.KindBegin) {
			// The block has read already, elsewhere: the server must refuse
			// another isolation level as it does after a query.
			b = appendRun(b, l, "SELECT", true)
		}
	}
	if lacks {
		b = s.appendPending(b, l)
	}
	if block && !s.beginBound {
		// The client never made the unnamed portal: it may ask for it, as may pg_cursors. That the unit makes one is not sure.
		b = wire.AppendMessage(b, wire.Close, "P\x00")
		l.expect(expected{reply: replyClose, swallow: true})
	}
	if l.asks {
		b = appendAskCommit(b, l)
	}
	s.losesUnnamed(l) // the messages above ended it
	s.out = b[:0]
	return b
}

// appendSettings brings the connection to the session's settings.
func (s *session) appendSettings(b []byte, l *lease) []byte {
	l.traces = true
	l.expect(expected{reply: replyQuery, swallow: true, replay: true, version: s.state.version})
	return wire.AppendQuery(b, difference(l.carried.settings, s.state.settings))
}

// appendPending makes the settings that the block made on the primary, on the
// node where it reads. If one cannot be made there, the unit runs on the primary.
func (s *session) appendPending(b []byte, l *lease) []byte {
	var sql strings.Builder
	for _, stmt := range s.state.pending[l.applied:] {
		if stmt.Set != parser.SetNone && !stmt.IsOwn() {
			sql.WriteString(stmt.SQL)
			sql.WriteByte(';')
		}
	}
	l.applied = len(s.state.pending)
	if sql.Len() == 0 {
		return b
	}
	l.traces = true
	l.expect(expected{reply: replyQuery, swallow: true, replay: true})
	return wire.AppendQuery(b, sql.String())
}

// appendRun appends the extended messages that run sql, unseen by the client; begins: without it there is no block for the unit.
func appendRun(b []byte, l *lease, sql string, begins bool) []byte {
	b = wire.AppendMessage(b, wire.Parse, "\x00", sql, "\x00\x00\x00")
	b = wire.AppendMessage(b, wire.Bind, "\x00\x00\x00\x00\x00\x00\x00\x00")
	b = wire.AppendMessage(b, wire.Execute, "\x00\x00\x00\x00\x00")
	for _, r := range [...]reply{replyParse, replyBind, replyExecute} {
		l.expect(expected{reply: r, swallow: true, begins: begins})
	}
	return b
}

// byName calls f for the statements that SQL of the unit names (EXECUTE,
// DEALLOCATE) and that the client prepared by Parse, if the connection lacks them.
func (s *session) byName(l *lease, f func(*prepared)) {
	for i := range s.unit.msgs {
		v := s.unit.msgs[i].verdict
		if v == nil {
			continue
		}
		for j := range v.Statements {
			st := &v.Statements[j]
			if st.Kind != parser.KindExecute && st.Kind != parser.KindDeallocate {
				continue
			}
			if p := s.stmts.named[st.Object]; p != nil && p.known() && (l.shares(p) || !l.has(p)) && !s.unit.creates(p) {
				f(p)
			}
		}
	}
}

// executesMissing reports whether byName finds any.
func (s *session) executesMissing(l *lease) bool {
	found := false
	s.byName(l, func(*prepared) { found = true })
	return found
}

// appendExecuted makes the statements that SQL names. That one cannot be made
// is of no interest: the client gets the error of its own message.
func (s *session) appendExecuted(b []byte, l *lease) []byte {
	s.byName(l, func(p *prepared) {
		if l.shares(p) {
			// Another session's statement may have the name.
			b = wire.AppendMessage(b, wire.Close, "S", p.name, "\x00")
			l.expect(expected{reply: replyClose, swallow: true})
			b = wire.AppendMessage(append(b, p.parse...), wire.Sync)
			l.expect(expected{reply: replyParse, swallow: true, quiet: true})
		} else {
			b = wire.AppendMessage(append(b, p.parse...), wire.Sync)
			l.expect(expected{reply: replyParse, swallow: true, quiet: true, stmt: p})
			l.gets(p, 0)
		}
		l.expect(expected{reply: replySync, swallow: true})
	})
	return b
}

// needsParse reports whether the unit uses a statement that the connection lacks.
func (s *session) needsParse(l *lease) bool {
	for i := range s.unit.msgs {
		m := &s.unit.msgs[i]
		m.inject, m.standIn = false, false
		if m.gone || m.instead != nil {
			return true
		}
		if m.stmt == nil {
			continue
		}
		if l.shares(m.stmt) {
			return true
		}
		if m.typ == wire.Close {
			continue
		}
		if m.makes() {
			l.gets(m.stmt, 0)
		} else if !l.has(m.stmt) && m.stmt.known() {
			return true
		}
	}
	return false
}

// assemble copies prefix and unit, with the Parse messages that the connection lacks.
func (s *session) assemble(l *lease, prefix []byte) []byte {
	in := s.client.Buffered()
	b := prefix
	if len(b) == 0 {
		b = s.out[:0]
	}
	for i := range s.unit.msgs {
		m := &s.unit.msgs[i]
		if m.gone {
			// The connection may have one of howdah's own.
			b = wire.AppendMessage(b, wire.Close, "S\x00")
		}
		if m.standIn = s.unit.mustStandIn(l, m); m.standIn {
			b = s.appendStandIn(b, l, m, in[m.off:m.off+m.size])
			continue
		}
		if m.stmt != nil && l.shares(m.stmt) {
			b = s.appendShared(b, l, m, in[m.off:m.off+m.size])
			continue
		}
		if m.stmt != nil && m.typ != wire.Close {
			if m.inject = !m.makes() && !l.has(m.stmt) && m.stmt.known(); m.inject {
				b = append(b, m.stmt.parse...)
			}
			l.gets(m.stmt, 0)
		}
		if m.instead != nil {
			b = append(b, m.instead...)
		} else {
			b = append(b, in[m.off:m.off+m.size]...)
		}
	}
	s.out = b[:0]
	return b
}

// expectFor notes what the server owes for a message of the unit.
func (l *lease) expectFor(m *message) {
	if m.gone || m.evicted != nil || m.inject || m.standIn {
		l.expectBefore(m)
	}
	switch m.typ {
	case wire.Parse:
		e := l.expectOne(replyParse)
		e.displaces, e.displaced = m.displaces, m.displaced
		if m.makes() {
			e.stmt = m.stmt
		}
		if m.reused {
			e.reply = replyReused
		}
		if m.named {
			l.expectOne(replyClose).swallow = true
			l.expectOne(replyParse).swallow = true
		}
	case wire.Bind:
		l.expectOne(replyBind).stmt = m.stmt
	case wire.Describe:
		l.expectOne(replyDescribe).stmt = cmp.Or(m.stmt, m.shows)
	case wire.Execute:
		l.expectOne(replyExecute).verdict = m.verdict
	case wire.Close:
		l.expectOne(replyClose).stmt = m.stmt
	case wire.Sync:
		l.expectOne(replySync)
	case wire.Query, wire.FunctionCall:
		e := l.expectOne(replyQuery)
		e.verdict, e.displaces, e.displaced = m.verdict, m.displaces, m.displaced
	}
}

// expectBefore notes what the server owes for howdah's own messages before one of the unit.
func (l *lease) expectBefore(m *message) {
	if m.gone {
		l.expectOne(replyClose).swallow = true
	}
	if m.evicted != nil {
		l.expect(expected{reply: replyClose, swallow: true, evicted: m.evicted})
	}
	if m.inject {
		l.expect(expected{reply: replyParse, swallow: true, stmt: m.stmt})
	}
	if m.standIn {
		l.expectOne(replyParse).swallow = true
	}
}

// closeElsewhere closes the statements that the unit closes on the session's other lease too.
func (s *session) closeElsewhere(l *lease) {
	for i := range s.unit.msgs {
		m := &s.unit.msgs[i]
		if m.typ == wire.Close && m.stmt != nil {
			s.closeOn(s.leases[1-l.slot], m.stmt, &s.side)
		}
	}
}

// closeOn closes a statement on a lease, unseen by the client.
func (s *session) closeOn(l *lease, p *prepared, scratch *[]byte) {
	if l == nil || l.shares(p) || !l.has(p) {
		return
	}
	l.loses(p)
	b := wire.AppendMessage((*scratch)[:0], wire.Close, "S", p.name, "\x00")
	b = wire.AppendMessage(b, wire.Sync)
	*scratch = b[:0]
	l.expect(expected{reply: replyClose, swallow: true})
	l.expect(expected{reply: replySync, swallow: true})
	if err := l.srv.Write(b); err != nil && !s.holds(l) {
		s.dropLease(l) // with holds its next use finds out
	}
}

// endCycle ends an extended cycle on a lease by a Sync that the client did not send.
func (s *session) endCycle(l *lease) error {
	l.cycling = false
	l.expect(expected{reply: replySync, swallow: true})
	if err := l.srv.Write(wire.AppendMessage(s.out[:0], wire.Sync)); err != nil {
		return serverError{err}
	}
	return nil
}
