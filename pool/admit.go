package pool

import (
	"fmt"
	"slices"

	"github.com/howdah/howdah/wire"
)

// admit decides whether a newcomer may wait; else it is an *wire.Error 53300. Where as many wait as may, each user
// that waits still has an equal share of the places: for a newcomer within its user's share, the one that came last
// of the user with the most must go.
func (np *nodePool) admit(set *Settings, g *group) error {
	if np.waiting < set.MaxWaiters {
		return nil
	}
	users := len(np.contest)
	if g.user.waiting == 0 {
		users++
	}
	if (g.user.waiting+1)*users > set.MaxWaiters {
		return np.crowded(set, g, "")
	}
	// Then another user has two more than this one at least, else there were fewer in all.
	last := np.contest.longest().last()
	np.leave(last, grant{err: np.crowded(set, last.group, " One of a role with fewer came.")})
	return nil
}

func (np *nodePool) crowded(set *Settings, g *group, more string) error {
	return &wire.Error{Code: "53300",
		Message: fmt.Sprintf("too many sessions wait for a connection to %s", np.name),
		Detail: fmt.Sprintf("%d connections are open, %d sessions wait, %d of them of role %q.%s %s",
			np.total, np.waiting, g.user.waiting, g.user.name, more, np.why(set, g)),
		Hint: "Raise that limit, or pool.max_waiters."}
}

// longest is the user with the most waiting sessions.
func (c contest) longest() *user {
	return slices.MaxFunc(c, func(u, v *user) int { return u.waiting - v.waiting })
}

// last is its waiter that came last.
func (u *user) last() *Line {
	var last *Line
	for _, g := range u.queues {
		if last == nil || g.waiters.last.number > last.number {
			last = g.waiters.last
		}
	}
	return last
}
