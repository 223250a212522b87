package pool

import (
	"time"

	"github.com/howdah/howdah/cluster"
)

// began goes with cluster.Now.
var began = time.Now().Add(-time.Duration(cluster.Now()))

// now is the time by which the pool measures; it takes half as long as time.Now, and goes on by itself when the host's clock is set: see shown.
func now() time.Time { return at(cluster.Now()) }

// at is what now was when cluster.Now was t.
func at(t int64) time.Time { return began.Add(time.Duration(t)) }

// shown is what the host's clock says now of when t was; zero is never.
func shown(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return time.Now().Add(-now().Sub(t))
}
