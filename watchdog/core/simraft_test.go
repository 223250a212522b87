package core

import (
	"errors"
	"fmt"
	"time"
)

// simMember is a member of a simulated cluster: a small consensus of its own, which is as
// hostile as raft may legally be, around the real Machine and Guard. Members campaign
// whenever their guard lets them, and nothing but guards keeps voters from leaving a leader.
type simMember struct {
	w     *world
	place int
	id    MemberID
	ids   []MemberID
	// rate and offset make its clock.
	rate   float64
	offset time.Duration

	alive  bool
	paused time.Duration // until then
	deaf   time.Duration // until then
	life   int           // counts starts: what belongs to an earlier one is void
	disk   simDisk

	// What survives a crash.
	term  uint64
	voted MemberID
	log   []simEntry

	// What does not.
	role    simRole
	leader  MemberID
	commit  int
	old     int // commit when it was started
	applied int
	votes   map[MemberID]bool
	flagged bool
	match   []int
	beat    time.Duration // when appends were last sent, by its clock
	caught  bool
	guard   *Guard
	machine *Machine
	state   *State

	address SetAddress
	fitness Fitness
	user    simUser
	asked   int
	pair    simLone
	// certified is the last certificate that it heard.
	certified Certificate
}

type simRole int

const (
	simFollower simRole = iota
	simCandidate
	simLeader
)

type simEntry struct {
	term uint64
	text []byte
}

// tick is how often a member looks at the time; beatEvery how often a leader sends appends.
const (
	tick      = 25 * time.Millisecond
	beatEvery = 75 * time.Millisecond
)

// clock is what the member's clock shows.
func (m *simMember) clock() time.Duration {
	return m.offset + time.Duration(float64(m.w.now)*m.rate)
}

// start begins a process with what was stored.
func (m *simMember) start(_ int) {
	m.alive, m.paused, m.disk = true, 0, simDisk{}
	m.life++
	m.role, m.leader, m.old, m.commit, m.applied, m.caught = simFollower, "", m.commit, 0, 0, false
	m.guard = NewGuard(m.w.timing, m.clock(), m.term)
	m.machine = New(m.id, m.w.timing, m.ids)
	m.machine.UsePair(m.w.pair.rules)
	m.pair.met, m.pair.lock, m.pair.from = false, WantLock{}, m.clock()
	m.state, m.address, m.user = m.machine.State(), SetAddress{}, simUser{began: m.w.now}
	m.fitness = Fit()
	m.step(Restarted{uint64(len(m.log))})
	m.step(Health{m.fitness})
	if m.life > 1 {
		m.w.logf("%s starts", m.id)
		m.w.at(m.w.now, m.ticks(m.life))
	}
}

func (m *simMember) kill() {
	m.w.logf("%s is killed", m.id)
	led := m.role == simLeader
	m.alive = false
	m.life++
	m.role = simFollower
	if m.address.Want && m.w.chance(0.7) {
		m.testify(led)
		return
	}
	// The address stays, as no process is there to remove it: the kernel does so at its end.
}

// testify is what a guardian does that sees its process die: the address goes, and then the others are told that the leader is dead. They
// tell each other, and one of them campaigns at once.
func (m *simMember) testify(led bool) {
	c, life := Certificate{string(m.id), m.term}, m.life
	m.w.at(m.w.now+time.Duration(m.w.rng.Int64N(int64(20*time.Millisecond))), func() {
		if m.life == life { // the next process begins without the address, too
			m.address = SetAddress{}
		}
		if !led {
			return
		}
		m.w.totals.certified++
		m.others(func(p *simMember) { m.post(p, func() { p.hearDead(c) }) })
	})
}

func (m *simMember) hearDead(c Certificate) {
	if m.guard.Dead(c) != nil || m.certified == c {
		return
	}
	m.certified = c
	m.others(func(p *simMember) {
		if string(p.id) != c.Server {
			m.post(p, func() { p.hearDead(c) })
		}
	})
	if m.term == c.Term && m.role == simFollower && m.w.chance(0.7) {
		m.campaign(true)
	}
}

func (m *simMember) pause(d time.Duration) {
	m.w.logf("%s is stopped for %s", m.id, d)
	m.paused = m.w.now + d
}

// ticks is what a member does all the time, until the end of this life.
func (m *simMember) ticks(life int) func() {
	return func() {
		if !m.alive || m.life != life {
			return
		}
		m.when(life, m.tick)
		m.w.at(max(m.w.now, m.paused)+tick, m.ticks(life))
	}
}

// when does something now, or when the member is not stopped any more.
func (m *simMember) when(life int, do func()) {
	switch {
	case !m.alive || m.life != life:
	case m.w.now < m.paused:
		m.w.at(m.paused+time.Duration(m.w.rng.Int64N(int64(2*time.Millisecond))), func() { m.when(life, do) })
	default:
		do()
	}
}

// post sends a message to another member, which gets it when it can.
func (m *simMember) post(to *simMember, deliver func()) {
	gen := len(m.pair.generations)
	m.w.send(m.place, to.place, func() {
		life := to.life
		if gen != len(to.pair.generations) || gen > 0 {
			return // another generation: nothing of it is heard but its name
		}
		to.when(life, func() {
			to.pair.from = to.clock()
			to.step(Heard{From: m.id})
			deliver()
		})
	})
}

// others does something for all other members.
func (m *simMember) others(do func(p *simMember)) {
	for _, p := range m.w.members {
		if p != m {
			do(p)
		}
	}
}

func (m *simMember) peer(id MemberID) *simMember {
	for _, p := range m.w.members {
		if p.id == id {
			return p
		}
	}
	return nil
}

// tick campaigns, sends appends and lets the machine see the time.
func (m *simMember) tick() {
	now := m.clock()
	m.fitness.Primary = m.sees(m.state.Primary.Node) == SeesUp
	fitness := m.fitness
	fitness.Disk = !m.disk.isSlow(m.w.now)
	m.step(Health{fitness})
	m.tickPair()
	if m.role != simLeader && m.w.chance(0.12) && m.guard.MayVote(now) == nil && !(m.machine.Defers(now) && m.w.chance(0.9)) {
		m.campaign(false)
	}
	if m.role == simLeader && now-m.beat >= beatEvery {
		m.appendAll()
	}
	m.others(func(p *simMember) {
		if m.w.chance(0.2) {
			m.post(p, func() { p.step(PeerHealth{m.id, fitness}) })
		}
	})
	m.step(Tick{})
	m.use()
}

// seen takes note of a term.
func (m *simMember) seen(term uint64) {
	if term > m.term {
		m.term, m.voted = term, ""
		m.follow("")
	}
}

// learn is seen, once the disk stores it.
func (m *simMember) learn(term uint64) {
	if !m.stored(func() { m.learn(term) }) {
		m.seen(term)
	}
}

func (m *simMember) follow(leader MemberID) {
	if m.role == simLeader {
		m.w.logf("%s does not lead any more", m.id)
		m.step(Lost{})
	}
	m.role = simFollower
	if m.leader != leader {
		m.leader = leader
		m.step(Leads{leader})
	}
}

func (m *simMember) lastTerm() uint64 { return m.log[len(m.log)-1].term }

// campaign asks everybody for a vote. A flagged campaign was asked for by the leader: raft has
// no objections to it, only guards have.
func (m *simMember) campaign(flagged bool) {
	if m.disk.hangs(m.w.now) {
		return
	}
	if flagged && (m.guard.MayVote(m.clock()) != nil || m.machine.Defers(m.clock())) {
		m.w.totals.refusedVotes++
		return
	}
	m.follow("")
	m.term++
	m.voted, m.role, m.flagged = m.id, simCandidate, flagged
	m.votes = map[MemberID]bool{m.id: true}
	term, length, last := m.term, len(m.log), m.lastTerm()
	m.others(func(p *simMember) {
		m.post(p, func() { p.voteFor(m, term, length, last) })
	})
	m.count()
}

func (m *simMember) voteFor(c *simMember, term uint64, length int, last uint64) {
	if term < m.term || m.stored(func() { m.voteFor(c, term, length, last) }) {
		return
	}
	if m.guard.MayVote(m.clock()) != nil {
		m.w.totals.refusedVotes++
		return
	}
	m.seen(term)
	if m.role == simLeader || m.voted != "" && m.voted != c.id || last < m.lastTerm() || last == m.lastTerm() && length < len(m.log) {
		return
	}
	if m.guard.Grant(m.clock(), term) != nil {
		return
	}
	m.voted = c.id
	m.post(c, func() {
		if c.term == term && c.role == simCandidate && !c.disk.hangs(c.w.now) {
			c.votes[m.id] = true
			c.count()
		}
	})
}

func (m *simMember) count() {
	if m.role != simCandidate || len(m.votes) < Quorum(len(m.ids)) {
		return
	}
	m.w.totals.elections++
	m.w.logf("%s leads in term %d", m.id, m.term)
	m.role, m.leader, m.caught = simLeader, m.id, false
	m.match = make([]int, len(m.w.members))
	m.log = append(m.log, simEntry{m.term, nil})
	m.step(Won{m.term})
	m.appendAll()
}

// appendAll sends to everybody what it may lack.
func (m *simMember) appendAll() {
	if m.disk.isSilent(m.w.now) {
		return
	}
	m.beat = m.clock()
	m.advance()
	m.others(func(p *simMember) {
		term, sent, commit, log := m.term, m.clock(), m.commit, m.log[:len(m.log):len(m.log)]
		m.post(p, func() { p.take(m, term, sent, commit, log) })
	})
}

// take appends. The whole log is in the message; the prefix that both have is skipped.
func (m *simMember) take(l *simMember, term uint64, sent time.Duration, commit int, log []simEntry) {
	if m.w.now < m.deaf || m.stored(func() { m.take(l, term, sent, commit, log) }) {
		return
	}
	if term < m.term {
		mine := m.term
		m.post(l, func() { l.learn(mine) })
		return
	}
	m.seen(term)
	if err := m.guard.Acknowledge(m.clock(), term, string(l.id)); err != nil {
		m.w.fail("%s: %v", m.id, err) // with one thread a vote has raised the term
	}
	m.follow(l.id)
	for i, e := range log {
		if i < len(m.log) && m.log[i].term == e.term {
			continue
		}
		if i < m.commit {
			m.w.fail("%s loses the committed entry %d", m.id, i+1)
			return
		}
		m.log = append(append([]simEntry(nil), m.log[:i]...), log[i:]...)
		break
	}
	length := len(log)
	m.advanceTo(min(commit, length))
	m.post(l, func() {
		if l.role == simLeader && l.term == term {
			l.match[m.place] = max(l.match[m.place], length)
			l.step(Acked{m.id, term, sent})
			l.advance()
		}
	})
}

// advance commits what a majority has.
func (m *simMember) advance() {
	if m.disk.hangs(m.w.now) {
		return
	}
	for n := len(m.log); n > m.commit && m.log[n-1].term == m.term; n-- {
		have := 1
		for i, k := range m.match {
			if i != m.place && k >= n {
				have++
			}
		}
		if have >= Quorum(len(m.ids)) {
			m.advanceTo(n)
			break
		}
	}
}

func (m *simMember) advanceTo(n int) {
	m.commit = max(m.commit, n)
	for m.applied < m.commit && m.w.err == nil {
		e := m.log[m.applied]
		m.applied++
		m.w.commit(m, m.applied, e)
		if e.text != nil {
			next, err := Builtin().Apply(m.state, uint64(m.applied), e.text)
			if err != nil && !errors.Is(err, ErrRefused) {
				m.w.fail("%s: %v", m.id, err)
			}
			m.state = next
			m.w.same(m.applied, m.state)
			m.step(Applied{m.state, uint64(m.applied), m.applied <= m.old})
			continue
		}
		m.step(Applied{m.state, uint64(m.applied), m.applied <= m.old})
		if m.role == simLeader && e.term == m.term {
			m.step(CaughtUp{m.term})
		}
	}
}

// propose appends a command to the log, if it leads.
func (m *simMember) propose(c Command) {
	if m.stored(func() { m.propose(c) }) {
		return
	}
	text, err := Builtin().Propose(m.state, c)
	if err != nil || m.role != simLeader {
		m.step(Unproposed{c.Kind, fmt.Sprint("it does not lead: ", err)})
		return
	}
	m.log = append(m.log, simEntry{m.term, text})
	m.appendAll()
}
