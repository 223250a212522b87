package proxy

import (
	"context"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/wire"
)

// upkeepEvery is how often sessions are looked after.
const upkeepEvery = time.Second

// Run does the periodic upkeep until ctx ends.
func (srv *Server) Run(ctx context.Context) error {
	ticker := time.NewTicker(upkeepEvery)
	defer ticker.Stop()
	var following sync.WaitGroup
	following.Go(func() { srv.followNodes(ctx) })
	defer following.Wait()
	defer srv.catalogs.running.Wait() // they end with the sessions' context
	var freed release
	var work workload
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			srv.lessons.expire(cluster.Now())
			v := srv.cluster.View()
			rests := rests{busy: work.isBusy()}
			srv.registry.each(func(s *session) {
				if s.lookAfter(ctx) && rests.mayBe() {
					rests.note(s.rest())
				}
				s.cutOffFrom(v) // one that did not see in time that its server was lost
			})
			if freed.isDue(rests.first, rests.busy) {
				following.Go(debug.FreeOSMemory) // takes a tenth of a second with 10,000 clients
			}
			srv.catalogs.noteFailover()
		}
	}
}

// lookAfter has what a server does for a client that went away canceled, and reports whether it is time for the session to rest.
func (s *session) lookAfter(ctx context.Context) bool {
	if s.cancelState.Load() != cancelNothing {
		s.busyFor += upkeepEvery
		if after := s.srv.settings.Load().timeouts.ClientCheck; after > 0 && s.busyFor >= after {
			s.busyFor = 0
			s.cancelIfGone(ctx)
		}
		return false
	}
	s.busyFor = 0
	if s.worked.Load() {
		s.worked.Store(false)
		s.idleFor, s.rested = 0, false
		return false
	}
	if s.rested || !s.mayRest.Load() {
		return false
	}
	s.idleFor += upkeepEvery
	return s.idleFor >= restAfter
}

// rest tells the session to rest, and reports whether that is for the first time.
func (s *session) rest() bool {
	first := !s.hasRested
	s.rested, s.hasRested = true, true
	s.interrupt(wakeRest)
	return first
}

// restAfter is how long a session's goroutine is idle before it rests: it gives up the stack that its work has made grow. Go's garbage
// collector would halve that at each of its runs, which are rare where nothing is allocated. What loops do does not count.
const restAfter = upkeepEvery

// cancelIfGone cancels what a server does for a client that went away: the
// session itself looks at its client only when there is something to tell.
// It may be called from any goroutine.
func (s *session) cancelIfGone(ctx context.Context) {
	if state := s.cancelState.Load(); state != cancelServer && state != cancelWait && state != cancelQueued {
		return
	}
	if !hungUp(s.client) {
		return
	}
	s.log.Info("canceling the statement of a client that went away")
	go func() { // ends after cancelTimeout at the latest
		if err := s.cancelling.cancel(ctx); err != nil {
			s.log.Warn("cancel the statement of a client that went away", "error", err)
		}
	}()
}

// hungUp reports whether the peer has closed the connection, even if unread
// bytes lie before the end.
func hungUp(c *wire.Conn) bool {
	sc, ok := c.NetConn().(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	gone := false
	err = raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(p, 0)
		gone = err == nil && n == 1 && p[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
	})
	return gone && err == nil
}
