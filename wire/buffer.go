package wire

import "sync"

// Buffers come in two pooled sizes: most requests and answers fit the small
// one; the large one is for results that fill it. Anything larger is left to
// the garbage collector.
const (
	smallBuffer = 8 << 10
	largeBuffer = 64 << 10
)

type bufferPool struct{ small, large sync.Pool }

// buffers is shared by all connections: a pool per connection would keep what
// idle ones do not need.
var buffers = bufferPool{
	small: sync.Pool{New: func() any { return new([smallBuffer]byte) }},
	large: sync.Pool{New: func() any { return new([largeBuffer]byte) }},
}

func (p *bufferPool) get(size int) []byte {
	switch {
	case size <= smallBuffer:
		return p.small.Get().(*[smallBuffer]byte)[:]
	case size <= largeBuffer:
		return p.large.Get().(*[largeBuffer]byte)[:]
	}
	return make([]byte, size)
}

func (p *bufferPool) put(b []byte) {
	switch cap(b) {
	case smallBuffer:
		p.small.Put((*[smallBuffer]byte)(b[:smallBuffer]))
	case largeBuffer:
		p.large.Put((*[largeBuffer]byte)(b[:largeBuffer]))
	}
}
