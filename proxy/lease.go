package proxy

import (
	"slices"

	"github.com/howdah/howdah/balancer"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/parser"
	"github.com/howdah/howdah/pool"
	"github.com/howdah/howdah/wire"
)

// reply is what a server owes for one message sent to it.
type reply uint8

const (
	replyQuery    reply = iota // anything up to ReadyForQuery
	replySync                  // ReadyForQuery
	replyParse                 // ParseComplete
	replyBind                  // BindComplete
	replyDescribe              // RowDescription or NoData, ParameterDescription before it for a statement
	replyExecute               // rows, then CommandComplete, EmptyQueryResponse or PortalSuspended
	replyClose                 // CloseComplete
	replyReused                // CloseComplete, which the client is to take for ParseComplete
)

// expected is one owed reply and what to do with it.
type expected struct {
	reply   reply
	swallow bool // howdah's own message: the client does not hear of it
	quiet   bool // nor of an error of it
	begins  bool // it is of the BEGIN before the unit
	// displaces says that the message ends the unnamed statement, displaced.
	displaces bool
	// replay: it makes the session's settings on this connection. version is what they are
	// once it has succeeded, 0 if the settings are the block's only.
	replay  bool
	version uint64
	// stmt is the statement made or closed (replyParse, replyClose).
	stmt      *prepared
	displaced *prepared
	// evicted is the shared statement that is closed to make room for another (replyClose).
	evicted *shelved
	// verdict is what runs (replyExecute, replyQuery); nil if not known.
	verdict *parser.Verdict
}

// lease is a server connection that the session borrowed, with the replies it owes in order.
type lease struct {
	srv     *pool.Server
	carried *carried
	id      uint64          // never used for another lease of this session
	slot    balancer.Target // its place in session.leases
	shared  bool            // the session shares its connections
	// used is when (cluster.Now) the last answer was complete.
	used int64

	owed []expected
	head int // owed[head] is the next

	// status is the transaction state in its last ReadyForQuery.
	status byte
	// ignoring is true between an error in extended messages and the next
	// Sync: the server discards what it is sent.
	ignoring bool
	// cycling: messages were sent since the last Sync, without a Sync.
	cycling bool
	// failed: an error was seen since the last ReadyForQuery.
	failed bool
	// ended: a statement that may end a block completed since the last ReadyForQuery.
	ended bool
	// completions counts the statements of the current simple Query that completed.
	completions int

	// broken: the connection is unfit and is closed when the unit is over.
	broken bool

	// passing is how many bytes of a long message are still to be passed on;
	// passSwallow says that they are dropped instead.
	passing     int
	passSwallow bool

	// holding: nothing of the answer has been given to the client, so that the
	// unit can still run elsewhere; held is how much of the read buffer is already understood.
	holding bool
	held    int
	// due: what is held back is the client's when all that has come is understood, unless ending: the last
	// of it was that the server ends the connection.
	due, ending bool
	// abandoned: its client has left, which nobody tells anything any more.
	abandoned bool
	// healing: the unit runs again elsewhere, the rest of this answer is dropped.
	healing bool

	// asks: the unit under way is a COMMIT, and commit is what the server says of its transaction in front of it.
	asks   bool
	commit cluster.Commit

	// lastWords is the FATAL error with which the server ended the connection.
	lastWords []byte

	// refused is the error with which the server refused a BEGIN of howdah's; nil if it did not.
	refused []byte

	// logged is the kind of the server's message that was logged last (log.server_messages).
	logged byte

	// copyIn: the server waits for CopyData.
	copyIn bool

	// traces: something was sent that may have left on the connection what DISCARD ALL takes away.
	traces bool

	// applied is how many of state.pending the block on this lease has; of the read node's only.
	applied int

	// version is the state of the session's settings that this connection has.
	version uint64
}

// owes reports whether replies are outstanding.
func (l *lease) owes() bool { return l.head < len(l.owed) }

// keptReplies is how much room for replies is kept.
const keptReplies = 1024

func (l *lease) expect(e expected) { *l.expectOne(e.reply) = e }

// expectOne adds an owed reply, in its place: many are made.
func (l *lease) expectOne(r reply) *expected {
	if l.head == len(l.owed) {
		if l.owed, l.head = l.owed[:0], 0; cap(l.owed) > keptReplies {
			l.owed = nil
		}
	}
	n := len(l.owed)
	l.owed = slices.Grow(l.owed, 1)[:n+1]
	e := &l.owed[n]
	*e = expected{reply: r}
	return e
}

// next returns the reply that is owed next, nil if none is.
func (l *lease) next() *expected {
	if l.head == len(l.owed) {
		return nil
	}
	return &l.owed[l.head]
}

func (l *lease) pop() { l.head++ }

// prepares reports whether the server is to say first that it is ready after something of howdah's own. (What comes in one
// cycle with a statement, as a BEGIN does, it answers together with that.)
func (l *lease) prepares() bool {
	for i := l.head; i < len(l.owed) && l.owed[i].swallow; i++ {
		if r := l.owed[i].reply; r == replyQuery || r == replySync {
			return true
		}
	}
	return false
}

// dropToSync removes what the server will not answer after an error in
// extended messages: all up to the next Sync, a Query too. What was to be made
// or closed is undone in the session's books; st is nil if the unit will run
// again elsewhere. After an error in a Query the server skips nothing.
func (l *lease) dropToSync(st *statements) {
	end := l.head
	if e := l.next(); e != nil && e.reply == replyQuery {
		return
	}
	for end < len(l.owed) && l.owed[end].reply != replySync {
		end++
	}
	// Backwards, as undoing must go: a statement may have been made and closed.
	for i := end - 1; i >= l.head; i-- {
		switch e := &l.owed[i]; {
		case e.displaces && i > l.head && st != nil:
			st.replaceUnnamed(e.displaced) // skipped; the one that failed had ended it
			if e.stmt != nil {
				l.loses(e.stmt)
			}
		case e.evicted != nil:
			l.carried.statements.restore(e.evicted)
		case e.stmt == nil:
		case e.reply == replyParse:
			l.loses(e.stmt)
			if st != nil && !e.swallow {
				st.forget(e.stmt)
			}
		case e.reply == replyReused && st != nil:
			st.forget(e.stmt)
		case e.reply == replyClose && st != nil && !e.swallow:
			st.restore(e.stmt)
		}
	}
	l.ignoring = l.ignoring || end == len(l.owed)
	l.head = end
}

// give notes that a result has begun, or ended: the client gets it as soon as all that came with it is understood. What
// a read node sends in one piece may end in that it breaks off; then the unit can still run elsewhere.
func (l *lease) give() {
	if l.due = l.slot == balancer.ToRead; !l.due {
		l.holding = false
	}
}

// inTransaction reports whether a block is open here.
func (l *lease) inTransaction() bool { return l.status != wire.TxIdle }
