package core

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Fitness is how well a member could serve clients as the owner of the address.
type Fitness struct {
	// Serves: its own data path works. A member that does not serve never has the address.
	Serves bool `json:"serves"`
	// Link: the interface of the address is up. Without it the address cannot be had.
	Link bool `json:"link"`
	// Primary: it can reach the primary. Gateway: it can reach the trusted servers.
	Primary bool `json:"primary"`
	Gateway bool `json:"gateway"`
	// Disk: what it must store is stored in time. Prompt: it gets processor time in time.
	Disk   bool `json:"disk"`
	Prompt bool `json:"prompt"`
}

// Fit is a member that lacks nothing.
func Fit() Fitness { return Fitness{true, true, true, true, true, true} }

// lacks are the fitness's shortcomings, worst first.
func (f Fitness) lacks() []string {
	var l []string
	for _, c := range []struct {
		ok   bool
		what string
	}{{f.Serves, "its data path does not work"}, {f.Link, "its interface is down"}, {f.Disk, "its disk does not store"},
		{f.Primary, "it does not see the primary"}, {f.Gateway, "it does not reach the trusted servers"}, {f.Prompt, "it gets too little processor time"}} {
		if !c.ok {
			l = append(l, c.what)
		}
	}
	return l
}

// compare is negative if f is less fit than g. An earlier criterion counts more than all later ones.
func (f Fitness) compare(g Fitness) int {
	rank := func(f Fitness) (n int) {
		for _, ok := range []bool{f.Serves, f.Link, f.Disk, f.Primary, f.Gateway, f.Prompt} {
			n <<= 1
			if ok {
				n++
			}
		}
		return n
	}
	return cmp.Compare(rank(f), rank(g))
}

func (f Fitness) String() string {
	if l := f.lacks(); len(l) > 0 {
		return strings.Join(l, ", ")
	}
	return "fit"
}

// peer is what is known of another member; Heard ages.
type peer struct {
	fitness Fitness
	heard   time.Duration
}

// peerFresh is how long a member's word about itself counts, in elections' times.
const peerFresh = 5

// Rank orders members as successors of the leader: the fittest first, then the preferred one, then by
// priority (highest first) and name.
func Rank(s *State, fitness map[MemberID]Fitness) []MemberID {
	var ids []MemberID
	for id := range fitness {
		if s.Members[id].Role != RoleWitness {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b MemberID) int {
		return cmp.Or(fitness[b].compare(fitness[a]), boolCompare(b == s.Intents.Preferred, a == s.Intents.Preferred),
			cmp.Compare(s.Members[b].Priority, s.Members[a].Priority), cmp.Compare(a, b))
	})
	return ids
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// successor is the member that leadership should go to, and why; "" if it should stay. A
// member of the same fitness is no reason, whatever its priority: the address does not flap back.
func successor(s *State, self MemberID, own Fitness, others map[MemberID]Fitness) (MemberID, string) {
	all := map[MemberID]Fitness{self: own}
	for id, f := range others {
		all[id] = f
	}
	ranked := Rank(s, all)
	if len(ranked) == 0 || ranked[0] == self {
		return "", ""
	}
	best := ranked[0]
	switch {
	case s.Members[self].Role == RoleWitness:
		return best, "a witness does not keep leadership"
	case all[best].compare(own) > 0:
		return best, "it is fitter: here " + own.String()
	case best == s.Intents.Preferred:
		return best, "the operator prefers it"
	}
	return "", ""
}
