package proxy

import (
	"fmt"
	"sync"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/wire"
)

// seats count the clients by user, by database, and by both, for the limits on each.
type seats struct {
	mu    sync.Mutex
	taken map[seatOwner]int
}

// seatOwner is who a client counts for; an empty name stands for all.
type seatOwner struct{ user, database string }

// seat is a client's place under limits.max_clients, from accept to its end, and from its login on under those of
// its user and database.
type seat struct {
	srv *Server
	// reserved: it is one of the last, which are for superusers; none: there are no more.
	reserved, none bool
	owner          seatOwner // who took it; empty until then
	left           bool
}

// sit gives a new client its seat.
func (srv *Server) sit() *seat {
	st := &seat{srv: srv}
	set, count := srv.settings.Load(), srv.clients.Add(1)
	st.none = count > int64(set.limits.MaxClients)
	st.reserved = count > int64(set.limits.MaxClients-set.limits.ReservedClients)
	return st
}

// leave gives the seat back, once. It belongs to the client's goroutine, as all of the seat.
func (st *seat) leave() {
	if !st.left {
		st.left = true
		st.srv.clients.Add(-1)
		st.srv.seats.leave(st.owner)
	}
}

// take counts the seat for a user who has proved who he is, or says which limit forbids it.
func (st *seat) take(set *settings, user, database string) error {
	if err := st.srv.seats.take(set, user, database); err != nil {
		return err
	}
	st.owner = seatOwner{user, database}
	return nil
}

// errReserved is PostgreSQL's.
func errReserved(l *configs.Limits) *wire.Error {
	return &wire.Error{Code: "53300", Message: "remaining connection slots are reserved for roles with the SUPERUSER attribute",
		Detail: fmt.Sprintf("howdah serves at most %d clients, the last %d of them superusers (limits.max_clients, limits.reserved_clients).", l.MaxClients, l.ReservedClients)}
}

func (o seatOwner) counts() [3]seatOwner {
	return [...]seatOwner{o, {o.user, ""}, {"", o.database}}
}

func (s *seats) take(set *settings, user, database string) error {
	o := seatOwner{user, database}
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	set.pool.Clients(set.limits, user, database, func(b configs.Bound) bool {
		if n := s.taken[seatOwner{b.User, b.Database}]; n >= b.Max {
			err = &wire.Error{Code: "53300", Message: fmt.Sprintf("too many connections for %s", b.For()),
				Detail: fmt.Sprintf("howdah has %d of at most %d (%s).", n, b.Max, b.Setting)}
		}
		return err == nil
	})
	if err != nil {
		return err
	}
	if s.taken == nil {
		s.taken = map[seatOwner]int{}
	}
	for _, c := range o.counts() {
		s.taken[c]++
	}
	return nil
}

func (s *seats) leave(o seatOwner) {
	if o == (seatOwner{}) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range o.counts() {
		if s.taken[c]--; s.taken[c] == 0 {
			delete(s.taken, c)
		}
	}
}
