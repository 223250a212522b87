package proxy

import (
	"sync/atomic"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
)

// maxLoads is how many nodes have counters; later ones, which only many reloads
// with ever new names make, count as idle. It is the limit of backends.
const maxLoads = 128

// loads counts what each node does for howdah's sessions. All of it is updated and
// read without locks; the nodes' counters do not share a cache line.
type loads [maxLoads]nodeLoad

type nodeLoad struct {
	connections atomic.Int32
	inFlight    atomic.Int32
	samples     atomic.Uint32
	latency     atomic.Int64 // nanoseconds, smoothed
	_           [40]byte
}

// latencyShare is how much of the smoothed latency a new one makes up: 1 in so many.
const latencyShare = 8

func (ls *loads) node(id cluster.NodeID) *nodeLoad {
	if id < 0 || id >= maxLoads {
		return nil
	}
	return &ls[id]
}

// lent counts a connection that a session got, or gave back if by is -1.
func (ls *loads) lent(id cluster.NodeID, by int32) {
	if n := ls.node(id); n != nil {
		n.connections.Add(by)
	}
}

// asked counts a unit that a node works on, or has answered if by is -1.
func (ls *loads) asked(id cluster.NodeID, by int32) {
	if n := ls.node(id); n != nil {
		n.inFlight.Add(by)
	}
}

// answered takes in how long a read took to begin its answer. Two sessions at
// the same instant may lose one of their samples, which does no harm.
func (ls *loads) answered(id cluster.NodeID, nanoseconds int64) {
	n := ls.node(id)
	if n == nil {
		return
	}
	old := n.latency.Load()
	if n.samples.Load() == 0 {
		old = nanoseconds
	}
	n.latency.Store(old + (nanoseconds-old)/latencyShare)
	n.samples.Add(1)
}

// snapshot appends the loads of the first count nodes to dst.
func (ls *loads) snapshot(dst []balancer.Load, count int) []balancer.Load {
	for i := range min(count, maxLoads) {
		n := &ls[i]
		dst = append(dst, balancer.Load{Connections: n.connections.Load(), InFlight: n.inFlight.Load(),
			Latency: n.latency.Load(), Samples: n.samples.Load()})
	}
	return dst
}
