package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/howdah/howdah/auth"
	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/pool"
	"github.com/howdah/howdah/wire"
)

// A replication connection (the manual, 55.4) is a client's own walsender: what it says is no SQL that could be
// routed, and what it is told are positions of one server. So it gets one server connection, which howdah does
// not look into, on the primary or on the node that howdah.route names, and ends with it. One to the primary
// ends when another node becomes that, as its client must then ask anew where to go on.

// replicationKind is what the startup parameter replication asks for.
type replicationKind uint8

const (
	notReplication      replicationKind = iota
	physicalReplication                 // true: in no database
	logicalReplication                  // database
)

// loginReplication is the rest of login for a replication connection.
func (srv *Server) loginReplication(ctx context.Context, c *wire.Conn, req *startupRequest, cred auth.Credentials, set *settings, log *slog.Logger) (*session, error) {
	if req.seat.reserved {
		return nil, errReserved(set.limits)
	}
	hint := parser.Hint{Route: parser.RoutePrimary}
	if req.route != nil {
		var ok bool
		if hint, ok = parser.ParseRoute(*req.route); !ok || hint.Route == parser.RouteRead {
			return nil, &wire.Error{Code: "22023", Message: fmt.Sprintf("invalid value for parameter %q of a replication connection: %q", routeSetting, *req.route),
				Hint: "It is primary, auto or node:NAME."}
		}
	}
	n, err := srv.nodeFor(ctx, hint, set)
	if err != nil {
		return nil, err
	}
	conn, err := srv.pool.Open(ctx, n, req.key, cred)
	var refused *pool.Refused
	var unreachable *pool.Unreachable
	switch {
	case errors.As(err, &refused):
		log.Info("login refused by a backend", "error", err)
		srv.failedLogin(req.from, refused.Code, set)
		c.Write(append(authenticationOk(), refused.Response...))
		return nil, nil
	case errors.As(err, &unreachable):
		srv.cluster.Report(n.ID, err)
		return nil, &wire.Error{Code: "08001", Message: fmt.Sprintf("backend %s cannot be reached", n.Name), Err: err}
	case err != nil:
		return nil, err
	}
	s := &session{srv: srv, set: set, client: c, key: req.key, cred: cred, told: conn.Defaults, stream: conn, toPrimary: hint.Route != parser.RouteNode}
	s.in.Session = balancer.NewSession(set.balancer)
	s.cancelled = make(chan struct{}, 1)
	s.shown.begin(req.from, req.application)
	s.shown.servers[balancer.ToPrimary].Store(conn)
	s.secret = newCancelKey(req.minor)
	if err := srv.registry.add(s); err != nil {
		srv.pool.Discard(conn)
		return nil, err
	}
	s.log = log.With("session", s.pid)
	if err := s.welcome(); err != nil {
		srv.dismiss(s)
		srv.pool.Discard(conn)
		return nil, err
	}
	s.log.Info("replication connection", "node", n.Name, "application_name", req.application)
	return s, nil
}

// nodeFor returns the node that a hint names, or the primary; it waits for it as a statement waits for a primary.
func (srv *Server) nodeFor(ctx context.Context, hint parser.Hint, set *settings) (*cluster.Node, error) {
	pick := func(v *cluster.View) *cluster.Node {
		if hint.Route != parser.RouteNode {
			return v.Node(v.Primary)
		}
		for i := range v.Nodes {
			if n := &v.Nodes[i]; n.Name == hint.Node && n.State == cluster.StateUp {
				return n
			}
		}
		return nil
	}
	what := "the primary"
	if hint.Route == parser.RouteNode {
		what = "backend " + hint.Node
	}
	ctx, cancel := context.WithTimeoutCause(ctx, set.failover.Hold, &wire.Error{Code: "57P03", Message: what + " is not available",
		Hint: "The operator sees the state of the backends in howdah's log."})
	defer cancel()
	view, err := srv.cluster.WaitFor(ctx, func(v *cluster.View) bool { return pick(v) != nil })
	if err != nil {
		return nil, err
	}
	return pick(view), nil
}

// errMovedPrimary ends a replication connection to a node that is not the primary any more.
var errMovedPrimary = &wire.Error{Code: "57P01", Message: "terminating replication connection because another node is the primary now",
	Hint: "Connect again."}

// runStream passes on what comes from either side until one of them ends.
func (s *session) runStream() error {
	defer s.srv.pool.Discard(s.stream)
	client, err := s.client.Stream()
	if err != nil {
		return clientError{err}
	}
	server, err := s.stream.Stream()
	if err != nil {
		return serverError{err}
	}
	s.busy(s.stream)
	defer s.idle()
	ends := make(chan error, 3)
	over := make(chan struct{})
	var relays sync.WaitGroup
	relays.Go(func() { ends <- s.relayClient(server, client) })
	relays.Go(func() {
		_, err := io.Copy(client, server)
		ends <- errors.Join(errServerLost, err)
	})
	relays.Go(func() {
		if s.movesAway(over) {
			ends <- errMovedPrimary
		}
	})
	err = <-ends
	close(over)
	s.ended.Store(true)
	s.stream.SetDeadline(time.Unix(1, 0))
	s.client.SetDeadline(time.Unix(1, 0))
	relays.Wait()
	return err
}

// relayClient passes on what the client sends, until its connection or the session ends.
func (s *session) relayClient(server io.Writer, client io.Reader) error {
	for {
		_, err := io.Copy(server, client)
		switch {
		case err == nil:
			return clientError{io.EOF}
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return clientError{err}
		case s.srv.stopping.Load():
			return errStopped
		}
		// An interrupt that does not concern it, or the end of the session.
		s.client.SetReadDeadline(time.Time{})
		if s.ended.Load() || s.srv.context.Err() != nil {
			return clientError{err}
		}
	}
}

// movesAway waits until the session's node is lost, or is not the primary any more for one that
// wants that. It returns false when over is closed.
func (s *session) movesAway(over <-chan struct{}) bool {
	for {
		changed := s.srv.cluster.Changed()
		v := s.srv.cluster.View()
		n := v.Node(s.stream.Node)
		if n == nil || isLost(v, n) || s.toPrimary && v.Primary != cluster.NoNode && v.Primary != n.ID {
			return true
		}
		select {
		case <-over:
			return false
		case <-changed:
		}
	}
}
