package pool

import (
	"fmt"
	"time"

	"github.com/howdah/howdah/wire"
)

// tendAgain is how soon at the earliest the queues are looked at again.
const tendAgain = 10 * time.Millisecond

// tendIn makes sure that somebody looks after those who wait, so soon; the caller holds mu.
func (p *Pool) tendIn(now time.Time, d time.Duration) {
	at := now.Add(d)
	if p.tending && !at.Before(p.tendAt) {
		return
	}
	p.tending, p.tendAt = true, at
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

// tendAfter is when somebody who begins to wait needs looking after at the earliest.
func (np *nodePool) tendAfter(set *Settings) time.Duration {
	if np.unmatched {
		return min(overtaken, set.soonest())
	}
	return set.soonest()
}

// tend ends the waits that took too long, says so to those that take long, and has idle connections give way
// that have lingered for long enough.
func (p *Pool) tend() {
	set, now := p.settings.Load(), now()
	var gave []swapped
	p.mu.Lock()
	p.tending = false
	for _, np := range p.nodes {
		if np.waiting == 0 {
			continue
		}
		again := set.soonest()
		for _, g := range np.groups {
			again = min(again, np.tend(set, g, now))
		}
		if !p.closed {
			gave = append(gave, np.grant(set, now)...)
		}
		if np.waiting > 0 {
			p.tendIn(now, max(min(again, np.tendAfter(set)), tendAgain))
		}
	}
	p.mu.Unlock()
	finish(gave)
}

// tend looks after the waiters of a group and returns when to do so again.
func (np *nodePool) tend(set *Settings, g *group, now time.Time) time.Duration {
	again := set.soonest()
	for w := g.waiters.first; w != nil; {
		waited, next := now.Sub(w.since), w.next
		if waited < set.soonest() { // and the later ones no longer
			return min(again, set.soonest()-waited)
		}
		if waited >= set.WaitTimeout {
			np.leave(w, grant{err: &wire.Error{Code: "53300",
				Message: fmt.Sprintf("no connection to %s became free within %s", np.name, set.WaitTimeout),
				Detail:  np.why(set, g),
				Hint:    "Raise that limit, or pool.wait_timeout."}})
		} else {
			if w.Notice && !w.noticed && set.NoticeAfter > 0 && waited >= set.NoticeAfter {
				w.noticed = true
				w.tell(grant{longer: true})
			}
			again = min(again, set.WaitTimeout-waited)
		}
		w = next
	}
	return again
}
