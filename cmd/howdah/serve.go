package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/howdah/howdah/admin"
	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/logs"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/pool"
	"github.com/howdah/howdah/proxy"
	"github.com/howdah/howdah/wire/socket"
)

// service is a running howdah.
type service struct {
	path  string
	log   *slog.Logger
	level *slog.LevelVar
	// closeLog writes the lines that are under way.
	closeLog func()
	// reopenLog goes on in a new file; logs.ErrNoFile if there is none.
	reopenLog func() error
	config    *configs.Config
	cluster   *cluster.Cluster
	pool      *pool.Pool
	proxy     *proxy.Server

	notifier notifier
	running  *running
	// httpCert is the HTTP port's; nil if it is not HTTPS.
	httpCert atomic.Pointer[tls.Certificate]
	admin    *admin.Admin
	requests chan request
	stops    chan admin.StopMode // capacity 1
	// drainFor is how long the drain may take, negative for any time; set before it begins.
	drainFor time.Duration
	// quorum is nil in a howdah that stands alone.
	quorum *quorum
	// leaveQuorum returns when this member has left. It may be called twice.
	leaveQuorum func()
}

// serve runs howdah in the foreground until SIGTERM or SIGINT, then drains:
// sessions end as they become idle, at the latest after timeouts.drain. SIGHUP
// reloads the file, SIGUSR1 begins a new file of the log.
func serve(ctx context.Context, path string, stdout, stderr io.Writer) error {
	c, err := configs.Load(path)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1)
	defer signal.Stop(signals)
	s, err := newService(path, c, stderr)
	if err != nil {
		return err
	}
	defer s.closeLog()
	return s.run(ctx, signals)
}

func newService(path string, c *configs.Config, stderr io.Writer) (*service, error) {
	logger, err := logs.New(c.Log, stderr)
	if err != nil {
		return nil, err
	}
	s := &service{path: path, config: c, level: logger.Level, log: logger.Logger, closeLog: logger.Close, reopenLog: logger.Reopen, notifier: newNotifier(), leaveQuorum: func() {},
		requests: make(chan request), stops: make(chan admin.StopMode, 1)}
	if err := s.warnings(c); err != nil {
		return nil, err
	}
	if s.cluster, err = cluster.New(c.BackendsInEffect(), c.ReplicationCheck, s.log); err != nil {
		return nil, err
	}
	s.cluster.UseFailover(c.Failover, cluster.StateFile{Path: c.Failover.StateFile})
	s.pool = pool.New(proxy.PoolSettings(c), s.log)
	authenticator, err := auth.NewAuthenticator(rand.Reader)
	if err != nil {
		return nil, err
	}
	setThreads(c.Limits.Threads)
	s.useRings(c.Limits.IOUring)
	s.proxy, err = proxy.New(c, s.cluster, s.pool, parser.New(parser.Options{CacheBytes: int64(c.Routing.CacheSize)}), authenticator, s.log)
	if err != nil {
		return nil, err
	}
	if s.quorum, err = newQuorum(c, s.cluster, s.proxy, s.log); err != nil {
		return nil, err
	}
	return s, s.newAdmin()
}

// setThreads obeys limits.threads.
func setThreads(n int) {
	if n == 0 {
		n = max(1, runtime.NumCPU()/2)
		if env, err := strconv.Atoi(os.Getenv("GOMAXPROCS")); err == nil && env > 0 {
			n = env
		}
	}
	runtime.GOMAXPROCS(n)
}

// useRings obeys limits.io_uring.
func (s *service) useRings(use bool) {
	socket.UseRings(use)
	if !use {
		return
	}
	if err := socket.TryRing(); err != nil {
		s.log.Info("io_uring is not used, sending takes a system call each", "reason", err)
	}
}

// warnings logs what works but should not stay as it is.
func (s *service) warnings(c *configs.Config) error {
	warnings, err := checkFiles(s.path, c)
	if c.VIP.Mode != "none" && !c.Watchdog.Enabled() {
		warnings = append(warnings, "vip.mode is "+c.VIP.Mode+", but watchdog.peers is empty: nobody says which host has the address, and howdah serve leaves it alone (howdah vip up holds it)")
	}
	for _, w := range warnings {
		s.log.Warn("configuration", "file", s.path, "warning", w)
	}
	return err
}

// run serves until a signal, ctx's end, or a listener's failure.
func (s *service) run(ctx context.Context, signals <-chan os.Signal) error {
	listeners, err := proxy.Listen(&s.config.Listen, s.config.VIP.Hosts()...)
	if err != nil {
		return err
	}
	doors, err := s.openDoors()
	if err != nil {
		closeAll(listeners)
		return err
	}
	defer doors.close()
	background, stop := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	workers.Go(func() { s.cluster.Run(background) })
	workers.Go(func() { s.pool.Run(background) })
	workers.Go(func() { s.proxy.Run(background) })
	defer workers.Wait()
	defer stop()

	failed := make(chan error, len(listeners)+doors.count()+1)
	doors.serve(failed)
	if s.quorum != nil { // it gives the address away before the sessions are drained
		watched := make(chan struct{})
		watching, leave := context.WithCancel(background)
		go func() { // ends with leave
			defer close(watched)
			if err := s.quorum.run(watching); err != nil {
				failed <- fmt.Errorf("run the watchdog: %w", err)
			}
		}()
		s.leaveQuorum = func() { leave(); <-watched }
		defer s.leaveQuorum()
	}
	var accepting sync.WaitGroup
	for _, l := range listeners {
		s.log.Info("listening", "address", l.Addr().String())
		accepting.Go(func() {
			if err := s.proxy.Serve(l); err != nil {
				failed <- err
			}
		})
	}
	s.notifier.ready()
	workers.Go(func() { s.notifier.watchdog(background, s.answers) })
	err = s.wait(ctx, signals, failed)
	s.notifier.stopping()
	s.leaveQuorum()
	closeAll(listeners)
	accepting.Wait()
	return errors.Join(err, s.drain(signals))
}

// answers returns if the locks that all sessions need can be had.
func (s *service) answers() {
	s.proxy.Kill(0) // there is no such session
	s.pool.Stats(0)
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		l.Close()
	}
}

// wait returns when it is time to stop.
func (s *service) wait(ctx context.Context, signals <-chan os.Signal, failed <-chan error) error {
	for {
		select {
		case <-ctx.Done():
			s.drainFor = s.config.Timeouts.Drain
			return nil
		case err := <-failed:
			return err
		case sig := <-signals:
			switch sig {
			case syscall.SIGHUP:
				s.reload()
			case syscall.SIGUSR1:
				s.rotateLog()
			default:
				s.log.Info("stopping", "signal", sig.String())
				s.drainFor = s.config.Timeouts.Drain
				return nil
			}
		case r := <-s.requests:
			r.done <- s.reload()
		case mode := <-s.stops:
			s.log.Info("stopping", "mode", mode.String())
			s.drainFor = map[admin.StopMode]time.Duration{admin.StopSmart: -1, admin.StopFast: s.config.Timeouts.Drain}[mode]
			return nil
		}
	}
}

// drain ends the sessions; a second signal cuts it short.
func (s *service) drain(signals <-chan os.Signal) error {
	limit := s.drainFor
	ctx, cancel := context.WithCancel(context.Background())
	if limit >= 0 {
		ctx, cancel = context.WithTimeoutCause(context.Background(), limit, fmt.Errorf("sessions were still busy after %s (timeouts.drain)", limit))
	}
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	go func() { // ends with drain
		for {
			select {
			case sig := <-signals:
				switch sig {
				case syscall.SIGHUP:
				case syscall.SIGUSR1:
					s.rotateLog()
				default:
					cancel()
				}
			case mode := <-s.stops:
				if mode == admin.StopImmediate {
					cancel()
				}
			case r := <-s.requests:
				r.done <- errStopping
			case <-done:
				return
			}
		}
	}()
	if err := s.proxy.Shutdown(ctx); err != nil {
		s.log.Warn("cut off sessions", "reason", err)
	}
	s.log.Info("stopped")
	return nil
}

// rotateLog goes on in a new file of the log, if it goes to one.
func (s *service) rotateLog() {
	if err := s.reopenLog(); err != nil && !errors.Is(err, logs.ErrNoFile) {
		s.log.Error("the log goes on in the old file", "error", err)
	}
}

// reload takes over the changed file, whole or not at all.
func (s *service) reload() error {
	s.notifier.reloading()
	defer s.notifier.ready()
	s.rotateLog()
	c, err := configs.Load(s.path)
	if err == nil {
		err = s.warnings(c)
	}
	if err == nil {
		err = s.apply(c)
	}
	if err != nil {
		s.log.Error("reload: nothing was changed", "file", s.path, "error", err)
	}
	return err
}

func (s *service) apply(c *configs.Config) error {
	changed, restart := configs.Changes(s.config, c)
	users, err := operators(c)
	if err != nil {
		return err
	}
	cert := s.httpCert.Load()
	if cert != nil { // whose files change with a restart, but what is in them does not need one
		if cert, err = httpCertificate(s.config); err != nil {
			return err
		}
	}
	if err := s.proxy.Reconfigure(c); err != nil {
		return err
	}
	if err := s.cluster.Reconfigure(c.BackendsInEffect(), c.ReplicationCheck); err != nil {
		return err
	}
	s.cluster.ReconfigureFailover(c.Failover)
	s.pool.Reconfigure(proxy.PoolSettings(c))
	s.admin.SetUsers(users)
	s.httpCert.Store(cert)
	setThreads(c.Limits.Threads)
	s.useRings(c.Limits.IOUring)
	s.level.Set(logs.Level(c.Log.Level))
	s.log.Info("reloaded", "file", s.path, "changed", strings.Join(changed, " "))
	if len(restart) > 0 {
		s.log.Warn("some changes need a restart", "keys", strings.Join(restart, " "))
	}
	// What needs a restart stays as it is, so that the next reload names it again.
	old := s.config
	s.config = c
	c.Admin.Socket, c.Admin.PCP, c.Admin.HTTP = old.Admin.Socket, old.Admin.PCP, old.Admin.HTTP
	c.Listen, c.Routing.CacheSize, c.Watchdog, c.VIP = old.Listen, old.Routing.CacheSize, old.Watchdog, old.VIP
	c.Log.Format, c.Log.Destination, c.Log.Syslog, c.Log.RepeatInterval = old.Log.Format, old.Log.Destination, old.Log.Syslog, old.Log.RepeatInterval
	c.Log.File, c.Log.FileMode = old.Log.File, old.Log.FileMode
	c.Failover.StateFile = old.Failover.StateFile
	s.running.config.Store(c)
	return nil
}
