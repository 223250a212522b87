package history

import (
	"fmt"
	"slices"
	"sync"
)

// Txn is one transaction on lists.
type Txn struct {
	Reads   []ListRead
	Appends []Append
	Fate    Fate
}

// ListRead is what a transaction read of a list.
type ListRead struct {
	Key  int
	List []int64
}

// Append adds a value to a list; no value is appended twice.
type Append struct {
	Key   int
	Value int64
}

// Lists are transactions. Its methods may be called by any goroutine.
//
// Since a list shows in which order it was appended to, what the transactions read tells which of them came before which
// others: this is the idea of Elle (Kingsbury and Alvaro, VLDB 2020), of which this checks the part for lists of one database.
type Lists struct {
	mu   sync.Mutex
	txns []Txn
}

// Note keeps a transaction.
func (l *Lists) Note(t Txn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.txns = append(l.txns, t)
}

// Len is how many transactions are kept.
func (l *Lists) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.txns)
}

// Check says what is wrong, by the lists as they are in the end.
func (l *Lists) Check(final map[int][]int64) (wrong []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := checker{txns: l.txns, final: final, writer: map[Append]int{}, place: map[Append]int{}}
	c.index()
	c.readsAndWrites()
	c.cycles()
	return c.wrong
}

type checker struct {
	txns   []Txn
	final  map[int][]int64
	writer map[Append]int // the transaction
	place  map[Append]int // in its list
	wrong  []string
	edges  [][]edge
}

// edge says that a transaction comes before another one.
type edge struct {
	to  int
	why string
}

func (c *checker) fail(format string, args ...any) {
	c.wrong = append(c.wrong, fmt.Sprintf(format, args...))
}

func (c *checker) index() {
	for i, t := range c.txns {
		for _, a := range t.Appends {
			c.writer[a] = i
		}
	}
	for key, list := range c.final {
		for i, v := range list {
			a := Append{key, v}
			if _, twice := c.place[a]; twice {
				c.fail("list %d has %d twice", key, v)
			}
			c.place[a] = i
			if _, ok := c.writer[a]; !ok {
				c.fail("list %d has %d, which nobody appended", key, v)
			}
		}
	}
}

// committed says whether a transaction took effect, as is seen in the end.
func (c *checker) committed(t Txn) bool {
	return t.Fate == Done || t.Fate == Unknown && slices.ContainsFunc(t.Appends, c.there)
}

func (c *checker) there(a Append) bool {
	_, ok := c.place[a]
	return ok
}

func (c *checker) readsAndWrites() {
	for i, t := range c.txns {
		for _, a := range t.Appends {
			switch there := c.there(a); {
			case t.Fate == Undone && there:
				c.fail("list %d has %d of transaction %d, which was said to have had no effect", a.Key, a.Value, i)
			case c.committed(t) && !there:
				c.fail("list %d lacks %d, which transaction %d appended", a.Key, a.Value, i)
			}
		}
		if !c.committed(t) {
			continue
		}
		for _, r := range t.Reads {
			if final := c.final[r.Key]; len(r.List) > len(final) || !slices.Equal(r.List, final[:len(r.List)]) {
				c.fail("transaction %d read list %d as %v, which is no beginning of %v", i, r.Key, r.List, final)
			}
		}
	}
}

// cycles looks for transactions each of which comes before the next one, and the last before the first.
func (c *checker) cycles() {
	if len(c.wrong) > 0 {
		return // the lists prove nothing then
	}
	c.edges = make([][]edge, len(c.txns))
	add := func(from, to int, why string) {
		if from != to {
			c.edges[from] = append(c.edges[from], edge{to, why})
		}
	}
	for key, list := range c.final {
		for i := 1; i < len(list); i++ {
			add(c.writer[Append{key, list[i-1]}], c.writer[Append{key, list[i]}], fmt.Sprintf("appended %d to list %d before", list[i-1], key))
		}
	}
	for i, t := range c.txns {
		if !c.committed(t) {
			continue
		}
		for _, r := range t.Reads {
			if n := len(r.List); n > 0 {
				add(c.writer[Append{r.Key, r.List[n-1]}], i, fmt.Sprintf("appended %d to list %d, which was read by", r.List[n-1], r.Key))
			}
			if rest := c.final[r.Key][len(r.List):]; len(rest) > 0 {
				add(i, c.writer[Append{r.Key, rest[0]}], fmt.Sprintf("read list %d before %d was appended by", r.Key, rest[0]))
			}
		}
	}
	const (
		unseen = iota
		open
		closed
	)
	state := make([]int, len(c.txns))
	for root := range c.txns {
		if state[root] != unseen {
			continue
		}
		// Depth first without recursion: path is the way from root, next the edge to go on with.
		path, next := []int{root}, []int{0}
		state[root] = open
		for len(path) > 0 {
			at := path[len(path)-1]
			if next[len(next)-1] == len(c.edges[at]) {
				state[at] = closed
				path, next = path[:len(path)-1], next[:len(next)-1]
				continue
			}
			e := c.edges[at][next[len(next)-1]]
			next[len(next)-1]++
			switch state[e.to] {
			case open:
				c.report(path[slices.Index(path, e.to):])
				return
			case unseen:
				state[e.to] = open
				path, next = append(path, e.to), append(next, 0)
			}
		}
	}
}

func (c *checker) report(cycle []int) {
	text := ""
	for i, from := range cycle {
		to := cycle[(i+1)%len(cycle)]
		for _, e := range c.edges[from] {
			if e.to == to {
				text += fmt.Sprintf("transaction %d %s transaction %d; ", from, e.why, to)
				break
			}
		}
	}
	c.fail("not serializable: %s", text)
}
