package quorum

import (
	"testing"
	"time"
)

// Two howdahs without a third, and what they do while they do not hear each other.
func TestPairAlone(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, "p1", "p2", "d1", "d2")
	c := n.startServers(1, "")
	n.startAll()
	n.recorded("")
	n.neverTwo()
	p1, p2 := n.hosts[0], n.hosts[1]
	n.lead(p1) // the primary's side, as it will be
	d1, d2 := n.servers[0], n.servers[1]
	one, two := n.writeTo(p1.address), n.writeTo(p2.address)

	// Row 16. Nothing can be decided without the other one, so both may write to the primary that they know.
	t.Run("their link is cut, and both see the servers", func(t *testing.T) {
		p1.part(p2)
		for range 5 {
			one.more(5)
			two.more(5)
			time.Sleep(time.Second)
		}
		if got := promotions(t, c, 0, 1); got != 0 {
			t.Errorf("%d promotions", got)
		}
		p1.heal()
		n.ready()
		n.noFailover(t, c)
	})

	// Row 17. The side of the primary goes on, and keeps the address. The other one cannot know that, and neither promotes nor takes it.
	t.Run("each is cut off with one server", func(t *testing.T) {
		for _, a := range []*host{p1, d1} {
			for _, b := range []*host{p2, d2} {
				a.part(b)
			}
		}
		time.Sleep(2 * time.Second)
		for range 10 { // longer than the standby vouches for the primary
			one.more(5)
			during(t, time.Second, func() string {
				if p2.owns() {
					return "the side without the primary takes the address"
				}
				return ""
			})
		}
		if got := promotions(t, c, 0, 1); got != 0 {
			t.Errorf("%d promotions", got)
		}
		for _, h := range []*host{p1, d1} {
			h.heal()
		}
		n.ready()
		n.noFailover(t, c)
	})
	one.more(5)
	two.more(5)
	one.end()
	two.end()
	for _, w := range []*writer{one, two} {
		if lost := w.lost(c, 0, 0); len(lost) > 0 {
			t.Errorf("acknowledged writes are lost: %v", lost)
		}
	}
}
