package admin

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/logs"
)

// Admin carries out commands for all doors. It is safe for concurrent use.
type Admin struct {
	State   State
	Actions Actions
	Log     *slog.Logger
	// Version is howdah's own, Started when it began.
	Version string
	Started time.Time

	users  atomic.Pointer[Users]
	tries  attempts
	events events
}

// Role is what somebody may do.
type Role uint8

const (
	RoleNone   Role = iota
	RoleReader      // may look
	RoleAdmin       // may look and change
)

// Caller is who gives a command, for the log.
type Caller struct {
	Door string // sql, pcp, socket, http
	User string
	Role Role
}

// Command is one thing that operators can ask of howdah.
type Command struct {
	Name string
	// Args name its arguments; those in brackets may be left out.
	Args    []string
	Summary string
	// Changes: it does more than look, so that only RoleAdmin may.
	Changes bool
	run     func(ctx context.Context, a *Admin, args []string) (*Table, error)
}

// Commands is the table, in the order that help shows.
func Commands() []Command {
	return []Command{
		{Name: "status", Summary: "the most important on one screen", run: runStatus},
		{Name: "nodes", Summary: "the servers: role, state, lag, what they do", run: runNodes},
		{Name: "sessions", Summary: "the clients that are logged in", run: runSessions},
		{Name: "pools", Summary: "server connections by node", run: runPools},
		{Name: "pool-users", Summary: "server connections by node, user and database", run: runPoolUsers},
		{Name: "waiters", Summary: "who waits for a server connection, and for how long", run: runWaiters},
		{Name: "pins", Summary: "sessions that cannot be moved, and why", run: runPins},
		{Name: "checks", Summary: "what the probes of the servers found", run: runChecks},
		{Name: "failover", Summary: "how far a change of the primary is, and why nothing happens", run: runFailover},
		{Name: "commands", Summary: "the commands that failover ran lately, and what they said", run: runCommands},
		{Name: "decisions", Summary: "how often each reason has decided where a statement runs", run: runDecisions},
		{Name: "examples", Summary: "statements of late, without literals: where they ran and why", run: runExamples},
		{Name: "latency", Summary: "how long the servers take, for reads and for writes", run: runLatency},
		{Name: "caches", Summary: "what is remembered of statements and databases", run: runCaches},
		{Name: "counters", Summary: "counters of parsing and healing", run: runCounters},
		{Name: "events", Summary: "what happened to the servers lately", run: runEvents},
		{Name: "watchdog", Summary: "what the proxies know of each other", run: runWatchdog},
		{Name: "quorum", Summary: "what the proxies have agreed on: leader, lease, address, primary, decisions with votes", run: runQuorum},
		{Name: "attach", Args: []string{"NODE"}, Summary: "use a node again", Changes: true, run: runAttach},
		{Name: "detach", Args: []string{"NODE", "[gracefully]"}, Summary: "stop using a standby; gracefully waits until nothing runs on it", Changes: true, run: runDetach},
		{Name: "promote", Args: []string{"NODE", "[gracefully]"}, Summary: "make a standby the primary when there is none", Changes: true, run: runPromote},
		{Name: "switchover", Args: []string{"[NODE]", "[cut]"}, Summary: "move the primary without losing a statement; cut ends transactions that stay open", Changes: true, run: runSwitchover},
		{Name: "recover", Args: []string{"NODE"}, Summary: "make a node a standby anew", Changes: true, run: runRecover},
		{Name: "pause", Summary: "promote nobody by itself until resume", Changes: true, run: pauseAs(true, "paused")},
		{Name: "resume", Summary: "end what pause began", Changes: true, run: pauseAs(false, "resumed")},
		{Name: "reload", Summary: "take over the changed configuration file", Changes: true, run: runReload},
		{Name: "log-level", Args: []string{"[LEVEL]"}, Summary: "what is logged; with debug, info, warn or error: log that until the next reload", Changes: true, run: runLogLevel},
		{Name: "log-rotate", Summary: "begin a new log.file, after the old one was renamed", Changes: true, run: runRotate},
		{Name: "kill", Args: []string{"SESSION"}, Summary: "end a client's session", Changes: true, run: runKill},
		{Name: "stop", Args: []string{"[smart|fast|immediate]"}, Summary: "stop howdah", Changes: true, run: runStop},
	}
}

// Mistake is a command that was not understood.
type Mistake struct{ What string }

func (e *Mistake) Error() string { return e.What }

// Denied is a command that the caller may not give.
type Denied struct{ Command string }

func (e *Denied) Error() string { return e.Command + " needs the right to change things" }

// Run carries out the named command and logs it: changes always, looks for debugging.
func (a *Admin) Run(ctx context.Context, by Caller, name string, args []string) (*Table, error) {
	all := Commands()
	i := slices.IndexFunc(all, func(c Command) bool { return c.Name == name })
	if i < 0 {
		return nil, &Mistake{fmt.Sprintf("there is no command %q", name)}
	}
	c := &all[i]
	least := 0
	for _, arg := range c.Args {
		if arg[0] != '[' {
			least++
		}
	}
	if len(args) < least || len(args) > len(c.Args) {
		return nil, &Mistake{fmt.Sprintf("%s takes %s", name, strings.TrimSpace("these arguments: "+strings.Join(c.Args, " ")))}
	}
	needed := RoleReader
	if c.Changes {
		needed = RoleAdmin
	}
	var t *Table
	err := error(&Denied{name})
	if by.Role >= needed {
		t, err = c.run(ctx, a, args)
	}
	level := slog.LevelDebug
	if c.Changes {
		level = slog.LevelInfo
	}
	a.note(ctx, level, by, name, args, err)
	return t, err
}

// Note logs what an operator has asked for past Run, as Run logs changes; err is why it was refused, nil if it was not.
func (a *Admin) Note(ctx context.Context, by Caller, what string, args []string, err error) {
	a.note(ctx, slog.LevelInfo, by, what, args, err)
}

func (a *Admin) note(ctx context.Context, level slog.Level, by Caller, what string, args []string, err error) {
	attrs := []any{"command", what, "args", strings.Join(args, " "), "door", by.Door, "user", by.User}
	if err != nil {
		attrs = append(attrs, "error", err)
	}
	a.Log.Log(ctx, level, "operator's command", append(attrs, logs.Always)...)
}

// node finds a node by its name or number.
func (a *Admin) node(text string) (cluster.NodeID, error) {
	v := a.State.View()
	for i := range v.Nodes {
		if v.Nodes[i].Name == text {
			return v.Nodes[i].ID, nil
		}
	}
	if id, err := strconv.Atoi(text); err == nil && v.Node(cluster.NodeID(id)) != nil {
		return cluster.NodeID(id), nil
	}
	return cluster.NoNode, &Mistake{fmt.Sprintf("there is no node %q", text)}
}

// done is the answer of what has nothing to tell.
func done(what string) *Table { return &Table{Columns: []string{"result"}, Rows: [][]any{{what}}} }

func runReload(_ context.Context, a *Admin, _ []string) (*Table, error) {
	if err := a.Actions.Reload(); err != nil {
		return nil, err
	}
	return done("reloaded"), nil
}

func runLogLevel(_ context.Context, a *Admin, args []string) (*Table, error) {
	if len(args) == 0 {
		return done("log level is " + a.Actions.Level()), nil
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, args[0]) {
		return nil, &Mistake{fmt.Sprintf("%q is no level: debug, info, warn or error", args[0])}
	}
	if err := a.Actions.LogLevel(args[0]); err != nil {
		return nil, err
	}
	return done("log level is " + args[0]), nil
}

func runRotate(_ context.Context, a *Admin, _ []string) (*Table, error) {
	if err := a.Actions.Rotate(); err != nil {
		return nil, &Refused{err}
	}
	return done("rotated"), nil
}

func runKill(_ context.Context, a *Admin, args []string) (*Table, error) {
	pid, err := strconv.ParseUint(args[0], 10, 32)
	if err != nil || pid == 0 {
		return nil, &Mistake{fmt.Sprintf("%q is no session's number", args[0])}
	}
	if !a.Actions.Kill(uint32(pid)) {
		return nil, &Refused{fmt.Errorf("there is no session %d", pid)}
	}
	return done("killed"), nil
}

func runStop(_ context.Context, a *Admin, args []string) (*Table, error) {
	mode := StopFast
	if len(args) > 0 {
		switch args[0] {
		case "smart", "fast", "immediate":
			mode = StopMode(args[0][0])
		default:
			return nil, &Mistake{fmt.Sprintf("%q is no way to stop: smart, fast or immediate", args[0])}
		}
	}
	a.Actions.Stop(mode)
	return done("stopping"), nil
}

func runWatchdog(_ context.Context, a *Admin, _ []string) (*Table, error) {
	w, err := a.Watchdog()
	if err != nil {
		return nil, err
	}
	t := &Table{Columns: []string{"id", "name", "host", "port", "state", "leader", "address", "priority", "fitness"}}
	for _, m := range w.Members {
		t.add(int64(m.ID), m.Name, m.Host, int64(m.Port), m.StateTxt, m.Name == w.Leader, m.Address, int64(m.Priority), m.Fitness)
	}
	return t, nil
}

// Watchdog is what the proxies know of each other, or an Unavailable error.
func (a *Admin) Watchdog() (Watchdog, error) {
	if a.Actions.Watchdog == nil {
		return Watchdog{}, &Unavailable{"watchdog", noWatchdog}
	}
	return a.Actions.Watchdog()
}

// sortedSessions are the sessions in the order of their numbers.
func (a *Admin) sortedSessions() []Session {
	all := a.State.Sessions()
	sort.Slice(all, func(i, j int) bool { return all[i].PID < all[j].PID })
	return all
}
