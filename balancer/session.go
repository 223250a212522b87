package balancer

import (
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
)

// Balance is how long a session keeps the node chosen for its reads. Pgpool-II:
// load_balance_mode, statement_level_load_balance.
type Balance uint8

const (
	// BalanceSession chooses when the session first reads and keeps the node while it is usable.
	BalanceSession Balance = iota
	// BalanceOff sends everything to the primary.
	BalanceOff
	// BalanceTransaction chooses for every transaction: a block, or a statement outside one.
	BalanceTransaction
	// BalanceStatement chooses for every statement, also in a block whose reads
	// nothing binds to one node (READ COMMITTED, not READ ONLY).
	BalanceStatement
)

// Choice is how a node is chosen among those that may serve a read.
type Choice uint8

const (
	// ChoiceWeight draws by weight.
	ChoiceWeight Choice = iota
	// ChoiceLeastConnections takes the node with the fewest sessions of howdah per weight.
	ChoiceLeastConnections
	// ChoiceFastest takes the node that should answer first.
	ChoiceFastest
)

// Transactions is where the reads of a read-write transaction run.
type Transactions uint8

const (
	// UntilWrite lets reads before the first write run on a read node (READ COMMITTED only).
	UntilWrite Transactions = iota
	// PrimaryOnly sends every read-write transaction whole to the primary.
	PrimaryOnly
)

// AfterWrite is what a write does to the reads after it. Pgpool-II:
// disable_load_balance_on_write. SET and SAVEPOINT are no writes.
type AfterWrite uint8

const (
	// AfterWriteTransaction: the rest of the block stays on the primary.
	AfterWriteTransaction AfterWrite = iota
	// AfterWriteOff: nothing; a block may not see what it wrote.
	AfterWriteOff
	// AfterWriteTransTransaction: also all later blocks of the session.
	AfterWriteTransTransaction
	// AfterWriteAlways: also what comes later outside of blocks, and after writes outside of blocks.
	AfterWriteAlways
	// AfterWriteDMLAdaptive: in the block, reads of what it wrote.
	AfterWriteDMLAdaptive
)

// Consistency is what a session's reads may not miss.
type Consistency uint8

const (
	// ConsistencySession: never older than what the session wrote or saw.
	ConsistencySession Consistency = iota
	// ConsistencyNone: whatever the standby has, as Pgpool-II.
	ConsistencyNone
	// ConsistencyCluster: nor older than what anybody wrote through howdah to what is read.
	ConsistencyCluster
)

// Settings are the session's routing settings.
type Settings struct {
	Balance      Balance
	Choice       Choice
	Transactions Transactions
	AfterWrite   AfterWrite
	Consistency  Consistency
	// PreferLowerLag: if the session's node is over a limit of lag, the standby that
	// lags least serves its reads instead of the primary.
	PreferLowerLag bool
	// Dependencies are for AfterWriteDMLAdaptive; nil is none.
	Dependencies *Dependencies
	Comments     Comments
}

// Pin is why a session must have the primary for everything.
type Pin uint8

const (
	PinNone Pin = iota
	// PinTempObjects: it made temporary objects, which exist on the primary only.
	PinTempObjects
	// PinOpaqueSetting: a setting was changed in a way that cannot be repeated elsewhere.
	PinOpaqueSetting
	// PinUnsafeEncoding: in its client encoding a byte of a character can look
	// like ASCII, so the text cannot be parsed safely.
	PinUnsafeEncoding
	// PinRoutingOff: the session asked for it.
	PinRoutingOff
	// PinHeldCursor: a cursor WITH HOLD is open on the primary.
	PinHeldCursor
	// PinPrepared: a statement prepared there cannot be made elsewhere.
	PinPrepared
	// PinCounters: it looked, lately, at what the primary has counted of the use of relations, and its own
	// use belongs to that.
	PinCounters
	// PinReplication: it is a replication connection.
	PinReplication
)

// TxState is where the session's transaction block stands.
type TxState uint8

const (
	// TxNone: no transaction block.
	TxNone TxState = iota
	// TxDeferred: BEGIN was answered, and is not sent to any server yet.
	TxDeferred
	// TxOpen: the block is open on TxNode (and perhaps, after until_write reads, elsewhere too).
	TxOpen
	// TxFailed: the block is aborted; only its end is awaited.
	TxFailed
)

// Session is what the decision depends on of a session. It is a small value:
// the session owns it, fills it, and passes a copy. The zero value is not
// ready: use NewSession, which sets the nodes to NoNode.
type Session struct {
	// What is asked about a plain read comes first (plainlyKept): then there is little that must get into the processor's caches.
	Settings Settings
	Pinned   Pin
	Tx       TxState
	// TxPrimary is the block's standing decision: all on the primary until the
	// end. The session sets it when Decision.Standing is true, together with TxNode.
	TxPrimary bool
	// TxReadOnly and TxIsolation are the block's modes, session defaults
	// resolved by the caller; IsolationDefault is taken as READ COMMITTED.
	TxReadOnly  bool
	TxIsolation parser.Isolation
	// Ahead: the session has read on a standby since it last made sure that the
	// primary shows as much. No decision depends on it.
	Ahead bool
	// WaitedInVain: the session has waited for its read node to catch up, and it did
	// not: another node that shows enough is better.
	WaitedInVain bool
	// WroteInBlock and Wrote are true once the session wrote in a block, or at all
	// (see AfterWrite). DISCARD ALL makes them false again.
	WroteInBlock, Wrote bool

	// ReadNode is the drawn read node, or NoNode. The session stores
	// Decision.ReadNode here after every decision.
	ReadNode cluster.NodeID
	// FloorPrimary is when (cluster.Now) the last statement, of any kind, that
	// the session ran on the primary completed; 0 if none did. Everything it
	// can have written or seen there was in the primary's log by then, so a
	// standby whose horizon is not before it has all that.
	FloorPrimary int64
	// LastReadNode and LastReadTime are the standby that the session read from
	// last and when (cluster.Now) that completed. What it saw there was in the
	// primary's log by then, so another standby whose horizon is not before it
	// shows nothing older. LastReadNode is NoNode when the connection to the node was
	// lost since: a restarted standby may have gone back and is as good as another one.
	LastReadNode cluster.NodeID
	LastReadTime int64
	// RouteLocal and Route are howdah.route as SET LOCAL and SET made it, RouteNone
	// if they did not; Redirect is what routing.redirect says for the session.
	RouteLocal, Route, Redirect parser.Hint

	// TxNode is the node that got the block's latest statement, or NoNode
	// while it is deferred. Invariant: TxOpen and TxPrimary imply that TxNode
	// is the primary on which the block is open.
	TxNode cluster.NodeID
	// TxWriteNode is the primary on which the block is open and has something (a
	// setting, a write) that must end as the block does, or NoNode. The session sets it to
	// Decision.Node when a unit with Decision.Effect is sent. While TxPrimary is
	// false the block may read elsewhere.
	TxWriteNode cluster.NodeID
	// TxWritten are the relations that the block wrote, for AfterWriteDMLAdaptive.
	TxWritten Written
}

// NewSession is the state of a session that has just begun.
func NewSession(s Settings) Session {
	return Session{Settings: s, ReadNode: cluster.NoNode, TxNode: cluster.NoNode, TxWriteNode: cluster.NoNode, LastReadNode: cluster.NoNode}
}
