package proxy

import (
	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/wire"
)

// writesNeeded is the time of the last write by anybody that a read must show.
func (s *session) writesNeeded(v *parser.Verdict) int64 {
	names, wanted := s.writes.relations.current()
	if wanted {
		s.loadPlain()
	}
	return s.writes.needed(v, names)
}

// noteSent keeps the books of a unit's traces and writes, just before it is sent.
func (s *session) noteSent(l *lease) {
	u := &s.unit
	v := u.verdict
	if u.opaque {
		v = nil
	}
	l.traces = l.traces || v == nil || !v.Traceless
	if l.slot != balancer.ToPrimary || v != nil && v.Access <= parser.AccessRead {
		return
	}
	bs := &s.in.Session
	if writes, _ := balancer.Writes(v); writes {
		bs.Wrote = true
		if bs.Tx != balancer.TxNone {
			bs.WroteInBlock = true
		}
	}
	if bs.Settings.AfterWrite == balancer.AfterWriteDMLAdaptive && bs.Tx != balancer.TxNone {
		bs.TxWritten.Add(v, bs.Settings.Dependencies)
	}
	if s.set.tracksWrites() {
		s.writes.add(v, bs.Tx == balancer.TxNone || u.mayEndBlock())
	}
}

// noteReady keeps them when the primary has answered and says how the transaction stands.
func (s *session) noteReady(status byte) {
	switch {
	case len(s.writes.pending) > 0 && status == wire.TxIdle:
		s.writes.ended()
	case len(s.writes.pending) > 0:
		s.writes.answered()
	case !s.set.tracksWrites() && s.srv.settings.Load().tracksWrites():
		// It began before writes were tracked, and others look for it already.
		if v := s.unit.verdict; v == nil || v.Access > parser.AccessRead {
			s.writes.unknownEnded()
		}
	}
}

// noteAnswer notes that the answer to a read has begun.
func (s *session) noteAnswer(l *lease) {
	if s.asked == 0 {
		return
	}
	s.srv.loads.answered(l.srv.Node, cluster.Now()-s.asked)
	s.asked = 0
}
