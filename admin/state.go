package admin

import (
	"context"
	"net"
	"time"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/pool"
)

// State is what a running howdah shows of itself. Its methods may be called at any time from any
// goroutine, return at once, and cost the sessions nothing.
type State interface {
	View() *cluster.View
	Failover() *cluster.Failover
	// Commands are the runs of failover's commands, the latest last.
	Commands() []cluster.CommandRun
	Checks(cluster.NodeID) cluster.Checks
	Traffic(cluster.NodeID) Traffic
	// Sessions are the clients that are logged in, in no order.
	Sessions() []Session
	// IdleServers are the pool's server connections that nobody has now.
	IdleServers() []pool.Connection
	Pool(cluster.NodeID) pool.Stats
	// Groups are the server connections by node, user and database; Waiters are who waits for one. In no order, and in theirs.
	Groups() []pool.Group
	Waiters() []pool.Waiter
	// Latency is how long a node took, for writes or for reads.
	Latency(node cluster.NodeID, writes bool) Histogram
	// Examples are decisions of late, the latest first.
	Examples() []Example
	Caches() []Cache
	// Decisions is how often each reason has decided about a statement's route.
	Decisions() map[string]uint64
	// Counters are the rows of SHOW howdah.stats.
	Counters() [][2]string
	Counts() Counts
	Config() *configs.Config
}

// Traffic is what a node has done for clients since howdah started.
type Traffic struct {
	Select, Insert, Update, Delete, DDL, Other uint64
	Panic, Fatal, Error                        uint64
}

// Reads and Writes are as the page shows them.
func (t Traffic) Reads() uint64  { return t.Select }
func (t Traffic) Writes() uint64 { return t.Insert + t.Update + t.Delete + t.DDL }

// Session is a client that is logged in.
type Session struct {
	PID         uint32
	User        string
	Database    string
	Application string
	Client      net.Addr
	Started     time.Time
	// State is Idle, "Idle in transaction", "Execute command" or Waiting.
	State   string
	Servers []ServerConnection
	// Mode is the pool's: session, transaction or statement. Pinned is why it is bound to the primary, Keeps why it keeps
	// its primary connection; both may be empty.
	Mode, Pinned, Keeps string
}

// Histogram counts what took up to each of Bounds, each alone; Buckets has one more for what took longer.
type Histogram struct {
	Bounds  []time.Duration
	Buckets []uint64
	Sum     time.Duration
}

// Example is a decision about where a statement ran. Text has no literals; it may be empty.
type Example struct {
	At                   time.Time
	PID                  uint32
	Node                 cluster.NodeID
	Reason, Detail, Text string
}

// Cache is something that howdah remembers. Entries is -1 if they are not counted, bytes are 0 if it has no size.
type Cache struct {
	Name                     string
	Entries, Bytes, MaxBytes int64
	State                    string
}

// ServerConnection is one that a session holds.
type ServerConnection struct {
	Node    cluster.NodeID
	PID     uint32
	Created time.Time
}

// Counts are the numbers of howdah as a whole.
type Counts struct {
	Clients, Held int64
	Stopping      bool
}

// Actions are what a running howdah can do. A nil one it cannot; then Lacks says why.
type Actions struct {
	Attach func(ctx context.Context, node cluster.NodeID) error
	Detach func(ctx context.Context, node cluster.NodeID, gracefully bool) error
	// Promote makes a standby the primary when there is none.
	Promote func(ctx context.Context, node cluster.NodeID) error
	// Switchover makes node the primary, cluster.NoNode for the best standby; cut ends transactions that stay open.
	Switchover func(ctx context.Context, node cluster.NodeID, cut bool) error
	Recover    func(ctx context.Context, node cluster.NodeID) error
	// Pause stops howdah from promoting by itself, or lets it again.
	Pause    func(ctx context.Context, paused bool) error
	Watchdog func() (Watchdog, error)
	// Reload takes over the changed configuration file, whole or not at all.
	Reload func() error
	// Stop begins to stop; smart waits for the sessions to end, fast for timeouts.drain, immediate not at all.
	Stop func(mode StopMode)
	// Kill ends a session; false: there is none of that number.
	Kill func(pid uint32) bool
	// Rotate goes on in a new file of the log; an error if the log does not go to a file.
	Rotate func() error
	// LogLevel sets what is logged until the next reload.
	LogLevel func(level string) error
	// Level is what is logged now: debug, info, warn or error.
	Level func() string
}

// StopMode is Pgpool-II's: smart, fast or immediate.
type StopMode byte

func (m StopMode) String() string {
	return map[StopMode]string{StopSmart: "smart", StopFast: "fast", StopImmediate: "immediate"}[m]
}

const (
	StopSmart     StopMode = 's'
	StopFast      StopMode = 'f'
	StopImmediate StopMode = 'i'
)

// Watchdog is what the proxies know of each other.
type Watchdog struct {
	// Quorum is Pgpool-II's number: 1 exists, 0 on the edge, -1 absent, -2 no leader.
	Quorum  int
	Alive   int
	Leader  string // the name of its node; empty if there is none
	Holds   bool   // this howdah holds the address
	Agreed  Quorum
	Members []WatchdogMember
}

// WatchdogMember is a howdah; the first of Watchdog.Members is this one.
type WatchdogMember struct {
	ID       int
	Name     string
	Host     string
	Port     int // of its clients
	WDPort   int
	State    int // Pgpool-II's number
	StateTxt string
	Address  string // the floating address
	Priority int
	Alive    bool
	Fitness  string // what it says of itself; "fit" if it lacks nothing
}

// Unavailable is a command that this howdah cannot carry out.
type Unavailable struct{ What, Why string }

func (e *Unavailable) Error() string { return e.What + " is not available: " + e.Why }

// Why what is not there is not there.
const (
	noFailover = "this howdah does not change nodes"
	noWatchdog = "this howdah has no watchdog"
)
