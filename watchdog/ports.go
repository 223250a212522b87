package watchdog

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/howdah/howdah/watchdog/core"
)

// Address is the floating address on this host.
type Address interface {
	// Want says whether this host shall have it. It does not wait.
	Want(w AddressWant)
	// Release gives the address up and returns when it is gone from this host.
	Release(ctx context.Context, reason string) error
	// Held says whether this host has it.
	Held() bool
}

// claimed is an Address that hears other hosts say that the address is theirs while it is held here; it counts them.
type claimed interface{ Claims() uint64 }

// AddressWant is what Address is told, at every renewal of the lease.
type AddressWant struct {
	Holder bool
	// Until is when that ends if it is not said again. It has a monotonic reading.
	Until time.Time
	// Term is higher for every later holder.
	Term   uint64
	Reason string
}

// NoAddress is for members without a floating address. The one that would have it still
// runs the commands that belong to it.
type NoAddress struct{ until atomic.Pointer[time.Time] }

// Want notes who would have it.
func (a *NoAddress) Want(w AddressWant) {
	if !w.Holder {
		a.until.Store(nil)
		return
	}
	a.until.Store(&w.Until)
}

// Release has nothing to give up.
func (a *NoAddress) Release(context.Context, string) error {
	a.until.Store(nil)
	return nil
}

// Held says whether this host would have it.
func (a *NoAddress) Held() bool {
	until := a.until.Load()
	return until != nil && time.Now().Before(*until)
}

// Nodes is who watches the nodes and writes to them.
type Nodes interface {
	// Sight is what this member sees of a node right now, with what that rests on. It may
	// look for itself, within ctx. It must say core.SeesUp if anything shows that the node lives.
	Sight(ctx context.Context, node core.NodeID) (core.Sight, string)
	// StopWrites returns when nothing is sent to the node any more and connections to it are cut.
	StopWrites(ctx context.Context, node core.NodeID, why string) error
	// View is what the other members should know of this one's view: JSON, at most 900 bytes, or nil.
	View() []byte
	// Resume says that this member leads and a failover is left to go on with: in
	// core.PhaseBarred by choosing a candidate, in core.PhaseChosen by looking whether the
	// candidate has become the primary. It must not wait.
	Resume(f core.Failover)
}

// NoNodes is a witness's view: it sees nothing and writes nothing.
type NoNodes struct{}

// Sight cannot tell.
func (NoNodes) Sight(context.Context, core.NodeID) (core.Sight, string) {
	return core.SeesNothing, "this member does not watch the nodes"
}

// StopWrites has nothing to stop.
func (NoNodes) StopWrites(context.Context, core.NodeID, string) error { return nil }

// View is nothing.
func (NoNodes) View() []byte { return nil }

// Resume leaves it to the next leader.
func (NoNodes) Resume(core.Failover) {}

// Lifecheck looks at this member's own data path.
type Lifecheck interface {
	// Fitness says what this member is fit for; what it does not set is judged by the watchdog
	// itself (Gateway, Disk, Prompt).
	Fitness(ctx context.Context) core.Fitness
}

// AlwaysFit is a Lifecheck without anything to look at.
type AlwaysFit struct{}

// Fitness is perfect.
func (AlwaysFit) Fitness(context.Context) core.Fitness { return core.Fit() }

// Tie is what two members without a third can decide by when they do not hear each other. Every call returns within ctx.
type Tie interface {
	// Lock asks the node for the lock of the address (want), or gives it up. The holder must ask again, or others end its session
	// after core.Timing.LockStale.
	Lock(ctx context.Context, node core.NodeID, want bool) (core.LockAnswer, error)
	// Successor says why no node could replace this one, and why that might lack what was acknowledged; empty
	// if nothing stands against it.
	Successor(node core.NodeID) (lacks, unconfirmed string)
	// Signs are signs of life of the other member's host, and of somebody who has the address; empty if there are none.
	Signs(ctx context.Context, host string) (peer, address string)
	// Fence turns the other member's host and the node off. It succeeds only if both are.
	Fence(ctx context.Context, member core.MemberID, node core.NodeID) error
}

// NoTie is for members that nothing can tell apart.
type NoTie struct{}

// Lock cannot be had.
func (NoTie) Lock(context.Context, core.NodeID, bool) (core.LockAnswer, error) {
	return core.LockUnknown, nil
}

// Successor is nobody.
func (NoTie) Successor(core.NodeID) (string, string) {
	return "this member does not watch the nodes", "this member does not watch the nodes"
}

// Signs are not looked for.
func (NoTie) Signs(context.Context, string) (string, string) {
	return "it is not looked for", "it is not looked for"
}

// Fence turns nothing off.
func (NoTie) Fence(context.Context, core.MemberID, core.NodeID) error {
	return errors.New("this member has no fence")
}

// Service answers another member's question that is not about the watchdog itself. It must
// return within ctx. Question and answer are at most 700 kB; from is who the certificate says.
type Service func(ctx context.Context, from core.MemberID, question []byte) ([]byte, error)

// Parts are what a member is made with; none but Services and Tie may be nil.
type Parts struct {
	Address   Address
	Nodes     Nodes
	Lifecheck Lifecheck
	// Tie may be nil, too: NoTie.
	Tie Tie
	// Services answer what other members ask by Call.
	Services map[string]Service
	// Cooldown is the least time between two failovers.
	Cooldown time.Duration
}
