package proxy

import (
	"context"
	"time"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
)

// A session that reads without pause after a write would never leave the
// primary: every read there shows it something newer than the standby is known
// to have. So after a few such reads it waits, shortly, for the standby to be
// seen to have caught up (about two round trips to the servers).
const (
	horizonReads    = 3                      // reads on the primary before the first wait
	horizonWait     = 20 * time.Millisecond  // the longest wait
	horizonBackoff  = 100 * time.Millisecond // pause after a wait in vain; it doubles
	horizonPauseMax = 5 * time.Second
)

// catchUp is what a session remembers of reads that its read node was too late for.
type catchUp struct {
	missed int
	pause  time.Duration
	after  int64 // cluster.Now before which it does not wait again
}

// await waits for the read node if it is time to. It returns true if the node
// has caught up: then the decision is to be made again.
func (c *catchUp) await(ctx context.Context, s *session, d *balancer.Decision) bool {
	if d.Reason != balancer.ReasonHorizon {
		if d.Target == balancer.ToRead {
			*c = catchUp{}
		}
		return false
	}
	c.missed++
	now := cluster.Now()
	if c.missed <= horizonReads || now < c.after || d.Node == cluster.NoNode {
		return false
	}
	ctx, done := s.waiting(ctx)
	defer done()
	ctx, cancel := context.WithTimeout(ctx, horizonWait)
	defer cancel()
	if s.srv.cluster.WaitHorizon(ctx, d.ReadNode, s.in.Session.FloorPrimary) {
		*c = catchUp{}
		return true
	}
	c.pause = min(max(2*c.pause, horizonBackoff), horizonPauseMax)
	c.after = now + int64(c.pause)
	return false
}
