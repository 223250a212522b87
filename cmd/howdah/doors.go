package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/howdah/howdah/admin"
	"github.com/howdah/howdah/admin/pcp"
	"github.com/howdah/howdah/admin/web"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/logs"
	"github.com/howdah/howdah/pool"
	"github.com/howdah/howdah/proxy"
)

// running is the service as package admin sees it.
type running struct {
	cluster *cluster.Cluster
	pool    *pool.Pool
	proxy   *proxy.Server
	config  atomic.Pointer[configs.Config]
}

func (r *running) View() *cluster.View                     { return r.cluster.View() }
func (r *running) Failover() *cluster.Failover             { return r.cluster.Failover() }
func (r *running) Commands() []cluster.CommandRun          { return r.cluster.Commands() }
func (r *running) Checks(id cluster.NodeID) cluster.Checks { return r.cluster.Checks(id) }
func (r *running) Traffic(id cluster.NodeID) admin.Traffic { return admin.Traffic(r.proxy.Traffic(id)) }
func (r *running) IdleServers() []pool.Connection          { return r.pool.IdleConnections() }
func (r *running) Pool(id cluster.NodeID) pool.Stats       { return r.pool.Stats(id) }
func (r *running) Decisions() map[string]uint64            { return r.proxy.Decisions() }
func (r *running) Counters() [][2]string                   { return r.proxy.Stats() }
func (r *running) Counts() admin.Counts                    { return admin.Counts(r.proxy.Counts()) }
func (r *running) Config() *configs.Config                 { return r.config.Load() }

func (r *running) Groups() []pool.Group   { return r.pool.Groups() }
func (r *running) Waiters() []pool.Waiter { return r.pool.Waiters() }

func (r *running) Latency(id cluster.NodeID, writes bool) admin.Histogram {
	route := proxy.RouteRead
	if writes {
		route = proxy.RouteWrite
	}
	l := r.proxy.Latency(id, route)
	return admin.Histogram{Bounds: proxy.LatencyBounds[:], Buckets: l.Buckets[:], Sum: l.Sum}
}

func (r *running) Examples() []admin.Example {
	var all []admin.Example
	for _, e := range r.proxy.RecentDecisions() {
		all = append(all, admin.Example(e))
	}
	return all
}

func (r *running) Caches() []admin.Cache {
	var all []admin.Cache
	for _, c := range r.proxy.Caches() {
		all = append(all, admin.Cache(c))
	}
	return all
}

func (r *running) Sessions() []admin.Session {
	from := r.proxy.Sessions()
	all := make([]admin.Session, len(from))
	for i, s := range from {
		all[i] = admin.Session{PID: s.PID, User: s.User, Database: s.Database, Application: s.Application, Client: s.Client, Started: s.Started, State: s.State,
			Mode: s.Mode, Pinned: s.Pinned, Keeps: s.Keeps}
		for _, c := range s.Servers {
			all[i].Servers = append(all[i].Servers, admin.ServerConnection(c))
		}
	}
	return all
}

// console answers operators' questions in sessions.
type console struct{ admin *admin.Admin }

func (c console) Ask(by proxy.Asker, text string) (proxy.Answer, error) {
	r, err := c.admin.Ask(context.Background(), admin.Question{User: by.User, ReadNode: by.ReadNode, Settings: by.Settings}, text)
	if err != nil {
		return proxy.Answer{}, err
	}
	return proxy.Answer{Columns: r.Table.Columns, Rows: r.Table.Texts(), Tag: r.Tag, Set: r.Set}, nil
}

// newAdmin makes what all doors use, and gives the sessions theirs.
func (s *service) newAdmin() error {
	r := &running{cluster: s.cluster, pool: s.pool, proxy: s.proxy}
	r.config.Store(s.config)
	s.running = r
	s.admin = &admin.Admin{State: r, Log: s.log, Version: versionNumber(), Started: time.Now(), Actions: admin.Actions{
		Attach:     s.attach,
		Detach:     s.detach,
		Promote:    s.promote,
		Switchover: s.switchover,
		Recover:    s.recover,
		Pause:      s.pause,

		Kill:     s.proxy.Kill,
		Reload:   s.requestReload,
		Stop:     s.requestStop,
		Rotate:   s.reopenLog,
		LogLevel: func(level string) error { s.level.Set(logs.Level(level)); return nil },
		Level:    func() string { return strings.ToLower(s.level.Level().String()) },
	}}
	if s.quorum != nil {
		s.admin.Actions.Watchdog = func() (admin.Watchdog, error) { return s.quorum.shown(r.config.Load()), nil }
	}
	s.proxy.SetConsole(console{s.admin})
	users, err := operators(s.config)
	if err != nil {
		return err
	}
	s.admin.SetUsers(users)
	return nil
}

// httpCertificate is that of the HTTP port; nil if it has none.
func httpCertificate(c *configs.Config) (*tls.Certificate, error) {
	if c.Admin.HTTP.CertFile == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(c.Admin.HTTP.CertFile, c.Admin.HTTP.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("admin.http.cert_file: %w", err)
	}
	return &cert, nil
}

// operators are the users of the PCP port and of HTTP; nil if there is no file of them.
func operators(c *configs.Config) (*admin.Users, error) {
	if c.Admin.UsersFile == "" {
		return nil, nil
	}
	users, err := admin.LoadUsers(c.Admin.UsersFile)
	if err != nil {
		return nil, fmt.Errorf("admin.users_file: %w", err)
	}
	return users, nil
}

// request is something that only the goroutine of wait may do.
type request struct{ done chan error }

var errStopping = errors.New("howdah is stopping")

// requestReload has the file reloaded, and says how that went.
func (s *service) requestReload() error {
	r := request{make(chan error, 1)}
	select {
	case s.requests <- r:
		return <-r.done
	case <-time.After(requestTimeout):
		return errStopping
	}
}

// requestTimeout is how long a reload waits for the one before it.
const requestTimeout = 10 * time.Second

// requestStop begins to stop, and returns at once.
func (s *service) requestStop(mode admin.StopMode) {
	select {
	case s.stops <- mode:
	default: // it stops already
	}
}

// doors are the open listeners for operators, with what serves them.
type doors struct {
	service   *service
	listeners []net.Listener // PCP's
	http      []net.Listener
	local     net.Listener // the command line's; nil if there is none
	pcp       pcp.Server
	web       *web.Server
	running   sync.WaitGroup
	stopWatch context.CancelFunc
}

// openDoors opens what the configuration names.
func (s *service) openDoors() (*doors, error) {
	c := &s.config.Admin
	d := &doors{service: s, pcp: pcp.Server{Admin: s.admin, Log: s.log}, web: web.New(s.admin, s.log)}
	var err error
	if d.listeners, err = proxy.Listen(&configs.Listen{Addresses: c.PCP.Addresses, Port: c.PCP.Port, UnixDirs: c.PCP.UnixDirs, UnixMode: 0o777}); err != nil {
		return nil, fmt.Errorf("admin.pcp: %w", err)
	}
	if d.http, err = proxy.Listen(&configs.Listen{Addresses: c.HTTP.Addresses, Port: c.HTTP.Port}); err != nil {
		return nil, d.closedAfter(fmt.Errorf("admin.http: %w", err))
	}
	cert, err := httpCertificate(s.config)
	if err != nil {
		return nil, d.closedAfter(err)
	}
	s.httpCert.Store(cert)
	if c.Socket != "" {
		if d.local, err = proxy.ListenUnix(c.Socket, 0o600); err != nil {
			return nil, d.closedAfter(fmt.Errorf("admin.socket: %w", err))
		}
	}
	return d, nil
}

// closedAfter closes what is open and returns err.
func (d *doors) closedAfter(err error) error {
	d.closeListeners()
	return err
}

func (d *doors) closeListeners() {
	closeAll(d.listeners)
	closeAll(d.http)
	if d.local != nil {
		d.local.Close()
	}
}

func (d *doors) count() int { return len(d.listeners) + len(d.http) + 1 }

// serve serves all doors; what fails is sent to failed, which has room for it.
func (d *doors) serve(failed chan<- error) {
	start := func(what string, l net.Listener, serve func(net.Listener) error) {
		d.service.log.Info("listening for "+what, "address", l.Addr().String())
		d.running.Go(func() {
			if err := serve(l); err != nil {
				failed <- err
			}
		})
	}
	for _, l := range d.listeners {
		start("pcp_*", l, d.pcp.Serve)
	}
	for _, l := range d.http {
		start("HTTP", l, func(l net.Listener) error {
			if d.service.httpCert.Load() == nil {
				return d.web.Serve(l, nil)
			}
			return d.web.Serve(l, d.service.httpCert.Load)
		})
	}
	if d.local != nil {
		start("operators", d.local, d.web.ServeLocal)
	}
	ctx, stop := context.WithCancel(context.Background())
	d.stopWatch = stop
	d.running.Go(func() { d.service.admin.Watch(ctx) })
}

func (d *doors) close() {
	d.closeListeners()
	d.stopWatch()
	d.web.Close()
	d.pcp.Close()
	d.running.Wait()
}
