package proxy

import (
	"sync"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/pool"
)

// currval() and lastval() tell what nextval() gave on the same server connection. Where
// sessions share connections that may have been another one, or it may have been
// for another session. So
//
//   - a session that asks gets the connection that it wrote on last, if that is idle;
//   - if another session wrote there since, its values are discarded first: the answer is
//     PostgreSQL's error that nothing is defined yet, never another session's value;
//   - from then on sessions of that user and database keep their connection once they
//     have written, so that it happens once.

// sequenceUsers are the users and databases whose sessions ask for values of sequences.
type sequenceUsers struct {
	known sync.Map // sequenceUser > nothing
}

type sequenceUser struct{ user, database string }

func (u *sequenceUsers) has(key *pool.Key) bool {
	_, ok := u.known.Load(sequenceUser{key.User, key.Database})
	return ok
}

func (u *sequenceUsers) add(key *pool.Key) {
	u.known.LoadOrStore(sequenceUser{key.User, key.Database}, struct{}{})
}

// asksSequences reports whether the unit calls currval() or lastval().
func (u *unit) asksSequences() bool {
	for i := range u.msgs {
		v := u.msgs[i].verdict
		if v == nil || v.Access <= parser.AccessRead {
			continue
		}
		for j := range v.Statements {
			for _, f := range v.Statements[j].Functions {
				if f.Name == "currval" || f.Name == "lastval" {
					return true
				}
			}
		}
	}
	return false
}

// preferred returns the connection that the session wrote on last if it is idle there and
// the unit asks for values of sequences, else nil.
func (s *session) preferred(node *cluster.Node, slot balancer.Target) *pool.Server {
	if slot != balancer.ToPrimary || s.wroteOn == nil || !s.unit.asksSequences() {
		return nil
	}
	return s.srv.pool.Take(node, s.wroteOn)
}

// noteSequences keeps the books of a unit that is sent to the primary on a shared
// connection, and may take or ask for values.
func (s *session) noteSequences(l *lease) {
	l.carried.sequences = s.pid
	s.wroteOn = l.srv
	s.state.sequences = s.usesSequences
}

// needsDiscard reports whether another session's values of sequences must go before the unit.
func (s *session) needsDiscard(l *lease) bool {
	if !l.shared || l.slot != balancer.ToPrimary || !s.unit.asksSequences() {
		return false
	}
	if !s.usesSequences {
		s.usesSequences = true
		s.srv.sequences.add(&s.key)
	}
	return l.carried.sequences != s.pid && l.carried.sequences != 0
}
