package proxy

import (
	"context"
	"errors"
	"hash/maphash"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/wire"
)

// A prepared statement keeps the columns of its result for life: PostgreSQL refuses to run it
// when they would be others after a redefinition (0A000, "cached plan must not change result
// type"), and drivers rely on that, for they ask for the columns once only. On several
// connections the same statement is made at different times:
//
//	the client was told other columns than a connection's new statement has > it gets that error
//	a connection's statement is older than what the client knows of it > it is made anew there, unseen
//	the client was told nothing, and is to run it elsewhere after a redefinition > the connection that it made it on is asked first

// columns stands for the names and types of a result; the zero value is not known.
type columns uint64

// noColumns is of a statement without a result.
const noColumns columns = 1

var columnsSeed = maphash.MakeSeed()

// columnsOf reads a RowDescription (PostgreSQL manual, 55.7): per column name, table, column number, type,
// its size, modifier and format. As for the server, where a column comes from does not count.
func columnsOf(msg []byte) columns {
	body := msg[wire.HeaderSize:]
	if len(body) < 2 {
		return 0
	}
	var h maphash.Hash
	h.SetSeed(columnsSeed)
	h.Write(body[:2])
	for body = body[2:]; len(body) > 0; {
		name, rest, ok := wire.CString(body)
		if !ok || len(rest) < 18 {
			return 0
		}
		h.Write(name)
		h.WriteByte(0)
		h.Write(rest[6:10])
		h.Write(rest[12:16])
		body = rest[18:]
	}
	if sum := columns(h.Sum64()); sum > noColumns {
		return sum
	}
	return noColumns + 1
}

// errColumnsChanged is what PostgreSQL says; pgjdbc knows it by the routine.
var errColumnsChanged = &wire.Error{Code: "0A000", Message: "cached plan must not change result type", Routine: "RevalidateCachedQuery"}

// refusesColumns reports whether an error is that.
func refusesColumns(body []byte) bool {
	return string(wire.ErrorField(body, 'C')) == errColumnsChanged.Code && string(wire.ErrorField(body, 'R')) == errColumnsChanged.Routine
}

// noteColumns takes note of the answer to a Describe, howdah's own or the client's.
func (l *lease) noteColumns(e *expected, c columns) {
	p := e.stmt
	if p == nil {
		return
	}
	if e.swallow {
		p.found = c
	} else {
		p.told, p.row = c, 0
	}
	if l.shares(p) {
		if shelved := l.carried.statements.byName[p.shared]; shelved != nil {
			shelved.columns = c
		}
	}
}

// noteRow is noteColumns for a RowDescription that mostly is the one before.
func (l *lease) noteRow(p *prepared, msg []byte) {
	if sum := maphash.Bytes(columnsSeed, msg); p.told == 0 || p.row != sum {
		l.noteColumns(&expected{stmt: p}, columnsOf(msg))
		p.row = sum
	}
}

// knows is whether the client knows the columns that the connection's statement has.
func (l *lease) knows(p *prepared) bool {
	if !l.shares(p) {
		return l.has(p) && !p.changed
	}
	e := l.carried.statements.byName[p.shared]
	return e != nil && e.definitions >= p.definitions && e.columns == p.told
}

// serves is whether a shared statement can run on the connection as it is: it is there, and if the client was told of columns
// it has these. It counts as its use.
func (l *lease) serves(p *prepared) bool {
	e := l.carried.statements.use(p.shared, p.definitions)
	return e != nil && (p.told == 0 || e.columns == p.told)
}

// checkColumns makes statements of the unit, whose columns the client was told, on a connection where they are
// missing or may have others. It does so before the unit is sent: no write must have run when the client gets an error.
func (s *session) checkColumns(l *lease) error {
	for i := range s.unit.msgs {
		m := &s.unit.msgs[i]
		p := m.stmt
		if s.mustLearn(l, m) {
			if err := s.learnColumns(s.leases[1-l.slot], p); err != nil {
				return err
			}
		}
		if p == nil || p.told <= noColumns || m.typ != wire.Bind || !p.known() || l.knows(p) || s.unit.creates(p) {
			continue
		}
		if !s.mayMakeAhead(l) {
			return nil
		}
		if err := s.makeAhead(l, p); err != nil {
			return err
		}
	}
	return nil
}

// mustLearn is whether a statement would be made on a connection, though what names mean may have changed since the client made it
// elsewhere, and nobody knows what columns it had then. PostgreSQL would compare.
func (s *session) mustLearn(l *lease, m *message) bool {
	p := m.stmt
	if p == nil || p.told != 0 || m.typ != wire.Bind || p.name == "" || !p.known() || l.shares(p) || l.has(p) {
		return false
	}
	if d := s.names.database; d == nil || p.definitions == d.definitions.Load() {
		return false
	}
	other := s.leases[1-l.slot]
	return other != nil && other != s.cycle && other.has(p) && !other.shares(p) && !other.inTransaction() && !other.cycling
}

// learnColumns asks a connection for the columns of its statement, unseen by the client. The server's own answer is that it does not
// know them any more if they are others now. A connection that does not answer is given up, and nothing learned.
func (s *session) learnColumns(l *lease, p *prepared) error {
	p.found, p.refusal = 0, nil
	b := wire.AppendMessage(s.side[:0], wire.Describe, "S", p.name, "\x00")
	b = wire.AppendMessage(b, wire.Sync)
	s.side = b[:0]
	l.expect(expected{reply: replyDescribe, swallow: true, quiet: true, stmt: p})
	l.expect(expected{reply: replySync, swallow: true})
	if l.srv.Write(b) != nil || !s.settle(l) {
		if s.leases[l.slot] == l && !s.holds(l) {
			s.dropLease(l) // with holds its next use finds out
		}
		return nil
	}
	if p.refusal != nil && refusesColumns(p.refusal) {
		return errColumnsChanged
	}
	p.told, p.row = p.found, 0
	return nil
}

// mayMakeAhead is whether a statement made now means on the connection what it will mean to the unit: not if
// settings of the block are still to be made there, nor amid a cycle.
func (s *session) mayMakeAhead(l *lease) bool {
	tx := s.in.Session.Tx
	return !l.owes() && !l.cycling && l != s.cycle && l.status != wire.TxFailed && tx != balancer.TxFailed &&
		(tx == balancer.TxNone || len(s.state.pending) == 0 || l.slot == balancer.ToPrimary && l.inTransaction())
}

// makeAhead makes a statement on the connection and compares its columns with those that the client was told. That
// it cannot be made is for the unit to find out, but in a block, which has failed then.
func (s *session) makeAhead(l *lease, p *prepared) error {
	if err := s.unmake(l, p); err != nil {
		return err
	}
	b := s.out[:0]
	if l.version != s.state.version && !l.inTransaction() {
		b = s.appendSettings(b, l)
	}
	if u := s.stmts.unnamed; u != nil && u != p && (p.name == "" || len(b) > 0) {
		l.loses(u)
	}
	if evicted := l.gets(p, s.set.maxPrepared); evicted != nil {
		b = wire.AppendMessage(b, wire.Close, "S", evicted.name, "\x00")
		l.expect(expected{reply: replyClose, swallow: true, evicted: evicted})
	}
	name := p.name
	if l.shares(p) {
		name = p.shared
		b = appendRenamed(b, p.parse, 0, p)
	} else {
		b = append(b, p.parse...)
	}
	b = wire.AppendMessage(b, wire.Describe, "S", name, "\x00")
	b = wire.AppendMessage(b, wire.Sync)
	s.out = b[:0]
	l.expect(expected{reply: replyParse, swallow: true, quiet: true, stmt: p})
	l.expect(expected{reply: replyDescribe, swallow: true, quiet: true, stmt: p})
	l.expect(expected{reply: replySync, swallow: true})
	p.found, p.refusal, l.holding = 0, nil, false
	if err := l.srv.Write(b); err != nil {
		return serverError{err}
	}
	if err := s.relay(l); err != nil {
		return err
	}
	p.changed = p.found != 0 && p.found != p.told
	switch {
	case p.changed:
		return errColumnsChanged
	case p.refusal != nil && l.inTransaction():
		return &wire.Error{Code: string(wire.ErrorField(p.refusal, 'C')), Message: string(wire.ErrorField(p.refusal, 'M')),
			Detail: string(wire.ErrorField(p.refusal, 'D')), Hint: string(wire.ErrorField(p.refusal, 'H'))}
	}
	return nil
}

// unmake has a statement made anew before the connection runs it again. Nothing is owed there.
func (s *session) unmake(l *lease, p *prepared) error {
	switch {
	case l.shares(p):
		l.carried.statements.spoil(p.shared)
	case p.name == "":
		l.loses(p)
	case l.has(p):
		s.closeOn(l, p, &s.side)
		if s.leases[l.slot] != l || !s.settle(l) {
			return serverError{errors.New("a statement could not be closed")}
		}
	}
	return nil
}

// orReport tells the client of an error met before the unit was sent.
func (s *session) orReport(l *lease, err error) error {
	var se serverError
	if errors.As(err, &se) {
		return s.serverFailed(l, err)
	}
	return s.report(err)
}

// mayRemake is whether the unit can run again on a connection, on which no block is open, after the server has refused to
// run a statement of it for its columns: nothing but the unit is lost then.
func (s *session) mayRemake(l *lease) bool {
	u, tx := &s.unit, s.in.Session.Tx
	return !u.simple && u.names && !u.continues && u.reruns <= len(u.msgs) && !l.inTransaction() && tx != balancer.TxFailed
}

// remakes is whether the statement that the server refuses to run for its columns is made anew, instead of telling the
// client: if the client knows the columns that it would have, or made it when it had them.
func (e *expected) remakes() bool {
	if e == nil || e.stmt == nil || e.reply != replyBind && e.reply != replyDescribe || !e.stmt.known() {
		return false
	}
	return e.stmt.told != 0 || e.stmt.borrowed
}

// remake begins to run the unit again on the same connection, for the statement of e.
func (s *session) remake(l *lease, e *expected) error {
	s.unit.cure = cureColumns
	s.unit.reruns++
	s.srv.metrics.healed[cureColumns].Add(1)
	s.log.Debug("a prepared statement is made anew: its columns have changed", "node", l.srv.Node)
	s.unit.remade = e.stmt
	l.healing, l.holding, l.held = true, false, 0
	l.dropToSync(nil)
	if l.ignoring && !l.owes() {
		return s.endCycle(l)
	}
	return nil
}

// runRemade runs the unit again, when the rest of the answer has been dropped.
func (s *session) runRemade(ctx context.Context, l *lease) error {
	s.cycle, s.unit.sent = nil, false
	if s.leases[l.slot] != l || !s.settle(l) { // a ROLLBACK may be on its way
		return s.serverFailed(l, serverError{errors.New("a block could not be rolled back")})
	}
	if err := s.unmake(l, s.unit.remade); err != nil {
		return s.serverFailed(l, err)
	}
	return s.carryOut(ctx, l)
}
