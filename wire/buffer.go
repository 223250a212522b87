package wire

import "sync"

// Buffers come in three pooled sizes: most requests fit the short one, and most answers the small one; the large one is
// for what fills that. Anything larger is left to the garbage collector.
const (
	// With many clients that wait for a connection as many short ones are full. Its size is no power of two, so that they do not all
	// contend for the same few places in a processor's caches.
	shortBuffer = 1152
	smallBuffer = 8 << 10
	largeBuffer = 64 << 10
)

type bufferPool struct{ short, small, large sync.Pool }

// buffers is shared by all connections: a pool per connection would keep what
// idle ones do not need.
var buffers = bufferPool{
	short: sync.Pool{New: func() any { return new([shortBuffer]byte) }},
	small: sync.Pool{New: func() any { return new([smallBuffer]byte) }},
	large: sync.Pool{New: func() any { return new([largeBuffer]byte) }},
}

func (p *bufferPool) get(size int) []byte {
	switch {
	case size <= shortBuffer:
		return p.short.Get().(*[shortBuffer]byte)[:]
	case size <= smallBuffer:
		return p.small.Get().(*[smallBuffer]byte)[:]
	case size <= largeBuffer:
		return p.large.Get().(*[largeBuffer]byte)[:]
	}
	return make([]byte, size)
}

func (p *bufferPool) put(b []byte) {
	switch cap(b) {
	case shortBuffer:
		p.short.Put((*[shortBuffer]byte)(b[:shortBuffer]))
	case smallBuffer:
		p.small.Put((*[smallBuffer]byte)(b[:smallBuffer]))
	case largeBuffer:
		p.large.Put((*[largeBuffer]byte)(b[:largeBuffer]))
	}
}

// sizing picks how large a connection's next buffer is to be.
type sizing struct {
	want, least int32
	calm        uint8 // counts reads in a row that would have fitted a smaller one
}

// patience is how many those must be for a smaller one to be taken.
const patience = 16

// filled is told how much there is in a buffer of size bytes.
func (s *sizing) filled(n, size int) {
	smaller := int32(smallBuffer)
	if s.want <= smallBuffer {
		smaller = shortBuffer
	}
	switch {
	case n == size:
		s.calm = 0
		if s.want = smallBuffer; size >= smallBuffer {
			s.want = largeBuffer
		}
	case s.want <= s.least || n >= int(smaller)/2:
		s.calm = 0
	default:
		if s.calm++; s.calm == patience {
			s.calm, s.want = 0, smaller
		}
	}
}
