package proxy

import (
	"bytes"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/pool"
	"github.com/howdah/howdah/wire"
)

// Most of what an application sends are reads that change nothing of its session, one after
// another, to the node that served the one before. Such a read need not be planned message by
// message, nor its answer be expected reply by reply: it is sent as it is, and if the answer is the
// usual one, it is given to the client as it is. In all other cases (an error, a notice, a row that has not all
// come) the read is planned then, as if it had been sent so, and goes on the usual way.
//
// Both ways must do the same. Whatever is decided between the arrival of a unit and its sending is therefore
// remembered of the last read that went the usual way (remember), and looked at again where it can
// have changed without one (fast).

// fastPath is what the session remembers of its last read, while nothing else came after it.
type fastPath struct {
	open bool // false: the next unit goes the usual way
	slot balancer.Target
	node cluster.NodeID
	// lease is the one that served it, id its id; nil if the session shares its connections.
	lease *lease
	id    uint64
	// drawn: it is the session's first read, for which the node has been drawn; in all others it is kept.
	drawn bool
	// set, view and known are what the decision was made with. judged is the verdict on the text of
	// the last read that was looked at with known, resolved what it is then.
	set              *settings
	view             *cluster.View
	known            *knowing
	judged, resolved *parser.Verdict
}

// remember takes note of a unit that went the usual way to its end, outside of a block: whether the next one may
// be spared that. A node that was drawn for it is remembered too, if the balancer says that it is kept from now on.
func (s *session) remember(l *lease) {
	st, bs := &s.state, &s.in.Session
	switch {
	case s.reason != balancer.ReasonKept && s.reason != balancer.ReasonDrawn:
	case !isPlain(s.unit.verdict) || s.unit.conduct != 0 || l.slot == balancer.ToPrimary && bs.Ahead:
	case l.version != st.version || !l.isClean() || s.leases[l.slot] != l:
	case l.srv.Node != bs.ReadNode || (l.slot == balancer.ToPrimary) != (l.srv.Node == s.in.View.Primary):
	case !s.isPlain() || s.in.View.Orders.Holding:
	case s.reason == balancer.ReasonDrawn && !s.keepsNode(s.in.View, s.unit.verdict, l.slot, l.srv.Node):
	default:
		s.fastPath = fastPath{open: true, slot: l.slot, node: l.srv.Node, set: s.set, view: s.in.View, known: s.names.known}
		if !s.shared {
			s.fastPath.lease, s.fastPath.id = l, l.id
		}
	}
}

// isPlain is whether the session has nothing, and its settings ask for nothing, that would have to be seen to before or after a plain read.
func (s *session) isPlain() bool {
	st, set := &s.state, s.set
	switch {
	case set.balancer.Balance != balancer.BalanceSession || set.balancer.Choice != balancer.ChoiceWeight:
	case s.statementMode || set.tracksWrites() || set.debug || set.notices || set.logsStatements ||
		set.log.Statements || set.log.ClientMessages || s.serverVerbosity() != verbosityNone || s.announces.any():
	case st.pin != balancer.PinNone || st.keep() != keepNothing || st.review || st.rerouted || len(st.pending) > 0:
	case len(s.stale) > 0 || len(s.stmts.portals) > 0 || len(s.writes.pending) > 0 || len(s.remade) > 0 || s.newDefaults:
	case s.names.redefined.done || len(s.names.unchecked) > 0:
	default:
		return true
	}
	return false
}

// expectFirst lets the first read of a session that shares its connections go the fast way.
func (s *session) expectFirst() {
	if s.state.rerouted {
		s.reroute()
	}
	if s.shared && s.isPlain() {
		s.fastPath = fastPath{open: true, node: cluster.NoNode, set: s.set}
	}
}

// draw has the balancer say where the session's first read goes, if that is where the next ones go too.
func (s *session) draw(judged *parser.Verdict) bool {
	v := s.resolvedPlain(judged)
	if v == nil {
		return false
	}
	s.prepare(&s.in, v)
	d := balancer.Decide(&s.in)
	if d.Reason != balancer.ReasonDrawn || s.in.View.Orders.Holding || (d.Target == balancer.ToPrimary) != (d.Node == s.in.View.Primary) {
		return false
	}
	s.in.Session.ReadNode = d.ReadNode
	if !s.keepsNode(s.in.View, v, d.Target, d.Node) {
		s.in.Session.ReadNode = cluster.NoNode
		return false
	}
	f := &s.fastPath
	f.slot, f.node, f.drawn, f.view, f.known = d.Target, d.Node, true, s.in.View, s.names.known
	f.judged, f.resolved = judged, v
	return true
}

// resolvedPlain is the verdict as the session resolves it, nil if that is not plain, or not certain.
func (s *session) resolvedPlain(v *parser.Verdict) *parser.Verdict {
	v, conduct := s.resolved(v)
	if conduct != 0 || !isPlain(v) || len(s.names.unchecked) > 0 {
		return nil
	}
	return v
}

// isPlain is whether a verdict is of one read about which there is nothing to say: no comment with wishes, no
// books of the session's to keep.
func isPlain(v *parser.Verdict) bool {
	return v != nil && v.Access == parser.AccessRead && v.Single == parser.KindSelect &&
		!v.Stateful && !v.Redefines && !v.Own && !v.Commented && !v.CreatesTemp
}

// fastDid is what became of a unit.
type fastDid uint8

const (
	fastNothing fastDid = iota // it must go the usual way, or, if a flight is under way, on with that
	fastServed                 // it is done
	fastSent                   // a method of wire.Handler will be called
)

// fast serves the unit that the client's buffer holds if it is a read that can do without being planned. looped: it is called by
// a loop that serves others too, and must not wait; then there is no error.
func (s *session) fast(in []byte, looped bool) (fastDid, error) {
	f := &s.fastPath
	l := f.lease
	if s.leases[f.slot] != l || l != nil && (l.id != f.id || l.owes()) || f.set != s.srv.settings.Load() {
		return fastNothing, nil
	}
	r := &s.flight.read
	*r = read{in: in, out: in}
	if !s.recognize(r, l, looped) {
		return fastNothing, nil
	}
	if f.node == cluster.NoNode && !s.draw(r.verdict) {
		return fastNothing, nil
	}
	if d := s.names.database; d != nil && d.current.Load() != f.known {
		return fastNothing, nil
	}
	if r.verdict != f.judged {
		v := s.resolvedPlain(r.verdict)
		if v == nil || s.names.known != f.known {
			return fastNothing, nil
		}
		f.judged, f.resolved = r.verdict, v
	}
	v := f.resolved
	if s.srv.lessons.count.Load() != 0 && (v.Fingerprint == 0 || s.learned(v, cluster.Now())) {
		return fastNothing, nil
	}
	view := s.srv.cluster.View()
	if view != f.view && !s.stillFast(view, v) {
		return fastNothing, nil
	}
	if s.reason = balancer.ReasonKept; f.drawn {
		s.reason = balancer.ReasonDrawn
	}
	if l == nil {
		did, err := fastNothing, error(nil)
		if l, did, err = s.fastLease(looped); l == nil {
			return did, err
		}
	}
	return s.fastOn(l, looped)
}

// fastOn is fast when there is a lease.
func (s *session) fastOn(l *lease, looped bool) (fastDid, error) {
	f := &s.fastPath
	now := l.used // of a lease that has just been made
	if f.lease != nil {
		now = cluster.Now()
	}
	if s.srv.recent.isDue(now) {
		s.exemplary = true
		return fastNothing, nil
	}
	if !l.isFresh(now) {
		if ok, err := l.srv.TryFill(); ok || err != nil {
			return fastNothing, nil // stillThere sees to it
		}
	}
	s.busy(l.srv)
	if !s.maySend(l) { // asked when busy, as mustHold says
		return s.refrain(looped), nil
	}
	s.srv.traffic.decided(s.pid, s.reason)
	s.began, f.drawn = now, false
	if !f.resolved.Traceless {
		l.traces = true
	}
	if looped {
		return s.launch(l), nil
	}
	s.draining = l
	return fastServed, s.land(l, l.srv.Exchange(s.flight.read.out, s.fastDrainFn))
}

// maySend is whether the read may be sent on the lease now. The view can have changed since it was decided about, often if it waited
// for a connection.
func (s *session) maySend(l *lease) bool {
	f := &s.fastPath
	if view := s.srv.cluster.View(); view != f.view && (view.IsPast(l.srv.Node, l.srv.Run) || !s.stillFast(view, f.resolved)) {
		return false
	}
	return !s.mustNotSend(f.view, l)
}

// refrain makes the session idle again when nothing has been sent.
func (s *session) refrain(looped bool) fastDid {
	if !looped {
		s.idle()
	} else if !s.idleNow() {
		s.flight.state = flightCanceled
	}
	return fastNothing
}

// fastLease borrows a connection for a read of a session that shares its connections. If it returns none, the unit
// is done, or goes the usual way with what has been borrowed.
func (s *session) fastLease(looped bool) (l *lease, did fastDid, err error) {
	f := &s.fastPath
	n := f.view.Node(f.node)
	if !looped {
		srv, err := s.claim(n)
		return s.fastBorrow(srv, err, cluster.Now())
	}
	now := s.flight.batch.Now()
	srv, queued := s.srv.pool.ClaimLater(n, &s.key, &s.line, s, now)
	switch {
	case queued: // nothing is ours any more
		return nil, fastSent, nil
	case srv == nil: // Wait has something, or has to wait after all
		s.cancelState.Store(cancelQueued)
		s.flight.state = flightQueued
		return nil, fastNothing, nil
	case s.mustTell(srv):
		s.srv.pool.Park(srv, now)
		return nil, fastNothing, nil
	}
	return s.fastBorrow(srv, nil, now)
}

// mustTell is whether the client must be told something about the connection first, for which one may have to wait.
func (s *session) mustTell(srv *pool.Server) bool {
	if s.fastPath.slot != balancer.ToPrimary || srv.Defaults == s.compared {
		return false
	}
	for range s.differences(srv) {
		return true
	}
	s.compared = srv.Defaults
	return false
}

// fastBorrow makes a lease of what was claimed now (cluster.Now): a connection, or as nil the right to open one, or nothing but an error.
func (s *session) fastBorrow(srv *pool.Server, err error, now int64) (l *lease, did fastDid, _ error) {
	f := &s.fastPath
	if err != nil {
		if perr := s.planArrived(); perr != nil {
			return nil, fastServed, perr
		}
		return nil, fastServed, s.afterUnit(s.report(err))
	}
	if srv == nil {
		s.srv.pool.Forgo(f.view.Node(f.node), s.key)
		return nil, fastNothing, nil
	}
	l = s.borrow(srv, f.slot, now)
	if f.slot == balancer.ToPrimary {
		if err := s.tellDifferences(srv); err != nil {
			return nil, fastServed, err
		}
	}
	if l.version != s.state.version || l.carried.unsure || s.isOutdated() || !s.rename(l) {
		return nil, fastNothing, nil
	}
	return l, fastNothing, nil
}

// isOutdated is whether what the decision was made with has changed, as it may have while the session waited for a connection.
func (s *session) isOutdated() bool {
	d := s.names.database
	return s.fastPath.set != s.srv.settings.Load() || d != nil && d.current.Load() != s.fastPath.known
}

// rename has the read name its statement as the connection, which is shared, does. It is false if the usual way would have to
// do more than that, as the connection lacks the statement, or has it with other columns than the client knows.
func (s *session) rename(l *lease) bool {
	r := &s.flight.read
	if r.shared == nil {
		return true
	}
	if !l.serves(r.shared) {
		return false
	}
	r.out = appendRenamed(s.out[:0], r.in, len(unnamedPortal), r.shared)
	s.out = r.out[:0]
	return true
}

// unnamedPortal is what the body of a Bind begins with that makes the unnamed portal; the statement's name follows.
const unnamedPortal = "\x00"

// stillFast asks the balancer about a new view.
func (s *session) stillFast(view *cluster.View, v *parser.Verdict) bool {
	f := &s.fastPath
	if view.Orders.Holding || f.lease != nil && view.IsPast(f.node, f.lease.srv.Run) {
		return false
	}
	if !s.keepsNode(view, v, f.slot, f.node) {
		return false
	}
	f.view = view
	return true
}

// keepsNode is whether the balancer has the session's next read of that kind served where its last one was.
func (s *session) keepsNode(view *cluster.View, v *parser.Verdict, slot balancer.Target, node cluster.NodeID) bool {
	s.in.View, s.in.Verdict, s.in.Learned = view, v, false
	d := balancer.Decide(&s.in)
	return d.Reason == balancer.ReasonKept && d.Target == slot && d.Node == node
}

// land gives the client the answer to the read that was sent on the lease; err is what became of that.
func (s *session) land(l *lease, err error) error {
	if err != nil || !s.fastPath.open {
		return s.resume(l, err)
	}
	s.srv.cluster.NoteAnswer(l.srv.Node)
	answer := l.srv.Buffered()
	tag, ok := s.flight.read.answered(answer)
	if !ok {
		return s.resume(l, nil)
	}
	s.noteLanded(l, tag)
	err = s.client.Write(answer)
	s.idle()
	return s.given(l, err)
}

// given is landed if the client has the answer, unless err says that it does not want it any more.
func (s *session) given(l *lease, err error) error {
	if err != nil {
		l.srv.Discard(len(l.srv.Buffered())) // the connection is of use to others
		return clientError{err}
	}
	s.landed(l, cluster.Now())
	return nil
}

// noteLanded keeps the books of an answer that the client gets.
func (s *session) noteLanded(l *lease, tag []byte) {
	s.srv.traffic.completed(l.srv.Node, s.pid, tag)
	s.srv.traffic.wentFast(s.pid)
	s.noteRead(l, &s.flight.read)
}

// landed is what follows when the client has it; now is noteUsed's.
func (s *session) landed(l *lease, now int64) {
	l.srv.Discard(len(l.srv.Buffered()))
	s.client.Discard(len(s.flight.read.in))
	s.noteUsed(l, RouteRead, true, now)
	if s.shared {
		s.park(l, l.used)
	}
}

// noteRead keeps the books of statements: what planning it would have done.
func (s *session) noteRead(l *lease, r *read) {
	st, p := &s.stmts, r.stmt
	switch {
	case !r.binds:
		if st.unnamed != nil {
			s.unit.number++
			st.displaceUnnamed(s.unit.number)
		}
		return
	case r.parse != nil:
		p = st.unnamed
		if p == nil || !bytes.Equal(p.parse, r.parse) || p.verdict != r.verdict {
			s.unit.number++
			p = st.parsed(nil, r.parse, r.verdict, s.unit.number)
		}
		if p.found, p.changed, p.borrowed = 0, false, false; !r.describes {
			p.told = 0
		}
		l.gets(p, 0)
	}
	if r.describes {
		l.noteRow(p, r.row)
	}
}

// fastDrain is drainLease for a unit that is not planned yet.
func (s *session) fastDrain() error {
	if s.fastPath.open {
		if err := s.planSent(s.draining); err != nil {
			return err
		}
	}
	return s.drainLease(s.draining)
}

// planArrived plans the whole unit in the client's buffer.
func (s *session) planArrived() error {
	s.fastPath.open = false
	s.detail = ""
	if s.client.Buffered()[0] == wire.Query {
		return s.readQuery()
	}
	return s.readExtended()
}

// planSent plans the unit when it has been sent.
func (s *session) planSent(l *lease) error {
	if err := s.planArrived(); err != nil {
		return err
	}
	s.cycle = l
	s.beginExchange(l, s.began)
	for i := range s.unit.msgs {
		m := &s.unit.msgs[i]
		if m.stmt != nil && m.makes() {
			l.gets(m.stmt, 0)
		}
		l.expectFor(m)
	}
	l.cycling = false
	return nil
}

// resume goes on the usual way with a unit that has been sent; err is what became of the sending.
func (s *session) resume(l *lease, err error) error {
	if s.fastPath.open {
		if perr := s.planSent(l); perr != nil {
			s.idle()
			return perr
		}
	}
	if err != nil {
		err = asServerError(err)
	} else {
		err = s.relay(l)
	}
	return s.afterUnit(s.carriedOut(s.srv.context, l, err))
}
