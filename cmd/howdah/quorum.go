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
	"syscall"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/logs"
	"github.com/howdah/howdah/watchdog"
	"github.com/howdah/howdah/watchdog/core"
)

// newWatchdog is this howdah's member of the quorum; nil if it stands alone.
func newWatchdog(c *configs.Config, view func() *cluster.View, log *slog.Logger) (*watchdog.Watchdog, error) {
	switch {
	case !c.Watchdog.Enabled():
		return nil, nil
	case c.Watchdog.IsWitness():
		return nil, errors.New("watchdog.name is a witness: run it with `howdah witness`")
	}
	nodes := watchedNodes{view}
	parts := watchdog.Parts{Address: &watchdog.NoAddress{}, Nodes: nodes, Lifecheck: lifecheck{&c.Listen, nodes}}
	return watchdog.New(c.Watchdog, parts, log)
}

// watchedNodes is what the watchdog may know of the servers.
type watchedNodes struct{ view func() *cluster.View }

// Sight is what the probes saw last.
func (n watchedNodes) Sight(_ context.Context, node core.NodeID) (core.Sight, string) {
	v := n.view()
	for i := range v.Nodes {
		if core.NodeID(v.Nodes[i].Name) != node {
			continue
		}
		switch v.Nodes[i].State {
		case cluster.StateUp:
			return core.SeesUp, "its last probe succeeded"
		case cluster.StateDown:
			return core.SeesDown, v.Nodes[i].Reason
		}
		return core.SeesNothing, "it was not reached yet"
	}
	return core.SeesNothing, "this member does not know the node"
}

// errCannotStop keeps a failover from passing its barrier.
var errCannotStop = errors.New("this version of howdah does not promote servers, and cannot hold back writes for it")

// StopWrites refuses.
func (watchedNodes) StopWrites(context.Context, core.NodeID, string) error { return errCannotStop }

// View is nothing yet.
func (watchedNodes) View() []byte { return nil }

// Resume leaves a failover to the operator.
func (watchedNodes) Resume(core.Failover) {}

// lifecheck looks whether a client would be served.
type lifecheck struct {
	listen *configs.Listen
	nodes  watchedNodes
}

// sslRequest asks whether the server speaks TLS (PostgreSQL manual, section 55.7). Every
// PostgreSQL answers with one byte, without knowing who asks.
var sslRequest = []byte{0, 0, 0, 8, 4, 210, 22, 47}

// Fitness connects to howdah's own port like a client. A howdah that accepts and answers is
// alive, from the listener to the start of a session.
func (l lifecheck) Fitness(ctx context.Context) core.Fitness {
	f := core.Fit()
	f.Primary = l.nodes.view().Primary != cluster.NoNode
	f.Serves = l.serves(ctx) == nil
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
	return w.Run(ctx)
}
