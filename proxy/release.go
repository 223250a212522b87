package proxy

import (
	"time"

	"golang.org/x/sys/unix"
)

// rests counts the sessions that are told to rest in one round of upkeep, and those of them that were never before.
type rests struct {
	told, first int
	busy        bool
}

// restsWhenBusy is how many are told while there is better to do: it takes some 10 us each.
const restsWhenBusy = 100

func (r *rests) mayBe() bool { return !r.busy || r.told < restsWhenBusy }

func (r *rests) note(first bool) {
	if r.told++; first {
		r.first++
	}
}

// release decides when memory that is not needed any more goes back to the operating system: when so many sessions have come to rest after their
// logins that it counts, and there is nothing better to do. Go does so by itself too, slowly, and keeps as much as it last needed.
type release struct {
	rests int // since the last one
	pause int // rounds of upkeep before the next one
}

const (
	releaseAfter = 500
	releasePause = 10
)

// isDue is called at each round of upkeep with the number of sessions that rest for the first time, and reports whether memory is to be given back. It
// is, when no more come to rest.
func (r *release) isDue(rests int, busy bool) bool {
	r.rests += rests
	r.pause = max(r.pause-1, 0)
	if r.rests < releaseAfter || rests > 0 || r.pause > 0 || busy {
		return false
	}
	*r = release{pause: releasePause}
	return true
}

// workload is how long howdah has worked in all when upkeep last looked: the time of processors that it took.
type workload struct{ used time.Duration }

// busyShare is the part of a processor above which howdah counts as busy. Ten thousand sessions that come to rest at once take less.
const busyShare = 0.25

// isBusy is called at each round of upkeep.
func (w *workload) isBusy() bool {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return false
	}
	before := w.used
	w.used = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	return float64(w.used-before) > busyShare*float64(upkeepEvery)
}
