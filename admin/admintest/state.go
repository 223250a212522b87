// Package admintest is a howdah that is not there, for the tests of its doors.
package admintest

import (
	"log/slog"
	"net"
	"time"

	"github.com/howdah/howdah/admin"
	"github.com/howdah/howdah/cluster"
	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/pool"
)

// State has a primary, a standby and a node that is down.
type State struct {
	Settings configs.Config
	Nodes    []cluster.Node
	Primary  cluster.NodeID
	Number   admin.Counts
}

// New returns a State, and an Admin of it whose users are admin and viewer, with the passwords "secret"; viewer may only look.
func New() (*State, *admin.Admin) {
	s := &State{Settings: configs.Default(), Nodes: []cluster.Node{
		{ID: 0, Name: "pg0", Host: "10.0.0.1", Port: 5432, Weight: 1, State: cluster.StateUp, Role: cluster.RolePrimary, LSN: 1 << 24},
		{ID: 1, Name: "pg1", Host: "10.0.0.2", Port: 5432, Weight: 3, State: cluster.StateUp, Role: cluster.RoleStandby, LSN: 1<<24 - 100,
			Horizon: 1, Behind: cluster.Lag{Known: true, Bytes: 100}},
		{ID: 2, Name: "pg2", Host: "/run/pg", Port: 5433, State: cluster.StateDown, Reason: "connection refused"},
	}}
	s.Settings.Admin.Readers = []string{"viewer"}
	a := &admin.Admin{State: s, Log: slog.New(slog.DiscardHandler), Version: "howdah test", Started: s.when(), Actions: admin.Actions{
		Reload: func() error { return nil }, Stop: func(admin.StopMode) {}, Rotate: func() error { return nil }, LogLevel: func(string) error { return nil }, Level: func() string { return "info" },
		Kill: func(pid uint32) bool { return pid == 7 },
	}}
	users, err := admin.ParseUsers("admin:5ebe2294ecd0e0f08eab7690d2a6ee69\nviewer:5ebe2294ecd0e0f08eab7690d2a6ee69\n")
	if err != nil {
		panic(err)
	}
	a.SetUsers(users)
	return s, a
}

func (s *State) when() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local) }

// View implements admin.State, as do the methods below.
func (s *State) View() *cluster.View {
	return &cluster.View{Epoch: 5, Nodes: s.Nodes, Primary: s.Primary}
}
func (s *State) Failover() *cluster.Failover {
	return &cluster.Failover{Record: cluster.Record{Epoch: 3, Primary: "pg0", Timeline: 4, Detached: []string{"pg2"}},
		Waiting: "nothing", Last: cluster.Outcome{Kind: cluster.KindFailover, Epoch: 3, Primary: "pg0"}}
}
func (s *State) Commands() []cluster.CommandRun {
	return []cluster.CommandRun{{At: s.when(), Command: "failover_command", Node: "pg2", Status: 1, Took: time.Second, Output: "no such host\n", Err: "ended with status 1"}}
}
func (s *State) Checks(cluster.NodeID) cluster.Checks {
	return cluster.Checks{Total: 10, Success: 9, Fail: 1, Max: 20 * time.Millisecond, Min: time.Millisecond, Sum: 40 * time.Millisecond,
		Last: s.when(), LastSuccess: s.when(), Changed: s.when()}
}
func (s *State) Traffic(id cluster.NodeID) admin.Traffic {
	return admin.Traffic{Select: uint64(id) * 100, Insert: 3, Error: 1}
}
func (s *State) Sessions() []admin.Session {
	return []admin.Session{{PID: 7, User: "alice", Database: "shop", Application: "psql", Client: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 9), Port: 40000},
		Started: s.when(), State: "Idle", Servers: []admin.ServerConnection{{Node: 0, PID: 100, Created: s.when()}, {Node: 1, PID: 200, Created: s.when()}},
		Mode: "transaction", Pinned: "opaque setting", Keeps: "LISTEN"}}
}
func (s *State) IdleServers() []pool.Connection {
	return []pool.Connection{{Node: 1, PID: 300, User: "bob", Database: "shop", Created: s.when(), Freed: s.when()}}
}
func (s *State) Pool(cluster.NodeID) pool.Stats { return pool.Stats{Open: 3, Idle: 1, Waiting: 2} }
func (s *State) Groups() []pool.Group {
	return []pool.Group{{Node: 1, User: "bob", Database: "shop", Shared: true, Open: 3, Idle: 1, Waiting: 1, Oldest: s.when()}}
}
func (s *State) Waiters() []pool.Waiter {
	return []pool.Waiter{{Node: 1, User: "bob", Database: "shop", Since: s.when()}}
}
func (s *State) Latency(id cluster.NodeID, writes bool) admin.Histogram {
	h := admin.Histogram{Bounds: []time.Duration{time.Millisecond, time.Second}, Buckets: []uint64{5, 2, 1}, Sum: 3 * time.Second}
	if writes || id != 0 {
		h.Buckets, h.Sum = []uint64{0, 0, 0}, 0
	}
	return h
}
func (s *State) Examples() []admin.Example {
	return []admin.Example{{At: s.when(), PID: 7, Node: 1, Reason: "kept", Text: "SELECT 1"}}
}
func (s *State) Caches() []admin.Cache {
	return []admin.Cache{{Name: "statements", Entries: -1, Bytes: 10, MaxBytes: 100, State: "fine"}}
}
func (s *State) Decisions() map[string]uint64 { return map[string]uint64{"kept": 5, "write": 2} }
func (s *State) Counters() [][2]string        { return [][2]string{{"parser_misses", "4"}} }
func (s *State) Counts() admin.Counts         { return s.Number }
func (s *State) Config() *configs.Config      { return &s.Settings }
