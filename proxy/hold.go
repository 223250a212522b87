package proxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/wire"
)

// holdTimer bounds, over all its waits, how long a statement waits for a primary.
type holdTimer struct {
	session *session
	start   time.Time
	counted bool
}

func (h *holdTimer) end() {
	if h.counted {
		h.session.srv.held.Add(-1)
	}
}

// retryEvery is how often a primary that could not be reached, though the
// probes reach it, is tried again.
const retryEvery = 250 * time.Millisecond

// wait waits for a view that satisfies ok, for a round at most; it fails when
// nothing is left of failover.hold.
func (h *holdTimer) wait(ctx context.Context, round time.Duration, ok func(*cluster.View) bool) error {
	s := h.session
	f := &s.set.failover
	if !h.counted {
		h.counted, h.start = true, time.Now()
		if int(s.srv.held.Add(1)) > f.MaxHeld {
			return noPrimary("too many statements wait for a primary (failover.max_held)")
		}
	}
	left := f.Hold - time.Since(h.start)
	ctx, done := s.waiting(ctx)
	defer done()
	ctx, cancel := context.WithTimeoutCause(ctx, left, noPrimary(fmt.Sprintf("none appeared within %s (failover.hold)", f.Hold)))
	defer cancel()
	if round < left {
		var end context.CancelFunc
		ctx, end = context.WithTimeoutCause(ctx, round, errRound)
		defer end()
	}
	_, err := s.srv.cluster.WaitFor(ctx, ok)
	if err == errRound {
		return nil
	}
	return err
}

// errRound ends one round of waiting.
var errRound = errors.New("try again")

func noPrimary(detail string) *wire.Error {
	return &wire.Error{Code: "57P03", Message: "no primary is available", Detail: detail + ".",
		Hint: "Reads go on. The operator sees the state of the backends in howdah's log."}
}
