package pool

import (
	"time"

	"github.com/howdah/howdah/cluster"
)

// Line is a place in the queue for connections: of a session, which waits in one queue at most. The
// zero value is ready for use; it is used again for the next wait, so that a wait costs no more than the
// change from one goroutine to another. All but Ready belongs to the pool.
type Line struct {
	// Notice asks for a call of Wait's notice after Settings.NoticeAfter.
	Notice bool

	// later is ClaimLater's, nil once it was told. Whoever grants uses it, then whoever waits.
	later Later
	// held is what is there for Granted or Wait: what ClaimLater found or was granted.
	held  grant
	holds bool

	// What follows is guarded by Pool.mu.
	noticed    bool
	pool       *nodePool // nil while it does not wait
	group      *group
	prev, next *Line
	number     uint64
	since      time.Time

	// node and key are what Claim was asked for; they belong to who waits.
	node *cluster.Node
	key  *Key

	// last is the group that Claim found last, for the key lastKey, which mostly is the next one's.
	last    *group
	lastKey *Key

	ready chan grant // made for the first Wait that waits
}

// Later is who waits by ClaimLater. The pool is locked meanwhile: what is called must not wait, nor use the pool.
type Later interface {
	// Queued is called when there is something to wait for, before anybody else can know of that.
	Queued()
	// Granted is called once afterwards, when there is nothing to wait for any more, by whoever grants it. Pool.Granted tells.
	Granted()
}

// grant is what a waiter is given: a connection, or as nil the right to open one, or an error.
type grant struct {
	server *Server
	err    error
	// longer: it is none of these, the wait has become a long one.
	longer bool
}

// tell gives a waiter a grant.
func (w *Line) tell(g grant) {
	later := w.later
	if later == nil {
		w.ready <- g // from now on the line is the waiter's again, unless the wait only is a long one
		return
	}
	if g.longer {
		w.makeReady() // for what comes after it
	}
	w.later = nil
	w.hold(g)
	later.Granted()
}

// makeReady sees to it that Wait can wait.
func (w *Line) makeReady() {
	if w.ready == nil {
		w.ready = make(chan grant, grants)
	}
}

// hold keeps a grant until somebody asks for it.
func (w *Line) hold(g grant) { w.held, w.holds = g, true }

// take returns the grant that was kept.
func (w *Line) take() grant {
	g := w.held
	w.held, w.holds = grant{}, false
	return g
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
// it by OpenClaimed or Forgo. What key points to must not change as long as the line is used. A queue that is too long is an *wire.Error 53300.
func (p *Pool) Claim(n *cluster.Node, key *Key, line *Line) (s *Server, queued bool, err error) {
	return p.claim(n, key, line, now())
}

func (p *Pool) claim(n *cluster.Node, key *Key, line *Line, now time.Time) (s *Server, queued bool, err error) {
	set := p.settings.Load()
	for {
		if s, queued, err = p.take(set, n, key, line, true); s == nil || s.usableAt(n, now) {
			return s, queued, err
		}
		p.Discard(s)
	}
}

// ClaimLater is Claim for who may not Wait: who is queued is told later. If it returns neither a connection nor that, Wait has something at once.
// now is cluster.Now.
func (p *Pool) ClaimLater(n *cluster.Node, key *Key, line *Line, later Later, now int64) (s *Server, queued bool) {
	line.later, line.node, line.key = later, n, key
	s, queued, err := p.claim(n, key, line, at(now))
	if queued {
		return nil, true
	}
	if line.later = nil; s == nil {
		line.hold(grant{err: err})
	}
	return s, false
}

// Granted returns the connection after Later's Granted; nil if it is not as simple as that: then Wait must be called, which may wait.
// now is cluster.Now.
func (p *Pool) Granted(line *Line, now int64) *Server {
	if g := &line.held; g.server == nil || !g.server.usableAt(line.node, at(now)) {
		return nil
	}
	return line.take().server
}

// Return leaves what Granted returned to Wait.
func (w *Line) Return(s *Server) { w.hold(grant{server: s}) }

// Wait waits for what Claim promised: a connection, or as nil the right to open one. The wait ends by
// Break, or with an *wire.Error 53300 after Settings.WaitTimeout. If it becomes a long one, notice is
// called by the waiter, once.
func (p *Pool) Wait(line *Line, notice func()) (*Server, error) {
	for {
		var g grant
		if line.holds {
			g = line.take()
		} else {
			g = <-line.ready
		}
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
