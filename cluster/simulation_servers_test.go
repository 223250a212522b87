package cluster

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

type simServer struct {
	name                string
	dead, hung, slow    bool // slow: recovering, 57P03
	primary, frozen, ro bool
	timeline            uint32
	history             []fork
	log                 []uint64
	upstream            int // whom it follows; -1 nobody
	streaming           bool
	since               int64 // since when it streams without a pause
	heard               int64 // of its upstream
	promoteAt           int64 // when a promotion under way ends; 0 none
	cut                 bool  // from howdah
	locked              bool  // it does not let howdah in
	busy                bool  // it answers sessions, but no probe in time
	paused              bool  // its replay is
	system              string
	reconnect           int64 // its walreceiver starts then
	open                int64 // a client's transaction ends then
	byHand              bool  // promoted beside the primary

	// Since when: it is dead, was stopped in order, recovers, is paused; it answers whoever asks, be it by a refusal; it is alive
	// and howdah can ask it; it could hear the primary it follows, and howdah ask it; it is read, and has what the primary has not. 0 is not.
	died, stopped, slowed, pausedAt, answers, alive, could, apart int64
}

// since keeps since when something is so.
func since(at *int64, is bool, now int64) {
	switch {
	case !is:
		*at = 0
	case *at == 0:
		*at = now
	}
}

func (s *sim) up(v *simServer) bool { return !v.dead && !v.hung }

func (s *sim) index(name string) int {
	return slices.IndexFunc(s.servers, func(v *simServer) bool { return v.name == name })
}

// flow moves the log along, ends promotions, and acknowledges.
func (s *sim) flow() {
	for i, v := range s.servers {
		since(&v.answers, !v.cut && !v.hung, s.now)
		since(&v.alive, s.up(v) && !v.cut && !v.slow && !v.locked && !v.busy, s.now)
		hears := v.upstream >= 0 && s.servers[v.upstream].primary && s.up(s.servers[v.upstream]) && !s.servers[v.upstream].slow &&
			!v.frozen && !s.links[i][v.upstream] && !v.primary && v.alive > 0 && s.follows(v, s.servers[v.upstream])
		since(&v.could, hears, s.now)
		if v.promoteAt > 0 && s.now >= v.promoteAt && s.up(v) {
			v.promoteAt, v.primary, v.streaming = 0, true, false
			top := v.timeline
			v.history = append(slices.Clone(v.history), fork{v.timeline, LSN(len(v.log))})
			v.timeline = top + 1
			s.trace("%s is promoted on timeline %d", v.name, v.timeline)
		}
		if v.primary || v.upstream < 0 || !s.up(v) || v.slow {
			continue
		}
		u := s.servers[v.upstream]
		live := s.up(u) && !u.slow && s.now >= v.reconnect && !v.frozen && !s.links[i][v.upstream] && (u.primary || u.streaming) && s.follows(v, u)
		switch {
		case live:
			if !v.streaming {
				v.since = s.now
			}
			v.streaming, v.heard = true, s.now
			v.timeline, v.history = u.timeline, u.history
			n := min(len(u.log)-len(v.log), 1+s.r.IntN(3))
			v.log = append(v.log, u.log[len(v.log):len(v.log)+n]...)
		case v.frozen, u.dead && !s.links[i][v.upstream]: // it hears the end
			v.streaming = false
		case s.now-v.heard > int64(20*time.Second): // wal_receiver_timeout
			v.streaming = false
		}
	}
	for id, by := range s.unacked {
		p := s.servers[by]
		if !p.primary || !s.up(p) {
			continue
		}
		for i, v := range s.servers {
			if !s.sync || i != by && v.upstream == by && v.streaming && s.up(v) && !v.frozen && !s.links[i][by] && slices.Contains(v.log, id) {
				s.acked = append(s.acked, id)
				delete(s.unacked, id)
				break
			}
		}
	}
}

// follows reports whether v's log is a beginning of u's.
func (s *sim) follows(v, u *simServer) bool {
	if len(v.log) > len(u.log) || v.timeline > u.timeline || v.system != u.system {
		return false
	}
	return slices.Equal(v.log, u.log[:len(v.log)])
}

// probe is what howdah finds out about a server.
func (s *sim) probe(i int) observation {
	v := s.servers[i]
	o := observation{at: s.now}
	switch {
	case v.cut || v.hung:
		o.evidence, o.why = evidenceSilent, "no answer"
	case v.busy && !v.dead && !v.slow && !v.locked:
		o.evidence, o.why, o.heard = evidenceSilent, "no answer", s.view.Primary == NodeID(i) && v.primary
	case v.dead:
		o.evidence, o.why, o.stopped = evidenceRefused, "connection refused", v.stopped > 0
	case v.slow:
		o.evidence, o.why = evidenceStarting, "recovers"
	case v.locked:
		o.evidence, o.why = evidenceLogin, "too many connections"
	default:
		o.evidence, o.asked = evidenceAnswered, s.now
		o.server = server{role: RoleStandby, systemID: v.system, timeline: v.timeline, lsn: LSN(len(v.log)), received: LSN(len(v.log)), version: 150000,
			receiver: receiver{known: true, running: v.streaming, streaming: v.streaming && !s.broken.deaf}}
		if v.upstream >= 0 {
			o.server.receiver.sender = s.servers[v.upstream].name
		}
		o.server.detail = detail{name: v.name, frozen: v.frozen, paused: v.paused, history: v.history}
		if v.primary {
			d := &o.server.detail
			o.server.role, o.server.receiver = RolePrimary, receiver{known: true}
			d.syncKnown, d.syncAsked = true, s.sync
			if s.sync {
				d.quorum = 1
			}
			for j, w := range s.servers {
				if j != i && s.sync { // ANY 1 of the others
					d.sync = append(d.sync, w.name)
				}
			}
		}
	}
	return o
}

// effect has an action done.
func (s *sim) effect(a action, promotes bool) (LSN, error) {
	i := s.index(a.node)
	if a.kind == actionCommand {
		if i = s.index(a.target); !promotes {
			return 0, nil
		}
		a.kind = actionPromote
	}
	v := s.servers[i]
	if v.alive == 0 {
		return 0, errors.New("out of reach")
	}
	switch a.kind {
	case actionFreeze:
		v.frozen = !s.broken.lame
		v.streaming = v.streaming && s.broken.lame
	case actionThaw:
		v.frozen = false
	case actionBounce:
		v.streaming, v.reconnect = false, s.now+int64(time.Duration(s.r.IntN(1500))*time.Millisecond)
	case actionPromote:
		if !v.primary && v.promoteAt == 0 {
			v.promoteAt = s.now + int64(time.Duration(s.r.IntN(400))*time.Millisecond)
		}
	case actionReadOnly:
		if v.open > s.now {
			s.wrong = fmt.Sprintf("a transaction on %s is cut by a switchover", v.name)
		}
		v.ro = true
		return LSN(len(v.log)), nil
	case actionWritable:
		v.ro = false
	case actionRepoint, actionFollow:
		u := s.index(a.target)
		if v.primary && a.kind == actionFollow { // the command rebuilds it
			if !s.up(s.servers[u]) || s.links[i][u] {
				return 0, errors.New("cannot rebuild")
			}
			v.primary, v.ro, v.log = false, false, slices.Clone(s.servers[u].log)
			v.timeline, v.history = s.servers[u].timeline, s.servers[u].history
		}
		v.upstream, v.frozen = u, false
	case actionDrain:
	}
	return 0, nil
}

// fault breaks or mends something now and then.
func (s *sim) fault() {
	if s.r.IntN(40) > 0 {
		return
	}
	i := s.r.IntN(simNodes)
	v := s.servers[i]
	switch s.r.IntN(18) {
	case 0:
		s.kill(v)
		s.trace("%s dies", v.name)
	case 1:
		v.hung = true
		s.trace("%s hangs", v.name)
	case 2:
		v.cut = true
		s.trace("%s is cut off from howdah", v.name)
	case 3:
		j := (i + 1 + s.r.IntN(simNodes-1)) % simNodes
		s.links[i][j], s.links[j][i] = true, true
		s.trace("%s and %s are cut apart", v.name, s.servers[j].name)
	case 4:
		if s.up(v) && !v.slow {
			v.slow, v.streaming, v.open, v.slowed = true, false, 0, s.now
			s.trace("%s recovers", v.name)
		}
	case 5:
		v.locked = true
		s.trace("%s lets nobody in", v.name)
	case 6:
		if !v.dead {
			s.kill(v)
			v.stopped = s.now
			s.trace("%s is stopped in order", v.name)
		}
	case 7:
		if !v.primary {
			v.paused, v.pausedAt = true, s.now
			s.trace("the replay of %s is paused", v.name)
		}
	case 8:
		s.promoteByHand(i)
	case 15:
		v.busy = true
		s.trace("%s has too much to do", v.name)
	case 9:
		if p := s.index(s.saved.Primary); !v.primary && v.promoteAt == 0 && p >= 0 && p != i && s.servers[p].primary && s.up(s.servers[p]) {
			s.kill(v)
			v.dead, v.system, v.primary, v.frozen, v.log, v.timeline, v.history, v.upstream = false, "B", true, false, nil, 1, nil, -1
			s.trace("%s is made anew, by initdb", v.name)
		}
	default:
		s.mend(i)
	}
}

func (s *sim) kill(v *simServer) {
	if !v.dead {
		v.died, v.stopped = s.now, 0
	}
	v.dead, v.streaming, v.promoteAt, v.open = true, false, 0, 0
}

// promoteByHand is what an operator does: in place of a primary that is dead, where he has looked that all is there, or by mistake
// beside one that lives and that the third server follows.
func (s *sim) promoteByHand(i int) {
	v, p := s.servers[i], s.index(s.saved.Primary)
	if p < 0 || p == i || v.primary || v.promoteAt > 0 || !s.up(v) || v.slow || v.system != "A" || s.saved.Phase != PhaseWatch ||
		slices.ContainsFunc(s.servers, func(w *simServer) bool { return w.timeline > v.timeline || w.promoteAt > 0 }) {
		return
	}
	old, other := s.servers[p], s.servers[simNodes-p-i]
	switch {
	case old.dead && s.follows(v, old) && !slices.ContainsFunc(s.acked, func(id uint64) bool { return !slices.Contains(v.log, id) }):
	case old.primary && s.alive(old, 0) && s.alive(other, 0) && other.upstream == p && other.streaming:
		v.byHand = true
	default:
		return
	}
	v.promoteAt = s.now
	s.byHand++
	s.trace("%s is promoted by hand", v.name)
}

// alive reports whether a server has been, and was in howdah's reach, for longer than that.
func (s *sim) alive(v *simServer, long time.Duration) bool {
	return v.alive > 0 && s.now-v.alive >= int64(long) && s.up(v) && !v.cut && !v.slow && !v.locked && !v.busy
}

func (s *sim) mend(i int) {
	v := s.servers[i]
	if v.dead || v.hung || v.slow || v.cut || v.locked || v.paused || v.busy {
		s.trace("%s is mended", v.name)
	}
	v.dead, v.hung, v.slow, v.cut, v.locked, v.paused, v.busy = false, false, false, false, false, false, false
	v.stopped = 0
	for j := range simNodes {
		s.links[i][j], s.links[j][i] = false, false
	}
}
