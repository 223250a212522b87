package core

import (
	"errors"
	"fmt"
)

// Limits of what one state holds; they are far above what any cluster has.
const (
	maxMembers = 64
	maxNodes   = 256
	maxNote    = 64 << 10
)

// step moves the failover, or says why it cannot.
func (s *State) step(step failoverStep) error {
	next, err := s.Failover.Phase.next(step)
	if err != nil {
		return err
	}
	s.Failover.Phase = next
	return nil
}

func applyBegin(s *State, index uint64, b BeginBody) error {
	switch {
	case s.Intents.Paused && !b.Planned:
		return errors.New("everything automatic is paused")
	case b.From == "" || b.From != s.Primary.Node:
		return fmt.Errorf("the primary is %q, not %q", s.Primary.Node, b.From)
	}
	if err := s.step(stepBegin); err != nil {
		return err
	}
	s.Failover = Failover{Phase: s.Failover.Phase, ID: index, From: b.From, Reason: b.Reason, Planned: b.Planned, Votes: b.Votes}
	return nil
}

func applyBar(s *State, _ uint64, c Command) error {
	if c.Failover == 0 {
		return errors.New("it names no failover")
	}
	return s.step(stepBar)
}

func applyChoose(s *State, _ uint64, b ChooseBody) error {
	switch {
	case b.Attempt != s.Attempt+1:
		return fmt.Errorf("the next attempt is %d, not %d", s.Attempt+1, b.Attempt)
	case b.Candidate == "" || b.Candidate == s.Failover.From:
		return fmt.Errorf("%q cannot be the candidate", b.Candidate)
	case s.Nodes[b.Candidate].Status == NodeTainted:
		return fmt.Errorf("%s is tainted: %s", b.Candidate, s.Nodes[b.Candidate].Reason)
	}
	if err := s.step(stepChoose); err != nil {
		return err
	}
	if old := s.Failover.Candidate; old != "" && old != b.Candidate {
		s.taint(old, "it was the candidate of an attempt that was given up: "+b.Reason)
	}
	s.Attempt = b.Attempt
	s.Failover.Candidate, s.Failover.Attempt = b.Candidate, b.Attempt
	return nil
}

func applyCommit(s *State, _ uint64, b CommitBody) error {
	if b.Attempt != s.Failover.Attempt || b.Primary.Node != s.Failover.Candidate {
		return fmt.Errorf("attempt %d is for %q", s.Failover.Attempt, s.Failover.Candidate)
	}
	if err := s.step(stepCommit); err != nil {
		return err
	}
	reason := s.Failover.Reason
	s.Failover = Failover{}
	s.setPrimary(b.Primary, reason)
	return nil
}

func applyAbort(s *State, _ uint64, b ReasonBody) error {
	if err := s.step(stepAbort); err != nil {
		return err
	}
	if c := s.Failover.Candidate; c != "" {
		s.taint(c, "it was the candidate of a failover that was aborted: "+b.Reason)
	}
	s.Failover = Failover{}
	return nil
}

// applyPrimary never works beside a failover, which ends with a primary of its own. Nor
// does it change the node: members might still write to the other one, and only a failover
// waits until none does.
func applyPrimary(s *State, _ uint64, b PrimaryBody) error {
	switch {
	case s.Failover.Phase != PhaseNone:
		return errors.New("a failover is under way")
	case b.Primary.Node == "":
		return errors.New("it names no node")
	case b.Primary == s.Primary:
		return errors.New("it is recorded already")
	case s.Primary.Node != "" && b.Primary.Node != s.Primary.Node:
		return fmt.Errorf("the primary is %s: another node needs a failover", s.Primary.Node)
	}
	s.setPrimary(b.Primary, b.Reason)
	return nil
}

// setPrimary begins the next epoch.
func (s *State) setPrimary(p Primary, reason string) {
	from := s.Primary.Node
	s.Epoch++
	s.Attempt = 0
	s.Primary = p
	s.Nodes[p.Node] = Node{Desired: desiredOr(s.Nodes[p.Node].Desired), Status: NodeUp}
	s.History = last(append(s.History, Change{s.Epoch, from, p, reason}), maxHistory)
}

func (s *State) taint(id NodeID, reason string) {
	s.Nodes[id] = Node{Desired: desiredOr(s.Nodes[id].Desired), Status: NodeTainted, Reason: reason}
}

func desiredOr(d Desired) Desired {
	if d == "" {
		return Attached
	}
	return d
}

func applyMember(s *State, _ uint64, b MemberBody) error {
	switch _, known := s.Members[b.ID]; {
	case b.ID == "":
		return errors.New("it names no member")
	case b.Member.Role != RoleProxy && b.Member.Role != RoleWitness:
		return fmt.Errorf("unknown role %q", b.Member.Role)
	case b.Member.Level < s.Level:
		return fmt.Errorf("member %s understands level %d, and the cluster uses level %d: upgrade it", b.ID, b.Member.Level, s.Level)
	case !known && len(s.Members) == maxMembers:
		return fmt.Errorf("there are %d members already", maxMembers)
	}
	s.Members[b.ID] = b.Member
	return nil
}

func applyForget(s *State, _ uint64, b IDBody) error {
	if _, ok := s.Members[b.ID]; !ok {
		return fmt.Errorf("no member %q", b.ID)
	}
	delete(s.Members, b.ID)
	if s.Intents.Preferred == b.ID {
		s.Intents.Preferred = ""
	}
	return nil
}

// applyLevel never lowers the level: commands of the higher one may be in the log.
func applyLevel(s *State, _ uint64, b LevelBody) error {
	if b.Level <= s.Level {
		return fmt.Errorf("the level is %d already", s.Level)
	}
	for id, m := range s.Members {
		if m.Level < b.Level {
			return fmt.Errorf("member %s understands only level %d", id, m.Level)
		}
	}
	s.Level = b.Level
	return nil
}

func applyNode(s *State, _ uint64, b NodeBody) error {
	switch _, known := s.Nodes[b.ID]; {
	case b.ID == "":
		return errors.New("it names no node")
	case !known && len(s.Nodes) == maxNodes:
		return fmt.Errorf("there are %d nodes already", maxNodes)
	case b.Node.Desired != Attached && b.Node.Desired != Detached && b.Node.Desired != Maintenance:
		return fmt.Errorf("unknown wish %q", b.Node.Desired)
	case b.Node.Status != NodeUp && b.Node.Status != NodeDown && b.Node.Status != NodeTainted:
		return fmt.Errorf("unknown status %q", b.Node.Status)
	case s.Failover.Phase != PhaseNone && (b.ID == s.Failover.From || b.ID == s.Failover.Candidate):
		return fmt.Errorf("a failover with %s is under way", b.ID)
	}
	s.Nodes[b.ID] = b.Node
	return nil
}

func applyPause(s *State, _ uint64, b PauseBody) error {
	if s.Failover.Phase != PhaseNone && b.Paused {
		return errors.New("a failover is under way: wait for its end, or abort it")
	}
	s.Intents.Paused = b.Paused
	return nil
}

func applyPrefer(s *State, _ uint64, b IDBody) error {
	m, ok := s.Members[b.ID]
	if b.ID != "" && (!ok || m.Role == RoleWitness) {
		return fmt.Errorf("%q is no member that can hold the address", b.ID)
	}
	s.Intents.Preferred = b.ID
	return nil
}

func applyOwner(s *State, _ uint64, b IDBody) error {
	s.Owner = b.ID
	return nil
}

func applyNote(s *State, _ uint64, b NoteBody) error {
	if len(b.Note) > maxNote {
		return fmt.Errorf("a note of %d bytes is longer than %d", len(b.Note), maxNote)
	}
	s.Note = b.Note
	return nil
}
