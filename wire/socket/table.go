package socket

import (
	"sync"
	"sync/atomic"
)

// sockets are those watched, by descriptor.
var sockets table

// table is a list that is read without a lock. Its chunks are made when needed.
type table struct {
	mu     sync.Mutex
	chunks [maxFD / chunkSize]atomic.Pointer[chunk]
}

type chunk [chunkSize]atomic.Pointer[Conn]

const (
	chunkSize = 1 << 11
	maxFD     = 1 << 22 // as many as Linux allows a process at most, by default a quarter (fs.nr_open)
)

func (t *table) get(fd int) *Conn {
	ch := t.chunks[fd/chunkSize].Load()
	if ch == nil {
		return nil
	}
	return ch[fd%chunkSize].Load()
}

func (t *table) set(fd int, c *Conn) {
	ch := t.chunks[fd/chunkSize].Load()
	if ch == nil {
		t.mu.Lock()
		if ch = t.chunks[fd/chunkSize].Load(); ch == nil {
			ch = new(chunk)
			t.chunks[fd/chunkSize].Store(ch)
		}
		t.mu.Unlock()
	}
	ch[fd%chunkSize].Store(c)
}
