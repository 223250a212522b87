package parser

import (
	"sync"
	"sync/atomic"
	"unsafe"
)

const (
	// ways is the number of slots that a hash may fall into.
	ways = 8
	// typicalEntryBytes sizes the table: more room than entries of this size need is waste.
	typicalEntryBytes = 512
	minSets           = 8
)

// entry is one cached text. Only used changes after it is published.
type entry struct {
	hash    uint64
	text    string
	verdict *Verdict // nil: this skeleton's verdicts depend on literals
	bytes   int64
	// used gives a second chance: lookups set it, the eviction hand clears it.
	used atomic.Bool
}

// set is the slots of one hash. A tag lets a lookup pass by an entry without touching it.
type set struct {
	tags    [ways]atomic.Uint32
	entries [ways]atomic.Pointer[entry]
}

// table is a set-associative cache bounded in bytes. Lookups take no lock and
// allocate nothing; inserts take one.
type table struct {
	sets []set
	mask uint64
	max  int64

	bytes     atomic.Int64
	evictions atomic.Uint64

	mu sync.Mutex
	// hand is the next slot that global eviction looks at; ways of a set are
	// chosen by hands of their own.
	hand  uint64
	hands []uint8
}

// newTable makes a table of at most maxBytes, its own slots included.
func newTable(maxBytes int64) *table {
	n := uint64(minSets)
	for int64(n)*2*ways*typicalEntryBytes <= maxBytes {
		n *= 2
	}
	t := &table{sets: make([]set, n), hands: make([]uint8, n), mask: n - 1}
	t.max = max(maxBytes-int64(n)*int64(unsafe.Sizeof(set{})+1), 0)
	return t
}

// get finds text, whose hash the caller computed.
func (t *table) get(hash uint64, text []byte) *entry {
	s := &t.sets[hash&t.mask]
	tag := uint32(hash >> 32)
	for i := range ways {
		if s.tags[i].Load() != tag {
			continue
		}
		e := s.entries[i].Load()
		if e != nil && e.hash == hash && e.text == string(text) {
			if !e.used.Load() {
				e.used.Store(true)
			}
			return e
		}
	}
	return nil
}

// put remembers a verdict, and evicts what it must. A text too big to share the
// table with others is not kept.
func (t *table) put(hash uint64, text []byte, v *Verdict) {
	size := int64(unsafe.Sizeof(entry{})) + int64(len(text)) + v.size()
	if size > t.max/4 {
		return
	}
	e := &entry{hash: hash, text: string(text), verdict: v, bytes: size}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.get(hash, text) != nil {
		return // another session was first
	}
	for t.bytes.Load()+size > t.max {
		t.advanceLocked()
	}
	s := &t.sets[hash&t.mask]
	i := t.slotLocked(s, hash&t.mask)
	t.dropLocked(s, i)
	s.entries[i].Store(e)
	s.tags[i].Store(uint32(hash >> 32))
	t.bytes.Add(size)
}

// slotLocked chooses a slot of s: an empty one, else the first not used lately.
func (t *table) slotLocked(s *set, index uint64) int {
	for i := range ways {
		if s.entries[i].Load() == nil {
			return i
		}
	}
	for {
		i := int(t.hands[index])
		t.hands[index] = uint8((i + 1) % ways)
		if !s.entries[i].Load().used.Swap(false) {
			return i
		}
	}
}

// advanceLocked moves the global hand one slot on and drops what it finds there,
// unless that was used since the hand's last round.
func (t *table) advanceLocked() {
	s := &t.sets[t.hand/ways&t.mask]
	i := int(t.hand % ways)
	t.hand++
	if e := s.entries[i].Load(); e != nil && !e.used.Swap(false) {
		t.dropLocked(s, i)
	}
}

func (t *table) dropLocked(s *set, i int) {
	if e := s.entries[i].Load(); e != nil {
		s.tags[i].Store(0)
		s.entries[i].Store(nil)
		t.bytes.Add(-e.bytes)
		t.evictions.Add(1)
	}
}

// size estimates the memory a verdict holds, in bytes.
func (v *Verdict) size() int64 {
	if v == nil {
		return 0
	}
	n := int64(unsafe.Sizeof(*v))
	for i := range v.Statements {
		st := &v.Statements[i]
		n += int64(unsafe.Sizeof(*st))
		n += int64(len(st.Reason) + len(st.SQL) + len(st.Object) + len(st.Setting) + len(st.Value))
		n += namesSize(st.Relations) + namesSize(st.Functions) + st.Uses.size()
		n += stringsSize(st.Adds) + stringsSize(st.Attaches) + stringsSize(st.Databases)
		for _, d := range st.Makes {
			n += d.size()
		}
		n += int64(cap(st.TempNames)) * int64(unsafe.Sizeof("")) // the texts are those of Relations
	}
	return n
}

// size also counts one resolution, which most verdicts will have.
func (u *Uses) size() int64 {
	if u == nil {
		return 0
	}
	n := int64(unsafe.Sizeof(*u) + unsafe.Sizeof(Statement{}) + unsafe.Sizeof(Verdict{}))
	n += int64(cap(u.Calls)) * int64(unsafe.Sizeof(Call{})) // its names are those of Functions
	n += namesSize(u.Operators) + namesSize(u.Types)
	return n + stringsSize(u.Fields)
}

func stringsSize(list []string) int64 {
	n := int64(cap(list)) * int64(unsafe.Sizeof(""))
	for _, s := range list {
		n += int64(len(s))
	}
	return n
}

func namesSize(names []Name) int64 {
	n := int64(cap(names)) * int64(unsafe.Sizeof(Name{}))
	for _, name := range names {
		n += int64(len(name.Schema) + len(name.Name))
	}
	return n
}
