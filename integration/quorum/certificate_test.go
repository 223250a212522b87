package quorum

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What members and guardians log of a leader's death.
const (
	saysDead  = "the other members know that this leader is dead"
	hearsDead = "the leader is dead, as its guardian says"
	campaigns = "this member campaigns, as the leader is dead"
)

// mayVote waits until all members run for longer than the time for which one that was just started votes for nobody, and until the
// client's kernel takes a change of the address again.
func (n *network) mayVote() {
	n.t.Helper()
	n.quiet(time.Now())
	n.eventually(func() string {
		for _, h := range n.hosts {
			if time.Since(h.started) < time.Second {
				return h.name + " was just started"
			}
		}
		return ""
	})
}

// Of a leader that is killed its guardian tells the others, who do not wait for its lease then; not even where one of them cannot be
// reached by the guardian, but by another member.
func TestDeathIsCertified(t *testing.T) {
	n := newNetwork(t, "p1", "p2", "p3")
	owner := n.startAll()
	n.neverTwo()
	for i, what := range []string{"kill -9", "a crash", "kill -9, and one member does not hear the guardian"} {
		n.mayVote()
		others := n.others(owner)
		heard, before := map[*host]int{}, 0
		for _, h := range others {
			heard[h] = strings.Count(h.log.String(), hearsDead)
			before += strings.Count(h.log.String(), campaigns)
		}
		if i == 2 {
			owner.lose(others[1])
		}
		began := time.Now()
		if i == 1 {
			owner.signal(syscall.SIGQUIT) // a Go program's way to crash
			<-owner.ended
			owner.cmd = nil
		} else {
			owner.kill()
		}
		next := n.taken(owner, began, what)
		now := 0
		for _, h := range others {
			n.eventually(func() string {
				if strings.Count(h.log.String(), hearsDead) == heard[h] {
					return fmt.Sprintf("%s: %s does not hear that %s is dead", what, h.name, owner.name)
				}
				return ""
			})
			now += strings.Count(h.log.String(), campaigns)
		}
		if now == before {
			t.Errorf("%s: %s leads, and nobody campaigned because %s was dead", what, next.name, owner.name)
		}
		owner.heal()
		owner.start()
		n.ready()
		owner = next
	}
}

// A leader that hangs is not dead, and nobody says that it is.
func TestHangingIsNotDeath(t *testing.T) {
	n := newNetwork(t, "p1", "p2", "p3")
	old := n.startAll()
	n.mayVote()
	began := time.Now()
	old.signal(syscall.SIGSTOP)
	n.taken(old, began, "SIGSTOP of the leader")
	old.signal(syscall.SIGCONT)
	n.ready()
	for _, h := range n.hosts {
		for _, line := range []string{saysDead, hearsDead, campaigns} {
			if strings.Contains(h.log.String(), line) {
				t.Errorf("%s: %s", h.name, line)
			}
		}
	}
}
