package core

import (
	"testing"
	"time"
)

// simDisk is the disk of a member's log. While it hangs raft's main loop stands still, as it waits for the disk: the member notes no term, leader
// or vote, commits and applies nothing. Its heartbeats, its machine and all else go on.
type simDisk struct{ since, until time.Duration }

// As the shell has it: a disk that answers nothing for this long is noticed, and a leader that commits nothing for this
// long sends nothing any more.
const (
	simSlowDisk    = time.Second
	simCommitLimit = 2 * time.Second
)

func (d simDisk) hangs(now time.Duration) bool  { return now < d.until }
func (d simDisk) isSlow(now time.Duration) bool { return d.hangs(now) && now-d.since > simSlowDisk }
func (d simDisk) isSilent(now time.Duration) bool {
	return d.hangs(now) && now-d.since > simCommitLimit
}

// hang has the disk hang for a while. A leader that sent nothing for long is none any more when it goes on.
func (m *simMember) hang(long time.Duration) {
	if m.disk.hangs(m.w.now) {
		return
	}
	m.w.logf("the disk of %s hangs for %s", m.id, long)
	m.w.totals.hangs++
	m.disk = simDisk{m.w.now, m.w.now + long}
	life, disk := m.life, m.disk
	m.w.at(disk.until, func() {
		m.when(life, func() {
			if m.disk == disk && long > simCommitLimit && m.role == simLeader {
				m.follow("")
			}
		})
	})
}

// stored says whether something has to wait for the disk. It is done later then, or never: whoever asked may have given up.
func (m *simMember) stored(do func()) (waits bool) {
	if !m.disk.hangs(m.w.now) {
		return false
	}
	if life := m.life; m.w.chance(0.5) {
		m.w.at(m.disk.until+time.Duration(m.w.rng.Int64N(int64(2*time.Millisecond))), func() { m.when(life, do) })
	}
	return true
}

// A leader's disk hangs. It does not lead any more soon, and its raft does not notice; yet its clients go on to write, by the word of the
// next leader. When another primary is chosen meanwhile, which it cannot learn, it writes to none; and to the new one when its disk goes on.
func TestLeaderServesWhileItsDiskHangs(t *testing.T) {
	for seed, played := uint64(1), 0; played < 50; seed++ {
		w := build(seed)
		w.late = min(w.late, 30*time.Millisecond)
		if len(w.members) == 2 {
			continue
		}
		played++
		var m *simMember
		w.at(5*time.Second, func() {
			for _, p := range w.members {
				if p.role == simLeader {
					m = p
				}
			}
			if m == nil || !m.machine.MayAct(m.clock()) {
				w.fail("nobody leads")
				return
			}
			m.hang(17 * time.Second)
		})
		lead := func() (leading *simMember) {
			for _, p := range w.members {
				if p.machine.MayAct(p.clock()) {
					leading = p
				}
			}
			return leading
		}
		for at := 5 * time.Second; at < 12*time.Second; at += tick {
			w.at(at, func() {
				p := m.machine.Permission(m.clock())
				if p.Writes == (m.state.Members[m.id].Role == RoleProxy) {
					return
				}
				// Until it is noticed that it cannot commit, and another one is elected, a lease's time and some may pass.
				if w.now > 5*time.Second+simCommitLimit+4*w.timing.Election+4*w.late {
					w.fail("%s cannot write: %s", m.id, p.Reason)
				}
			})
		}
		w.at(12*time.Second, func() {
			if l := lead(); l == nil || l == m || m.machine.Leader() != l.id {
				w.fail("%s takes %q for the leader", m.id, m.machine.Leader())
			}
			w.node(w.truth.Primary.Node).up = false
		})
		w.at(21500*time.Millisecond, func() {
			if p := m.machine.Permission(m.clock()); w.truth.Epoch != 2 || m.state.Epoch != 1 || p.Writes {
				w.fail("epoch %d, and at %s %d: writes %v", w.truth.Epoch, m.id, m.state.Epoch, p.Writes)
			}
		})
		w.at(25*time.Second, func() {
			if m.state.Epoch != w.truth.Epoch {
				w.fail("%s is in epoch %d", m.id, m.state.Epoch)
			}
		})
		if err := w.play(); err != nil {
			t.Fatalf("seed %d: %v\nthe last that happened:\n%s", seed, err, w.told())
		}
	}
}
