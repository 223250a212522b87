package balancer_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
)

// randomHints adds wishes of every kind to a random input.
func randomHints(r *rand.Rand, in *balancer.Input) {
	for i := range in.View.Nodes {
		in.View.Nodes[i].Name = fmt.Sprint("pg", i)
	}
	hint := func() parser.Hint {
		h := parser.Hint{Route: parser.Route(r.IntN(int(parser.RouteNode) + 1))}
		if h.Route == parser.RouteNode {
			h.Node = fmt.Sprint("pg", r.IntN(4))
		}
		return h
	}
	s := &in.Session
	s.RouteLocal, s.Route, s.Redirect = hint(), hint(), hint()
	s.Settings.Comments = balancer.Comments(r.IntN(3))
	in.Learned = r.IntN(5) == 0
	if v := in.Verdict; v != nil {
		if r.IntN(2) == 0 {
			v.Commented, v.Hint = true, hint()
		}
		if r.IntN(4) == 0 { // SELECT of a function that is not known: what a client may vouch for
			st := &v.Statements[0]
			st.Kind, st.Access = parser.KindSelect, parser.AccessUnknown
			v.Single, v.Access = st.Kind, st.Access
		}
		v.Trustable = v.Access >= parser.AccessWrite && v.Single == parser.KindSelect && r.IntN(2) == 0
	}
}

// Whatever is wished, what is known to write stays on the primary, and what
// leaves it goes where it can be served.
func TestWishesAreSafe(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	away, trusted := 0, 0
	for range 300_000 {
		in := randomInput(r)
		randomHints(r, in)
		s, v := &in.Session, in.View
		if s.Tx == balancer.TxOpen || s.Tx == balancer.TxFailed {
			continue // the block's own rules are TestDecideProperties'
		}
		d := balancer.Decide(in)
		if d.Node == cluster.NoNode || d.Node == v.Primary {
			continue
		}
		away++
		fail := func(what string) {
			t.Fatalf("%s\ninput %+v\nview %+v\nverdict %+v\ndecision %+v", what, *in, *v, in.Verdict, d)
		}
		read := in.Verdict != nil && (in.Verdict.Access <= parser.AccessRead ||
			s.Tx == balancer.TxNone && in.Verdict.Single == parser.KindBegin && in.Verdict.Statements[0].ReadOnly == parser.ReadOnlyYes)
		byClient := s.RouteLocal.Route > parser.RoutePrimary || s.Route.Route > parser.RoutePrimary || in.Verdict != nil && in.Verdict.Hint.Route > parser.RoutePrimary
		if !read {
			trusted++
			if in.Verdict == nil || !in.Verdict.Trustable || in.Learned || !byClient {
				fail("what is not a read left the primary")
			}
		}
		if in.Learned && in.Verdict.Access <= parser.AccessRead {
			fail("what a standby refuses went to one")
		}
		if s.Pinned != balancer.PinNone {
			fail("a pinned session left the primary")
		}
		if s.Settings.Balance == balancer.BalanceOff && !byClient {
			fail("balance is off, and no client asked for a read node")
		}
		n := v.Node(d.Node)
		if n.State != cluster.StateUp || n.Role != cluster.RoleStandby || n.Weight == 0 && d.Reason != balancer.ReasonRedirect {
			fail("a read went to a node that cannot be used")
		}
		if s.Settings.Consistency == balancer.ConsistencySession &&
			(n.Horizon < s.FloorPrimary || s.LastReadNode != n.ID && n.Horizon < s.LastReadTime) {
			fail("a read went to a standby that lacks what the session wrote or saw")
		}
	}
	t.Logf("%d of the decisions left the primary, %d by trust", away, trusted)
	if away < 300 || trusted < 10 {
		t.Fatalf("only %d of the decisions left the primary, %d by trust", away, trusted)
	}
}

func TestHintsDoNotAllocate(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	inputs := make([]*balancer.Input, 1000)
	for i := range inputs {
		inputs[i] = randomInput(r)
		randomHints(r, inputs[i])
	}
	if n := testing.AllocsPerRun(10, func() {
		for _, in := range inputs {
			balancer.Decide(in)
		}
	}); n != 0 {
		t.Errorf("%v allocations in %d decisions", n, len(inputs))
	}
}
