// Package vip makes the floating address on this host equal to what is wanted. It
// does not decide who holds the address: its caller says so with Want, again and
// again, and each time until when that holds. What was not renewed in time ends, and
// the address goes.
//
//	Manager.Want --order--> engine --input--> core --actions--> actuator
//	                          ^                 |                  |
//	   kernel, frames, timer -+                 +--> State         +-- netlink | commands | hook | none
//
// The core (core.go, address.go) is pure: what is wanted, what the kernel shows, what
// was heard on the wire and the time go in, actions with their reasons come out. The
// engine (engine.go) does them. It runs in the guardian, a second process of the same
// binary, or, with vip.guardian off, in this one.
//
// The removal of an address is enforced four times:
//
//   - the engine removes it when the lease ends;
//   - the guardian removes it when howdah dies, and when howdah hangs, because nobody
//     renews the lease then;
//   - the kernel removes it when nobody renewed it for vip.lifetime (netlink only);
//   - the next start, or howdah vip down, removes what was left.
//
// States of one address (state.go holds the table):
//
//	Unknown -> Absent -> (Probing) -> Adding -> Held -> Removing -> Absent
//	                         \__________ Blocked _________/
//
// # Use
//
// Manager's methods may be called at any time, from any goroutine, and but for Release
// none waits. A watchdog needs a page of code:
//
//	m := vip.New(cfg.VIP, cfg.Log, log)
//	go m.Run(ctx)                                  // until the end; gives the addresses up
//
//	// with every renewal of the lease, on the leader
//	m.Want(vip.Want{Holder: true, Until: leaseEnd, Epoch: epoch, Peers: peers})
//	// when the lease ends nothing needs to be said; to give it up before,
//	err := m.Release(ctx, epoch, "leadership goes to p2")  // the addresses are off when it returns
//
//	// on the holder now and then, to be gossiped; and on all others
//	connections, err := m.Connections()
//	m.SetClients(connectionsOfTheHolder)
//
//	// what became of it
//	for ; ; <-changed {
//		changed = m.Changed()
//		s := m.State()     // Held: run the escalation command. Gone: the de-escalation command.
//	}                          // Fit: false is a reason to lead no longer.
//
// With vip.mode none the same code runs, and no address is moved.
//
// It is Linux only. Clocks: all times are of CLOCK_BOOTTIME, which every process of a
// host shares and which goes on while the machine is suspended.
package vip
