package proxy

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/logs"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/pool"
	"github.com/howdah/howdah/wire"
	"github.com/howdah/howdah/wire/socket"
)

// Server accepts clients and runs their sessions. Its exported methods are
// safe for concurrent use.
type Server struct {
	log      *slog.Logger
	cluster  *cluster.Cluster
	pool     *pool.Pool
	parser   *parser.Parser
	auth     *auth.Authenticator
	settings atomic.Pointer[settings]
	logins   logins
	// defaultsSince is when (cluster.Now) the settings that sessions begin with last changed.
	defaultsSince atomic.Int64
	members       members
	arrivals      arrivals
	rates         rates
	catalogs      *catalogs
	loads         loads
	writes        *writeTable
	plains        plains
	lessons       lessons
	metrics       metrics
	traffic       traffic
	latencies     latencies
	recent        recent
	lookups       atomic.Int32 // of clients' names, see mayLookUp
	console       atomic.Pointer[Console]

	sequences sequenceUsers

	registry registry
	visits   visits
	clients  atomic.Int64 // connections, logged in or not
	seats    seats
	held     atomic.Int64 // statements that wait for a primary
	stopping atomic.Bool
	sessions sync.WaitGroup
	spare    chan net.Conn // to goroutines that have served a client
	spares   atomic.Int32  // how many of them wait
	lost     []lostNode    // by NodeID; only followNodes uses it
	// abort ends sessions that do not end by themselves; its context is theirs.
	abort context.CancelFunc
	// forwardCancel hands cancel requests to other howdahs; nil for one alone.
	forwardCancel atomic.Pointer[func(pid uint32, secret []byte) bool]
	context       context.Context
}

// New makes a server from a valid configuration. It reads the files that the
// configuration names; it opens nothing.
func New(c *configs.Config, cl *cluster.Cluster, p *pool.Pool, ps *parser.Parser, a *auth.Authenticator, log *slog.Logger) (*Server, error) {
	set, err := newSettings(c)
	if err != nil {
		return nil, err
	}
	srv := &Server{log: log, cluster: cl, pool: p, parser: ps, auth: a, writes: newWriteTable(c.Routing.TrackedRelations)}
	cl.OnDrain(srv.busyOn)
	srv.lessons.seed = maphash.MakeSeed()
	srv.registry.sessions = map[uint32]*session{}
	srv.settings.Store(set)
	srv.catalogs = newCatalogs(srv)
	srv.spare = make(chan net.Conn)
	srv.context, srv.abort = context.WithCancel(context.Background())
	context.AfterFunc(srv.context, srv.visits.endAll)
	return srv, nil
}

// Reconfigure takes a new configuration: all of it, or none and an error.
// Sessions obey it from their next statement on.
func (srv *Server) Reconfigure(c *configs.Config) error {
	set, err := newSettings(c)
	if err != nil {
		return err
	}
	same := set.keepRules(srv.settings.Load())
	if set.tracksWrites() && !srv.settings.Load().tracksWrites() {
		srv.writes.since.Store(cluster.Now())
	}
	srv.settings.Store(set)
	if !same {
		srv.catalogs.reconfigured(set)
	}
	// Sessions that wait for their clients wait by the old settings.
	srv.registry.each(func(s *session) { s.interrupt(wakeSettings) })
	return nil
}

// Listen opens the sockets that the configuration names; the floating addresses may be on
// another host. The caller closes them. Their connections are those of package socket.
func Listen(c *configs.Listen, floating ...netip.Addr) ([]net.Listener, error) {
	var all []net.Listener
	fail := func(err error) ([]net.Listener, error) {
		for _, l := range all {
			l.Close()
		}
		return nil, err
	}
	for _, host := range c.Addresses {
		if host == "*" {
			host = ""
		}
		l, err := listenTCP(host, strconv.Itoa(c.Port), floating)
		if err == nil {
			l, err = socket.Listen(l)
		}
		if err != nil {
			return fail(fmt.Errorf("listen: %w", err))
		}
		all = append(all, l)
	}
	for _, dir := range c.UnixDirs {
		l, err := ListenUnix(filepath.Join(dir, fmt.Sprintf(".s.PGSQL.%d", c.Port)), os.FileMode(c.UnixMode))
		if err == nil {
			l, err = socket.Listen(l)
		}
		if err != nil {
			return fail(err)
		}
		all = append(all, l)
	}
	return all, nil
}

// ListenUnix opens a socket, in place of one that a dead process left behind.
func ListenUnix(path string, mode os.FileMode) (net.Listener, error) {
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return nil, fmt.Errorf("listen: %s is in use by another process", path)
	} else if !errors.Is(err, os.ErrNotExist) {
		if info, err := os.Stat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
			os.Remove(path)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if err := os.Chmod(path, mode); err != nil {
		l.Close()
		return nil, fmt.Errorf("set permissions of socket: %w", err)
	}
	return l, nil
}

// Pause after a failed accept (no file descriptors left, for instance): it
// doubles up to the second.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

// Serve accepts clients until the listener is closed.
func (srv *Server) Serve(l net.Listener) error {
	pause := firstPause
	for {
		nc, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			srv.log.Warn("accept a client", "error", err)
			time.Sleep(pause)
			pause = min(2*pause, lastPause)
			continue
		}
		pause = firstPause
		srv.sessions.Add(1)
		srv.hand(nc)
	}
}

// maxSpare bounds the goroutines that wait for another client.
const maxSpare = 64

// hand gives a connection to a goroutine. One that has served a client has a stack of the size that
// that takes; to grow a new one is a good part of a short session's cost.
func (srv *Server) hand(nc net.Conn) {
	select {
	case srv.spare <- nc:
		return
	default:
	}
	go func() { // ends with the server, or at once where enough others wait
		for nc != nil {
			srv.handle(nc)
			nc = srv.another()
		}
	}()
}

// another waits for one more connection; nil: the caller is not needed.
func (srv *Server) another() (nc net.Conn) {
	defer srv.spares.Add(-1)
	if srv.spares.Add(1) > maxSpare {
		return nil
	}
	select {
	case nc = <-srv.spare:
	case <-srv.context.Done():
	}
	return nc
}

// Shutdown ends sessions as they become idle and, when ctx ends, all others.
// The listeners must be closed before. It returns when no session is left; the error is
// ctx's cause if sessions had to be cut off.
func (srv *Server) Shutdown(ctx context.Context) error {
	srv.stopping.Store(true)
	srv.registry.each(func(s *session) { s.interrupt(wakeStop) })
	done := make(chan struct{})
	go func() { // ends with the last session
		srv.sessions.Wait()
		close(done)
	}()
	select {
	case <-done:
		srv.abort()
		return nil
	case <-ctx.Done():
	}
	srv.abort()
	for {
		// A session may have begun to wait for a server since it was last looked at.
		srv.registry.each(func(s *session) { s.cutOff() })
		select {
		case <-done:
			return context.Cause(ctx)
		case <-time.After(cutOffEvery):
		}
	}
}

// cutOffEvery is how often sessions that must end are cut off from their servers.
const cutOffEvery = 100 * time.Millisecond

// farewell tells the client why its session ends, if it does not know, and
// logs the end.
func (srv *Server) farewell(s *session, c *wire.Conn, log *slog.Logger, err error) {
	if s != nil {
		log = s.log
	}
	leaves := slog.LevelDebug
	if s != nil && srv.settings.Load().log.Disconnections {
		leaves = slog.LevelInfo
		log = log.With("after", time.Since(s.shown.started).Round(time.Millisecond).String())
	}
	if err == nil || errors.Is(err, errTerminated) {
		log.Log(context.Background(), leaves, "client left", logs.Always)
		return
	}
	var gone clientError
	var lost protocolLost
	switch {
	case errors.As(err, &gone):
		log.Log(context.Background(), leaves, "client went away", "error", err, logs.Always)
		return
	case errors.As(err, &lost):
		log.Info("session ended", "error", err)
		return
	case errors.Is(err, errServerLost):
		log.Info("session ended with its server connection")
		return
	}
	e := clientErrorOf(err)
	if e.Code == "XX000" {
		log.Error("session ended by an error", "error", err)
	} else {
		log.Info("session ended", "sqlstate", e.Code, "error", err)
	}
	c.SetDeadline(time.Now().Add(time.Second))
	c.Write(wire.AppendError(nil, "FATAL", e))
}
