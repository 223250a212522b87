package proxy

import (
	"math/bits"
	"strings"
	"sync/atomic"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
)

// writeTable knows when relations were last written through howdah, by anybody
// (routing.consistency: cluster). It is an array of places, found by a hash of
// database and relation; relations that share a place count as written together,
// so nothing is ever dropped and nothing grows. It is read and written without locks.
//
// A write counts as in flight while it, or the COMMIT of its block, is with the
// primary, and with the time of its answer from before the client can have that
// answer on. Whoever heard of the write, from its client or by reading it on the
// primary, reads after that.
type writeTable struct {
	slots []writeSlot // a power of two
	// since is when (cluster.Now) the writes began to be tracked.
	since atomic.Int64
	// told has, for each place, the last write that other howdahs were told of; its one user is Written.
	told []int64
}

// writeSlot is one place.
type writeSlot struct {
	// at is when (cluster.Now) the last write completed; 0 is never.
	at atomic.Int64
	// inFlight counts the writes that may have committed and are not answered.
	inFlight atomic.Int64
	// heard is when this howdah heard last of a write by another howdah.
	heard atomic.Int64
}

func newWriteTable(places int) *writeTable {
	return &writeTable{slots: make([]writeSlot, 1<<bits.Len(uint(places-1)))}
}

// hash is FNV-1a with a last mix (splitmix64's): the same in every howdah, which tell each other places.
func hash(s string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// database is the hash of a database's name.
func (t *writeTable) database(name string) uint64 { return hash(name) }

// slot is the place of a relation, by its bare name.
func (t *writeTable) slot(database uint64, relation string) *writeSlot {
	h := hash(relation) ^ (database*0x9e3779b97f4a7c15 | 1)
	return &t.slots[h&uint64(len(t.slots)-1)]
}

// The places of a database as a whole; no relation has such names.
const (
	anyRelation      = "\x00any"  // every write
	unknownRelations = "\x00some" // writes of which it is not known what they wrote
)

// needed is what a read of the place must show: the time of the last write, or balancer.WriteInFlight.
func (w *writeSlot) needed() int64 {
	// In this order: a write that ends between the two is seen by its time.
	if w.inFlight.Load() > 0 {
		return balancer.WriteInFlight
	}
	return max(w.at.Load(), w.heard.Load())
}

// stamp notes that a write completed; times may come in any order.
func (w *writeSlot) stamp(at int64) { raise(&w.at, at) }

// raise sets a time unless it is later already.
func raise(t *atomic.Int64, to int64) {
	for {
		old := t.Load()
		if old >= to || t.CompareAndSwap(old, to) {
			return
		}
	}
}

// writes are a session's own writes that are not over yet.
type writes struct {
	table        *writeTable
	database     uint64
	all, unknown *writeSlot
	relations    *plainRelations
	// version is that of relations when the first pending write was sent; defines says
	// that one of them may change definitions.
	version uint64
	defines bool
	pending []*writeSlot // of the open transaction, each once
	counted bool         // pending are counted as in flight
}

// maxPendingWrites bounds the places that one transaction's writes are kept for;
// one that writes more relations wrote unknown ones.
const maxPendingWrites = 64

// session makes a session's; relations may be nil.
func (t *writeTable) session(database string, relations *plainRelations) writes {
	db := t.database(database)
	return writes{table: t, database: db, relations: relations, all: t.slot(db, anyRelation), unknown: t.slot(db, unknownRelations)}
}

// needed is the time of the last write that a read must show; names are the plain relations.
func (w *writes) needed(v *parser.Verdict, names map[string]bool) int64 {
	if !plain(v, names) {
		return max(w.all.needed(), w.table.since.Load())
	}
	needs := max(w.unknown.needed(), w.table.since.Load())
	for i := range v.Statements {
		for _, r := range v.Statements[i].Relations {
			needs = max(needs, w.table.slot(w.database, r.Name).needed())
		}
	}
	return needs
}

// add takes in a unit that is about to be sent to the primary. commits says that
// it may end a transaction, so that its writes, and those before, can become visible.
func (w *writes) add(v *parser.Verdict, commits bool) {
	if writes, named := balancer.Writes(v); writes {
		names, _ := w.relations.current()
		if len(w.pending) == 0 {
			w.version = w.relations.now()
		}
		if mayDefine(v) {
			w.defines = true
			w.relations.defined()
		}
		w.keep(w.all)
		if named && plain(v, names) {
			for i := range v.Statements {
				for _, r := range v.Statements[i].Relations {
					w.keep(w.table.slot(w.database, r.Name))
				}
			}
		} else {
			w.keep(w.unknown)
		}
	}
	if commits && !w.counted && len(w.pending) > 0 {
		w.count(1)
	}
}

// keep adds a place to pending.
func (w *writes) keep(slot *writeSlot) {
	for _, p := range w.pending {
		if p == slot {
			return
		}
	}
	if len(w.pending) >= maxPendingWrites && slot != w.all && slot != w.unknown {
		slot = w.unknown
		for _, p := range w.pending {
			if p == slot {
				return
			}
		}
	}
	w.pending = append(w.pending, slot)
	if w.counted {
		slot.inFlight.Add(1)
	}
}

func (w *writes) count(by int64) {
	for _, p := range w.pending {
		p.inFlight.Add(by)
	}
	w.counted = by > 0
}

// committed notes that a COMMIT completed.
func (w *writes) committed() {
	if len(w.pending) == 0 {
		return
	}
	if w.defines {
		w.relations.defined()
	}
	now := cluster.Now()
	for _, p := range w.pending {
		p.stamp(now)
	}
	if w.version != w.relations.now() {
		// A write that waited for a definition to change may have obeyed the new one.
		w.unknown.stamp(now)
	}
}

// ended notes that the transaction is over, or was lost with what it may have done.
func (w *writes) ended() {
	if len(w.pending) == 0 {
		return
	}
	w.committed()
	w.answered()
	w.pending, w.defines = w.pending[:0], false
}

// unknownEnded notes a write of which nothing was noted when it was sent.
func (w *writes) unknownEnded() {
	w.relations.defined()
	now := cluster.Now()
	w.all.stamp(now)
	w.unknown.stamp(now)
}

// answered notes that the primary has answered and the transaction goes on.
func (w *writes) answered() {
	if w.counted {
		w.count(-1)
	}
}

// plain is whether a unit reads and writes just the relations that its statements
// name. The text alone cannot tell: a name may be a view's, a partition's or a parent's,
// and triggers, rules and foreign keys write elsewhere. So all must be known to be plain.
func plain(v *parser.Verdict, names map[string]bool) bool {
	if v == nil || len(v.Statements) == 0 {
		return v != nil && v.Access == parser.AccessNone
	}
	for i := range v.Statements {
		st := &v.Statements[i]
		if st.CallsUnknown {
			return false
		}
		for _, r := range st.Relations {
			if !names[r.Name] {
				return false
			}
		}
		for _, f := range st.Functions {
			if strings.Contains(f.Name, "_to_xml") {
				return false // table_to_xml and its like read what their arguments say
			}
		}
	}
	return true
}
