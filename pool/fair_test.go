package pool

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// kinds are both ways to use connections: one for a session, and one for a transaction.
func kinds(t *testing.T, test func(t *testing.T, shared bool)) {
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprintf("shared=%v", shared), func(t *testing.T) { test(t, shared) })
	}
}

// One session of a user waits for a transaction's end and a login at most, however many of another wait; and is
// not the cause of a login for each of its transactions.
func TestFewAreNotHeldUpByMany(t *testing.T) {
	kinds(t, func(t *testing.T, shared bool) {
		for _, limit := range []int{2, 3, 10} {
			s := newSim(t, uint64(limit), func(set *Settings) { set.MaxPerNode = limit })
			s.add(50, Key{User: "many", Shared: shared}, 2*time.Millisecond, 0)
			s.run(time.Second)
			s.add(1, Key{User: "one", Shared: shared}, 2*time.Millisecond, 5*time.Millisecond)
			s.forget()
			s.run(5 * time.Second)
			// The longest transactions take 4 ms, a login 5.
			if longest := s.longest["one"]; longest > 4*time.Millisecond+s.login {
				t.Errorf("limit %d: the one waits for %v, served %d times", limit, longest, s.served["one"])
			}
			if shared && s.changes > 4 {
				t.Errorf("limit %d: %d connections gave way", limit, s.changes)
			}
			if s.served["one"] < 200 || s.served["many"] < 2000 {
				t.Errorf("limit %d: served %v", limit, s.served)
			}
		}
	})
}

// Users that want all they can get have as many connections, whatever the number of their sessions, and then
// the connections stay.
func TestSharesAreEven(t *testing.T) {
	kinds(t, func(t *testing.T, shared bool) {
		s := newSim(t, 1, func(set *Settings) { set.MaxPerNode = 20 })
		s.add(400, Key{User: "a", Shared: shared}, 4*time.Millisecond, 0)
		s.run(time.Second)
		s.add(60, Key{User: "b", Shared: shared}, 4*time.Millisecond, 0)
		s.add(100, Key{User: "c", Shared: shared}, 4*time.Millisecond, 0)
		s.run(time.Second)
		s.forget()
		for range 100 {
			s.run(50 * time.Millisecond)
			for name, u := range s.np.users {
				if u.open < 6 || u.open > 8 { // a third is 6 or 7; between a swap and a swap back 8
					t.Fatalf("%s has %d of 20 connections", name, u.open)
				}
			}
		}
		if shared && s.changes > 10 { // the two that are left over go round, one a second each at most
			t.Errorf("%d connections gave way in 5 s", s.changes)
		}
		if a, b, c := s.served["a"], s.served["b"], s.served["c"]; min(a, b, c) < max(a, b, c)*3/4 {
			t.Errorf("served %v", s.served)
		}
	})
}

// With fewer connections than users each has its turn, and where a login costs more than a transaction,
// turns are not shorter than a login is worth.
func TestTurns(t *testing.T) {
	kinds(t, func(t *testing.T, shared bool) {
		for _, c := range []struct{ users, limit int }{{2, 1}, {5, 1}, {21, 20}, {60, 7}} {
			s := newSim(t, uint64(c.users), func(set *Settings) { set.MaxPerNode = c.limit })
			for i := range c.users {
				s.add(3+i%4*10, Key{User: fmt.Sprint("u", i), Shared: shared}, time.Millisecond, 0)
			}
			s.run(time.Second)
			s.forget()
			s.run(5 * time.Second)
			if !shared && s.mostPassed >= c.users {
				t.Errorf("%+v: %d others are served before a user without a connection", c, s.mostPassed)
			}
			if turns := (1 + 5*int(time.Second/overtaken)) * c.limit; shared && s.changes > turns {
				t.Errorf("%+v: %d connections gave way in 5 s, want %d at most", c, s.changes, turns)
			}
			var counts []int
			for i := range c.users {
				counts = append(counts, s.served[fmt.Sprint("u", i)])
			}
			if least, most := slices.Min(counts), slices.Max(counts); least < most/2 {
				t.Errorf("%+v: served from %d to %d times", c, least, most)
			}
		}
	})
}

// Databases of one user that are both overloaded do not take each other's connections all the time, and are
// served in the order that their sessions come, by and large.
func TestKeysOfOneUser(t *testing.T) {
	s := newSim(t, 1, func(set *Settings) { set.MaxPerNode = 8 })
	s.add(400, Key{User: "a", Database: "x", Shared: true}, time.Millisecond, 0)
	s.add(200, Key{User: "a", Database: "y", Shared: true}, time.Millisecond, 0)
	s.run(2 * time.Second)
	s.forget()
	s.run(10 * time.Second)
	if s.changes > 2*10*int(time.Second/overtaken) {
		t.Errorf("%d connections gave way in 10 s", s.changes)
	}
	if fair := 75 * time.Millisecond; s.longest["a"] > 4*fair {
		t.Errorf("somebody waits for %v, where 600 at 8 connections wait for %v", s.longest["a"], fair)
	}
}

// Without sharing, sessions of one user are served strictly in order, whatever their keys are.
func TestOrderWithinAUser(t *testing.T) {
	s := newSim(t, 1, func(set *Settings) { set.MaxPerNode = 3 })
	for i := range 5 {
		s.add(10, Key{User: "a", Database: fmt.Sprint(i)}, time.Millisecond, 0)
	}
	for range 3000 {
		var before *Line
		if u := s.np.users["a"]; u != nil && len(u.queues) > 0 {
			for _, g := range u.queues {
				if w := g.waiters.first; before == nil || w.number < before.number {
					before = w
				}
			}
		}
		waiting := s.np.waiting
		s.run(s.events.list[0].at.Sub(s.now))
		if s.np.waiting < waiting && before.pool != nil {
			t.Fatal("served, but not who came first")
		}
	}
}

// Whatever sessions do, limits hold, nobody waits who could be served, and in the end nothing is left.
func TestQueueRandomly(t *testing.T) {
	for seed := range uint64(60) {
		s := newSim(t, seed, nothing)
		r := s.r
		s.careful = true
		s.set.MaxPerNode = r.IntN(8)
		s.set.MaxPerUser, s.set.MaxDBConnections, s.set.MaxUserConnections = r.IntN(4), r.IntN(6), r.IntN(6)
		s.set.MaxLogins, s.set.MaxWaiters = r.IntN(4), 5+r.IntN(40)
		s.np.limit = s.set.MaxPerNode
		for range 2 + r.IntN(60) {
			key := Key{User: string(rune('a' + r.IntN(4))), Database: string(rune('x' + r.IntN(2))), Shared: r.IntN(2) == 0}
			if r.IntN(5) == 0 {
				key.Params = "p"
			}
			s.add(1, key, time.Duration(r.IntN(20))*time.Millisecond, time.Duration(r.IntN(20))*time.Millisecond)
		}
		for _, c := range s.sessions {
			if r.IntN(4) == 0 {
				c.patience = time.Duration(1+r.IntN(100)) * time.Millisecond
			}
		}
		for range 20 {
			s.run(time.Duration(r.IntN(100)) * time.Millisecond)
			c := s.sessions[r.IntN(len(s.sessions))]
			if c.server != nil {
				c.server.age = 1 // it is closed at its return
			}
			if r.IntN(3) == 0 && s.np.limit > 0 { // a reload
				s.np.limit += r.IntN(3)
				s.np.unmatched = true
				s.finish(s.np.grant(s.set, s.now))
				s.look()
			}
		}
		for _, c := range s.sessions {
			c.done = true
		}
		s.run(time.Minute)
		if s.np.waiting > 0 || s.np.total != s.np.idle {
			t.Errorf("seed %d: %d wait, %d of %d connections are idle", seed, s.np.waiting, s.np.idle, s.np.total)
		}
		for _, g := range s.np.groups {
			for len(g.idle) > 0 {
				s.np.takeOldest(g)
				s.np.closes(g)
			}
		}
		if len(s.np.groups)+len(s.np.users)+len(s.np.accounts) > 0 {
			t.Errorf("seed %d: left are %v, %v, %v", seed, s.np.groups, s.np.users, s.np.accounts)
		}
	}
}

func nothing(*Settings) {}

// One user cannot take all places in the queue: others have theirs, at the cost of its latest.
func TestPlacesInTheQueue(t *testing.T) {
	s := newSim(t, 1, func(set *Settings) { set.MaxPerNode, set.MaxWaiters = 1, 10 })
	wait := func(user string) *simSession {
		c := &simSession{key: Key{User: user}, length: s.around(time.Hour), thought: s.around(time.Hour)}
		s.begin(c)
		s.now = s.now.Add(time.Millisecond)
		return c
	}
	wait("a")
	var of []*simSession
	for range 10 {
		of = append(of, wait("a"))
	}
	want := func(what string, counts map[string]int) {
		t.Helper()
		s.check()
		for name, n := range counts {
			if got := s.np.user(name).waiting; got != n {
				t.Errorf("%s: %d of %s wait, want %d", what, got, name, n)
			}
		}
	}
	if c := wait("a"); c.line.pool != nil {
		t.Error("one more than may wait does")
	}
	want("full", map[string]int{"a": 10})
	if c := wait("b"); c.line.pool == nil || of[9].line.pool != nil || of[8].line.pool == nil {
		t.Error("the first of another user does not get the place of the last")
	}
	if g := <-of[9].line.ready; g.err == nil {
		t.Error("who had to go is not told")
	}
	s.waiting = slices.DeleteFunc(s.waiting, func(c *simSession) bool { return c == of[9] })
	for range 6 {
		wait("b")
	}
	want("two users", map[string]int{"a": 5, "b": 5})
	for range 6 {
		wait("c")
	}
	want("three users", map[string]int{"a": 4, "b": 3, "c": 3})
}

// A connection that is handed on where users compete, and one that is taken and comes back where nobody waits, allocate nothing.
func TestHandingOnAllocatesNothing(t *testing.T) {
	s := newSim(t, 1, func(set *Settings) { set.MaxPerNode = 2 })
	a, b := s.np.group(Key{User: "a", Shared: true}), s.np.group(Key{User: "b", Shared: true})
	var servers [2]*Server
	for i, g := range []*group{a, b} {
		s.np.opens(g, s.now)
		s.np.opening--
		servers[i] = &Server{group: g, Key: g.key}
	}
	lines := [2]Line{}
	for i := range lines {
		lines[i].ready = make(chan grant, grants)
	}
	round := func() {
		for i, g := range []*group{a, b} {
			s.np.enqueue(g, &lines[i], s.now)
		}
		for i := range servers {
			if gave := s.np.give(s.set, servers[i], s.now); gave != nil {
				t.Fatal("a connection gave way")
			}
			if g := <-lines[i].ready; g.server != servers[i] {
				t.Fatal("it is not handed on")
			}
		}
		for i, g := range []*group{a, b} {
			s.np.give(s.set, servers[i], s.now)
			if s.np.takeIdle(g) != servers[i] {
				t.Fatal("it is not idle")
			}
		}
	}
	if n := testing.AllocsPerRun(100, round); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
