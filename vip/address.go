package vip

import (
	"errors"
	"net/netip"
	"time"
)

const (
	// unfitFailures in a row make a host unfit.
	unfitFailures = 3
	// restorePause is the least time between two adds of an address that somebody
	// keeps removing.
	restorePause = 100 * time.Millisecond
	// defendPause is the least time between two announcements against claims of others.
	defendPause = time.Second
	// claimPause is the least time between two reports of the same claimant.
	claimPause = 10 * time.Second
	// probePause is the most time between probes while waiting for more than an answer.
	probePause = 500 * time.Millisecond
	// graceOfKernel is how late the kernel may be with the removal of what expired; it
	// was measured up to 0.22 s late.
	graceOfKernel = 300 * time.Millisecond
	// maxReason bounds a reason, in bytes: all of them fit into one message.
	maxReason = 400
	// tickles is with how many of the announcements clients are made to notice.
	tickles = 4
)

// errCancelled is how an add ends that was broken off.
var errCancelled = errors.New("broken off, the lease ended")

// address is the memory of one address.
type address struct {
	prefix netip.Prefix
	sighting
	state      AddressState
	stateSince Instant
	reason     string

	busy      op   // add, renew or remove under way
	cancelled bool // and it was asked to break off
	leftover  bool // the removal under way is of what a former howdah left
	restoring bool // the add under way is of what somebody else removed

	failures int
	retryAt  Instant
	added    Instant // last time it was added
	renewed  Instant // last time its lifetime began anew

	probeAt     Instant // next probe
	silentSince Instant // since when nobody has answered, if asked
	asked       bool    // a probe went out since somebody answered

	announced  int     // how many announcements since it came
	announceAt Instant // when it came: the schedule's zero
	tickling   bool    // with the next announcements clients are made to notice
	defendAt   Instant // no defence before

	restored   uint64
	claims     uint64
	claimant   string
	reported   string // the last claimant that was told of
	reportedAt Instant
}

// decide makes the address what it should be, as far as that can be done now.
func (c *core) decide(a *address, now Instant) {
	switch {
	case a.busy == opAdd && !c.authority && !a.cancelled:
		a.cancelled = true
		c.do(a, opCancel, c.whyNot())
	case a.busy != opNone:
	case !c.authority:
		c.giveUp(a, now)
	case c.unable(a) != "":
		// Nothing is renewed, so that the kernel removes the address soon; it is not
		// removed at once, because most interfaces come back.
		c.move(a, now, Blocked, c.unable(a))
	case a.state == Held && a.dadFailed:
		c.report(a, now, EventConflict, "duplicate address detection failed: another host has the address")
		c.move(a, now, Removing, "duplicate address detection failed")
		c.do(a, opRemove, a.reason)
	case a.state == Held:
		c.keep(a, now)
	default:
		c.acquire(a, now)
	}
}

// whyNot is why the address is not wanted.
func (c *core) whyNot() string {
	switch {
	case c.want.Holder:
		return "the lease ended and was not renewed"
	case c.want.Reason != "":
		return c.want.Reason
	}
	return "it is not wanted here"
}

// giveUp takes the address off.
func (c *core) giveUp(a *address, now Instant) {
	switch {
	case a.presence == missing:
		if a.state == Held {
			c.report(a, now, EventReleased, "the kernel's lifetime ended: "+c.whyNot())
		}
		a.failures = 0
		c.move(a, now, Absent, c.whyNot())
	case a.presence == foreign:
		c.move(a, now, Blocked, c.unable(a))
	case a.presence == unseen && c.observed: // it may not be ours to remove
	case a.state == Removing && now < a.retryAt:
		c.later(a.retryAt)
	default:
		a.leftover = a.state == Unknown
		reset := a.state == Held && !c.want.Holder && now < c.until
		c.move(a, now, Removing, c.whyNot())
		c.do(a, opRemove, a.reason)
		c.actions[len(c.actions)-1].reset = reset && c.resetClients
	}
}

// acquire puts the address here.
func (c *core) acquire(a *address, now Instant) {
	if now < a.retryAt {
		c.later(a.retryAt)
		return
	}
	why := "this host shall hold the address"
	switch {
	case a.presence == ours && c.observed:
		why = "it is here already"
	case a.restoring:
		why = "it is put back"
	case c.strict && c.frames:
		if !c.probed(a, now) {
			return
		}
		why = "nobody else answers for it"
	case c.frames:
		c.do(a, opProbe, "to hear of another holder")
	}
	c.move(a, now, Adding, why)
	if a.presence == ours && c.observed {
		if c.lifetime == 0 {
			c.hold(a, now, false)
			c.keep(a, now)
			return
		}
		c.do(a, opRenew, why)
		return
	}
	c.do(a, opAdd, why)
}

// probed asks for other holders, and says whether the address may be taken: nobody
// answered for long enough, and no kernel can still have it from a former holder.
func (c *core) probed(a *address, now Instant) bool {
	if a.state != Probing {
		a.probeAt, a.silentSince, a.asked = now, now, false
		c.move(a, now, Probing, "asking whether another host has it")
	}
	ask := now >= a.probeAt
	if ask && !a.asked {
		// Silence says something only after a question: this host may have been too busy to put one.
		a.asked, a.silentSince = true, now
	}
	ready := a.silentSince.Add(c.probeWait)
	if c.lifetime > 0 && !c.want.Released {
		ready = max(ready, c.since.Add(c.lifetime+graceOfKernel))
	}
	if ask {
		c.do(a, opProbe, "strict: to hear of another holder")
		a.probeAt = max(now.Add(c.probeWait/2), min(now.Add(probePause), ready.Add(-c.probeWait)))
	}
	if a.asked && now >= ready {
		return true
	}
	c.later(min(ready, a.probeAt))
	return false
}

// keep renews and announces what is held.
func (c *core) keep(a *address, now Instant) {
	if a.presence == missing {
		if t := a.added.Add(restorePause); now < t {
			c.later(t)
			return
		}
		why := "somebody removed it"
		if c.lifetime > 0 && now >= a.renewed.Add(c.lifetime) {
			why = "the kernel removed it: it was not renewed in time"
		}
		a.restored++
		a.restoring = true
		c.move(a, now, Adding, why)
		c.do(a, opAdd, why)
		return
	}
	if c.lifetime > 0 {
		if due := max(a.renewed.Add(c.refresh), a.retryAt); now < due {
			c.later(due)
		} else {
			c.do(a, opRenew, "its lifetime runs")
		}
	}
	if a.announceAt == 0 {
		a.announceAt = now
	}
	due, ok := announcement(a.announced, c.announceInterval)
	switch t := a.announceAt.Add(due); {
	case !ok:
	case now < t:
		c.later(t)
	default:
		c.announce(a, now)
	}
}

// announce tells the neighbours, and the clients of the former holder. What is
// overdue is sent once.
func (c *core) announce(a *address, now Instant) {
	c.do(a, opAnnounce, "the neighbours shall know")
	if a.tickling && a.announced < tickles {
		c.do(a, opTickle, "clients of the former holder shall know")
	}
	for {
		a.announced++
		due, ok := announcement(a.announced, c.announceInterval)
		if !ok {
			return
		}
		if t := a.announceAt.Add(due); t > now {
			c.later(t)
			return
		}
	}
}

// announcement is when the n-th announcement is due, from the time the address came.
// Steps of 1.1 s step over the second for which Linux refuses to change an entry of
// its ARP table again (arp_locktime); later ones are for switches that forgot.
func announcement(n int, interval time.Duration) (due time.Duration, ok bool) {
	first := [...]time.Duration{0, 50 * time.Millisecond, 200 * time.Millisecond,
		1100 * time.Millisecond, 2200 * time.Millisecond, 3300 * time.Millisecond, 5 * time.Second}
	if n < len(first) {
		return first[n], true
	}
	return first[len(first)-1] + time.Duration(n-len(first)+1)*interval, interval > 0
}

// hold makes the address held. Fresh is whether it was not here before.
func (c *core) hold(a *address, now Instant, fresh bool) {
	kind := EventAcquired
	if a.restoring {
		kind = EventRestored
	}
	a.restoring, a.failures, a.retryAt = false, 0, 0
	a.announced, a.announceAt, a.tickling = 0, now, fresh && kind == EventAcquired && c.resetClients
	c.report(a, now, kind, a.reason)
	c.move(a, now, Held, a.reason)
}

// hear takes a frame of another host that says the address is its own.
func (c *core) hear(a *address, now Instant, in heard) {
	a.claimant = in.mac
	a.silentSince, a.asked = now, false
	holding := a.state == Held && c.want.Holder && now < c.want.Until
	if !holding && a.state != Probing {
		return // if it is not ours, others may well say that they have it
	}
	a.claims++
	if holding && now >= a.defendAt {
		a.defendAt = now.Add(defendPause)
		c.do(a, opAnnounce, in.mac+" says that it has the address")
	}
	if a.reported == in.mac && now < a.reportedAt.Add(claimPause) {
		return
	}
	a.reported, a.reportedAt = in.mac, now
	if in.peer != "" {
		c.report(a, now, EventStaleHolder, in.peer+" ("+in.mac+") still answers for the address")
		return
	}
	c.report(a, now, EventConflict, in.mac+", no member of the cluster, answers for the address")
}

// finish takes the end of an add, a renewal or a removal.
func (c *core) finish(a *address, now Instant, in done) {
	if a.busy != in.op {
		return
	}
	a.busy, a.cancelled = opNone, false
	err := in.err
	switch {
	case err != nil:
	case !c.observed || c.needsLink: // done by a hook, which is believed, or by the kernel itself
		a.presence = ours
		if in.op == opRemove {
			a.presence = missing
		}
	case in.op == opAdd && a.presence != ours:
		err = errors.New("the command succeeded, but the address is on no interface")
	case in.op == opRemove && a.presence != missing:
		err = errors.New("the command succeeded, but the address is still here")
	}
	if err != nil {
		c.failed(a, now, in.op, err)
		return
	}
	switch in.op {
	case opAdd:
		a.added, a.renewed = now, now
		c.hold(a, now, true)
	case opRenew:
		a.renewed, a.failures, a.retryAt = now, 0, 0
		if a.state == Adding {
			c.hold(a, now, false)
		}
	case opRemove:
		a.failures, a.retryAt = 0, 0
		kind, reason := EventReleased, a.reason
		if a.leftover {
			kind, reason = EventLeftover, "a former howdah left it"
		}
		if c.observed || !a.leftover { // a hook is called to be sure, and usually had nothing to do
			c.report(a, now, kind, reason)
		}
		a.leftover = false
		if a.dadFailed {
			a.dadFailed, a.retryAt = false, now.Add(defendPause)
		}
	}
}

// failed notes that an action failed, and when it is tried again.
func (c *core) failed(a *address, now Instant, o op, err error) {
	if !c.observed {
		a.presence = unseen // the hook may have done half of it
	}
	if errors.Is(err, errCancelled) {
		return
	}
	a.failures++
	wait := c.retryFirst << min(a.failures-1, 16)
	a.retryAt = now.Add(min(wait, c.retryMost))
	a.reason = o.String() + " failed: " + err.Error()
	a.reason = a.reason[:min(len(a.reason), maxReason)] // it may repeat what a command printed
	if a.failures == 1 || a.failures%10 == 0 {
		c.report(a, now, EventFailed, a.reason)
	}
}
