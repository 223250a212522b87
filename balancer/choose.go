package balancer

import (
	"math"

	"github.com/howdah/howdah/cluster"
)

// choose picks one of the nodes that ok accepts, or NoNode.
func choose(in *Input, ok func(*cluster.Node) bool) cluster.NodeID {
	switch in.Session.Settings.Choice {
	case ChoiceLeastConnections:
		return least(in, ok, connectionScore)
	case ChoiceFastest:
		if !explores(in, ok) {
			return least(in, ok, answerScore)
		}
	}
	return draw(in, ok)
}

// draw picks by weight.
func draw(in *Input, ok func(*cluster.Node) bool) cluster.NodeID {
	total := 0.0
	for i := range in.View.Nodes {
		if n := &in.View.Nodes[i]; ok(n) {
			total += n.Weight
		}
	}
	// 53 bits: all that a float64 holds, so that at < total.
	at := float64(in.Random>>exploreBits) / (1 << (64 - exploreBits)) * total
	last := cluster.NoNode
	for i := range in.View.Nodes {
		n := &in.View.Nodes[i]
		if !ok(n) {
			continue
		}
		last = n.ID
		if at -= n.Weight; at < 0 {
			break
		}
	}
	return last
}

// least picks the node of the lowest score, by weight among equals.
func least(in *Input, ok func(*cluster.Node) bool, score func(*Input, *cluster.Node) float64) cluster.NodeID {
	best := math.Inf(1)
	for i := range in.View.Nodes {
		if n := &in.View.Nodes[i]; ok(n) {
			best = min(best, score(in, n))
		}
	}
	return draw(in, func(n *cluster.Node) bool { return ok(n) && score(in, n) == best })
}

// connectionScore is the node's share of howdah's sessions if it gets one more.
func connectionScore(in *Input, n *cluster.Node) float64 {
	return (float64(in.load(n.ID).Connections) + 1) / n.Weight
}

// answerScore is when a node should have answered one more read: its latency,
// for each that it works on and this one.
func answerScore(in *Input, n *cluster.Node) float64 {
	l := in.load(n.ID)
	return float64(l.Latency) * (float64(l.InFlight) + 1) / n.Weight
}

// load is what is known of a node's work.
func (in *Input) load(id cluster.NodeID) Load {
	if int(id) >= len(in.Loads) {
		return Load{}
	}
	return in.Loads[id]
}

// Exploration: so that a node that was slow once is not left alone for ever, a
// share of the choices is by weight. It decays as the node least known is better known:
// all of them at no sample, half at exploreHalf samples, never under 1 in 2^exploreBits / exploreLeast.
const (
	exploreBits  = 11
	exploreHalf  = 16
	exploreLeast = 32 // of 2^exploreBits: 1 in 64
)

// explores is whether this choice is by weight, not by speed.
func explores(in *Input, ok func(*cluster.Node) bool) bool {
	fewest := uint64(math.MaxUint32)
	for i := range in.View.Nodes {
		if n := &in.View.Nodes[i]; ok(n) {
			fewest = min(fewest, uint64(in.load(n.ID).Samples))
		}
	}
	share := max(exploreLeast, (1<<exploreBits)*exploreHalf/(exploreHalf+fewest))
	return in.Random&(1<<exploreBits-1) < share
}
