package proxy

import (
	"context"
	"errors"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/pool"
	"github.com/howdah/howdah/wire"
)

// dispatch runs the unit: it decides where, borrows a connection there, sends
// the unit, relays the answer and keeps the books. The unit's bytes leave the
// client's buffer when nobody can need them again.
func (s *session) dispatch(ctx context.Context) error {
	s.fastPath.open = false
	return s.afterUnit(s.runUnit(ctx))
}

// afterUnit does what is to be done between units; err is what became of the last one.
func (s *session) afterUnit(err error) error {
	if err == nil && s.state.review {
		err = s.reviewCauses()
	}
	if err == nil && s.shared {
		s.share()
	}
	return err
}

// runUnit is dispatch but for what comes after the unit.
func (s *session) runUnit(ctx context.Context) error {
	if s.set.log.Statements || s.set.log.ClientMessages || s.announces.any() {
		s.logUnit()
	}
	if s.statementMode && s.cycle == nil && s.unit.opensBlock() {
		return s.report(errNoBlocks)
	}
	if v := s.unit.verdict; v != nil && v.Own && s.unit.rest == 0 {
		if done, err := s.answerOwn(); done || err != nil {
			return err
		}
	}
	if done, err := s.answerHere(); done || err != nil {
		return err
	}
	return s.placeAnew(ctx)
}

// carryOut runs the unit on the lease, and if need be again elsewhere.
func (s *session) carryOut(ctx context.Context, l *lease) error {
	if err := s.catchUpPrimary(l); err != nil {
		return s.serverFailed(l, err)
	}
	if err := s.checkColumns(l); err != nil {
		return s.orReport(l, err)
	}
	s.cycle = l
	if s.set.notices || s.set.logsStatements || s.announces.notices != byDefault || s.announces.log != byDefault {
		if err := s.announce(l); err != nil {
			return err
		}
	}
	s.busy(l.srv)
	if s.mustHold(l) {
		s.idle()
		if l.cycling || l.inTransaction() {
			return s.holdOpen(ctx, l)
		}
		return s.holdAndPlace(ctx)
	}
	return s.carriedOut(ctx, l, s.exchange(l))
}

// carriedOut deals with what became of the exchange for the unit.
func (s *session) carriedOut(ctx context.Context, l *lease, err error) error {
	s.idle()
	if err != nil {
		return s.serverFailed(l, err)
	}
	if l.healing {
		return s.heal(ctx, l)
	}
	if l.refused != nil {
		return s.beginRefused(l)
	}
	if u := &s.unit; u.refused != nil && !l.failed && l.slot == balancer.ToPrimary {
		s.learn(u.refused, u.refusedCode, cluster.Now())
	}
	return s.finish(l)
}

// place decides where the unit runs and returns a lease there.
func (s *session) place(ctx context.Context) (*lease, error) {
	u := &s.unit
	if !u.names && s.cycle != nil {
		return s.cycle, nil
	}
	if !u.names {
		if l := s.placeByObjects(); l != nil {
			return l, nil
		}
	}
	if l := s.openBlock(); l != nil && s.cycle == nil && s.fetchesPortal() {
		return l, nil
	}
	d := s.decide()
	if s.cycle == nil && s.catchUp.await(ctx, s, &d) {
		d = s.decide()
	}
	if s.cycle != nil && s.cycle.srv.Node == d.Node && d.Node != cluster.NoNode {
		return s.cycle, nil
	}
	if s.cycle != nil && d.Target == balancer.ToRead {
		return s.cycle, nil // a cycle that is on the primary stays there
	}
	if l := s.blockLease(&d); l != nil && s.cycle == nil {
		// The block's own connection is what counts, whatever the view says of its node meanwhile.
		ok, err := s.stillThere(l)
		if ok {
			s.noteDecision(&d, l)
			return l, nil
		}
		if err != nil {
			return nil, err
		}
	}
	if l := s.leases[d.Target]; l != nil && s.cycle == nil && l.srv.Node == d.Node && s.isAtHand(l) {
		s.in.Session.ReadNode = d.ReadNode
		s.noteDecision(&d, l)
		return l, nil
	}
	old := s.cycle
	l, err := s.acquire(ctx, &d)
	if err != nil {
		return nil, err
	}
	if old != nil && old != l {
		// The cycle only read so far, and goes on on the primary.
		if err := s.endCycle(old); err != nil {
			return nil, err
		}
	}
	s.noteDecision(&d, l)
	return l, nil
}

// noteDecision keeps what a decision, for which l is the lease, means for the open block.
func (s *session) noteDecision(d *balancer.Decision, l *lease) {
	bs := &s.in.Session
	if bs.Tx == balancer.TxNone || l.slot != balancer.ToPrimary {
		return
	}
	if d.Effect || d.Standing {
		bs.TxWriteNode = l.srv.Node
	}
	if d.Standing && !bs.TxPrimary {
		bs.TxPrimary = true
		s.endOthers(l) // what a standby read in the block it need not hold on to
	}
}

// blockLease returns the lease on which the block is open and that d means, if there is one.
func (s *session) blockLease(d *balancer.Decision) *lease {
	away := d.Node == cluster.NoNode && d.Reason == balancer.ReasonNoPrimary
	if l := s.openBlock(); l != nil && (d.Node == l.srv.Node || away && l.slot == d.Target) {
		return l
	}
	l, bs := s.leases[balancer.ToPrimary], &s.in.Session
	if bs.Tx == balancer.TxOpen && l != nil && l.srv.Node == bs.TxWriteNode && l.inTransaction() && (d.Node == l.srv.Node || away) {
		return l
	}
	return nil
}

// fetchesPortal reports whether the unit is SQL that uses a portal made by Bind.
func (s *session) fetchesPortal() bool {
	v := s.unit.verdict
	if v == nil || v.Single != parser.KindFetch && v.Single != parser.KindCloseCursor {
		return false
	}
	_, ok := s.stmts.portals[v.Statements[0].Object]
	return ok
}

// openBlock returns the lease on which the transaction block is open, nil if there is none.
func (s *session) openBlock() *lease {
	bs := &s.in.Session
	if bs.Tx != balancer.TxOpen && bs.Tx != balancer.TxFailed {
		return nil
	}
	for _, l := range s.leases {
		if l != nil && l.srv.Node == bs.TxNode && l.inTransaction() {
			return l
		}
	}
	return nil
}

// decide asks the balancer about the unit.
func (s *session) decide() balancer.Decision {
	u := &s.unit
	in := &s.in
	v := u.verdict
	if u.opaque {
		v = nil
	}
	s.prepare(in, v)
	d := balancer.Decide(in)
	if s.fastPath.drawn && d.Reason == balancer.ReasonKept {
		d.Reason = balancer.ReasonDrawn // for this read, which then could not go the fast way
	}
	s.fastPath.drawn = false
	if d.Target != balancer.ToRead || d.Reason == balancer.ReasonFailedTransaction || d.Reason == balancer.ReasonTransactionEnd {
		return s.traced(d)
	}
	if u.bindsAhead() {
		// The cycle may move to the primary before the portal is used.
		d = balancer.Decision{Node: in.View.Primary, Target: balancer.ToPrimary, Reason: balancer.ReasonStanding,
			Detail: "portal", ReadNode: d.ReadNode, Standing: in.Session.Tx != balancer.TxNone}
	}
	if u.keepsPortal && in.Session.Tx != balancer.TxNone && !in.Session.TxReadOnly {
		// What the transaction does later may need both the portal and the primary.
		d = balancer.Decision{Node: in.View.Primary, Target: balancer.ToPrimary, Reason: balancer.ReasonStanding,
			Detail: "portal", ReadNode: d.ReadNode, Standing: true}
	}
	return s.traced(d)
}

// prepare fills in what a decision about v depends on, but for what in.Session remembers already.
func (s *session) prepare(in *balancer.Input, v *parser.Verdict) {
	if s.state.rerouted {
		s.reroute()
		in.Session.Route, in.Session.RouteLocal = s.in.Session.Route, s.in.Session.RouteLocal
	}
	in.Session.Settings = s.set.balancer
	in.Session.Pinned = s.pinOf(v)
	in.Verdict = v
	in.Learned = v != nil && s.srv.lessons.count.Load() != 0 && s.learned(v, cluster.Now())
	in.View = s.srv.cluster.View()
	in.Random = s.rand.Uint64()
	if in.Session.Settings.Choice != balancer.ChoiceWeight {
		in.Loads = s.srv.loads.snapshot(in.Loads[:0], len(in.View.Nodes))
	}
	if s.set.tracksWrites() && v != nil && v.Access <= parser.AccessRead {
		in.Written = s.writesNeeded(v)
	}
}

// traced logs a decision if that is asked for.
func (s *session) traced(d balancer.Decision) balancer.Decision {
	s.srv.traffic.decided(s.pid, d.Reason)
	s.reason, s.detail = d.Reason, d.Detail
	if s.set.debug {
		s.logDecision(&d)
	}
	return d
}

func (s *session) logDecision(d *balancer.Decision) {
	name := ""
	if n := s.in.View.Node(d.Node); n != nil {
		name = n.Name
	}
	kind, access := parser.KindUnknown, parser.AccessUnknown
	if v := s.in.Verdict; v != nil {
		kind, access = v.Single, v.Access
	}
	s.log.Debug("routed", "node", name, "kind", kind.String(), "access", access.String(), "reason", d.Reason.String(), "detail", d.Detail)
}

// placeByObjects finds the lease for a unit that names no statement to make or run:
// Close of a statement or portal, Describe of a portal, or nothing but Sync.
func (s *session) placeByObjects() *lease {
	if l := s.openBlock(); l != nil {
		return l // nothing else must come to take part in the block
	}
	for i := range s.unit.msgs {
		if p := s.unit.msgs[i].stmt; p != nil {
			for _, l := range s.leases {
				if l != nil && l.has(p) {
					return l
				}
			}
		}
	}
	for _, l := range s.leases { // where a portal can be
		if l != nil && l.inTransaction() {
			return l
		}
	}
	return s.leases[balancer.ToPrimary]
}

// exchange sends the unit on the lease and relays until the server has answered it.
func (s *session) exchange(l *lease) error {
	u := &s.unit
	s.beginExchange(l, cluster.Now())
	s.keepExample(l, s.began)
	s.closeElsewhere(l)
	s.noteSent(l)
	if s.set.balancer.Choice == balancer.ChoiceFastest {
		s.srv.loads.asked(l.srv.Node, 1)
		defer s.srv.loads.asked(l.srv.Node, -1)
		if v := u.verdict; v != nil && v.Access <= parser.AccessRead {
			s.asked = s.began
		}
	}
	if err := s.send(l); err != nil {
		return err
	}
	v := u.verdict
	if l.shared && l.slot == balancer.ToPrimary && u.executes > 0 && (v == nil || v.Access > parser.AccessRead) {
		s.noteSequences(l)
	}
	if l.slot == balancer.ToPrimary && (u.conduct&parser.ConductTemp != 0 || s.state.keep() != keepNothing || v != nil && v.Single == parser.KindCall) {
		s.state.review = s.state.review || u.mayEndCause()
	}
	if u.rest > 0 {
		if err := s.sendRest(l); err != nil {
			return err
		}
	}
	if !u.ready && !u.flush {
		if !u.settles && len(l.owed)-l.head < maxUnitMessages {
			return nil // cut short: the server answers when the cycle goes on
		}
		s.draining = l
		if err := l.srv.WriteDuplex(flushMessage, s.drainFn); err != nil {
			return asServerError(err)
		}
	}
	return s.relay(l)
}

// beginExchange prepares unit and lease for the exchange, at a time.
func (s *session) beginExchange(l *lease, now int64) {
	u := &s.unit
	u.sent, u.continues = true, l.cycling
	s.began = now
	u.remakable = s.mayRemake(l)
	l.holding = u.rest == 0 && !u.foreign && (u.ready || u.flush) && (s.mayHold(l) || u.remakable)
	l.healing, l.due, l.ending = false, false, false
}

// relay hands on what the server sends until it owes nothing.
func (s *session) relay(l *lease) error {
	for {
		if err := s.process(l); err != nil && !s.isBehindEnd(l, err) {
			return err
		}
		if l.copyIn && !l.healing {
			if err := s.copyIn(l); err != nil {
				return err
			}
			if e := l.next(); e != nil && e.reply == replyExecute {
				return nil // the server answers when the client sends its Sync
			}
			continue
		}
		if !l.owes() && l.refused != nil && l.ignoring {
			if err := s.endCycle(l); err != nil { // the client's Sync is not here yet, or a Query stands for it
				return err
			}
		}
		if !l.owes() {
			return s.release(l)
		}
		if err := l.srv.Fill(); err != nil {
			return serverError{err}
		}
		s.noteAnswer(l)
	}
}

// isBehindEnd is whether an error is about what a server sends behind the whole answer to a unit, which the client then has
// without an error. What it sent stays in the buffer, so that the connection is not used any more (stillThere, isClean).
func (s *session) isBehindEnd(l *lease, err error) bool {
	return isUnasked(err) && s.unit.ready && !l.owes() && !l.ignoring && !l.healing
}

// release gives the client what was kept back of an answer that is complete:
// one that ended neither in a result nor in ReadyForQuery (before a Flush).
func (s *session) release(l *lease) error {
	if !l.holding {
		return nil
	}
	l.holding = false
	return s.flush(l, l.srv.Buffered(), 0, l.held)
}

// finish keeps the books of an answered unit.
func (s *session) finish(l *lease) error {
	u := &s.unit
	s.client.Discard(u.size)
	u.size = 0
	if cap(s.out) > keptScratch {
		s.out = nil
	}
	s.noteUse(l)
	if u.conduct != 0 {
		s.noteSets(l, u.conduct)
		if u.conduct&parser.ConductTemp != 0 {
			defer s.state.noteUnseen() // also after a DISCARD in the same unit
		}
	}
	if !u.ready || l.ignoring {
		// A Query at its end was skipped like all else: the cycle goes on to a Sync.
		l.cycling = true
		return nil
	}
	s.cycle = nil
	if s.srv.lessons.count.Load() != 0 {
		s.forgetAfter(u)
	}
	if s.in.Session.Tx == balancer.TxNone && l.status == wire.TxIdle && u.verdict != nil && !u.verdict.Stateful && len(s.stale) == 0 {
		s.stmts.closePortals()
		if !l.failed {
			s.remember(l)
		}
		l.failed = false
		return nil
	}
	return s.finishTransaction(l)
}

// report tells the client of an error that no server made, and goes on as
// PostgreSQL does after an error: the transaction is aborted, the rest of an
// extended cycle is skipped.
func (s *session) report(err error) error {
	var refused *pool.Refused
	var unreachable *pool.Unreachable
	var own *wire.Error
	if errors.As(err, new(endsSession)) || err == errPrimaryMoved || errors.Is(err, errServerLost) || !errors.As(err, &refused) && !errors.As(err, &unreachable) && !errors.As(err, &own) {
		return err
	}
	if own != nil && (own == errEnded || s.endedCanceling(own.Code)) {
		return errEnded
	}
	known := clientErrorOf(err)
	if isClientsMistake(known.Code) {
		s.log.Debug("statement refused", "sqlstate", known.Code) // its text may quote the statement
	} else {
		s.log.Warn("statement refused", "sqlstate", known.Code, "error", err)
	}
	u := &s.unit
	s.unplan()
	s.abortTransaction()
	b := wire.AppendError(s.out[:0], "ERROR", known)
	if u.ready {
		b = wire.AppendReady(b, s.clientStatus())
	} else {
		s.skipping = true
	}
	if s.cycle != nil {
		if err := s.endCycle(s.cycle); err != nil {
			return err
		}
		s.cycle = nil
	}
	s.client.Discard(u.size)
	if err := s.dropRest(); err != nil {
		return err
	}
	return s.tell(b)
}

// unplan undoes, for a unit that no server got, what its Parse and Close messages
// would have done.
func (s *session) unplan() {
	if s.unit.sent {
		return
	}
	for i := len(s.unit.msgs) - 1; i >= 0; i-- {
		switch m := &s.unit.msgs[i]; {
		case m.displaces:
			s.stmts.replaceUnnamed(m.displaced)
		case m.stmt == nil:
		case m.makes():
			s.stmts.forget(m.stmt)
		case m.typ == wire.Close:
			s.stmts.restore(m.stmt)
		}
	}
}

// dropRest reads and drops the end of a message that was too long to hold.
func (s *session) dropRest() error {
	for s.unit.rest > 0 {
		if err := s.need(1); err != nil {
			return err
		}
		n := min(s.unit.rest, len(s.client.Buffered()))
		s.client.Discard(n)
		s.unit.rest -= n
	}
	return nil
}
