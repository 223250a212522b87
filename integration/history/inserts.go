package history

import (
	"fmt"
	"sync"
)

// Inserts are numbers that clients inserted, each once. Its methods may be called by any goroutine.
type Inserts struct {
	mu    sync.Mutex
	fates map[int64]Fate
	acked int
}

// Note keeps what became of a number.
func (i *Inserts) Note(id int64, f Fate) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.fates == nil {
		i.fates = map[int64]Fate{}
	}
	i.fates[id] = f
	if f == Done {
		i.acked++
	}
}

// Acked is how many were acknowledged.
func (i *Inserts) Acked() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.acked
}

// Check says what is wrong with the numbers that are there in the end.
func (i *Inserts) Check(have []int64) (wrong []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	there := map[int64]bool{}
	for _, id := range have {
		f, known := i.fates[id]
		switch {
		case there[id]:
			wrong = append(wrong, fmt.Sprintf("number %d is there twice", id))
		case !known:
			wrong = append(wrong, fmt.Sprintf("number %d is there, and nobody wrote it", id))
		case f == Undone:
			wrong = append(wrong, fmt.Sprintf("number %d is there, and was said to have had no effect", id))
		}
		there[id] = true
	}
	for id, f := range i.fates {
		if f == Done && !there[id] {
			wrong = append(wrong, fmt.Sprintf("number %d was acknowledged and is lost", id))
		}
	}
	return wrong
}
