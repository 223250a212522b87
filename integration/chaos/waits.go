package chaos

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// waits is how long each session that reads has waited for an answer since something was lost.
type waits struct {
	mu       sync.Mutex
	since    time.Time             // of the loss
	began    map[int]time.Time     // of the read that a session waits for
	answered map[int]time.Time     // when the last one that was answered had been sent; zero if none was
	longest  map[int]time.Duration // since the loss
}

func newWaits() *waits {
	return &waits{since: time.Now(), began: map[int]time.Time{}, answered: map[int]time.Time{}, longest: map[int]time.Duration{}}
}

// begin notes that a session sends a read.
func (w *waits) begin(session int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.began[session] = time.Now()
	if _, ok := w.answered[session]; !ok {
		w.answered[session] = time.Time{} // all waits for it, too
	}
}

// end notes the answer.
func (w *waits) end(session int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	began := w.began[session]
	delete(w.began, session)
	w.answered[session] = began
	from := began
	if from.Before(w.since) {
		from = w.since
	}
	w.longest[session] = max(w.longest[session], time.Since(from))
}

// lost begins to measure anew: something is lost now.
func (w *waits) lost() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since = time.Now()
	clear(w.longest)
}

// all waits until every session has got an answer to a read that it sent from now on, and returns how long each has waited for
// one at the longest since the loss, the shortest first.
func (w *waits) all(t *testing.T) []time.Duration {
	t.Helper()
	from := time.Now()
	var longest []time.Duration
	eventually(t, "every session to read", func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		longest = longest[:0]
		for session, sent := range w.answered {
			if sent.Before(from) {
				return fmt.Errorf("session %d has had no answer since", session)
			}
			longest = append(longest, w.longest[session])
		}
		return nil
	})
	slices.Sort(longest)
	return longest
}

// reading is how many sessions at a time are started that do nothing but read.
const reading = 6

// startReaders starts some; each has read when it returns.
func (l *load) startReaders(dsn string) {
	l.t.Helper()
	for range reading {
		c, err := open(l.t.Context(), dsn, l.readers%2)
		must(l.t, err)
		session := firstReader + l.readers
		l.read(c, session)
		// One that pauses finds the loss before it sends.
		l.repeat(c, fmt.Sprintf("reader %d", l.readers), time.Duration(l.readers%reading)*2*time.Millisecond, func() { l.read(c, session) })
		l.readers++
	}
}

// firstReader is the number of the first session of a reader; those before are workers'.
const firstReader = 1000

// read reads what nobody changes.
func (l *load) read(c client, session int) {
	ctx, cancel := statementTimeout()
	defer cancel()
	l.waits.begin(session)
	if _, err := c.value(ctx, "SELECT value FROM own WHERE worker = $1", 100); err != nil {
		l.noteError("read "+sqlState(err), err)
		return
	}
	l.waits.end(session)
}

// calmFor is how long it is looked how long reads take when nothing is lost.
const calmFor = time.Second

// calm is the longest that any session waited for a read while nothing was lost: what this machine, as busy as it is, takes.
func (l *load) calm() time.Duration {
	l.t.Helper()
	l.waits.lost()
	time.Sleep(calmFor)
	all := l.waits.all(l.t)
	return all[len(all)-1]
}

// wantReads fails if a session waited for a read for longer than promised since the loss. The slack is for a busy machine: three times
// what a read took before, and a second.
func (l *load) wantReads(what string, promised, calm time.Duration) {
	l.t.Helper()
	all := l.waits.all(l.t)
	limit := promised + 3*calm + time.Second
	worst := all[len(all)-1]
	l.t.Logf("%s: %d sessions waited for a read for %v at the median and %v at the longest (%v when nothing was lost)", what, len(all),
		all[len(all)/2].Round(time.Millisecond), worst.Round(time.Millisecond), calm.Round(time.Millisecond))
	if worst > limit {
		l.t.Errorf("%s: a session waited for %v for a read, want at most %v: %v", what, worst, limit, all)
	}
}
