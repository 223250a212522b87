package balancer

import (
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
)

// Balance is how often a read node is drawn. Pgpool-II: load_balance_mode,
// statement_level_load_balance.
type Balance uint8

const (
	// BalanceSession draws when the session first reads and keeps the node while it is usable.
	BalanceSession Balance = iota
	// BalanceOff sends everything to the primary.
	BalanceOff
	// BalanceStatement draws for every statement outside a transaction, and once for a transaction.
	BalanceStatement
)

// Transactions is where the reads of a read-write transaction run.
type Transactions uint8

const (
	// UntilWrite lets reads before the first write run on a read node (READ COMMITTED only).
	UntilWrite Transactions = iota
	// PrimaryOnly sends every read-write transaction whole to the primary.
	PrimaryOnly
)

// Consistency is what a session's reads may not miss.
type Consistency uint8

const (
	// ConsistencySession: never older than what the session wrote or saw.
	ConsistencySession Consistency = iota
	// ConsistencyNone: whatever the standby has, as Pgpool-II.
	ConsistencyNone
)

// Settings are the session's routing settings.
type Settings struct {
	Balance      Balance
	Transactions Transactions
	Consistency  Consistency
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
	Settings Settings
	Pinned   Pin

	// ReadNode is the drawn read node, or NoNode. The session stores
	// Decision.ReadNode here after every decision.
	ReadNode cluster.NodeID

	Tx TxState
	// TxNode is the node that got the block's latest statement, or NoNode
	// while it is deferred. Invariant: TxOpen and TxPrimary imply that TxNode
	// is the primary on which the block is open.
	TxNode cluster.NodeID
	// TxPrimary is the block's standing decision: all on the primary until the
	// end. The session sets it when Decision.Standing is true, together with TxNode.
	TxPrimary bool
	// TxReadOnly and TxIsolation are the block's modes, session defaults
	// resolved by the caller; IsolationDefault is taken as READ COMMITTED.
	TxReadOnly  bool
	TxIsolation parser.Isolation

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
}

// NewSession is the state of a session that has just begun.
func NewSession(s Settings) Session {
	return Session{Settings: s, ReadNode: cluster.NoNode, TxNode: cluster.NoNode, LastReadNode: cluster.NoNode}
}
