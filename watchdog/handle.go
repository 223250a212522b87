package watchdog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"github.com/howdah/howdah/watchdog/core"
)

// operator is who asks through the control socket.
const operator core.MemberID = ""

// answer answers a request of a member, or of the operator on this host.
func (w *Watchdog) answer(ctx context.Context, from core.MemberID, q request) answer {
	a, err := w.handle(ctx, from, q)
	if err != nil {
		a.Error = err.Error()
	}
	return a
}

func (w *Watchdog) handle(ctx context.Context, from core.MemberID, q request) (answer, error) {
	if from != operator {
		switch {
		case q.Hello != nil:
			return w.hello(), nil
		case q.Poll != nil:
			v := w.vote(ctx, *q.Poll)
			return answer{Vote: &v}, nil
		case q.Route != nil:
			return w.answerRoute(ctx, from, *q.Route)
		case q.Yielded != 0:
			return answer{}, w.hearYielded(from, q.Yielded)
		case q.Dead != nil:
			return answer{}, w.hearDead(from, q.Dead)
		case q.Join != nil:
			err := w.join(from, q.Join)
			all, _, err2 := w.serversOf(from)
			return answer{Joined: err == nil && err2 == nil && slices.Contains(all, q.Join.Server)}, err
		case q.Announce != nil:
			return answer{}, w.noteMember(from, *q.Announce)
		case q.Service != nil:
			return w.serveCall(ctx, from, q.Service)
		}
	}
	switch {
	case q.Status:
		return answer{Status: w.Status()}, nil
	case q.Remove != "":
		return answer{}, w.remove(q.Remove)
	case q.Yield != nil:
		return answer{}, w.yield(*q.Yield)
	case q.Pause != nil:
		return answer{}, w.Pause(*q.Pause)
	case q.Prefer != nil:
		s := w.fsm.current()
		return answer{}, w.propose(s.Make(core.KindPrefer, core.IDBody{ID: *q.Prefer}))
	case q.Abort != "":
		return answer{}, w.Abort(w.fsm.current().Failover, q.Abort)
	}
	return answer{}, errors.New("this version does not know the request")
}

// Call asks another member's Service. The error says what is in the way.
func (w *Watchdog) Call(ctx context.Context, member core.MemberID, service string, question []byte) ([]byte, error) {
	select {
	case <-w.started:
	default:
		return nil, ErrStopped
	}
	a, err := w.caller.call(ctx, member, request{Service: &serviceCall{Name: service, Body: question}})
	return a.Body, err
}

func (w *Watchdog) serveCall(ctx context.Context, from core.MemberID, q *serviceCall) (answer, error) {
	serve, ok := w.parts.Services[q.Name]
	if !ok {
		return answer{}, fmt.Errorf("this version has no service %q", q.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, rpcTimeout)
	defer cancel()
	body, err := serve(ctx, from, q.Body)
	return answer{Body: body}, err
}

func (w *Watchdog) answerRoute(ctx context.Context, from core.MemberID, q routeRequest) (answer, error) {
	if q.Ask.From != from {
		return answer{}, fmt.Errorf("a route lease for %s was asked for by %s", q.Ask.From, from)
	}
	c := make(chan core.RouteAnswer, 1)
	w.feed(core.PeerHealth{Peer: from, Fitness: q.Fitness})
	w.feed(inspection(func(l *loop) {
		l.routes[from] = c
		w.step(ctx, core.RouteRequest{Ask: q.Ask})
	}))
	select {
	case r := <-c:
		return answer{Route: &r}, nil
	case <-time.After(w.timing.Route):
		return answer{}, errors.New("the watchdog is too busy")
	case <-w.loop.ended:
		return answer{}, ErrStopped
	}
}

// hearYielded believes a leader that says of itself that its lease is over; nobody else can say that.
func (w *Watchdog) hearYielded(from core.MemberID, term uint64) error {
	if _, leader := w.raft().LeaderWithID(); leader != "" && memberOf(leader) != from && w.raft().CurrentTerm() == term {
		return fmt.Errorf("%s does not lead", from)
	}
	w.lease.yieldedBy(term)
	w.inspect(func(l *loop) { // before it is told to campaign
		w.step(context.Background(), core.Yielded{From: from})
		w.lease.defers.Store(l.machine.Defers(w.now()))
	})
	return nil
}

func (w *Watchdog) yield(q yieldRequest) error {
	if !w.mayAct() {
		return errNotLeader
	}
	if _, _, ok := w.server(q.To); q.To != "" && !ok {
		return fmt.Errorf("%q is no other member with a vote", q.To)
	}
	err := ErrStopped
	w.inspect(func(l *loop) {
		if err = l.machine.MayTake(q.To); err == nil {
			w.step(context.Background(), core.Yield{To: q.To, Reason: q.Reason})
		}
	})
	return err
}

// serveControl answers the operator on this host. Who may open the data directory may ask.
func (w *Watchdog) serveControl(ctx context.Context) {
	path := ControlSocket(w.cfg.DataDir)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		w.log.Warn("the control socket of an earlier run is still there", "error", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		w.log.Error("no control socket: howdah watchdog status cannot ask this member", "error", err)
		return
	}
	defer context.AfterFunc(ctx, func() { l.Close() })()
	if err := os.Chmod(path, 0o600); err != nil {
		w.log.Warn("the control socket's mode was not set", "error", err)
	}
	acceptAll(ctx, l, w.log, "an operator's", func(conn net.Conn) {
		w.goDo(func() {
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			serveRequests(ctx, conn, func(ctx context.Context, q request) answer { return w.answer(ctx, operator, q) })
		})
	})
}
