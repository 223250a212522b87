package proxy

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/pool"
)

// Session is what operators see of a client's session at one moment.
type Session struct {
	PID         uint32 // howdah's number of it, as pg_backend_pid() would be; never 0
	User        string
	Database    string
	Application string // as of the login
	Client      net.Addr
	Started     time.Time
	// State is one of Pgpool-II's words: Idle, "Idle in transaction", "Execute command"; or Waiting,
	// for a node or for a server connection.
	State string
	// Servers are the server connections it holds, that of the primary first.
	Servers []ServerConnection
	// Mode is what pool.mode and pool.rules say of it: session, transaction or statement.
	Mode string
	// Pinned is why all, or what might use temporary relations, goes to the primary; Keeps is why the session keeps its primary
	// connection between transactions, whatever Mode is. Empty if there is no such reason.
	Pinned, Keeps string
}

// ServerConnection is a connection to a node.
type ServerConnection struct {
	Node    cluster.NodeID
	PID     uint32 // of the server's process
	Created time.Time
}

// shown is what others may read of a session. The session writes it before it waits for its client.
type shown struct {
	client      net.Addr
	application string
	started     time.Time
	tx          atomic.Uint32
	servers     [2]atomic.Pointer[pool.Server]
	// why is the session's pin, and in the next byte its reason to keep its primary connection.
	why atomic.Uint32
}

func (w *shown) begin(client net.Addr, application string) {
	w.client, w.application, w.started = client, application, time.Now()
}

// show brings shown up to date. It is called once per query and writes only what has changed.
func (s *session) show() {
	w := &s.shown
	if tx := uint32(s.in.Session.Tx); w.tx.Load() != tx {
		w.tx.Store(tx)
	}
	if why := uint32(s.state.pin) | uint32(s.state.keep())<<8; w.why.Load() != why {
		w.why.Store(why)
	}
	for i, l := range s.leases {
		var srv *pool.Server
		if l != nil {
			srv = l.srv
		}
		if w.servers[i].Load() != srv {
			w.servers[i].Store(srv)
		}
	}
}

// Sessions returns all sessions, in no order.
func (srv *Server) Sessions() []Session {
	var all []Session
	srv.registry.each(func(s *session) { all = append(all, s.snapshot()) })
	return all
}

func (s *session) snapshot() Session {
	w := &s.shown
	out := Session{PID: s.pid, User: s.key.User, Database: s.key.Database, Application: w.application,
		Client: w.client, Started: w.started, State: "Idle"}
	switch {
	case s.statementMode:
		out.Mode = configs.PoolStatement
	case s.shared:
		out.Mode = configs.PoolTransaction
	default:
		out.Mode = configs.PoolSession
	}
	why := w.why.Load()
	if pin := balancer.Pin(why & 0xff); pin != balancer.PinNone {
		out.Pinned = pin.String()
	}
	out.Keeps = keep(why >> 8).String()
	if tx := balancer.TxState(w.tx.Load()); tx != balancer.TxNone {
		out.State = "Idle in transaction"
	}
	switch s.cancelState.Load() {
	case cancelServer, cancelUnderWay, cancelEarly, cancelKept:
		out.State = "Execute command"
	case cancelWait, cancelQueued:
		out.State = "Waiting"
	}
	for i := range w.servers {
		if c := w.servers[i].Load(); c != nil {
			out.Servers = append(out.Servers, ServerConnection{Node: c.Node, PID: c.PID, Created: c.Created()})
		}
	}
	return out
}

// Kill ends a session: what it runs is canceled, and its client's connection is closed. It
// reports whether there is such a session.
func (srv *Server) Kill(pid uint32) bool {
	s := srv.registry.numbered(pid)
	if s == nil {
		return false
	}
	s.client.SetDeadline(time.Unix(1, 0))
	s.client.NetConn().Close()
	go s.cancel(srv.context) // it may take as long as cancelTimeout, and ends then
	return true
}

// Counts are the numbers of the server as a whole.
type Counts struct {
	Clients int64 // connections, logged in or not
	Held    int64 // statements that wait for a primary
	// Stopping: no new work is taken on.
	Stopping bool
}

// Counts returns the numbers as of now.
func (srv *Server) Counts() Counts {
	return Counts{Clients: srv.clients.Load(), Held: srv.held.Load(), Stopping: srv.stopping.Load()}
}

// Cache is one of the server's caches, as operators see it.
type Cache struct {
	Name string
	// Entries is -1 where they are not counted; Bytes and MaxBytes are 0 where entries have no size.
	Entries, Bytes, MaxBytes int64
	// State says more.
	State string
}

// Caches returns what is remembered of statements and databases.
func (srv *Server) Caches() []Cache {
	p, set := srv.parser.Stats(), srv.settings.Load()
	all := []Cache{
		{Name: "statements", Entries: -1, Bytes: p.Bytes, MaxBytes: int64(set.routing.CacheSize),
			State: fmt.Sprintf("%d exact hits, %d by skeleton, %d misses, %d evictions", p.ExactHits, p.SkeletonHits, p.Misses, p.Evictions)},
		{Name: "lessons", Entries: srv.lessons.count.Load(), State: "statements that no standby can run"},
	}
	srv.catalogs.mu.Lock()
	defer srv.catalogs.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(srv.catalogs.known)) {
		d := srv.catalogs.known[name]
		c := Cache{Name: "catalogs of " + name, Entries: -1, MaxBytes: int64(set.catalog.Size)}
		switch now := d.current.Load(); {
		case now.waiting:
			c.State = "being read"
		case now.knowledge == nil:
			c.State = "not known; see the log"
		default:
			c.Bytes, c.State = now.knowledge.Bytes(), fmt.Sprintf("known, for %d sessions", d.sessions)
		}
		all = append(all, c)
	}
	return all
}

// Stats are the counters of SHOW howdah.stats, by name.
func (srv *Server) Stats() [][2]string { return srv.stats() }
