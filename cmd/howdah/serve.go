package main

import (
	"context"
	"crypto/rand"
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
	"syscall"

	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/pool"
	"github.com/howdah/howdah/proxy"
)

// service is a running howdah.
type service struct {
	path    string
	log     *slog.Logger
	level   *slog.LevelVar
	config  *configs.Config
	cluster *cluster.Cluster
	pool    *pool.Pool
	proxy   *proxy.Server
}

// serve runs howdah in the foreground until SIGTERM or SIGINT, then drains:
// sessions end as they become idle, at the latest after timeouts.drain. SIGHUP
// reloads the file.
func serve(ctx context.Context, path string, stdout, stderr io.Writer) error {
	c, err := configs.Load(path)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	s, err := newService(path, c, stderr)
	if err != nil {
		return err
	}
	return s.run(ctx, signals)
}

func newService(path string, c *configs.Config, stderr io.Writer) (*service, error) {
	s := &service{path: path, config: c, level: &slog.LevelVar{}}
	s.level.Set(logLevel(c.Log.Level))
	options := &slog.HandlerOptions{Level: s.level}
	if c.Log.Format == "json" {
		s.log = slog.New(slog.NewJSONHandler(stderr, options))
	} else {
		s.log = slog.New(slog.NewTextHandler(stderr, options))
	}
	if err := s.warnings(c); err != nil {
		return nil, err
	}
	var err error
	if s.cluster, err = cluster.New(c.Backends, c.ReplicationCheck, s.log); err != nil {
		return nil, err
	}
	s.cluster.UseFailover(c.Failover, cluster.StateFile{Path: c.Failover.StateFile})
	s.pool = pool.New(proxy.PoolSettings(c), s.log)
	authenticator, err := auth.NewAuthenticator(rand.Reader)
	if err != nil {
		return nil, err
	}
	setThreads(c.Limits.Threads)
	s.proxy, err = proxy.New(c, s.cluster, s.pool, parser.New(parser.Options{CacheBytes: int64(c.Routing.CacheSize)}), authenticator, s.log)
	return s, err
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

// warnings logs what works but should not stay as it is.
func (s *service) warnings(c *configs.Config) error {
	warnings, err := checkAuth(s.path, &c.Auth)
	for _, w := range warnings {
		s.log.Warn("configuration", "file", s.path, "warning", w)
	}
	return err
}

func logLevel(name string) slog.Level {
	var l slog.Level
	l.UnmarshalText([]byte(name)) // Validate has checked it; the zero level is info
	return l
}

// run serves until a signal, ctx's end, or a listener's failure.
func (s *service) run(ctx context.Context, signals <-chan os.Signal) error {
	listeners, err := proxy.Listen(&s.config.Listen)
	if err != nil {
		return err
	}
	background, stop := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	workers.Go(func() { s.cluster.Run(background) })
	workers.Go(func() { s.pool.Run(background) })
	workers.Go(func() { s.proxy.Run(background) })
	defer workers.Wait()
	defer stop()

	failed := make(chan error, len(listeners))
	var accepting sync.WaitGroup
	for _, l := range listeners {
		s.log.Info("listening", "address", l.Addr().String())
		accepting.Go(func() {
			if err := s.proxy.Serve(l); err != nil {
				failed <- err
			}
		})
	}
	err = s.wait(ctx, signals, failed)
	closeAll(listeners)
	accepting.Wait()
	return errors.Join(err, s.drain(signals))
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
			return nil
		case err := <-failed:
			return err
		case sig := <-signals:
			if sig != syscall.SIGHUP {
				s.log.Info("stopping", "signal", sig.String())
				return nil
			}
			s.reload()
		}
	}
}

// drain ends the sessions; a second signal cuts it short.
func (s *service) drain(signals <-chan os.Signal) error {
	limit := s.config.Timeouts.Drain
	ctx, cancel := context.WithTimeoutCause(context.Background(), limit, fmt.Errorf("sessions were still busy after %s (timeouts.drain)", limit))
	defer cancel()
	done := make(chan struct{})
	defer close(done)
	go func() { // ends with drain
		for {
			select {
			case sig := <-signals:
				if sig != syscall.SIGHUP {
					cancel()
				}
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

// reload takes over the changed file, whole or not at all.
func (s *service) reload() {
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
}

func (s *service) apply(c *configs.Config) error {
	changed, restart := configs.Changes(s.config, c)
	if err := s.proxy.Reconfigure(c); err != nil {
		return err
	}
	if err := s.cluster.Reconfigure(c.Backends, c.ReplicationCheck); err != nil {
		return err
	}
	s.cluster.ReconfigureFailover(c.Failover)
	s.pool.Reconfigure(proxy.PoolSettings(c))
	setThreads(c.Limits.Threads)
	s.level.Set(logLevel(c.Log.Level))
	s.log.Info("reloaded", "file", s.path, "changed", strings.Join(changed, " "))
	if len(restart) > 0 {
		s.log.Warn("some changes need a restart", "keys", strings.Join(restart, " "))
	}
	// What needs a restart stays as it is, so that the next reload names it again.
	old := s.config
	s.config = c
	c.Listen, c.Routing.CacheSize, c.Log.Format = old.Listen, old.Routing.CacheSize, old.Log.Format
	c.Failover.StateFile = old.Failover.StateFile
	return nil
}
