package cluster

import (
	"fmt"
	"net"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sys/unix"
)

// link is the probe's connection on which a server said what is known of it. A server that loses one process starts
// all others anew within moments (PostgreSQL manual 19.4: restart_after_crash) and then shows less than before, as
// replay begins again at the last restartpoint. It takes new connections before the next probe can see that. But all
// its connections of before are closed by then: while this one is not, what it told holds.
type link struct{ raw syscall.RawConn }

// newLink is nil if the connection cannot be looked at.
func newLink(conn *pgconn.PgConn) *link {
	nc := conn.Conn()
	for {
		inner, ok := nc.(interface{ NetConn() net.Conn }) // TLS
		if !ok {
			break
		}
		nc = inner.NetConn()
	}
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return &link{raw}
}

// open reports whether neither end has closed the connection. It may be called from any goroutine; it is one system call.
func (l *link) open() bool {
	if l == nil {
		return true
	}
	open := false
	err := l.raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(p, 0)
		open = err == nil && (n == 0 || p[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) == 0)
	})
	return open && err == nil
}

// Restarted is a node whose server may have been started anew since it was asked what it is and how far it is.
type Restarted struct{ Node string }

func (e *Restarted) Error() string {
	return fmt.Sprintf("%s may have been started anew since it was probed", e.Node)
}

// Vouches is asked when a new connection to the node is open: nil if what the view says of a standby is said of the server that
// the connection leads to, or a *Restarted, with which the connection must not be used: that server may show less than
// Horizon says. A primary shows all there is.
func (n *Node) Vouches() error {
	if n.Role != RoleStandby || n.link.open() {
		return nil
	}
	return &Restarted{Node: n.Name}
}
