package proxy

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/howdah/howdah/parser"
)

// lessonSlots bounds the lessons, some 50 bytes each; a power of two.
const lessonSlots = 4096

// lesson is a statement that a standby refused and the primary ran.
type lesson struct {
	key      uint64 // of statement and database
	database uint64
	until    int64 // cluster.Now at which it is forgotten
}

// lessons remember, for a while, statements that look like reads and cannot run on
// a standby. Reading takes no lock; while there are none it costs one load. A
// lesson that is lost is learned again at the price of one more attempt.
type lessons struct {
	seed  maphash.Seed
	count atomic.Int64 // lessons in slots, expired or not
	slots [lessonSlots]atomic.Pointer[lesson]
}

// key is that of a statement's fingerprint in a database.
func (ls *lessons) key(fingerprint, database uint64) uint64 {
	return fingerprint ^ database*0x9e3779b97f4a7c15
}

// database is the number that stands for a database's name.
func (ls *lessons) database(name string) uint64 { return maphash.String(ls.seed, name) }

// places are where a lesson may be.
func (ls *lessons) places(key uint64) [2]*atomic.Pointer[lesson] {
	return [2]*atomic.Pointer[lesson]{&ls.slots[key%lessonSlots], &ls.slots[key/lessonSlots%lessonSlots]}
}

// has is whether the statement is known to fail on standbys.
func (ls *lessons) has(key uint64, now int64) bool {
	for _, place := range ls.places(key) {
		if l := place.Load(); l != nil && l.key == key && now < l.until {
			return true
		}
	}
	return false
}

// learn takes in a lesson, in the place of an older one if need be. It returns
// false if it was known.
func (ls *lessons) learn(key, database uint64, now int64, ttl time.Duration) bool {
	known := ls.has(key, now)
	new := &lesson{key: key, database: database, until: now + int64(ttl)}
	places := ls.places(key)
	best := places[0]
	for _, place := range places {
		if l := place.Load(); l == nil || l.key == key {
			best = place
			break
		} else if b := best.Load(); b != nil && l.until < b.until {
			best = place
		}
	}
	if best.Swap(new) == nil {
		ls.count.Add(1)
	}
	return !known
}

// drop removes the lessons that gone says are to go.
func (ls *lessons) drop(gone func(*lesson) bool) {
	if ls.count.Load() == 0 {
		return
	}
	for i := range ls.slots {
		if l := ls.slots[i].Load(); l != nil && gone(l) && ls.slots[i].CompareAndSwap(l, nil) {
			ls.count.Add(-1)
		}
	}
}

// forget drops the lessons of a database, whose definitions have changed.
func (ls *lessons) forget(database uint64) {
	ls.drop(func(l *lesson) bool { return l.database == database })
}

// expire drops the lessons whose time is over.
func (ls *lessons) expire(now int64) {
	ls.drop(func(l *lesson) bool { return now >= l.until })
}

// learned reports whether a standby has lately refused one of the statements of v, a verdict
// on the session's unit or on another text.
func (s *session) learned(v *parser.Verdict, now int64) bool {
	ls := &s.srv.lessons
	if v.Fingerprint != 0 {
		return ls.has(ls.key(v.Fingerprint, s.database), now)
	}
	for i := range s.unit.msgs {
		if v := ownVerdict(&s.unit.msgs[i]); v != nil && v.Fingerprint != 0 && ls.has(ls.key(v.Fingerprint, s.database), now) {
			return true
		}
	}
	return false
}

// learn remembers a statement that the read node refused with the SQLSTATE and the primary ran.
func (s *session) learn(v *parser.Verdict, code string, now int64) {
	ttl := s.set.lessonTTL
	if v == nil || v.Fingerprint == 0 || ttl == 0 {
		return
	}
	ls := &s.srv.lessons
	if ls.learn(ls.key(v.Fingerprint, s.database), s.database, now, ttl) {
		s.log.Info("a statement that a standby cannot run goes to the primary from now on", "sqlstate", code, "for", ttl, "fingerprint", v.Fingerprint)
	}
}

// forgetAfter drops the database's lessons after a unit that changed definitions.
func (s *session) forgetAfter(u *unit) {
	for i := range u.msgs {
		v := u.msgs[i].verdict
		if v == nil {
			continue
		}
		for j := range v.Statements {
			if st := &v.Statements[j]; st.Kind == parser.KindDDL && !st.CreatesTemp {
				s.srv.lessons.forget(s.database)
				return
			}
		}
	}
}
