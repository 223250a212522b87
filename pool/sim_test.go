package pool

import (
	"cmp"
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
)

// sim plays sessions on a node's queue in a time of its own, and looks after every step whether all adds up.
type sim struct {
	t   *testing.T
	r   *rand.Rand
	set *Settings
	np  *nodePool
	now time.Time

	events   schedule
	sessions []*simSession
	waiting  []*simSession // who is in the queue, until it looks at its line
	ticking  bool
	careful  bool // check after each step

	login   time.Duration
	changes int // connections that gave way to other keys
	logins  int
	served  map[string]int // sessions of each user that got a connection
	refused map[string]int
	longest map[string]time.Duration // waits, logins included
	// passed counts for each user with none how many others were served while it waited.
	passed     map[string]int
	mostPassed int
}

// simSession runs transactions of some length with some thought in between.
type simSession struct {
	key          Key
	length       func() time.Duration
	thought      func() time.Duration
	line         Line
	wanted       time.Time
	patience     time.Duration // 0 is as long as it takes
	server       *Server
	done         bool
	transactions int
}

type event struct {
	at     time.Time
	number int
	do     func()
}

type schedule struct {
	list   []event
	number int
}

func (s *schedule) Len() int { return len(s.list) }
func (s *schedule) Less(i, j int) bool {
	return cmp.Or(s.list[i].at.Compare(s.list[j].at), s.list[i].number-s.list[j].number) < 0
}
func (s *schedule) Swap(i, j int) { s.list[i], s.list[j] = s.list[j], s.list[i] }
func (s *schedule) Push(e any)    { s.list = append(s.list, e.(event)) }
func (s *schedule) Pop() any {
	last := len(s.list) - 1
	e := s.list[last]
	s.list = s.list[:last]
	return e
}

func newSim(t *testing.T, seed uint64, change func(*Settings)) *sim {
	set := &Settings{Pool: configs.Default().Pool}
	change(set)
	p := &Pool{nodes: map[cluster.NodeID]*nodePool{}}
	s := &sim{t: t, r: rand.New(rand.NewPCG(seed, 0)), set: set, np: p.node(0), now: time.Unix(1_000_000, 0), login: 5 * time.Millisecond}
	s.np.limit = set.MaxPerNode
	s.forget()
	return s
}

// forget begins to count anew.
func (s *sim) forget() {
	s.changes, s.logins, s.mostPassed = 0, 0, 0
	s.served, s.refused, s.longest, s.passed = map[string]int{}, map[string]int{}, map[string]time.Duration{}, map[string]int{}
}

func (s *sim) in(d time.Duration, do func()) {
	s.events.number++
	heap.Push(&s.events, event{s.now.Add(d), s.events.number, do})
}

// around is a length that differs, up to twice d.
func (s *sim) around(d time.Duration) func() time.Duration {
	return func() time.Duration { return time.Duration(s.r.Int64N(2*int64(d) + 1)) }
}

// add lets sessions begin within the first millisecond.
func (s *sim) add(n int, key Key, length, thought time.Duration) {
	for range n {
		c := &simSession{key: key, length: s.around(length), thought: s.around(thought)}
		s.sessions = append(s.sessions, c)
		s.in(time.Duration(s.r.IntN(1000))*time.Microsecond, func() { s.begin(c) })
	}
}

// run plays for d.
func (s *sim) run(d time.Duration) {
	s.t.Helper()
	for end := s.now.Add(d); len(s.events.list) > 0 && !s.events.list[0].at.After(end); {
		e := heap.Pop(&s.events).(event)
		s.now = e.at
		e.do()
		s.look()
		if s.careful || s.events.number%100 == 0 { // it takes long
			s.check()
		}
		if s.t.Failed() {
			s.t.FailNow()
		}
	}
}

// begin is what take does.
func (s *sim) begin(c *simSession) {
	if c.done {
		return
	}
	c.wanted = s.now
	g := s.np.group(c.key)
	if srv := s.np.takeIdle(g); srv != nil {
		s.runs(c, srv)
		return
	}
	gave, claimed := s.np.claim(s.set, g, s.now)
	s.finish(append(gave, s.np.grant(s.set, s.now)...)) // as take does
	if claimed {
		s.logsIn(c)
		return
	}
	g = s.np.group(c.key)
	if err := s.np.admit(s.set, g); err != nil {
		s.np.drop(g)
		s.refused[c.key.User]++
		s.ends(c)
		return
	}
	if c.line.ready == nil {
		c.line.ready = make(chan grant, grants)
	}
	s.np.enqueue(g, &c.line, s.now)
	s.waiting = append(s.waiting, c)
	if wait := c.wanted; c.patience > 0 {
		s.in(c.patience, func() {
			if c.wanted == wait && c.line.pool != nil {
				s.np.leave(&c.line, grant{err: ErrClosed})
			}
		})
	}
}

// look has those who were served go on.
func (s *sim) look() {
	for len(s.waiting) > s.np.waiting {
		i := slices.IndexFunc(s.waiting, func(c *simSession) bool { return len(c.line.ready) > 0 })
		c := s.waiting[i]
		s.waiting = slices.Delete(s.waiting, i, i+1)
		switch g := <-c.line.ready; {
		case g.err != nil:
			s.refused[c.key.User]++
			s.ends(c)
		case g.server != nil:
			s.ordered(c)
			s.runs(c, g.server)
		default:
			s.ordered(c)
			s.logsIn(c)
		}
	}
	if s.np.unmatched && s.np.waiting > 0 && !s.ticking {
		s.ticking = true
		s.in(overtaken, func() {
			s.ticking = false
			s.finish(s.np.grant(s.set, s.now))
		})
	}
}

// ordered checks that nobody of its key came before who is served, and counts those passed over.
func (s *sim) ordered(c *simSession) {
	if g := s.np.groups[c.key]; g != nil && g.waiters.first != nil && g.waiters.first.number < c.line.number {
		s.t.Errorf("number %d of %v is served before number %d", c.line.number, c.key, g.waiters.first.number)
	}
	for name, u := range s.np.users {
		if u.waiting > 0 && u.used() == 0 && name != c.key.User {
			s.passed[name]++
			s.mostPassed = max(s.mostPassed, s.passed[name])
		}
	}
	s.passed[c.key.User] = 0
}

func (s *sim) finish(gave []swapped) {
	s.changes += len(gave)
	for _, g := range gave {
		if g.line != nil {
			g.line.ready <- grant{}
		}
	}
}

func (s *sim) logsIn(c *simSession) {
	s.logins++
	s.in(s.login, func() {
		s.np.opening--
		srv := &Server{group: s.np.group(c.key), Key: c.key}
		s.finish(s.np.grant(s.set, s.now))
		s.runs(c, srv)
	})
}

func (s *sim) runs(c *simSession, srv *Server) {
	c.server = srv
	s.served[c.key.User]++
	s.longest[c.key.User] = max(s.longest[c.key.User], s.now.Sub(c.wanted))
	s.in(c.length(), func() {
		c.server = nil
		srv.freed = s.now
		if s.np.limit > 0 && s.np.total > s.np.limit || srv.age > 0 { // as put does
			s.np.closes(srv.group)
			s.finish(s.np.grant(s.set, s.now))
		} else {
			s.finish(s.np.give(s.set, srv, s.now))
		}
		s.ends(c)
	})
}

func (s *sim) ends(c *simSession) {
	c.transactions++
	s.in(c.thought()+100*time.Microsecond, func() { s.begin(c) })
}

// check looks whether all adds up.
func (s *sim) check() {
	s.t.Helper()
	np := s.np
	fail := func(format string, args ...any) {
		s.t.Helper()
		s.t.Errorf("after %v: %s", s.now.Sub(time.Unix(1_000_000, 0)), fmt.Sprintf(format, args...))
	}
	var open, idle, waiting, groups int
	for _, u := range np.users {
		o, i, w, n := 0, 0, 0, 0
		for _, g := range np.groups {
			if g.user == u {
				o, i, w, n = o+g.open, i+len(g.idle), w+g.waiters.length, n+1
				if (g.waiters.first != nil) != slices.Contains(u.queues, g) {
					fail("user %q has the wrong queues", u.name)
				}
			}
		}
		if u.open != o || u.idle != i || u.waiting != w || u.groups != n {
			fail("user %q is %+v, has %d open, %d idle, %d waiting in %d groups", u.name, *u, o, i, w, n)
		}
		if w > 0 && (u.place >= len(np.contest) || np.contest[u.place] != u) {
			fail("user %q waits and is in no place", u.name)
		}
		open, idle, waiting, groups = open+o, idle+i, waiting+w, groups+n
	}
	if open != np.total || idle != np.idle || waiting != np.waiting || groups != len(np.groups) {
		fail("total %d idle %d waiting %d groups %d, by users %d, %d, %d, %d", np.total, np.idle, np.waiting, len(np.groups), open, idle, waiting, groups)
	}
	for i := range np.contest {
		if i > 0 && np.contest[i].before(np.contest[(i-1)/2]) {
			fail("the heap is none at %d", i)
		}
	}
	if np.limit > 0 && np.total > np.limit || s.set.MaxLogins > 0 && np.opening > s.set.MaxLogins {
		fail("%d connections, %d being opened", np.total, np.opening)
	}
	if np.waiting > s.set.MaxWaiters {
		fail("%d wait", np.waiting)
	}
	for _, g := range np.groups {
		s.set.Connections(g.key.User, g.key.Database, func(b configs.Bound) bool {
			if n := np.accounts[account{b.User, b.Database}]; n > b.Max {
				fail("%s has %d connections, at most %d", b.For(), n, b.Max)
			}
			return true
		})
		if g.waiters.first != nil && np.mayOpen(s.set, g, nil) {
			fail("a session of %v waits, and might open a connection", g.key)
		}
		if g.waiters.first == nil || np.unmatched {
			continue
		}
		if victim := np.victim(s.set, g, s.now); victim != nil {
			fail("a session of %v waits, and one of %v is idle", g.key, victim.key)
		}
		np.unmatched = false
	}
}
