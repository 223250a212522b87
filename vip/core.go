package vip

import (
	"fmt"
	"net/netip"
	"time"
)

// settings are what the core has to know of the configuration.
type settings struct {
	addresses []netip.Prefix
	device    string // the interface, for reasons
	// strict asks first, and adds when nobody answers.
	strict bool
	// lifetime is how long the kernel keeps an address that is not renewed every
	// refresh; 0 if it keeps it for good (no netlink).
	lifetime, refresh time.Duration
	probeWait         time.Duration
	announceInterval  time.Duration
	// observed is whether the kernel shows the address; of a hook's work it shows nothing.
	observed bool
	// needsLink is whether the address can be held only while the interface is up.
	needsLink bool
	// frames is whether probes and claims exist: the address is on a link of ours.
	frames       bool
	resetClients bool
	// retryFirst is the first wait after a failure; each further one is twice as long,
	// up to retryMost.
	retryFirst, retryMost time.Duration
}

// order is a Want as the engine gets it.
type order struct {
	Holder   bool         `json:"holder"`
	Until    Instant      `json:"until"`
	Epoch    uint64       `json:"epoch"`
	Released bool         `json:"released,omitempty"`
	Peers    []netip.Addr `json:"peers,omitempty"`
	Reason   string       `json:"reason,omitempty"`
	Seq      uint64       `json:"seq"` // counts the orders of one Manager
}

// linkState is the interface as the kernel shows it.
type linkState struct {
	present, up bool
	mac         string
	// deaf says why no frames can be sent and heard; empty if they can.
	deaf string
}

// presence is whether the kernel has an address.
type presence uint8

const (
	unseen  presence = iota // not known
	missing                 // it has not
	ours                    // it has, and it is howdah's
	foreign                 // it has, and somebody else put it there
)

// sighting is what the kernel shows of one address.
type sighting struct {
	presence  presence
	where     string // of a foreign one: "10.0.0.100/24 on eth1"
	dadFailed bool   // duplicate address detection found another host (RFC 4862, section 5.4)
}

// Inputs of the core.
type (
	// wanted is a new order.
	wanted struct{ order order }
	// seen is what the kernel shows: of the link, and of each address by its position.
	seen struct {
		link      linkState
		sightings []sighting
	}
	// heard is a frame of another host that claims an address; peer names the member
	// of the cluster whose hardware address it is, if it is one.
	heard struct {
		addr      netip.Addr
		mac, peer string
	}
	// done is the end of an action.
	done struct {
		addr netip.Addr
		op   op
		err  error
	}
	// tick is the passing of time.
	tick struct{}
)

// op is what an action does.
type op uint8

const (
	opNone     op = iota
	opProbe       // ask who has the address
	opAdd         // put it here
	opRenew       // put off its end
	opRemove      // take it off
	opAnnounce    // tell the neighbours
	opTickle      // make clients of the former holder notice
	opCancel      // break off the adding under way
)

var opNames = [...]string{"none", "probe", "add", "renew", "remove", "announce", "tickle", "cancel"}

func (o op) String() string { return opNames[o] }

// action is what the engine shall do. Add, renew and remove are answered by done;
// the others are not.
type action struct {
	op   op
	addr netip.Prefix
	// notAfter is the end of the lease: when an add or renew must not happen any more.
	notAfter Instant
	// reset, of a remove, is to break the clients' connections first: there is time.
	reset  bool
	reason string
}

// core decides. It is changed by step only, and touches nothing outside.
type core struct {
	settings
	want order
	// since is when the present authority began.
	since     Instant
	authority bool
	until     Instant // when the last lease that was given ends, even if it was taken back
	link      linkState
	addresses []address

	// Of the step under way.
	actions []action
	events  []Event
	seq     uint64
	wake    Instant // 0 is never
}

func newCore(s settings) *core {
	c := &core{settings: s, addresses: make([]address, len(s.addresses))}
	for i, p := range s.addresses {
		c.addresses[i].prefix = p
	}
	return c
}

// step takes one input and returns what to do now, what to tell, and when to step
// again at the latest (0: with the next input).
func (c *core) step(now Instant, in any) (actions []action, events []Event, wake Instant) {
	c.actions, c.events, c.wake = nil, nil, 0
	switch in := in.(type) {
	case wanted:
		if in.order.Holder {
			c.until = in.order.Until
		}
		c.want = in.order
	case seen:
		c.see(in)
	case heard:
		if a := c.find(in.addr); a != nil {
			c.hear(a, now, in)
		}
	case done:
		if a := c.find(in.addr); a != nil {
			c.finish(a, now, in)
		}
	case tick:
	default:
		panic(fmt.Sprintf("vip: input %T", in))
	}
	if authority := c.want.Holder && now < c.want.Until; authority != c.authority {
		c.authority = authority
		c.since = now
	}
	if c.authority {
		c.later(c.want.Until)
	}
	for i := range c.addresses {
		c.decide(&c.addresses[i], now)
	}
	return c.actions, c.events, c.wake
}

// later asks for a step at t.
func (c *core) later(t Instant) {
	if c.wake == 0 || t < c.wake {
		c.wake = t
	}
}

func (c *core) find(addr netip.Addr) *address {
	for i := range c.addresses {
		if c.addresses[i].prefix.Addr() == addr {
			return &c.addresses[i]
		}
	}
	return nil
}

func (c *core) do(a *address, o op, reason string) {
	c.actions = append(c.actions, action{op: o, addr: a.prefix, notAfter: c.until, reason: reason})
	if o == opAdd || o == opRenew || o == opRemove {
		a.busy = o
	}
}

func (c *core) report(a *address, now Instant, kind EventKind, reason string) {
	c.seq++
	c.events = append(c.events, Event{Seq: c.seq, At: now, Kind: kind, Address: a.prefix.Addr(), Epoch: c.want.Epoch, Reason: reason})
}

// move changes an address's state; an illegal change is a mistake in this package.
func (c *core) move(a *address, now Instant, to AddressState, reason string) {
	if to == Blocked && a.reason != reason {
		c.report(a, now, EventBlocked, reason)
	}
	if a.state == to {
		a.reason = reason
		return
	}
	if !legal(a.state, to) {
		panic(fmt.Sprintf("vip: %s: %s cannot become %s (%s)", a.prefix, a.state, to, reason))
	}
	a.state, a.stateSince, a.reason = to, now, reason
}

// see takes what the kernel shows.
func (c *core) see(in seen) {
	if c.link.mac != in.link.mac && in.link.mac != "" {
		for i := range c.addresses {
			c.addresses[i].announced = 0 // a bond's other leg, say: tell everybody again
			c.addresses[i].announceAt = 0
		}
	}
	c.link = in.link
	for i := range c.addresses {
		if c.observed && i < len(in.sightings) {
			c.addresses[i].sighting = in.sightings[i]
		}
	}
}

// unable says why an address could not be held; empty if it could.
func (c *core) unable(a *address) string {
	switch {
	case c.needsLink && !c.link.present:
		return "interface " + c.device + " does not exist"
	case c.needsLink && !c.link.up:
		return "interface " + c.device + " is down or has no carrier"
	case c.strict && c.frames && c.link.deaf != "":
		return "takeover is strict, and nobody can be asked: " + c.link.deaf
	case c.observed && a.presence == foreign:
		return a.where + " was not put there by howdah: remove it"
	case c.observed && a.presence == unseen:
		return "the kernel's addresses could not be listed"
	}
	return ""
}

// status is the core's part of a State.
func (c *core) status(now Instant) State {
	wanted := c.want.Holder && now < c.want.Until
	s := State{Held: wanted, Gone: true, Fit: true, Wanted: wanted,
		Epoch: c.want.Epoch, Until: c.want.Until, Now: now, Addresses: make([]AddressStatus, len(c.addresses))}
	for i := range c.addresses {
		a := &c.addresses[i]
		s.Held = s.Held && a.state == Held
		s.Gone = s.Gone && a.busy == opNone && (a.presence == missing || a.presence == foreign)
		if why := c.unable(a); why != "" && s.Fit {
			s.Fit, s.Unfit = false, why
		} else if a.failures >= unfitFailures && s.Fit {
			s.Fit, s.Unfit = false, a.reason
		}
		s.Addresses[i] = AddressStatus{Address: a.prefix, State: a.state, Since: a.stateSince, Reason: a.reason,
			Failures: a.failures, Restored: a.restored, Claims: a.claims, Claimant: a.claimant}
	}
	return s
}
