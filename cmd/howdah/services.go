package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/proxy"
	"github.com/howdah/howdah/vip"
	"github.com/howdah/howdah/watchdog"
	"github.com/howdah/howdah/watchdog/core"
)

// What members ask of each other beside the watchdog itself (watchdog.Service).
const (
	serviceCancel  = "cancel"  // a cancel request: pid, 4 bytes, and secret
	serviceClients = "clients" // who is connected to the floating address there
	serviceOrder   = "order"   // an operator's order, for the leader
	serviceWritten = "written" // what was written there since the last time
)

// services are this howdah's answers.
type services struct {
	watchdog *watchdog.Watchdog
	log      *slog.Logger
	nodes    *cluster.Cluster
	proxy    *proxy.Server
	address  *floating // nil without one

	forwarding chan struct{} // bounds the cancel requests under way
	mu         sync.Mutex
	// heard is when another member last told what was written through it.
	heard   map[core.MemberID]time.Time
	clients []byte // the last answer about them
	asked   time.Time
}

// maxForwarded is how many cancel requests may be on their way to others: anybody can send
// some, and one that is lost is only a cancel request.
const maxForwarded = 16

func (s *services) table() map[string]watchdog.Service {
	return map[string]watchdog.Service{
		serviceCancel: func(_ context.Context, _ core.MemberID, q []byte) ([]byte, error) {
			if len(q) <= 4 {
				return nil, errors.New("a cancel request has more than 4 bytes")
			}
			if !s.proxy.Cancel(binary.BigEndian.Uint32(q), q[4:]) {
				return nil, nil
			}
			return []byte{1}, nil
		},
		serviceClients: func(context.Context, core.MemberID, []byte) ([]byte, error) { return s.ownClients() },
		serviceWritten: func(_ context.Context, from core.MemberID, q []byte) ([]byte, error) {
			s.mu.Lock()
			s.heard[from] = time.Now()
			s.mu.Unlock()
			if len(q) == 0 { // it was not heard for a while, and there may have been anything
				s.proxy.DoubtWrites()
				return nil, nil
			}
			return nil, s.proxy.NoteWritten(q)
		},
		serviceOrder: func(ctx context.Context, _ core.MemberID, q []byte) ([]byte, error) { return s.obeyOrder(ctx, q) },
	}
}

// forwardTimeout is how long a cancel request may take to another member.
const forwardTimeout = 2 * time.Second

// forwardCancel asks all other members at once whether the session is theirs.
func (s *services) forwardCancel(pid uint32, secret []byte) bool {
	select {
	case s.forwarding <- struct{}{}:
		defer func() { <-s.forwarding }()
	default:
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), forwardTimeout)
	defer cancel()
	q := append(binary.BigEndian.AppendUint32(nil, pid), secret...)
	others := s.others()
	found := make(chan bool, len(others))
	for _, id := range others {
		go func() { // ends with ctx
			a, err := s.watchdog.Call(ctx, id, serviceCancel, q)
			found <- err == nil && len(a) == 1
		}()
	}
	for range others {
		if <-found {
			return true
		}
	}
	return false
}

// others are the other members that have clients.
func (s *services) others() []core.MemberID {
	var ids []core.MemberID
	st := s.watchdog.Status()
	for id, m := range s.watchdog.State().Members {
		if id != st.Member && m.Role != core.RoleWitness {
			ids = append(ids, id)
		}
	}
	return ids
}

// clientsEvery is how often the holder's clients are asked for: one that connected later has to notice the
// holder's death by itself.
const clientsEvery = time.Second

// ownClients are the connections to the floating address on this host, packed.
func (s *services) ownClients() ([]byte, error) {
	if s.address == nil {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients != nil && time.Since(s.asked) < clientsEvery/2 {
		return s.clients, nil
	}
	list, err := s.address.manager.Connections()
	if err != nil {
		return nil, fmt.Errorf("list the clients of the address: %w", err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if err := errors.Join(json.NewEncoder(z).Encode(list), z.Close()); err != nil {
		return nil, err
	}
	s.clients, s.asked = packed.Bytes(), time.Now()
	return s.clients, nil
}

// maxUnpacked bounds a list of clients: 20,000 of them have less.
const maxUnpacked = 8 << 20

func unpackClients(packed []byte) (list []vip.Connection, err error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("read a list of clients: %w", err)
	}
	if err := json.NewDecoder(io.LimitReader(z, maxUnpacked)).Decode(&list); err != nil {
		return nil, fmt.Errorf("read a list of clients: %w", err)
	}
	return list, nil
}

// followClients keeps in mind who is connected to the address at its holder, until ctx ends: should the holder die,
// they are made to notice by whoever takes the address.
func (s *services) followClients(ctx context.Context) {
	if s.address == nil {
		return
	}
	t := time.NewTicker(clientsEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		st := s.watchdog.Standing()
		if st.Leads || st.Leader == "" {
			continue
		}
		packed, err := s.watchdog.Call(ctx, st.Leader, serviceClients, nil)
		if err != nil || len(packed) == 0 {
			continue // what is known stays: this is just when it may be needed
		}
		if list, err := unpackClients(packed); err == nil {
			s.address.manager.SetClients(list)
		}
	}
}

// orderQuestion is an operator's order on its way to the leader.
type orderQuestion struct {
	What string `json:"what"` // attach, detach, pause, resume, promote or switchover
	Node string `json:"node,omitempty"`
	Cut  bool   `json:"cut,omitempty"` // of a switchover: end transactions that stay open
}

// orderWait is how long the leader waits for the end of an order before it answers that it is under way,
// and orderLimit how long it goes on then.
const (
	orderWait  = time.Second
	orderLimit = 10 * time.Minute
)

// obeyOrder carries out an order that came from another member, as the leader. It answers "done" or "under way".
func (s *services) obeyOrder(ctx context.Context, q []byte) ([]byte, error) {
	var o orderQuestion
	if err := json.Unmarshal(q, &o); err != nil {
		return nil, fmt.Errorf("read an order: %w", err)
	}
	long, cancel := context.WithTimeout(context.WithoutCancel(ctx), orderLimit)
	ended := make(chan error, 1)
	go func() { // ends with the order, after orderLimit at the latest
		defer cancel()
		ended <- order(long, s.nodes, o)
	}()
	select {
	case err := <-ended:
		return []byte("done"), err
	case <-time.After(orderWait):
		return []byte("under way"), nil
	}
}

// forwardOrder has the leader carry out an order, and waits until it is done.
func (s *services) forwardOrder(ctx context.Context, leader string, o orderQuestion) error {
	q, err := json.Marshal(o)
	if err != nil {
		return err
	}
	answer, err := s.watchdog.Call(ctx, core.MemberID(leader), serviceOrder, q)
	if err != nil || string(answer) == "done" {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, orderLimit)
	defer cancel()
	for {
		r := s.nodes.Failover().Record
		if r.Phase == cluster.PhaseWatch {
			if r.Primary != o.Node && o.Node != "" {
				return fmt.Errorf("%s leads and did not do it; the primary is %s: see its log, or SHOW howdah.failover there", leader, r.Primary)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is at it still: %w", leader, context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func order(ctx context.Context, nodes *cluster.Cluster, o orderQuestion) error {
	switch o.What {
	case "attach":
		return nodes.Attach(ctx, o.Node)
	case "detach":
		return nodes.Detach(ctx, o.Node)
	case "pause":
		return nodes.Pause(ctx)
	case "resume":
		return nodes.Resume(ctx)
	case "promote":
		_, err := nodes.Promote(ctx, o.Node)
		return err
	case "switchover":
		_, err := nodes.Switchover(ctx, cluster.SwitchoverOptions{Target: o.Node, Cut: o.Cut})
		return err
	}
	return fmt.Errorf("this version does not know the order %q", o.What)
}

const (
	// tellEvery is how often members tell each other of writes (routing.consistency: cluster), and doubtAfter how long
	// after one was heard last anything may have been written through it. doubtFor is when it has lost the right to
	// write for sure.
	tellEvery  = 50 * time.Millisecond
	doubtAfter = 500 * time.Millisecond
	doubtFor   = 15 * time.Second
)

// tellWritten tells the other members what was written through this one, and has reads look at the primary while
// another one is not heard, until ctx ends.
func (s *services) tellWritten(ctx context.Context) {
	t := time.NewTicker(tellEvery)
	defer t.Stop()
	missed := map[core.MemberID]bool{} // who did not hear all
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if !s.proxy.TracksWrites() {
			continue
		}
		others := s.others()
		s.doubt(others)
		list := s.proxy.Written()
		told := make(chan core.MemberID, len(others))
		calling, cancel := context.WithTimeout(ctx, doubtAfter)
		for _, id := range others {
			q, again := list, missed[id]
			if again {
				q = nil
			}
			missed[id] = true
			go func() { // ends with calling
				if _, err := s.watchdog.Call(calling, id, serviceWritten, q); err != nil {
					if !again {
						s.log.Warn("a member did not hear what was written here", "peer", string(id), "error", err)
					}
					id = ""
				}
				told <- id
			}()
		}
		for range others {
			if id := <-told; id != "" {
				missed[id] = false
			}
		}
		cancel()
	}
}

// doubt has reads need all that may have been written through members that are not heard.
func (s *services) doubt(others []core.MemberID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range others {
		at, ok := s.heard[id]
		if !ok {
			at = time.Now().Add(-doubtAfter)
			s.heard[id] = at
		}
		if silent := time.Since(at); silent >= doubtAfter && silent < doubtFor {
			s.proxy.DoubtWrites()
		}
	}
}
