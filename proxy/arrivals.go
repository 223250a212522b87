package proxy

import (
	"container/list"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/howdah/howdah/wire"
)

// arrivals are the connections that have not logged in yet, the oldest first. When there
// are too many the oldest gives way: logins take milliseconds, so that it is one
// that is slow on purpose, or lost.
type arrivals struct {
	mu     sync.Mutex
	waits  list.List // of net.Conn
	warned time.Time
}

// warnEvery is how often it is said that connections had to give way.
const warnEvery = time.Minute

// add takes in a connection; left is called when it has logged in or ended.
func (a *arrivals) add(nc net.Conn, limit int, log *slog.Logger) (left func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.waits.PushBack(nc)
	for a.waits.Len() > limit {
		oldest := a.waits.Front()
		a.waits.Remove(oldest)
		oldest.Value.(net.Conn).Close() // its goroutine finds it closed
		if now := time.Now(); now.Sub(a.warned) >= warnEvery {
			a.warned = now
			log.Warn("too many connections have not logged in (limits.max_unauthenticated): the oldest are closed", "limit", limit)
		}
	}
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.waits.Remove(e) // does nothing if it had to give way
	}
}

var errTooManyLogins = &wire.Error{Code: "53300", Message: "too many logins, or failed ones, from this address",
	Hint: "Try again later. (The operator's settings are limits.login_rate and limits.failed_login_rate.)"}

// addressOf is the IP address of a client; false for those of Unix sockets.
func addressOf(from net.Addr) (netip.Addr, bool) {
	tcp, ok := from.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(tcp.IP)
}

// failedLogin counts a proof that failed and lets time pass. What the rules refuse does not
// count: libpq tries again with or without TLS, and it costs next to nothing.
func (srv *Server) failedLogin(from net.Addr, code string, set *settings) {
	if !strings.HasPrefix(code, "28") {
		return
	}
	if addr, ok := addressOf(from); ok {
		srv.rates.fail(addr, time.Now(), set.rates)
	}
	if set.auth.FailDelay > 0 {
		select {
		case <-time.After(set.auth.FailDelay):
		case <-srv.context.Done():
		}
	}
}
