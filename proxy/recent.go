package proxy

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/wire"
)

const (
	// recentEvery is how often a decision is kept for operators to see, in nanoseconds: they want
	// examples, and the sessions must not meet at one lock.
	recentEvery = int64(50 * time.Millisecond)
	// maxRecent is how many are kept.
	maxRecent = 100
	// maxRecentText is how much of a statement's text is kept, in bytes.
	maxRecentText = 512
)

// recent keeps examples of decisions, in memory that is there from the beginning.
type recent struct {
	next atomic.Int64 // when (cluster.Now) the next one may be kept
	mu   sync.Mutex
	ring [maxRecent]example
	n    uint64 // of all that were kept
}

// example is a decision about a unit that was sent.
type example struct {
	at     time.Time
	pid    uint32
	node   cluster.NodeID
	reason balancer.Reason
	detail string
	length int
	cut    bool
	text   [maxRecentText]byte
}

// isDue is true for one of those who ask when it is time for an example.
func (r *recent) isDue(now int64) bool {
	next := r.next.Load()
	return now >= next && r.next.CompareAndSwap(next, now+recentEvery)
}

// keepExample keeps the decision about the unit that is sent now, if it is time for one, or the unit did not go the fast way for that.
func (s *session) keepExample(l *lease, now int64) {
	r := &s.srv.recent
	if !s.exemplary && !r.isDue(now) {
		return
	}
	s.exemplary = false
	text := s.unitText()
	r.mu.Lock()
	defer r.mu.Unlock()
	e := &r.ring[r.n%maxRecent]
	r.n++
	e.at, e.pid, e.node, e.reason, e.detail = time.Now(), s.pid, l.srv.Node, s.reason, s.detail
	e.length = copy(e.text[:], text)
	e.cut = e.length < len(text)
}

// unitText is the text of the unit's first statement, valid until the unit is answered.
func (s *session) unitText() []byte {
	in := s.client.Buffered()
	for i := range s.unit.msgs {
		m := &s.unit.msgs[i]
		switch {
		case m.typ == wire.Query && m.off+wire.HeaderSize <= len(in):
			body := in[m.off+wire.HeaderSize : min(m.off+m.size, len(in))]
			if text, _, ok := wire.CString(body); ok {
				return text
			}
			return body
		case (m.typ == wire.Parse || m.typ == wire.Bind) && m.stmt != nil && len(m.stmt.parse) > wire.HeaderSize:
			_, rest, _ := wire.CString(m.stmt.parse[wire.HeaderSize:])
			text, _, _ := wire.CString(rest)
			return text
		}
	}
	return nil
}

// Example is a decision about where a statement ran, as operators see it.
type Example struct {
	At   time.Time
	PID  uint32 // the session's
	Node cluster.NodeID
	// Reason and Detail are as in the log.
	Reason, Detail string
	// Text is the statement without comments and literals; empty if they cannot be told apart.
	Text string
}

// RecentDecisions returns examples of decisions, the latest first.
func (srv *Server) RecentDecisions() []Example {
	r := &srv.recent
	r.mu.Lock()
	kept := make([]example, 0, min(r.n, maxRecent))
	for i := range min(r.n, maxRecent) {
		kept = append(kept, r.ring[(r.n-1-i)%maxRecent])
	}
	r.mu.Unlock()
	all := make([]Example, len(kept))
	for i := range kept {
		e := &kept[i]
		all[i] = Example{At: e.at, PID: e.pid, Node: e.node, Reason: e.reason.String(), Detail: e.detail}
		if text, ok := parser.WithoutLiterals(string(e.text[:e.length]), e.cut); ok {
			all[i].Text = text
		}
	}
	return all
}
