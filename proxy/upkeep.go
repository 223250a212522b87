package proxy

import (
	"context"
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
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			srv.lessons.expire(cluster.Now())
			v := srv.cluster.View()
			srv.registry.each(func(s *session) {
				s.lookAfter(ctx)
				s.cutOffFrom(v) // one that did not see in time that its server was lost
			})
			srv.catalogs.noteFailover()
		}
	}
}

// lookAfter looks whether the session's client is still there.
func (s *session) lookAfter(ctx context.Context) {
	if s.cancelState.Load() != cancelNothing {
		s.busyFor += upkeepEvery
		if after := s.srv.settings.Load().timeouts.ClientCheck; after > 0 && s.busyFor >= after {
			s.busyFor = 0
			s.cancelIfGone(ctx)
		}
		return
	}
	s.busyFor = 0
	// An end of the stream that came together with the last request makes no
	// event of its own, and Serve does not read once more to find it.
	if s.served.Swap(false) && hungUp(s.client) {
		s.interrupt(wakeLook)
	}
}

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
