package watchdog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/hashicorp/raft"

	"github.com/howdah/howdah/watchdog/core"
)

// errNotLeader is the answer of a member that cannot do what only the leader does.
var errNotLeader = errors.New("this member does not lead")

// settleTime is how long a new member must have kept up before it votes.
const settleTime = 3 * time.Second

// join lets a member in: the server of a member that the configuration, or the state, knows. An
// earlier server of the same member, whose directory was lost, is replaced; it never votes again.
func (w *Watchdog) join(member core.MemberID, j *joinRequest) error {
	switch {
	case memberOf(j.Server) != member:
		return fmt.Errorf("server %s does not belong to member %s", j.Server, member)
	case w.raft().State() != raft.Leader || !w.mayAct():
		return errNotLeader
	}
	if _, known := w.addressOf(member); !known {
		return fmt.Errorf("member %s is not in watchdog.peers here: add it on all members first", member)
	}
	if !w.joining.CompareAndSwap(false, true) {
		return nil // the one under way is asked for again and again
	}
	w.goDo(func() {
		defer w.joining.Store(false)
		if err := w.letIn(member, j); err != nil {
			w.log.Warn("a member was not let in", "peer", string(member), "error", err)
		}
	})
	return nil
}

func (w *Watchdog) letIn(member core.MemberID, j *joinRequest) error {
	old, voter, err := w.serversOf(member)
	if err != nil {
		return err
	}
	if voter == j.Server {
		return nil
	}
	w.log.Info("a member joins", "peer", string(member), "server", string(j.Server), "replaces", string(voter))
	for _, id := range old { // its address is needed
		if id != j.Server {
			if err := w.raft().RemoveServer(id, 0, proposeTimeout).Error(); err != nil {
				return fmt.Errorf("remove its lost server: %w", err)
			}
		}
	}
	if err := w.raft().AddNonvoter(j.Server, raft.ServerAddress(j.Address), 0, proposeTimeout).Error(); err != nil {
		return fmt.Errorf("add it without a vote: %w", err)
	}
	// Two members write without a grant, as nothing is decided without both. They must know
	// of a third before it votes.
	if err := w.knowOf(member, j.Address); err != nil {
		return err
	}
	if err := w.awaitIt(member); err != nil {
		return err
	}
	if err := w.raft().AddVoter(j.Server, raft.ServerAddress(j.Address), 0, proposeTimeout).Error(); err != nil {
		return fmt.Errorf("give it a vote: %w", err)
	}
	w.log.Info("a member votes now", "peer", string(member))
	return nil
}

// serversOf are raft's servers of a member, and which of them votes.
func (w *Watchdog) serversOf(member core.MemberID) (all []raft.ServerID, voter raft.ServerID, err error) {
	f := w.raft().GetConfiguration()
	if err := f.Error(); err != nil {
		return nil, "", fmt.Errorf("read the members: %w", err)
	}
	for _, s := range f.Configuration().Servers {
		if memberOf(s.ID) == member {
			all = append(all, s.ID)
			if s.Suffrage == raft.Voter {
				voter = s.ID
			}
		}
	}
	return all, voter, nil
}

// votes says whether a server has a vote, by this member's own configuration.
func (w *Watchdog) votes(id raft.ServerID) bool {
	_, voter, err := w.serversOf(memberOf(id))
	return err == nil && voter == id
}

// knowOf has the member in the state, and waits until every voter goes by that.
func (w *Watchdog) knowOf(member core.MemberID, address string) error {
	s := w.fsm.current()
	if _, known := s.Members[member]; !known {
		c := s.Make(core.KindMember, core.MemberBody{ID: member, Member: core.Member{Address: address, Role: w.roleOf(member), Level: max(s.Level, 1)}})
		if err := w.propose(c); err != nil {
			return err
		}
	}
	if len(w.voters()) != 2 {
		return nil
	}
	index := w.raft().AppliedIndex()
	for end := w.now() + 10*time.Second; w.now() < end && w.raft().State() == raft.Leader; time.Sleep(tickEvery) {
		missing := ""
		w.inspect(func(l *loop) {
			for _, v := range l.voters {
				if v != w.self && v != member && l.machine.AppliedAt(v) < index {
					missing = string(v)
				}
			}
		})
		if missing == "" {
			return nil
		}
	}
	return errors.New("not every voter has heard of it")
}

func (w *Watchdog) roleOf(member core.MemberID) core.Role {
	for _, p := range w.cfg.Peers {
		if core.MemberID(p.Name) == member {
			return core.Role(p.Role)
		}
	}
	return core.RoleProxy
}

// awaitIt waits until the member has had everything for settleTime.
func (w *Watchdog) awaitIt(member core.MemberID) error {
	since := w.now()
	for end := w.now() + time.Minute; w.now() < end && w.raft().State() == raft.Leader; time.Sleep(4 * tickEvery) {
		var applied uint64
		w.inspect(func(l *loop) { applied = l.machine.AppliedAt(member) })
		if applied == 0 || applied+2 < w.raft().AppliedIndex() {
			since = w.now()
		} else if w.now()-since >= settleTime {
			return nil
		}
	}
	return errors.New("it did not keep up")
}

// remove takes a member out: it does not vote any more and is forgotten. A majority of those who
// vote must be there.
func (w *Watchdog) remove(member core.MemberID) error {
	if w.raft().State() != raft.Leader || !w.mayAct() {
		return errNotLeader
	}
	if member == w.self {
		return errors.New("this member leads: give leadership away first")
	}
	all, _, err := w.serversOf(member)
	if err != nil {
		return err
	}
	for _, id := range all {
		if err := w.raft().RemoveServer(id, 0, proposeTimeout).Error(); err != nil {
			return fmt.Errorf("remove member %s: %w", member, err)
		}
	}
	s := w.fsm.current()
	if _, known := s.Members[member]; !known && len(all) == 0 {
		return fmt.Errorf("no member %s", member)
	}
	return w.propose(s.Make(core.KindForget, core.IDBody{ID: member}))
}

// announceEvery is how often a member looks whether the state has it right.
const announceEvery = 300 * time.Millisecond

// announce keeps this member's entry in the state up to date, through whoever leads.
func (w *Watchdog) announce(ctx context.Context) {
	self := w.cfg.Self()
	me := core.Member{Address: net.JoinHostPort(self.Host, strconv.Itoa(self.Port)), Role: core.Role(self.Role), Priority: self.Priority, Level: w.commands.Level()}
	for {
		if _, leader := w.raft().LeaderWithID(); leader != "" && w.fsm.current().Members[w.self] != me && w.votesOrJoins() {
			var err error
			if leader == w.identity.Server {
				err = w.noteMember(w.self, me)
			} else {
				_, err = w.caller.call(ctx, memberOf(leader), request{Announce: &me})
			}
			if err != nil {
				w.log.Debug("this member is not announced yet", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(announceEvery):
		}
	}
}

// votesOrJoins: a member that was removed does not announce itself again.
func (w *Watchdog) votesOrJoins() bool {
	all, _, err := w.serversOf(w.self)
	return err == nil && len(all) > 0
}

func (w *Watchdog) noteMember(id core.MemberID, m core.Member) error {
	if w.raft().State() != raft.Leader {
		return errNotLeader
	}
	if all, _, err := w.serversOf(id); err != nil || len(all) == 0 {
		return errors.Join(fmt.Errorf("%s is no member", id), err)
	}
	s := w.fsm.current()
	if s.Members[id] == m {
		return nil
	}
	return w.propose(s.Make(core.KindMember, core.MemberBody{ID: id, Member: m}))
}

// handOver gives leadership away before this member stops.
func (w *Watchdog) handOver(ctx context.Context) {
	release, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if w.raft().State() == raft.Leader {
		w.feed(core.Yield{Reason: "this member stops"})
		for w.raft().State() == raft.Leader && release.Err() == nil && len(w.voters()) > 1 {
			time.Sleep(tickEvery / 2)
		}
	}
	if err := w.parts.Address.Release(release, "this member stops"); err != nil {
		w.log.Error("the address may still be here", "error", err)
	}
}
