package core

import (
	"fmt"
	"time"
)

// Policy is what one of two members without a third may do when it hears the other no more and the primary is lost. From
// inside, that the other host has died and that a cable was cut look the same.
type Policy string

// The policies.
const (
	// PolicyWait: nothing; an operator decides.
	PolicyWait Policy = "wait"
	// PolicyFenced: it goes on alone once a command has turned the other member's host and the primary off, and said
	// so. To turn off the primary alone would not do: the other member could do the same, and promote another standby.
	PolicyFenced Policy = "fenced"
	// PolicySynchronous: it goes on alone if the primary can acknowledge nothing without the only standby, which
	// is going to be promoted. The other member could promote nobody else.
	PolicySynchronous Policy = "synchronous"
	// PolicyUnsafe: it goes on alone if all signs are that it is the one that is not cut off. Signs err: then
	// two primaries are written to.
	PolicyUnsafe Policy = "unsafe_promote_if_isolated"
)

// PairRules are those of two members without a third. The zero value is that of members that do nothing alone.
type PairRules struct {
	Policy Policy
	// Lock: while no lease can be had, the address belongs to whom has a lock that the primary keeps.
	Lock bool
	// After is how long the other member must have been silent, and all evidence there.
	After time.Duration
	// SelfFence is when a member that reaches neither the other one nor a trusted server stops to write. It is 0 if the
	// other one promotes nobody that writes could be lost by.
	SelfFence time.Duration
}

// Loss is what one of two members can say of a lost primary and of who could replace it. Texts are what is in the way, and
// empty if nothing is.
type Loss struct {
	Node  NodeID
	Sight Sight
	Why   string
	// Successor is why no standby can be promoted.
	Successor string
	// Unconfirmed is why commits may have been acknowledged that the successor does not have.
	Unconfirmed string
	// Peer is a sign of life of the other member's host, and Address of somebody who has the floating address.
	Peer, Address string
	// Rules is why it is not known that the other member goes by the same rules.
	Rules string
}

// pairing is what a machine knows as one of two.
type pairing struct {
	rules PairRules
	began bool // heard and trip are set
	// contact is when an append of the other one was last acknowledged, heard when any sign of life came, and trip when
	// the last question was asked that it answered.
	contact, heard, trip time.Duration
	// gateway is when a trusted server was last known to be reached.
	gateway time.Duration
	lock    lockHold
	loss    Loss
	lossAt  time.Duration
	// apart: there was a time without a lease anywhere, and the other one may have taken the address by itself.
	apart bool
	// ready is since when all evidence for going on alone is there; 0 if it is not. why is what lacks, as told last.
	ready time.Duration
	why   string
	// fence is how far turning the others off is; fenceAt when that was begun or ended.
	fence   fenceState
	fenceAt time.Duration
	fenced  string // why it failed
	going   bool   // it was said to go on alone
	// outdated is why this member must not do anything any more: another one went on without it.
	outdated string
}

type fenceState int

const (
	fenceNone fenceState = iota
	fenceAsked
	fenceFailed
	fenceDone
)

// UsePair sets the rules for two members without a third. It comes before the first event.
func (m *Machine) UsePair(r PairRules) { m.pair.rules = r }

// other is the other one of two voters without a third member, or "".
func (m *Machine) other() MemberID {
	if len(m.voters) != 2 || len(m.state.Members) > 2 {
		return ""
	}
	switch m.self {
	case m.voters[0]:
		return m.voters[1]
	case m.voters[1]:
		return m.voters[0]
	}
	return ""
}

// hears notes a sign of life of the other member; asked is when the question was that it answered, or 0.
func (m *Machine) hears(from MemberID, asked time.Duration) {
	if from != m.self && from == m.other() {
		m.pair.heard = m.now
		m.pair.trip = max(m.pair.trip, asked)
	}
}

// settlePair keeps what only two members need. It comes first in settle.
func (m *Machine) settlePair(holds bool) {
	p := &m.pair
	if !p.began {
		// What it promised before it was started is forgotten, and may hold.
		p.began, p.contact, p.heard, p.trip, p.gateway, p.lossAt = true, m.now, m.now, m.now, m.now, m.now-time.Hour
	}
	if m.other() == "" || holds {
		p.ready, p.going, p.fence = 0, false, fenceNone
		if m.other() == "" || m.address.Want {
			p.apart = false
		}
		return
	}
	if !m.hearsLeader() {
		p.apart = true
	}
	m.settleAlone()
}

// hearsLeader: the other member leads, or may for all that this one has promised it.
func (m *Machine) hearsLeader() bool {
	return m.now-m.pair.contact < m.timing.stretched(m.timing.Election)
}

// severed is why one of two must not write without the other's word; and until when it may without news.
func (m *Machine) severed(now time.Duration) (string, time.Duration) {
	p := &m.pair
	switch {
	case p.outdated != "":
		return p.outdated, 0
	case p.rules.SelfFence > 0:
		until := max(p.trip, p.gateway) + p.rules.SelfFence
		if now >= until {
			return fmt.Sprintf("it has reached neither the other member nor a trusted server for %s: the other one may promote another primary", p.rules.SelfFence), 0
		}
		return "", until
	}
	return "", 0
}

// settleAlone goes on alone once all that the policy asks for has been there for long enough.
func (m *Machine) settleAlone() {
	p := &m.pair
	if p.going {
		return
	}
	why, told := m.together()
	switch {
	case why != "":
		p.ready, p.fence = 0, fenceNone
	case p.ready == 0:
		p.ready = m.now
		fallthrough
	case m.now-p.ready < p.rules.After:
		why, told = fmt.Sprintf("all that %s asks for is there, but not for %s (watchdog.pair.after) yet", p.rules.Policy, p.rules.After), true
	case p.rules.Policy == PolicyFenced && p.fence != fenceDone:
		why, told = m.fencing(), true
	}
	if told && why != "" && why != p.why {
		p.why = why
		m.do(Together{why})
	}
	if why == "" {
		p.going = true
		m.do(GoAlone{fmt.Sprintf("%s was not heard for %s, and the primary %s is lost (%s)", m.other(), p.rules.After, m.state.Primary.Node, p.rules.Policy)})
	}
}

// fenceAgain is how long after a failure they are tried to be turned off again.
const fenceAgain = 10 * time.Second

// fencing has the other host and the primary turned off, and says what is waited for.
func (m *Machine) fencing() string {
	p := &m.pair
	switch {
	case p.fence == fenceFailed && m.now-p.fenceAt < fenceAgain:
	case p.fence == fenceAsked:
		return fencingWait
	default:
		p.fence, p.fenceAt = fenceAsked, m.now
		m.do(Fence{m.other(), m.state.Primary.Node})
		return fencingWait
	}
	return fmt.Sprintf("%s and the primary were not turned off: %s", m.other(), p.fenced)
}

const fencingWait = "watchdog.pair.fence turns the other host and the primary off"

// together is why this member must not go on alone, or "". It names the evidence that is missing; told: people should hear of it,
// as the primary is lost.
func (m *Machine) together() (why string, told bool) {
	p, l := &m.pair, &m.pair.loss
	other, primary := m.other(), m.state.Primary.Node
	told = l.Node == primary && l.Sight == SeesDown && m.now-p.lossAt < 2*m.timing.Poll
	if m.now-p.heard < 2*m.timing.Election || m.hearsLeader() {
		p.why = ""
		return fmt.Sprintf("%s is heard", other), false
	}
	switch {
	case p.rules.Policy == PolicyWait || p.rules.Policy == "":
		why = fmt.Sprintf("%s and the primary are lost, which one of two members cannot tell from a cut network; watchdog.pair.on_loss is wait: if they are off, howdah watchdog shrink goes on alone", other)
	case m.applied < m.stored:
		why = "this member was started alone, and does not know whether all in its log was decided"
	case m.state.Intents.Paused:
		why = "everything automatic is paused"
	case primary == "":
		why = "no primary is recorded"
	case l.Node != primary || m.now-p.lossAt >= 2*m.timing.Poll:
		why = "what is known of the primary is old"
	case l.Sight != SeesDown:
		why = fmt.Sprintf("the primary is not seen dead: %s", l.Why)
	case l.Successor != "":
		why = "nobody can be promoted: " + l.Successor
	case l.Rules != "":
		why = fmt.Sprintf("it is not known that %s has the same rules: %s", other, l.Rules)
	case p.rules.Policy != PolicySynchronous && !m.fitness.Gateway:
		why = "no trusted server answers: it may be this member that is cut off"
	case p.rules.Policy == PolicySynchronous && l.Unconfirmed != "":
		why = "the primary may have acknowledged what the standby lacks: " + l.Unconfirmed
	case p.rules.Policy == PolicyUnsafe && l.Peer != "":
		why = fmt.Sprintf("the host of %s lives: %s", other, l.Peer)
	case p.rules.Policy == PolicyUnsafe && l.Address != "":
		why = "somebody has the floating address: " + l.Address
	}
	return why, told
}
