package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/logs"
	"github.com/howdah/howdah/proxy"
	"github.com/howdah/howdah/watchdog"
	"github.com/howdah/howdah/watchdog/core"
)

// quorum is this howdah's part in the quorum.
type quorum struct {
	*watchdog.Watchdog
	nodes    *cluster.Cluster
	council  *council
	services *services
	// address is nil if vip.mode is none.
	address *floating
}

// newQuorum is this howdah's member of the quorum; nil if it stands alone.
func newQuorum(c *configs.Config, nodes *cluster.Cluster, front *proxy.Server, log *slog.Logger) (*quorum, error) {
	switch {
	case !c.Watchdog.Enabled():
		return nil, nil
	case c.Watchdog.IsWitness():
		return nil, errors.New("watchdog.name is a witness: run it with `howdah witness`")
	}
	q := &quorum{nodes: nodes, services: &services{log: log, nodes: nodes, proxy: front, forwarding: make(chan struct{}, maxForwarded), heard: map[core.MemberID]time.Time{}}}
	check := lifecheck{listen: &c.Listen, nodes: nodes, linked: func() error { return anyUp(c.Watchdog.Interfaces) }}
	parts := watchdog.Parts{Address: &watchdog.NoAddress{}, Nodes: watchedNodes{nodes}, Cooldown: c.Failover.Cooldown}
	if c.VIP.Mode != "none" {
		q.address = newFloating(c, log)
		parts.Address, check.linked = q.address, q.address.linked
	}
	parts.Lifecheck, parts.Services = check, q.services.table()
	if c.Watchdog.IsPair() {
		parts.Tie = newTie(c, nodes, log)
	}
	q.services.address = q.address
	var err error
	if q.Watchdog, err = watchdog.New(c.Watchdog, parts, log); err != nil {
		return nil, err
	}
	q.services.watchdog = q.Watchdog
	front.ForwardCancels(q.services.forwardCancel)
	q.council = &council{watchdog: q.Watchdog, log: log}
	nodes.RequireWarrant("this member has not joined the others yet")
	nodes.UseFailover(c.Failover, q.council)
	return q, nil
}

// run takes part until ctx ends; then it gives leadership and address away, and the guardian ends.
func (q *quorum) run(ctx context.Context) error {
	holding, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { // received below
		if q.address == nil {
			ended <- nil
			return
		}
		ended <- q.address.manager.Run(holding)
	}()
	var background sync.WaitGroup
	background.Go(func() { q.council.obey(holding, q.nodes) })
	background.Go(func() { q.council.tidy(holding, q.nodes) })
	background.Go(func() { q.services.followClients(holding) })
	background.Go(func() { q.services.tellWritten(holding) })
	err := q.Run(ctx)
	stop()
	background.Wait()
	if addressErr := <-ended; addressErr != nil {
		err = errors.Join(err, fmt.Errorf("give up the floating address: %w", addressErr))
	}
	return err
}

// watchedNodes is what the watchdog may know of the servers, and do to them.
type watchedNodes struct{ nodes *cluster.Cluster }

// Sight is what this member can say of a node.
func (n watchedNodes) Sight(_ context.Context, node core.NodeID) (core.Sight, string) {
	sight, why := n.nodes.Sight(string(node))
	switch sight {
	case cluster.SightAlive:
		return core.SeesUp, why
	case cluster.SightDead:
		return core.SeesDown, why
	}
	return core.SeesNothing, why
}

// quietPoll is how often it is looked whether sessions have stopped.
const quietPoll = 5 * time.Millisecond

// StopWrites waits until no session uses the node as the primary: a failover is under way, so the
// members' permission, which the sessions obey, has ended.
func (n watchedNodes) StopWrites(ctx context.Context, node core.NodeID, why string) error {
	for !n.nodes.IsQuiet(string(node)) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("stop the sessions on %s for %s: %w", node, why, context.Cause(ctx))
		case <-time.After(quietPoll):
		}
	}
	return nil
}

// View is nothing yet.
func (watchedNodes) View() []byte { return nil }

// Resume needs nothing: the failover machine goes on by the record.
func (watchedNodes) Resume(core.Failover) {}

// lifecheck looks whether a client would be served.
type lifecheck struct {
	listen *configs.Listen
	nodes  *cluster.Cluster
	// linked says why this host's network cannot carry the address, or nil.
	linked func() error
}

// sslRequest asks whether the server speaks TLS (PostgreSQL manual, section 55.7). Every
// PostgreSQL answers with one byte, without knowing who asks.
var sslRequest = []byte{0, 0, 0, 8, 4, 210, 22, 47}

// Fitness connects to howdah's own port like a client. A howdah that accepts and answers is
// alive, from the listener to the start of a session.
func (l lifecheck) Fitness(ctx context.Context) core.Fitness {
	f := core.Fit()
	f.Primary = l.nodes.SeesPrimary()
	f.Serves, f.Link = l.serves(ctx) == nil, l.linked() == nil
	return f
}

func (l lifecheck) serves(ctx context.Context) error {
	network, address := ownAddress(l.listen)
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return fmt.Errorf("connect to howdah's own port: %w", err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if _, err = conn.Write(sslRequest); err == nil {
		_, err = io.ReadFull(conn, make([]byte, 1))
	}
	return err
}

// ownAddress is where howdah itself can connect to howdah.
func ownAddress(l *configs.Listen) (network, address string) {
	if len(l.Addresses) == 0 {
		return "unix", filepath.Join(l.UnixDirs[0], fmt.Sprintf(".s.PGSQL.%d", l.Port))
	}
	host := l.Addresses[0]
	if ip := net.ParseIP(host); host == "*" || ip != nil && ip.IsUnspecified() && ip.To4() != nil {
		host = "127.0.0.1"
	} else if ip != nil && ip.IsUnspecified() {
		host = "::1"
	}
	return "tcp", net.JoinHostPort(host, strconv.Itoa(l.Port))
}

// runWitness is a member that only votes.
func runWitness(ctx context.Context, args []string, _, stderr io.Writer) error {
	flags := newFlags("witness")
	path := configFlag(flags)
	if err := parseFlags(flags, args); err != nil {
		return err
	}
	if err := requireConfig("witness", *path); err != nil {
		return err
	}
	c, err := configs.Load(*path)
	if err != nil {
		return err
	}
	if !c.Watchdog.IsWitness() {
		return errors.New("watchdog.name is not a peer of role witness")
	}
	setThreads(c.Limits.Threads)
	logger, err := logs.New(c.Log, stderr)
	if err != nil {
		return err
	}
	defer logger.Close()
	parts := watchdog.Parts{Address: &watchdog.NoAddress{}, Nodes: watchdog.NoNodes{}, Lifecheck: watchdog.AlwaysFit{}}
	w, err := watchdog.New(c.Watchdog, parts, logger.Logger)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1)
	defer signal.Stop(signals)
	go func() { // ends with ctx, as the witness does
		for {
			select {
			case <-signals: // a witness has nothing to reload
				if err := logger.Reopen(); err != nil && !errors.Is(err, logs.ErrNoFile) {
					logger.Error("the log goes on in the old file", "error", err)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	// Ready at once: the others may come hours later, and this one answers them as soon as they do.
	newNotifier().ready()
	return w.Run(ctx)
}
