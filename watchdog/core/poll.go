package core

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Sight is what a member knows of a node.
type Sight string

// What a member may know of a node.
const (
	// SeesUp: there is evidence that it lives, be it that others still hear from it.
	SeesUp Sight = "up"
	// SeesDown: it was looked for, and all there is says that it is dead.
	SeesDown Sight = "down"
	// SeesNothing: this member cannot tell. It counts as an answer, not as an opinion.
	SeesNothing Sight = "unknown"
)

// Vote is a member's answer to a poll.
type Vote struct {
	From   MemberID `json:"from"`
	Sight  Sight    `json:"sight"`
	Reason string   `json:"reason,omitempty"`
}

// Poll is a question to all members: is this node dead?
type Poll struct {
	ID    uint64 `json:"id"`
	Node  NodeID `json:"node"`
	Epoch uint64 `json:"epoch"`
}

// Verdict is the outcome of a poll.
type Verdict struct {
	// Failed: the node has failed, and a failover may begin.
	Failed bool
	// Alive: a member saw it alive.
	Alive bool
	// Final: no answer that is still missing can change the outcome.
	Final  bool
	Reason string
}

// Tally counts a poll. The node has failed if a majority of the voters answered, at least
// one of the answers is an observation, and none saw the node alive.
func Tally(votes []Vote, voters []MemberID) Verdict {
	var up, down, answered []string
	for _, v := range votes {
		if !slices.Contains(voters, v.From) && v.Sight != SeesUp {
			continue // who does not vote can veto, but not decide
		}
		switch v.Sight {
		case SeesUp:
			up = append(up, fmt.Sprintf("%s (%s)", v.From, v.Reason))
		case SeesDown:
			down = append(down, string(v.From))
		}
		answered = append(answered, string(v.From))
	}
	var missing []string
	for _, id := range voters {
		if !slices.Contains(answered, string(id)) {
			missing = append(missing, string(id))
		}
	}
	final := len(missing) == 0
	quorum := Quorum(len(voters))
	switch {
	case len(up) > 0:
		return Verdict{Alive: true, Final: true, Reason: "seen alive by " + strings.Join(up, ", ")}
	case len(voters)-len(missing) < quorum:
		return Verdict{Final: final, Reason: fmt.Sprintf("%d of %d members answered, %d are needed; nothing from %s",
			len(voters)-len(missing), len(voters), quorum, strings.Join(missing, ", "))}
	case len(down) == 0:
		return Verdict{Final: final, Reason: "no member that answered can see it"}
	}
	reason := "seen dead by " + strings.Join(down, ", ")
	if len(missing) > 0 {
		reason += "; nothing from " + strings.Join(missing, ", ")
	}
	return Verdict{Failed: true, Final: final, Reason: reason}
}

// sortVotes puts votes in the order in which they are stored.
func sortVotes(votes []Vote) []Vote {
	votes = slices.Clone(votes)
	slices.SortFunc(votes, func(a, b Vote) int { return cmp.Compare(a.From, b.From) })
	return votes
}

// poll is a poll under way at the leader.
type poll struct {
	Poll
	// request asked for it; or failover is under way and looked at again.
	request  string
	failover uint64
	reason   string
	asked    time.Duration
	votes    map[MemberID]Vote
}

func (p *poll) tally(voters []MemberID) (Verdict, []Vote) {
	votes := make([]Vote, 0, len(p.votes))
	for _, v := range p.votes {
		votes = append(votes, v)
	}
	votes = sortVotes(votes)
	return Tally(votes, voters), votes
}
