package core

import (
	"errors"
	"fmt"
	"time"
)

// settleSuccession gives leadership to a member that can serve better. A leader that
// cannot serve at all goes at once; one that only is less fit first waits whether that
// lasts, and a new one stays for a while, so that two members with changing faults do not
// toss the address to and fro.
func (m *Machine) settleSuccession() {
	to, why := m.successor()
	if to != m.fitterWho {
		m.fitterWho, m.fitter = to, m.now
	}
	useless := !m.fitness.Serves || !m.fitness.Link || m.state.Members[m.self].Role == RoleWitness
	if other := m.other(); m.pair.rules.Lock && m.isTaken() && m.present()[other].Serves {
		to, why, useless = other, "it has the lock of the address", true
	}
	switch {
	case to == "":
	case useless:
		m.yield(to, why)
	case m.now-m.fitter >= m.timing.Fitter && m.now-m.held >= m.timing.Settle && m.state.Failover.Phase == PhaseNone:
		m.yield(to, why)
	}
}

// successor is who should lead among those who were heard lately.
func (m *Machine) successor() (MemberID, string) {
	return successor(m.state, m.self, m.fitness, m.present())
}

// present are the members that acknowledge and say of themselves what they are fit for.
func (m *Machine) present() map[MemberID]Fitness {
	acks := m.lease.Acks(m.now)
	others := map[MemberID]Fitness{}
	for id, p := range m.peers {
		ago, acked := acks[id]
		if m.now-p.heard < peerFresh*m.timing.Election && acked && ago < m.timing.Election {
			others[id] = p.fitness
		}
	}
	return others
}

// MayTake is why leadership cannot be given to a member, or to anybody for "", without the address being nobody's for a while; nil
// if it can.
func (m *Machine) MayTake(to MemberID) error {
	present := m.present()
	fitness, heard := present[to]
	switch {
	case to == "" && len(Rank(m.state, present)) == 0:
		return errors.New("no other member that may have the address was heard lately")
	case to == "":
	case m.state.Members[to].Role == RoleWitness:
		return fmt.Errorf("%s is a witness: it serves no clients", to)
	case !heard:
		return fmt.Errorf("%s was not heard lately", to)
	case !fitness.Serves || !fitness.Link:
		return fmt.Errorf("%s cannot serve clients: %s", to, fitness)
	}
	return nil
}

func (m *Machine) yieldTo(e Yield) {
	to := e.To
	if to == "" {
		if ranked := Rank(m.state, m.present()); len(ranked) > 0 {
			to = ranked[0]
		}
	}
	if m.lease.State() != LeaseFollower && m.lease.State() != LeaseYielded && len(m.voters) > 1 { // nobody else can lead one that is alone
		m.yield(to, e.Reason)
	}
}

// yield ends the lease before anybody hears of it.
func (m *Machine) yield(to MemberID, why string) {
	m.lease.Yield()
	m.settleAddress(time.Duration(0), false)
	m.do(Transfer{to, m.lease.Term(), why})
}
