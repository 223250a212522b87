package proxy

import (
	"bytes"
	"sync/atomic"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
)

// Traffic is what a node has done for clients since howdah started. Statements count when they
// complete, by the word that their completion begins with. Pgpool-II: SHOW pool_backend_stats.
type Traffic struct {
	Select, Insert, Update, Delete, DDL, Other uint64
	Panic, Fatal, Error                        uint64
}

// Kinds of traffic, in the order of Traffic's fields.
const (
	trafficSelect = iota
	trafficInsert
	trafficUpdate
	trafficDelete
	trafficDDL
	trafficOther
	trafficPanic
	trafficFatal
	trafficError
	trafficKinds
)

// trafficShards spreads the counters, so that sessions on different processors
// seldom write to the same cache line.
const trafficShards = 4

// traffic counts without locks, and without writing to memory that many processors share.
type traffic struct {
	nodes   [maxLoads][trafficShards]trafficCounts
	reasons [trafficShards][reasonCounters]atomic.Uint64
	// fast are the reads that were not planned (fastpath.go).
	fast [trafficShards]struct {
		count atomic.Uint64
		_     [128 - 8]byte
	}
}

type trafficCounts struct {
	counts [trafficKinds]atomic.Uint64
	_      [128 - 8*trafficKinds]byte
}

// reasonCounters is room for every balancer.Reason.
const reasonCounters = 64

func (t *traffic) count(id cluster.NodeID, pid uint32, kind int) {
	if id >= 0 && id < maxLoads {
		t.nodes[id][pid%trafficShards].counts[kind].Add(1)
	}
}

// completed counts a statement by its CommandComplete's tag.
func (t *traffic) completed(id cluster.NodeID, pid uint32, tag []byte) {
	t.count(id, pid, kindOfTag(tag))
}

// failed counts an error by its severity.
func (t *traffic) failed(id cluster.NodeID, pid uint32, severity []byte) {
	switch string(severity) {
	case "PANIC":
		t.count(id, pid, trafficPanic)
	case "FATAL":
		t.count(id, pid, trafficFatal)
	default:
		t.count(id, pid, trafficError)
	}
}

// decided counts a routing decision by its reason.
func (t *traffic) decided(pid uint32, r balancer.Reason) {
	if r < reasonCounters {
		t.reasons[pid%trafficShards][r].Add(1)
	}
}

// wentFast counts a read that was not planned.
func (t *traffic) wentFast(pid uint32) { t.fast[pid%trafficShards].count.Add(1) }

// tagKinds are the first words of tags (PostgreSQL: src/include/tcop/cmdtaglist.h) that do not count as other.
var tagKinds = []struct {
	word []byte
	kind int
}{
	{[]byte("SELECT"), trafficSelect}, {[]byte("INSERT"), trafficInsert}, {[]byte("UPDATE"), trafficUpdate}, {[]byte("DELETE"), trafficDelete},
	{[]byte("CREATE"), trafficDDL}, {[]byte("ALTER"), trafficDDL}, {[]byte("DROP"), trafficDDL}, {[]byte("TRUNCATE"), trafficDDL},
	{[]byte("COMMENT"), trafficDDL}, {[]byte("GRANT"), trafficDDL}, {[]byte("REVOKE"), trafficDDL}, {[]byte("REINDEX"), trafficDDL},
	{[]byte("IMPORT"), trafficDDL}, {[]byte("REASSIGN"), trafficDDL}, {[]byte("SECURITY"), trafficDDL},
}

func kindOfTag(tag []byte) int {
	for i := range tagKinds {
		if bytes.HasPrefix(tag, tagKinds[i].word) {
			return tagKinds[i].kind
		}
	}
	return trafficOther
}

// Traffic returns what a node has done.
func (srv *Server) Traffic(id cluster.NodeID) Traffic {
	var n [trafficKinds]uint64
	if id >= 0 && id < maxLoads {
		for shard := range srv.traffic.nodes[id] {
			for k := range n {
				n[k] += srv.traffic.nodes[id][shard].counts[k].Load()
			}
		}
	}
	return Traffic{n[trafficSelect], n[trafficInsert], n[trafficUpdate], n[trafficDelete], n[trafficDDL], n[trafficOther],
		n[trafficPanic], n[trafficFatal], n[trafficError]}
}

// fastReads is how many reads were not planned.
func (t *traffic) fastReads() uint64 {
	n := uint64(0)
	for shard := range t.fast {
		n += t.fast[shard].count.Load()
	}
	return n
}

// Decisions returns how often each reason has decided, by its name. A statement that is decided
// about again, after a wait, counts again.
func (srv *Server) Decisions() map[string]uint64 {
	m := map[string]uint64{}
	for r := range balancer.Reason(reasonCounters) {
		n := uint64(0)
		for shard := range srv.traffic.reasons {
			n += srv.traffic.reasons[shard][r].Load()
		}
		if n > 0 {
			m[r.String()] += n
		}
	}
	return m
}
