package parser

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxCachedText bounds the texts that are cached; longer ones are mostly
	// bulk data, and never the same again.
	maxCachedText = 16 << 10
	// promoteAfter sightings a text is cached exactly though its skeleton is, so
	// that ever new literals do not drive out what comes again.
	promoteAfter = 8
	// doorSlots is the number of texts whose sightings are counted; a power of two.
	doorSlots = 4096
	// minCacheBytes is used when Options ask for less.
	minCacheBytes = 1 << 20
)

// Options are the parser's settings.
type Options struct {
	// CacheBytes bounds the memory of both caches together; at least 1 MiB is used.
	CacheBytes int64
}

// Parser gives verdicts, through its caches. It is safe for concurrent use.
type Parser struct {
	seed      maphash.Seed
	exact     *table
	skeletons *table
	lexers    sync.Pool // of *lexer, with room for any skeleton that may be cached
	// doors count how often a text was lately seen: hash above, count in the low byte.
	doors [doorSlots]atomic.Uint64

	exactHits    atomic.Uint64
	skeletonHits atomic.Uint64
	misses       atomic.Uint64
	uncached     atomic.Uint64
	parseNanos   atomic.Int64
}

// Stats are a Parser's counters since it was made.
type Stats struct {
	// ExactHits, SkeletonHits and Misses count verdicts; their sum is all of them.
	ExactHits, SkeletonHits, Misses uint64
	// Uncached are the misses that were too long, or unfit, to be kept.
	Uncached uint64
	// Evictions are entries dropped to make room.
	Evictions uint64
	// Bytes is what the cached entries hold now.
	Bytes int64
	// ParseTime is the time all misses took in Classify.
	ParseTime time.Duration
}

// New makes a Parser with empty caches.
func New(o Options) *Parser {
	half := max(o.CacheBytes, minCacheBytes) / 2
	p := &Parser{seed: maphash.MakeSeed(), exact: newTable(half), skeletons: newTable(half)}
	p.lexers.New = func() any {
		return &lexer{dst: make([]byte, 0, maxCachedText+maxCachedText/2)}
	}
	return p
}

// Verdict is the verdict on a text, never nil. The text is not kept. A text
// that is known, or differs from a known one in literals, white space or comments
// only, takes no lock and allocates nothing.
//
// For every text that pg_query can parse the answer equals Classify's. A text that it
// cannot, because of a literal's value, may get the verdict of its skeleton: the
// server refuses it wherever it goes.
func (p *Parser) Verdict(sql []byte) *Verdict { return p.VerdictAfter(sql, &Last{}) }

// Last is what one client asked about last. The zero value is that it has not asked yet.
type Last struct {
	// skeleton and its verdict; verdict is nil unless the skeleton stands for many texts.
	skeleton string
	verdict  *Verdict
}

// maxLastText bounds the texts whose skeleton is looked at before the text itself is looked for.
const maxLastText = 512

// VerdictAfter is Verdict for a client that asked about another text before, which last stands for. A client that asks
// the same again with other literals is answered without a look into the caches, where a new text never is.
func (p *Parser) VerdictAfter(sql []byte, last *Last) *Verdict { return p.after(sql, last, true) }

// KnownAfter is VerdictAfter if that takes no parsing, else nil: a text is parsed in a time that others may not have to wait for.
func (p *Parser) KnownAfter(sql []byte, last *Last) *Verdict { return p.after(sql, last, false) }

func (p *Parser) after(sql []byte, last *Last, parse bool) *Verdict {
	if len(sql) > maxCachedText {
		if !parse {
			return nil
		}
		p.uncached.Add(1)
		return p.classify(string(sql), maphash.Bytes(p.seed, sql))
	}
	// A buffer on the stack would escape, as the lexer holds it.
	if last.verdict != nil && len(sql) <= maxLastText {
		l := p.lexers.Get().(*lexer)
		defer p.putBack(l)
		skeleton, info := l.skeleton(sql)
		if info.ok && info.variable && last.skeleton == string(skeleton) {
			p.skeletonHits.Add(1)
			return last.verdict
		}
		*last = Last{}
		hash := maphash.Bytes(p.seed, sql)
		if e := p.exact.get(hash, sql); e != nil {
			p.exactHits.Add(1)
			return e.verdict
		}
		return p.bySkeleton(hash, sql, skeleton, info, last, parse)
	}
	hash := maphash.Bytes(p.seed, sql)
	if e := p.exact.get(hash, sql); e != nil {
		p.exactHits.Add(1)
		return e.verdict
	}
	l := p.lexers.Get().(*lexer)
	defer p.putBack(l)
	skeleton, info := l.skeleton(sql)
	return p.bySkeleton(hash, sql, skeleton, info, last, parse)
}

func (p *Parser) putBack(l *lexer) {
	l.sql = nil
	p.lexers.Put(l)
}

// bySkeleton answers from the skeleton cache, and fills both; if it may not parse, nil stands for what is not there. It does not keep skeleton.
func (p *Parser) bySkeleton(hash uint64, sql, skeleton []byte, info skeletonInfo, last *Last, parse bool) *Verdict {
	if !info.ok {
		if !parse {
			return nil
		}
		return p.classifyExact(hash, sql)
	}
	key := maphash.Bytes(p.seed, skeleton)
	if e := p.skeletons.get(key, skeleton); e != nil {
		if e.verdict == nil {
			if !parse {
				return nil
			}
			return p.classifyExact(hash, sql)
		}
		p.skeletonHits.Add(1)
		if info.variable {
			*last = Last{e.text, e.verdict}
		}
		if !info.variable || p.seen(hash, promoteAfter) {
			p.exact.put(hash, sql, e.verdict)
		}
		return e.verdict
	}
	if !parse {
		return nil
	}
	return p.learn(hash, sql, key, skeleton, info)
}

// learn classifies a text whose skeleton is new. The verdict that others will share is the
// skeleton's own, so that it cannot depend on which text came first.
func (p *Parser) learn(hash uint64, sql []byte, key uint64, skeleton []byte, info skeletonInfo) *Verdict {
	v := p.classify(string(skeleton), key)
	if v.LiteralDependent {
		p.skeletons.put(key, skeleton, nil)
		return p.keep(hash, sql, p.reclassify(sql, hash))
	}
	p.skeletons.put(key, skeleton, v)
	if !info.variable {
		p.exact.put(hash, sql, v)
	}
	return v
}

// classifyExact is for texts that no skeleton can answer. They are kept at the
// second sighting: a stream of one-off texts must not drive out the others.
func (p *Parser) classifyExact(hash uint64, sql []byte) *Verdict {
	return p.keep(hash, sql, p.classify(string(sql), hash))
}

func (p *Parser) keep(hash uint64, sql []byte, v *Verdict) *Verdict {
	if p.seen(hash, 1) {
		p.exact.put(hash, sql, v)
	}
	return v
}

// seen counts a sighting of the text with this hash and says whether there had
// been at least times before. Two texts that share a slot forget each other; a race
// loses a count. Neither does harm.
func (p *Parser) seen(hash uint64, times uint64) bool {
	slot := &p.doors[hash%doorSlots]
	tag := hash &^ 0xff
	was := slot.Load()
	if was&^0xff != tag {
		slot.Store(tag)
		was = tag
	}
	count := was & 0xff
	if count >= times {
		return true
	}
	slot.Store(tag | count + 1)
	return false
}

// classify counts a miss.
func (p *Parser) classify(sql string, fingerprint uint64) *Verdict {
	p.misses.Add(1)
	return p.timed(sql, fingerprint)
}

// reclassify is the second look at a text whose skeleton was looked at in vain.
func (p *Parser) reclassify(sql []byte, fingerprint uint64) *Verdict {
	return p.timed(string(sql), fingerprint)
}

func (p *Parser) timed(sql string, fingerprint uint64) *Verdict {
	start := time.Now()
	v := Classify(sql)
	v.Fingerprint = fingerprint
	p.parseNanos.Add(int64(time.Since(start)))
	return v
}

// Stats reads the counters; they are not of one instant.
func (p *Parser) Stats() Stats {
	return Stats{
		ExactHits:    p.exactHits.Load(),
		SkeletonHits: p.skeletonHits.Load(),
		Misses:       p.misses.Load(),
		Uncached:     p.uncached.Load(),
		Evictions:    p.exact.evictions.Load() + p.skeletons.evictions.Load(),
		Bytes:        p.exact.bytes.Load() + p.skeletons.bytes.Load(),
		ParseTime:    time.Duration(p.parseNanos.Load()),
	}
}
