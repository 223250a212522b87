package proxy

import (
	"net"
	"sync/atomic"
	"time"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
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
	if tx := balancer.TxState(w.tx.Load()); tx != balancer.TxNone {
		out.State = "Idle in transaction"
	}
	switch s.cancelState.Load() {
	case cancelServer, cancelUnderWay:
		out.State = "Execute command"
	case cancelWait:
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
	srv.registry.mu.Lock()
	s := srv.registry.sessions[pid]
	srv.registry.mu.Unlock()
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

// Stats are the counters of SHOW howdah.stats, by name.
func (srv *Server) Stats() [][2]string { return srv.stats() }
