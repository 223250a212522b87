package proxy

import (
	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/pool"
	"github.com/howdah/howdah/wire"
)

// carried is what a server connection has of the sessions that had it, as far as a
// session that gets it must know. A reset ends it all.
type carried struct {
	lease lease
	// settings are the changed settings that the connection has.
	settings []setting
	// unsure: an attempt to bring the connection to a session's settings failed.
	unsure bool
	// statements are the prepared statements that shared sessions made by Parse.
	statements shelf
	// sequences is the session (by its registry number) whose currval() and lastval() it has.
	sequences uint32
}

// carriedOf returns what a connection carries; of one that is new or was reset, nothing.
func carriedOf(srv *pool.Server) *carried {
	c, ok := srv.Carried.(*carried)
	if !ok {
		c = &carried{}
		srv.Carried = c
	}
	return c
}

// elsewhereVersion is the version of a connection that has other settings than the session.
const elsewhereVersion = ^uint64(0)

// borrow makes the lease of a connection that the session acquired now (cluster.Now).
func (s *session) borrow(srv *pool.Server, slot balancer.Target, now int64) *lease {
	c := carriedOf(srv)
	s.lastID++
	l := &c.lease
	owed := l.owed[:0]
	*l = lease{} // in place: it is done for each transaction
	l.srv, l.carried, l.id, l.slot, l.shared, l.owed = srv, c, s.lastID, slot, s.shared, owed
	l.status, l.used, l.version = wire.TxIdle, now, s.state.version
	if !s.state.adopt(c.settings) {
		l.version = elsewhereVersion
	}
	s.leases[slot] = l
	s.srv.loads.lent(srv.Node, 1)
	return l
}

// share hands connections on that a shared session need not keep. It is called between
// units.
func (s *session) share() {
	if s.in.Session.Tx != balancer.TxNone || s.cycle != nil {
		return
	}
	for slot, l := range s.leases {
		if l == nil || balancer.Target(slot) == balancer.ToPrimary && s.state.keep() != keepNothing {
			continue
		}
		if l.owes() && !s.settle(l) || !l.isClean() {
			s.leases[slot] = nil
			s.leave(l)
			continue
		}
		s.park(l, cluster.Now())
	}
}

// park hands on a connection that is clean.
func (s *session) park(l *lease, now int64) {
	s.leases[l.slot] = nil
	s.srv.loads.lent(l.srv.Node, -1)
	s.srv.pool.Park(l.srv, now)
}

// isClean is whether another session may have the connection as it is.
func (l *lease) isClean() bool {
	return !l.owes() && l.status == wire.TxIdle && !l.copyIn && l.passing == 0 && !l.ignoring && !l.cycling && !l.broken &&
		l.lastWords == nil && !l.carried.unsure && l.held == 0 && len(l.srv.Buffered()) == 0
}

// leavesNothing is whether a connection of its own session, which ends, is as the session got it.
func (l *lease) leavesNothing() bool {
	return !l.shared && !l.traces && l.isClean() && len(l.carried.settings) == 0
}

// hasSettings notes that the connection has the session's settings as of now.
func (l *lease) hasSettings(st *state) {
	l.version, l.carried.settings = st.version, st.settings
}

// keep is why a shared session keeps its primary connection between transactions.
type keep uint8

// The reasons to keep a connection, the first that holds counts.
const (
	keepNothing keep = iota
	keepTemp
	keepOpaque
	keepListen
	keepCursor
	keepLock
	keepPrepared
	keepSequences
	keeps
)

var keepNames = [keeps]string{"", "temporary objects", "opaque setting", "LISTEN", "cursor WITH HOLD", "advisory lock", "PREPARE", "values of sequences"}

func (k keep) String() string { return keepNames[k] }

// keep is why the session has something on its primary connection that cannot be
// made again on another one.
func (st *state) keep() keep {
	switch {
	case st.temp:
		return keepTemp
	case st.opaque:
		return keepOpaque
	case st.listening:
		return keepListen
	case st.cursors:
		return keepCursor
	case st.locks:
		return keepLock
	case st.sqlPrepared:
		return keepPrepared
	case st.sequences:
		return keepSequences
	}
	return keepNothing
}
