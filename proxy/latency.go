package proxy

import (
	"sync/atomic"
	"time"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
)

// LatencyBounds are the upper bounds of a histogram's buckets; what took longer is in one more.
var LatencyBounds = [...]time.Duration{
	100 * time.Microsecond, 200 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond,
	10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second,
}

const latencyBuckets = len(LatencyBounds) + 1

// Routes of units, by what they do: the primary may get both.
const (
	RouteRead  = iota
	RouteWrite // all that is no plain read, what is not understood included
	Routes
)

// Latency is a histogram of how long units took from when they were sent to a node until their
// answer was complete. With COPY and large results that includes the client's part.
type Latency struct {
	// Buckets count the units of each bound alone, not those below it too.
	Buckets [latencyBuckets]uint64
	Sum     time.Duration
}

// latencies count without locks, spread as traffic is.
type latencies [maxLoads][Routes][trafficShards]latencyCounts

type latencyCounts struct {
	buckets [latencyBuckets]atomic.Uint64
	sum     atomic.Uint64 // nanoseconds
	_       [192 - 8*(latencyBuckets+1)]byte
}

func (ls *latencies) count(id cluster.NodeID, route int, pid uint32, took time.Duration) {
	if id < 0 || id >= maxLoads {
		return
	}
	c := &ls[id][route][pid%trafficShards]
	i := 0
	for i < len(LatencyBounds) && took > LatencyBounds[i] {
		i++
	}
	c.buckets[i].Add(1)
	c.sum.Add(uint64(max(took, 0)))
}

// routeOf is the route that a unit counts under.
func routeOf(v *parser.Verdict) int {
	if v != nil && v.Access <= parser.AccessRead {
		return RouteRead
	}
	return RouteWrite
}

// Latency returns a node's histogram of a route.
func (srv *Server) Latency(id cluster.NodeID, route int) Latency {
	var l Latency
	if id < 0 || id >= maxLoads {
		return l
	}
	for shard := range srv.latencies[id][route] {
		c := &srv.latencies[id][route][shard]
		for i := range l.Buckets {
			l.Buckets[i] += c.buckets[i].Load()
		}
		l.Sum += time.Duration(c.sum.Load())
	}
	return l
}
