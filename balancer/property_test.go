package balancer_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
)

// randomInput fills every field with anything that a session may be in, and
// views of any shape.
func randomInput(r *rand.Rand) *balancer.Input {
	view := &cluster.View{Primary: cluster.NoNode}
	for i := range 1 + r.IntN(4) {
		n := cluster.Node{ID: cluster.NodeID(i), State: cluster.State(r.IntN(3)), Role: cluster.Role(r.IntN(3)),
			Weight: float64(r.IntN(3)), Horizon: int64(r.IntN(5)) * 400e6,
			Behind: cluster.Lag{Known: r.IntN(4) > 0, Bytes: uint64(r.IntN(3))}}
		if r.IntN(4) == 0 {
			n.Lagging = "lags"
		}
		if n.State == cluster.StateUp && n.Role == cluster.RolePrimary && view.Primary == cluster.NoNode && r.IntN(4) > 0 {
			view.Primary, n.Horizon = n.ID, math.MaxInt64
		}
		view.Nodes = append(view.Nodes, n)
	}
	time := func() int64 { return int64(r.IntN(5)) * 400e6 } // in steps that make sessions move
	node := func() cluster.NodeID { return cluster.NodeID(r.IntN(len(view.Nodes)+1) - 1) }
	in := &balancer.Input{View: view, Random: r.Uint64(), Session: balancer.Session{
		Settings: balancer.Settings{Balance: balancer.Balance(r.IntN(4)), Choice: balancer.Choice(r.IntN(3)), Transactions: balancer.Transactions(r.IntN(2)),
			AfterWrite: balancer.AfterWrite(r.IntN(5)), Consistency: balancer.Consistency(r.IntN(3)), PreferLowerLag: r.IntN(2) == 0, Dependencies: dependencies},
		ReadNode: node(), Tx: balancer.TxState(r.IntN(4)), TxNode: node(), TxPrimary: r.IntN(3) == 0,
		TxReadOnly: r.IntN(2) == 0, TxIsolation: parser.Isolation(r.IntN(5)),
		TxWriteNode: cluster.NoNode, WaitedInVain: r.IntN(3) == 0, Wrote: r.IntN(4) == 0, WroteInBlock: r.IntN(4) == 0,
		FloorPrimary: time(), LastReadNode: node(), LastReadTime: time(),
	}, Written: time()}
	if r.IntN(4) == 0 {
		in.Session.TxWriteNode = node()
	}
	if r.IntN(4) == 0 {
		in.Session.TxWritten.Add(writeOf(relationNames[r.IntN(len(relationNames))]), dependencies)
	}
	if r.IntN(8) == 0 {
		in.Written = balancer.WriteInFlight
	}
	for range r.IntN(len(view.Nodes) + 2) {
		in.Loads = append(in.Loads, balancer.Load{Connections: int32(r.IntN(3)), InFlight: int32(r.IntN(3)), Latency: int64(r.IntN(3)), Samples: uint32(r.IntN(3))})
	}
	if r.IntN(5) == 0 {
		in.Session.Pinned = balancer.Pin(r.IntN(int(balancer.PinReplication) + 1))
	}
	if r.IntN(10) > 0 {
		st := parser.Statement{Kind: parser.Kind(r.IntN(int(parser.KindCall) + 1)), Access: parser.Access(r.IntN(int(parser.AccessUnknown) + 1)),
			Isolation: parser.Isolation(r.IntN(5)), ReadOnly: parser.ReadOnly(r.IntN(3)), TransactionScoped: r.IntN(4) == 0,
			Relations: []parser.Name{{Name: relationNames[r.IntN(len(relationNames))]}}, Set: parser.SetOp(r.IntN(6)), SQL: "SET"}
		switch st.Kind {
		case parser.KindBegin, parser.KindCommit, parser.KindRollback: // never less, whatever else is random
			st.Access = parser.AccessTransaction
		}
		in.Verdict = &parser.Verdict{Statements: []parser.Statement{st}, Access: st.Access, Single: st.Kind, TransactionScoped: st.TransactionScoped}
	}
	return in
}

var relationNames = []string{"orders", "totals", "grand_totals", "others"}

// writeOf is an INSERT into the relation.
func writeOf(name string) *parser.Verdict {
	return &parser.Verdict{Access: parser.AccessWrite, Single: parser.KindWrite, Statements: []parser.Statement{
		{Kind: parser.KindWrite, Access: parser.AccessWrite, Reason: "INSERT", Relations: []parser.Name{{Name: name}}}}}
}

func TestDecideProperties(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	away := 0
	for range 150_000 {
		in := randomInput(r)
		s, v := &in.Session, in.View
		d := balancer.Decide(in)
		fail := func(what string) {
			t.Fatalf("%s\ninput %+v\nview %+v\nverdict %+v\ndecision %+v", what, *in, *v, in.Verdict, d)
		}

		if d.Reason == balancer.ReasonNone {
			fail("no reason")
		}
		if (d.Node == cluster.NoNode) != (d.Reason == balancer.ReasonNoPrimary || d.Reason == balancer.ReasonTransactionLost) {
			fail("a node without need, or none without saying so")
		}
		if d.Node != cluster.NoNode && (d.Target == balancer.ToPrimary) != (d.Node == v.Primary) {
			fail("target and node disagree")
		}
		if d.Standing && s.Tx == balancer.TxNone {
			fail("standing decision without a transaction")
		}
		if d.Node == cluster.NoNode || d.Node == v.Primary {
			continue
		}
		away++
		// From here on it is another node than the primary.
		settled := s.TxNode == d.Node && (s.Tx == balancer.TxFailed ||
			s.Tx == balancer.TxOpen && !s.TxPrimary &&
				(s.TxReadOnly || in.Verdict != nil && (in.Verdict.Single == parser.KindCommit || in.Verdict.Single == parser.KindRollback)))
		read := in.Verdict != nil && (in.Verdict.Access <= parser.AccessRead ||
			s.Tx == balancer.TxNone && in.Verdict.Single == parser.KindBegin && in.Verdict.Statements[0].ReadOnly == parser.ReadOnlyYes)
		if !read && !settled {
			fail("what is not a read left the primary")
		}
		if s.Tx == balancer.TxFailed && s.TxNode != cluster.NoNode && d.Node != s.TxNode {
			fail("a failed block moved")
		}
		n := v.Node(d.Node)
		if s.Tx == balancer.TxOpen && s.TxNode != cluster.NoNode && s.TxNode != v.Primary {
			free := s.TxWriteNode != cluster.NoNode || s.Settings.Balance == balancer.BalanceStatement
			if d.Node != s.TxNode && (!free || s.TxIsolation > parser.IsolationReadCommitted || s.TxReadOnly && s.TxWriteNode == cluster.NoNode) {
				fail("an open block moved to another standby")
			}
		}
		end := in.Verdict != nil && (in.Verdict.Single == parser.KindCommit || in.Verdict.Single == parser.KindRollback)
		if s.TxWriteNode != cluster.NoNode && s.Tx == balancer.TxOpen && end {
			fail("a block that has something on the primary ends elsewhere")
		}
		if settled && (end || s.Tx == balancer.TxFailed || s.TxIsolation > parser.IsolationReadCommitted) {
			continue
		}
		if s.TxWriteNode != cluster.NoNode && s.Tx == balancer.TxOpen {
			if s.TxWriteNode != v.Primary && v.Primary != cluster.NoNode {
				fail("a block goes on that was lost with its primary")
			}
		}
		if s.Pinned != balancer.PinNone || s.Settings.Balance == balancer.BalanceOff {
			fail("a pinned session or one not balanced left the primary")
		}
		if n.State != cluster.StateUp || n.Role != cluster.RoleStandby || n.Weight == 0 {
			fail("a read went to a node that cannot be used")
		}
		if s.Tx != balancer.TxOpen && n.Lagging != "" {
			fail("a read began on a node over a limit of lag")
		}
		checkAfterWrite(in, fail)
		if s.Settings.Consistency != balancer.ConsistencyNone &&
			(n.Horizon < s.FloorPrimary || s.LastReadNode != n.ID && n.Horizon < s.LastReadTime) {
			fail("a read went to a standby that lacks what the session wrote or saw")
		}
		if s.Settings.Consistency == balancer.ConsistencyCluster && n.Horizon < in.Written {
			fail("a read went to a standby that lacks what somebody wrote")
		}
	}
	t.Logf("%d of the decisions left the primary", away)
	if away < 10_000 {
		t.Fatalf("only %d of the decisions left the primary", away)
	}
}

// checkAfterWrite fails for a read on a standby that routing.after_write forbids.
func checkAfterWrite(in *balancer.Input, fail func(string)) {
	s := &in.Session
	switch s.Settings.AfterWrite {
	case balancer.AfterWriteAlways:
		if s.Wrote {
			fail("always: a read left the primary after a write")
		}
	case balancer.AfterWriteTransTransaction:
		if s.WroteInBlock && s.Tx != balancer.TxNone {
			fail("trans_transaction: a block left the primary after a write in a block")
		}
	case balancer.AfterWriteDMLAdaptive:
		written := s.TxWritten
		if name, ok := balancer.TouchedBy(&written, in.Verdict); ok && s.Tx != balancer.TxNone {
			fail("dml_adaptive: a read of " + name + " left the primary, which the block wrote")
		}
	}
}

func threeNodes(weights ...float64) *cluster.View {
	v := &cluster.View{Primary: 0}
	for i, w := range weights {
		n := cluster.Node{ID: cluster.NodeID(i), Name: "pg", State: cluster.StateUp, Role: cluster.RoleStandby, Weight: w, Horizon: 100}
		if i == 0 {
			n.Role, n.Horizon = cluster.RolePrimary, math.MaxInt64
		}
		v.Nodes = append(v.Nodes, n)
	}
	return v
}

var aRead = &parser.Verdict{Statements: []parser.Statement{{Kind: parser.KindSelect, Access: parser.AccessRead}}, Access: parser.AccessRead, Single: parser.KindSelect}

func TestWeights(t *testing.T) {
	const draws = 100_000
	tests := [][]float64{{1, 1, 1}, {0, 1, 1}, {0, 0, 1}, {1, 2, 7}, {0.5, 0.25, 0.25}, {1, 0, 0}, {1e-3, 1000, 0}}
	for _, weights := range tests {
		r := rand.New(rand.NewPCG(1, 2))
		total := weights[0] + weights[1] + weights[2]
		counts := make([]int, 3)
		in := &balancer.Input{Verdict: aRead, View: threeNodes(weights...), Session: balancer.NewSession(balancer.Settings{})}
		// A session that has just written must draw no differently.
		in.Session.FloorPrimary = 1000
		for range draws {
			in.Random = r.Uint64()
			counts[balancer.Decide(in).ReadNode]++
		}
		for i, w := range weights {
			p := w / total
			want, sigma := p*draws, math.Sqrt(draws*p*(1-p))
			if math.Abs(float64(counts[i])-want) > 4*sigma {
				t.Errorf("weights %v: node %d drawn %d times, want %.0f ± %.0f", weights, i, counts[i], want, 4*sigma)
			}
		}
	}
}

func TestDecideDoesNotAllocate(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	inputs := make([]*balancer.Input, 1000)
	for i := range inputs {
		inputs[i] = randomInput(r)
	}
	if n := testing.AllocsPerRun(10, func() {
		for _, in := range inputs {
			balancer.Decide(in)
		}
	}); n != 0 {
		t.Errorf("%v allocations in %d decisions", n, len(inputs))
	}
}

func BenchmarkDecide(b *testing.B) {
	read := &balancer.Input{Verdict: aRead, View: threeNodes(0, 1, 1), Session: balancer.NewSession(balancer.Settings{})}
	kept := *read
	kept.Session.ReadNode = 1
	for _, bench := range []struct {
		name string
		in   *balancer.Input
	}{{"kept", &kept}, {"drawn", read}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				balancer.Decide(bench.in)
			}
		})
	}
}

// The short way for plain reads decides as the rules do.
func TestPlainReads(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	hint := func() parser.Hint {
		if r.IntN(8) > 0 {
			return parser.Hint{}
		}
		return parser.Hint{Route: parser.Route(r.IntN(int(parser.RouteNode) + 1)), Node: "a"}
	}
	plain := 0
	for range 100_000 {
		in := randomInput(r)
		in.View.Nodes[0].Name = "a"
		if r.IntN(2) == 0 {
			in.Session.Tx, in.Session.Settings.Balance = balancer.TxNone, balancer.BalanceSession
		}
		if r.IntN(2) == 0 {
			in.Verdict = &parser.Verdict{Access: parser.AccessRead, Single: parser.KindSelect, Statements: []parser.Statement{{Kind: parser.KindSelect}}}
		}
		in.Session.RouteLocal, in.Session.Route, in.Session.Redirect = hint(), hint(), hint()
		in.Learned = r.IntN(4) == 0
		if v := in.Verdict; v != nil && r.IntN(4) == 0 {
			v.Commented, v.Hint = true, hint()
			in.Session.Settings.Comments = balancer.Comments(r.IntN(3))
		}
		if balancer.PlainlyKept(in) {
			plain++
		}
		if d, by := balancer.Decide(in), balancer.ByRules(in); d != by {
			t.Fatalf("decision %+v, the rules say %+v\ninput %+v\nview %+v\nverdict %+v", d, by, *in, *in.View, in.Verdict)
		}
	}
	t.Logf("%d of the reads were plain", plain)
	if plain < 200 {
		t.Fatalf("only %d of the reads were plain", plain)
	}
}
