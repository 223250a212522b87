package core

import (
	"container/heap"
	"slices"
	"time"
)

// faultKinds are what can happen to a cluster.
var faultKinds = []func(w *world){
	func(w *world) { // a link breaks in one direction
		a, b := w.rng.IntN(len(w.members)), w.rng.IntN(len(w.cut))
		w.cut[a][b] = true
		w.logf("cut %d>%d", a, b)
	},
	func(w *world) { // a link breaks
		a, b := w.rng.IntN(len(w.members)), w.rng.IntN(len(w.cut))
		w.cut[a][b], w.cut[b][a] = true, true
		w.logf("cut %d=%d", a, b)
	},
	func(w *world) { // a member is cut off, in one direction or both
		a, both := w.rng.IntN(len(w.members)), w.rng.IntN(3)
		for b := range w.cut {
			w.cut[a][b] = w.cut[a][b] || both != 0
			w.cut[b][a] = w.cut[b][a] || both != 1
		}
		w.logf("isolate %d (%d)", a, both)
	},
	func(w *world) { // the network breaks in two
		var left uint
		for i := range w.cut {
			left |= uint(w.rng.IntN(2)) << i
		}
		for a := range w.cut {
			for b := range w.cut {
				if left>>a&1 != left>>b&1 {
					w.cut[a][b] = true
				}
			}
		}
		w.logf("split %b", left)
	},
	func(w *world) { // the leader is left with less than a majority, and the others without the primary
		few := map[int]bool{}
		for _, m := range w.members {
			if m.role == simLeader {
				few[m.place] = true
			}
		}
		for len(few) < (len(w.members)-1)/2 {
			few[w.rng.IntN(len(w.members))] = true
		}
		for a := range w.cut {
			for b := range w.cut {
				w.cut[a][b] = few[a] != few[b]
			}
		}
		w.logf("split %v from the others", few)
	},
	func(w *world) { // a member gets no appends for a while, though everything else
		m := w.anyMember()
		m.deaf = w.now + time.Duration(w.rng.Int64N(int64(4*time.Second)))
		w.logf("%s is deaf to appends", m.id)
	},
	func(w *world) { // the network is whole again
		for i := range w.cut {
			clear(w.cut[i])
		}
		w.logf("heal")
	},
	func(w *world) { // the leader, or anybody, is stopped for a while
		m := w.anyMember()
		m.pause(time.Duration(w.rng.Int64N(int64(3 * time.Second))))
	},
	func(w *world) { // the leader, or anybody, is killed, and started again a little later
		m := w.anyMember()
		if m.alive {
			m.kill()
			w.at(w.now+time.Duration(w.rng.Int64N(int64(1500*time.Millisecond))), func() {
				if !m.alive {
					m.start(0)
				}
			})
		}
	},
	func(w *world) { // all are killed and started together
		for _, m := range w.members {
			if m.alive {
				m.kill()
			}
		}
		for _, m := range w.members {
			w.at(w.now+time.Duration(w.rng.Int64N(int64(100*time.Millisecond))), func() {
				if !m.alive {
					m.start(0)
				}
			})
		}
	},
	func(w *world) { // the primary, or any node, dies
		d := w.anyNode()
		d.up = false
		w.logf("%s dies", d.id)
	},
	func(w *world) { // a node comes back
		d := w.nodes[w.rng.IntN(len(w.nodes))]
		if w.now >= d.off { // of one that was turned off an operator knows
			d.up = true
			w.logf("%s is back", d.id)
		}
	},
	func(w *world) { // messages get lost or late
		w.loss = []float64{0, 0, 0.05, 0.3}[w.rng.IntN(4)]
		w.late = []time.Duration{2 * time.Millisecond, 300 * time.Millisecond, time.Second}[w.rng.IntN(3)]
		w.logf("loss %.2f, late %s", w.loss, w.late)
	},
	func(w *world) { // a member becomes unfit, or fit
		m := w.anyMember()
		m.fitness = Fit()
		switch w.rng.IntN(4) {
		case 0:
			m.fitness.Serves = false
		case 1:
			m.fitness.Gateway = false
		case 2:
			m.fitness.Link = false
		}
		w.logf("%s: %s", m.id, m.fitness)
	},
	func(w *world) { // the operator wants another leader
		m := w.anyMember()
		w.logf("%s shall yield", m.id)
		m.step(Yield{To: w.members[w.rng.IntN(len(w.members))].id, Reason: "the operator says so"})
	},
	(*world).forceAlone,
	(*world).leaveAlone,
	(*world).killOwner,
	func(w *world) { // the operator wants another primary
		m := w.anyMember()
		m.asked++
		m.step(Consent{Request: m.request(), Node: w.truth.Primary.Node, Reason: "switchover", Planned: true})
	},
	func(w *world) { // the primary dies, and the operator stops all that is automatic for a while, at any moment or while the members are asked
		w.node(w.truth.Primary.Node).up = false
		asked := w.chance(0.7)
		pause := func(paused bool) func() {
			return func() {
				for _, m := range w.members {
					if m.role == simLeader && m.alive && (!paused || !asked || m.machine.poll != nil) {
						w.logf("the operator tells %s: paused %v", m.id, paused)
						m.propose(m.state.Make(KindPause, PauseBody{Paused: paused}))
					}
				}
			}
		}
		when := w.now + time.Duration(w.rng.Int64N(int64(time.Second)))
		for try := when; try < when+time.Second && asked; try += tick {
			w.at(try, pause(true)) // refused once it is paused
		}
		w.at(when, pause(true))
		w.at(when+time.Duration(w.rng.Int64N(int64(2*time.Second))), pause(false))
		w.at(when+2*time.Second, pause(false))
	},
	func(w *world) { // the disk of a member's log hangs
		w.anyMember().hang(time.Duration(w.rng.Int64N(int64(8 * time.Second))))
	},
}

// leaveAlone: one of two is left without the other one and the primary, and nothing else is wrong.
func (w *world) leaveAlone() {
	if len(w.members) != 2 {
		return
	}
	for i := range w.cut {
		clear(w.cut[i])
	}
	w.loss = 0
	a, d := w.rng.IntN(2), 2+slices.Index(w.nodes, w.node(w.truth.Primary.Node))
	for _, b := range []int{1 - a, d} {
		w.cut[a][b], w.cut[b][a] = true, true
	}
	w.members[a].fitness = Fit()
	w.members[a].fitness.Gateway = !w.chance(0.3)
	w.logf("%d is cut off from %d and the primary", a, 1-a)
}

// killOwner: two see the primary and not each other, and a while later the one that has the address is killed.
func (w *world) killOwner() {
	if len(w.members) != 2 {
		return
	}
	for i := range w.cut {
		clear(w.cut[i])
	}
	w.cut[0][1], w.cut[1][0], w.loss = true, true, 0
	w.logf("cut 0=1")
	w.at(w.now+time.Duration(w.rng.Int64N(int64(4*time.Second))), func() {
		for _, m := range w.members {
			if m.alive && m.address.Want {
				m.kill()
				w.at(w.now+2*time.Second, func() {
					if !m.alive {
						m.start(0)
					}
				})
			}
		}
	})
}

// forceAlone: an operator has one of two go on alone, without looking whether the other one does.
func (w *world) forceAlone() {
	if len(w.members) != 2 {
		return
	}
	m := w.anyMember()
	if m.alive && len(m.pair.generations) == 0 {
		w.logf("the operator has %s go on alone", m.id)
		w.pair.forced = true
		m.kill()
		m.start(0)
		m.goAlone()
	}
}

// fork: operators have both go on alone.
func (w *world) fork() {
	for range 8 {
		w.forceAlone()
	}
}

// anyMember is a member, more often the leader than another.
func (w *world) anyMember() *simMember {
	if w.chance(0.6) {
		for _, m := range w.members {
			if m.role == simLeader && m.alive {
				return m
			}
		}
	}
	return w.members[w.rng.IntN(len(w.members))]
}

// anyNode is a node, more often the primary than another.
func (w *world) anyNode() *simNode {
	if w.chance(0.7) {
		return w.node(w.truth.Primary.Node)
	}
	return w.nodes[w.rng.IntN(len(w.nodes))]
}

func (w *world) node(id NodeID) *simNode {
	for _, d := range w.nodes {
		if d.id == id {
			return d
		}
	}
	return w.nodes[0]
}

// simNode is a database server.
type simNode struct {
	id          NodeID
	up, primary bool
	timeline    uint32
	off         time.Duration // it was turned off, and stays so until then
	lock        simLock
}

// simEvent is something that will happen; events at the same time happen in order.
type simEvent struct {
	at    time.Duration
	order int
	do    func()
}

type queue struct{ list []simEvent }

func (q *queue) Len() int { return len(q.list) }
func (q *queue) Less(i, j int) bool {
	a, b := q.list[i], q.list[j]
	return a.at < b.at || a.at == b.at && a.order < b.order
}
func (q *queue) Swap(i, j int)   { q.list[i], q.list[j] = q.list[j], q.list[i] }
func (q *queue) Push(x any)      { q.list = append(q.list, x.(simEvent)) }
func (q *queue) Pop() any        { e := q.list[len(q.list)-1]; q.list = q.list[:len(q.list)-1]; return e }
func (q *queue) push(e simEvent) { heap.Push(q, e) }
func (q *queue) pop() simEvent   { return heap.Pop(q).(simEvent) }
