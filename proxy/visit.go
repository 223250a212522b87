package proxy

import (
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/howdah/howdah/wire"
)

// visit is a client's connection, and all that ends with it.
type visit struct {
	srv     *Server
	client  *wire.Conn
	seat    *seat
	log     *slog.Logger
	session *session // nil before the login is over
}

// handle owns one client connection from accept to its end, or until it rests.
func (srv *Server) handle(nc net.Conn) {
	v := &visit{srv: srv, client: wire.NewConn(nc), seat: srv.sit(), log: srv.log.With("client", loggedAddr{nc.RemoteAddr()})}
	v.client.ExpectLittle()
	srv.visits.add(v)
	v.attend(func() (err error) {
		v.session, v.log, err = srv.receive(v.client, v.seat, v.log)
		if err != nil || v.session == nil {
			return err
		}
		v.session.left = v.seat.leave
		return v.session.run(srv.context)
	})
}

// attend serves the client, by serve at first. A session that is asked to rest goes on in a goroutine of its own: its login, and whatever it
// did since, has made this one's stack several times as large as it takes to wait.
func (v *visit) attend(serve func() error) {
	resting := false
	defer func() {
		p := recover()
		if p != nil {
			v.log.Error("session ended by a defect of howdah", "panic", p, "stack", string(debug.Stack()))
		}
		if !resting {
			v.end()
		}
	}()
	err := serve()
	if resting = err == errResting; resting {
		go v.attend(func() error { return v.session.run(v.srv.context) }) // ends as the session would have
		return
	}
	v.srv.farewell(v.session, v.client, v.log, err)
}

// end is what a client's leaving means to howdah.
func (v *visit) end() {
	if v.session != nil {
		v.srv.dismiss(v.session)
	}
	v.srv.visits.remove(v)
	v.seat.leave()
	v.client.Close()
	v.srv.sessions.Done()
}

// visits are all clients' connections. Those that do not end by themselves are ended by their sockets.
type visits struct {
	mu    sync.Mutex
	all   map[*visit]struct{}
	ended bool
}

func (vs *visits) add(v *visit) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if vs.ended {
		v.cut()
		return
	}
	if vs.all == nil {
		vs.all = map[*visit]struct{}{}
	}
	vs.all[v] = struct{}{}
}

func (vs *visits) remove(v *visit) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	delete(vs.all, v)
}

// endAll cuts all connections, and those that come later.
func (vs *visits) endAll() {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	vs.ended = true
	for v := range vs.all {
		v.cut()
	}
}

// cut may be called by any goroutine.
func (v *visit) cut() {
	nc := v.client.NetConn()
	nc.SetDeadline(time.Unix(1, 0))
	nc.Close()
}
