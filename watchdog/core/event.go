package core

import "time"

// Event is something that happened to a member.
type Event interface{ event() }

// The events.
type (
	// Tick: time went by. It comes every few milliseconds.
	Tick struct{}
	// Won: raft elected this member. CaughtUp: all that was committed before is applied.
	// Lost: it does not lead any more.
	Won      struct{ Term uint64 }
	CaughtUp struct{ Term uint64 }
	Lost     struct{}
	// Acked: Peer acknowledged an append of Term that was sent at Sent.
	Acked struct {
		Peer MemberID
		Term uint64
		Sent time.Duration
	}
	// Leads: raft names who leads, or "" if it knows nobody. It names a wrong one for as long as its disk hangs.
	Leads struct{ Leader MemberID }
	// Applied: commands up to Index make State. Old: they were committed before this process started.
	Applied struct {
		State *State
		Index uint64
		Old   bool
	}
	// Restarted: the log that was stored ends at Index. What it holds may have been decided,
	// though this member does not go by it yet.
	Restarted struct{ Index uint64 }
	// Voters: raft's configuration changed.
	Voters struct{ IDs []MemberID }
	// Health: what this member is fit for. PeerHealth: what another one says of itself.
	Health     struct{ Fitness Fitness }
	PeerHealth struct {
		Peer    MemberID
		Fitness Fitness
	}
	// RouteRequest: another member asks for a route lease. RouteReply: From answers ours.
	RouteRequest struct{ Ask RouteAsk }
	RouteReply   struct {
		From   MemberID
		Answer RouteAnswer
	}
	// Stopped: nothing is sent to the old primary of the failover any more, and its connections are cut.
	Stopped struct{ Failover uint64 }
	// Consent: the user wants to fail over from Node. Planned: the operator does, whatever members see.
	Consent struct {
		Request string
		Node    NodeID
		Reason  string
		Planned bool
	}
	// Voted: a member answered a poll.
	Voted struct {
		Poll uint64
		Vote Vote
	}
	// Unproposed: a command was not committed, as far as is known.
	Unproposed struct {
		Kind   Kind
		Reason string
	}
	// Yield: this member shall give leadership to To, or to whoever is fittest.
	Yield struct {
		To     MemberID
		Reason string
	}
	// Yielded: From led, and says that it has neither the lease nor the address any more, and leaves the lock.
	Yielded struct{ From MemberID }
	// Heard: a sign of life of another member; Asked is when the question was asked that it answered, or 0.
	// Contact: an append was last acknowledged At (Guard.Contact).
	Heard struct {
		From  MemberID
		Asked time.Duration
	}
	Contact struct{ At time.Duration }
	// Locked: what the node of WantLock answered to a question of Sent.
	Locked struct {
		Node   NodeID
		Answer LockAnswer
		Sent   time.Duration
	}
	// Evidence: what is known of a lost primary, as one of two.
	Evidence struct{ Loss Loss }
	// Fenced: how Fence ended; Failed is empty if both are off.
	Fenced struct {
		Node   NodeID
		Failed string
	}
	// NotAlone: GoAlone has failed, and nothing was changed.
	NotAlone struct{ Reason string }
	// Outdated: another member was made to go on without this one.
	Outdated struct{ Reason string }
)

func (Tick) event()         {}
func (Won) event()          {}
func (CaughtUp) event()     {}
func (Lost) event()         {}
func (Acked) event()        {}
func (Leads) event()        {}
func (Applied) event()      {}
func (Restarted) event()    {}
func (Voters) event()       {}
func (Health) event()       {}
func (PeerHealth) event()   {}
func (RouteRequest) event() {}
func (RouteReply) event()   {}
func (Stopped) event()      {}
func (Consent) event()      {}
func (Voted) event()        {}
func (Unproposed) event()   {}
func (Yield) event()        {}
func (Yielded) event()      {}
func (Heard) event()        {}
func (Contact) event()      {}
func (Locked) event()       {}
func (Evidence) event()     {}
func (Fenced) event()       {}
func (NotAlone) event()     {}
func (Outdated) event()     {}

// Action is something that the member must do, in the order given.
type Action interface{ action() }

// The actions.
type (
	// SetAddress: have the address until Until, or do not have it.
	SetAddress struct {
		Want   bool
		Until  time.Duration
		Reason string
	}
	// AskPoll: ask every member, this one too, and feed Voted.
	AskPoll struct{ Poll Poll }
	// AskRoute: send Ask to To and feed RouteReply. ReplyRoute: send Answer to To.
	AskRoute struct {
		To  MemberID
		Ask RouteAsk
	}
	ReplyRoute struct {
		To     MemberID
		Answer RouteAnswer
	}
	// Propose: have the command committed. Its effect comes as Applied.
	Propose struct{ Command Command }
	// StopWrites: send nothing new to Node, cut its connections, then feed Stopped.
	StopWrites struct {
		Node     NodeID
		Failover uint64
	}
	// Transfer: remove the address; tell all voters that the leader of Term holds no lease any
	// more (Guard.Yielded); then give leadership to To. If that fails, make raft step down.
	Transfer struct {
		To     MemberID
		Term   uint64
		Reason string
	}
	// Reply answers Consent. If Granted, the failover is barred: a candidate can be chosen.
	Reply struct {
		Request  string
		Granted  bool
		Failover Failover
		Reason   string
	}
	// Resume: this member holds the lease, again or newly, and a failover was left behind.
	Resume struct{ Failover Failover }
	// WantLock: have the lock that Node keeps for the address, and feed Locked again and again; or give it up.
	WantLock struct {
		Want bool
		Node NodeID
	}
	// Together: one of two without a third does not go on alone, as the evidence named is missing.
	Together struct{ Reason string }
	// Fence: turn the other member's host and the node off, and feed Fenced.
	Fence struct {
		Member MemberID
		Node   NodeID
	}
	// GoAlone: become the only member, as Shrink does, and feed Voters; or NotAlone.
	GoAlone struct{ Reason string }
)

func (SetAddress) action() {}
func (AskPoll) action()    {}
func (AskRoute) action()   {}
func (ReplyRoute) action() {}
func (Propose) action()    {}
func (StopWrites) action() {}
func (Transfer) action()   {}
func (Reply) action()      {}
func (Resume) action()     {}
func (WantLock) action()   {}
func (Together) action()   {}
func (Fence) action()      {}
func (GoAlone) action()    {}
