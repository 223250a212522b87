package watchdog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/raft"

	"github.com/howdah/howdah/watchdog/core"
)

// beginEvery is how often a member with an empty directory asks the others.
const beginEvery = 250 * time.Millisecond

// begin brings a member with an empty directory into the cluster. A cluster begins only when all
// members of the list have seen all others, each with an empty directory and the same list:
// then they share a plan, which each stores before anybody acts on it. So a list can never make two
// clusters, and a directory that was lost does not look like a beginning.
func (w *Watchdog) begin(ctx context.Context) {
	last := ""
	for !w.joined.Load() {
		why := w.tryBegin(ctx)
		if why == nil {
			return
		}
		if text := why.Error(); text != last {
			last = text
			w.log.Info("not a member yet", "reason", text)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(beginEvery):
		}
	}
}

// noteJoined notes that the cluster has this server.
func (w *Watchdog) noteJoined() error {
	w.identity.Joined = true
	if err := w.identity.save(w.cfg.DataDir); err != nil {
		return err
	}
	w.joined.Store(true)
	return nil
}

// tryBegin takes one step; the error is what is waited for.
func (w *Watchdog) tryBegin(ctx context.Context) error {
	answers := map[core.MemberID]helloAnswer{}
	list := listHash(&w.cfg)
	for _, p := range w.cfg.Peers {
		if id := core.MemberID(p.Name); id != w.self {
			a, err := w.caller.call(ctx, id, request{Hello: &helloRequest{List: list}})
			if err != nil {
				continue
			}
			answers[id] = *a.Hello
		}
	}
	mine := w.identity.Plan.hash()
	for id, a := range answers {
		if a.Running && (mine == "" || a.Plan != mine) {
			w.identity.Generations = a.Generations
			w.generations.Store(a.Generations)
			return w.askToJoin(ctx, id)
		}
	}
	for _, p := range w.cfg.Peers {
		id := core.MemberID(p.Name)
		a, ok := answers[id]
		switch {
		case id == w.self:
		case !ok:
			return fmt.Errorf("a new cluster begins when all members are there; %s does not answer", id)
		case a.List != list:
			return fmt.Errorf("%s has another list of members, or another profile: make watchdog.peers the same on all", id)
		}
	}
	if p := w.planOf(answers); p.hash() != mine {
		w.identity.Plan = p
		if err := w.identity.save(w.cfg.DataDir); err != nil {
			return err
		}
		w.plan.Store(p.hash())
		return errors.New("the members have seen each other; the cluster begins when all have noted that")
	}
	for id, a := range answers {
		if a.Plan != mine {
			return fmt.Errorf("%s has not noted yet whom the cluster begins with", id)
		}
	}
	servers := w.identity.Plan.Servers
	err := w.raft().BootstrapCluster(raft.Configuration{Servers: servers}).Error()
	if err != nil && !errors.Is(err, raft.ErrCantBootstrap) {
		return fmt.Errorf("begin the cluster: %w", err)
	}
	w.log.Info("the cluster begins", "members", len(servers))
	return w.noteJoined()
}

// planOf is the first configuration, given what all others answered.
func (w *Watchdog) planOf(answers map[core.MemberID]helloAnswer) *plan {
	p := &plan{}
	for _, peer := range w.cfg.Peers {
		id := w.identity.Server
		if a, ok := answers[core.MemberID(peer.Name)]; ok {
			id = a.Server
		}
		p.Servers = append(p.Servers, raft.Server{Suffrage: raft.Voter, ID: id, Address: raft.ServerAddress(net.JoinHostPort(peer.Host, strconv.Itoa(peer.Port)))})
	}
	slices.SortFunc(p.Servers, func(a, b raft.Server) int { return cmp.Compare(a.ID, b.ID) })
	return p
}

// hello says what this member's directory holds.
func (w *Watchdog) hello() answer {
	return answer{Hello: &helloAnswer{Server: w.identity.Server, List: listHash(&w.cfg), Plan: w.plan.Load().(string), Running: w.joined.Load(),
		Generations: w.generations.Load().([]string)}}
}

// askToJoin asks every member to be let in, until the leader is among them.
func (w *Watchdog) askToJoin(ctx context.Context, running core.MemberID) error {
	address, _ := w.addressOf(w.self)
	var all error
	for _, p := range w.cfg.Peers {
		if id := core.MemberID(p.Name); id != w.self {
			a, err := w.caller.call(ctx, id, request{Join: &joinRequest{Server: w.identity.Server, Address: address}})
			switch {
			case err == nil && a.Joined:
				w.log.Info("the leader let this member in", "leader", string(id))
				return w.noteJoined()
			case err == nil:
				return errors.New("the leader lets this member in")
			}
			all = errors.Join(all, err)
		}
	}
	return fmt.Errorf("%s belongs to a running cluster, and no leader lets this member in: %w", running, all)
}
