package pool

import (
	"fmt"
	"time"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/wire"
)

// Line is a place in the queue for connections: of a session, which waits in one queue at most. The
// zero value is ready for use; it is used again for the next wait, so that a wait costs no more than the
// change from one goroutine to another. All but Ready belongs to the pool.
type Line struct {
	// Notice asks for a call of Wait's notice after Settings.NoticeAfter.
	Notice bool

	ready chan grant // made for the first wait

	// What follows is guarded by Pool.mu.
	pool       *nodePool // nil while it does not wait
	group      *group
	prev, next *Line
	number     uint64
	since      time.Time
	noticed    bool

	// node and key are what Claim was asked for; they belong to who waits.
	node *cluster.Node
	key  *Key
}

// grant is what a waiter is given: a connection, or as nil the right to open one, or an error.
type grant struct {
	server *Server
	err    error
	// longer: it is none of these, the wait has become a long one.
	longer bool
}

// grants is how many a waiter may find when it looks: the last one, and before it that it waits for long.
const grants = 2

// queue is a list of waiters in the order they came.
type queue struct {
	first, last *Line
	length      int
}

func (q *queue) add(w *Line) {
	w.prev, w.next = q.last, nil
	if q.last == nil {
		q.first = w
	} else {
		q.last.next = w
	}
	q.last = w
	q.length++
}

func (q *queue) remove(w *Line) {
	if w.prev == nil {
		q.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
	q.length--
}

// Claim returns an idle connection to n for key if there is one; or else a place in the queue, where
// the caller must Wait; or nothing: then the caller has the right to open a connection, and must use
// it by OpenClaimed. A queue that is too long is an *wire.Error 53300.
func (p *Pool) Claim(n *cluster.Node, key *Key, line *Line) (s *Server, queued bool, err error) {
	set := p.settings.Load()
	for {
		if s, queued, err = p.take(set, n, key, line, true); s == nil || s.usable(n) {
			return s, queued, err
		}
		p.Discard(s)
	}
}

// Wait waits for what Claim promised: a connection, or as nil the right to open one. The wait ends by
// Break, or with an *wire.Error 53300 after Settings.WaitTimeout. If it becomes a long one, notice is
// called by the waiter, once.
func (p *Pool) Wait(line *Line, notice func()) (*Server, error) {
	for {
		g := <-line.ready
		switch {
		case g.longer:
			notice()
			continue
		case g.server == nil || g.server.usable(line.node):
			return g.server, g.err
		}
		p.Discard(g.server)
		if s, queued, err := p.Claim(line.node, line.key, line); !queued {
			return s, err
		}
	}
}

// Break ends the wait of a line with an error; without a wait it does nothing. It may be called by any goroutine.
func (p *Pool) Break(line *Line, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if line.pool != nil {
		line.pool.leave(line, grant{err: err})
	}
}

// tendAgain is how soon at the earliest the queues are looked at again.
const tendAgain = 10 * time.Millisecond

// queued makes sure that somebody looks after those who wait; the caller holds mu.
func (p *Pool) queued(set *Settings) {
	if !p.tending {
		p.tending = true
		p.tendIn(set.soonest())
	}
}

func (p *Pool) tendIn(d time.Duration) {
	if p.tender == nil {
		p.tender = time.AfterFunc(d, p.tend)
		return
	}
	p.tender.Reset(d)
}

// soonest is after how long at the earliest a wait needs looking after.
func (s *Settings) soonest() time.Duration {
	if s.NoticeAfter > 0 {
		return min(s.NoticeAfter, s.WaitTimeout)
	}
	return s.WaitTimeout
}

// tend ends the waits that took too long, and says so to those that take long.
func (p *Pool) tend() {
	set, now := p.settings.Load(), time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	again, left := set.soonest(), 0
	for _, np := range p.nodes {
		for _, g := range np.groups {
			for w := g.waiters.first; w != nil; {
				next := w.next
				if due := np.tend(set, w, now); due > 0 {
					again = min(again, due)
					left++
				}
				w = next
			}
			np.drop(g)
		}
	}
	if p.tending = left > 0; p.tending {
		p.tendIn(max(again, tendAgain))
	}
}

// tend looks after one waiter and returns when to do so again, 0 if it is no more.
func (np *nodePool) tend(set *Settings, w *Line, now time.Time) time.Duration {
	waited := now.Sub(w.since)
	if waited >= set.WaitTimeout {
		np.leave(w, grant{err: &wire.Error{Code: "53300",
			Message: fmt.Sprintf("no connection to %s became free within %s", np.name, set.WaitTimeout),
			Detail:  np.why(set, w.group),
			Hint:    "Raise that limit, or pool.wait_timeout."}})
		return 0
	}
	due := set.WaitTimeout - waited
	if !w.Notice || w.noticed || set.NoticeAfter == 0 {
		return due
	}
	if waited >= set.NoticeAfter {
		w.noticed = true
		w.ready <- grant{longer: true}
		return due
	}
	return min(due, set.NoticeAfter-waited)
}
