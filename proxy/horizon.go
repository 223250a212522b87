package proxy

import (
	"context"
	"time"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
)

// A read whose node does not show yet all that it must goes to the primary, or
// waits first: for routing.consistency_wait. Without that, too, a session that reads
// without pause after a write must wait now and then or it would never leave the primary:
// every read there shows it something newer than the standby is known to have. So after a
// few such reads it waits, shortly, for a standby to be seen to have caught up (about
// two round trips to the servers).
const (
	horizonReads    = 3                     // reads on the primary before the first wait
	horizonWait     = 20 * time.Millisecond // the longest wait
	horizonBackoff  = 50 * time.Millisecond // pause after a wait in vain; it doubles
	horizonPauseMax = 5 * time.Second
)

// catchUp is what a session remembers of reads that its read node was too late for.
type catchUp struct {
	missed int
	pause  time.Duration
	after  int64 // cluster.Now before which it does not wait again
}

// await waits for a node that may serve the read, if it is time to. It returns true
// if there is one: then the decision is to be made again.
func (c *catchUp) await(ctx context.Context, s *session, d *balancer.Decision) bool {
	if d.Reason != balancer.ReasonHorizon || d.Standing {
		if d.Target == balancer.ToRead {
			*c = catchUp{}
			s.in.Session.WaitedInVain = false
		}
		return false
	}
	c.missed++
	now := cluster.Now()
	limit := s.set.consistencyWait
	if limit == 0 {
		if limit = horizonWait; c.missed <= horizonReads {
			return false
		}
	}
	if now < c.after || d.Node == cluster.NoNode {
		return false
	}
	if s.awaitReadNode(ctx, limit) {
		*c = catchUp{}
		return true
	}
	s.in.Session.WaitedInVain = true
	// Pauses that grow: a standby that is far behind must not cost every read the wait.
	c.pause = min(max(2*c.pause, horizonBackoff), horizonPauseMax)
	c.after = cluster.Now() + int64(c.pause)
	return false
}

// awaitReadNode asks for fresh positions at once and waits until the balancer finds
// a standby for the read, for so long at most.
func (s *session) awaitReadNode(ctx context.Context, limit time.Duration) bool {
	ctx, done := s.waiting(ctx)
	defer done()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	in, asked := s.in, int64(0)
	_, err := s.srv.cluster.WaitFor(ctx, func(v *cluster.View) bool {
		in.View = v
		if s.set.tracksWrites() {
			in.Written = s.writesNeeded(in.Verdict)
		}
		if balancer.Decide(&in).Target == balancer.ToRead {
			return true
		}
		if now := cluster.Now(); now-asked >= horizonAsk {
			asked = now
			s.srv.cluster.Refresh()
		}
		return false
	})
	return err == nil
}

// horizonAsk is how often a session that waits asks for fresh positions.
const horizonAsk = int64(5 * time.Millisecond)
