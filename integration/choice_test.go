package integration_test

import (
	"bytes"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// slowLine is a TCP relay in front of a node that holds each answer back for a
// while, and counts the reads that come through.
type slowLine struct {
	cluster  *pgcluster.Cluster
	listener net.Listener
	target   string
	delay    atomic.Int64 // nanoseconds
	reads    atomic.Int64
	open     sync.WaitGroup
}

// slowRead is in every text that a slowLine counts.
const slowRead = "FROM pets"

func newSlowLine(t *testing.T, cluster *pgcluster.Cluster, node int) *slowLine {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	s := &slowLine{cluster: cluster, listener: l, target: fmt.Sprintf("127.0.0.1:%d", cluster.Port(node))}
	s.open.Go(s.accept) // ends with the listener
	t.Cleanup(func() {
		must(t, l.Close())
		s.open.Wait() // howdah, stopped by now, has closed its connections
	})
	return s
}

func (s *slowLine) port() int { return s.listener.Addr().(*net.TCPAddr).Port }

func (s *slowLine) accept() {
	for {
		client, err := s.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp4", s.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		s.open.Go(func() {
			s.pass(client, server, func(b []byte) { s.reads.Add(int64(bytes.Count(b, []byte(slowRead)))) })
		})
		s.open.Go(func() { s.pass(server, client, func([]byte) { time.Sleep(time.Duration(s.delay.Load())) }) })
	}
}

// pass copies until either side closes, and closes both.
func (s *slowLine) pass(from, to net.Conn, see func([]byte)) {
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			see(buffer[:n])
			if _, err := to.Write(buffer[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	_, _ = from.Close(), to.Close()
}

// newLines is a howdah whose two standbys are behind slowLines.
func newLines(t *testing.T, settings map[string]any) (*howdahtest.Server, [2]*slowLine) {
	t.Helper()
	cluster := pgcluster.ForTest(t, pgcluster.Options{Standbys: 2})
	must(t, cluster.Exec(t.Context(), 0, "postgres", "CREATE TABLE pets (n int); INSERT INTO pets VALUES (1)"))
	must(t, cluster.WaitReplay(t.Context(), 0))
	lines := [2]*slowLine{newSlowLine(t, cluster, 1), newSlowLine(t, cluster, 2)}
	backends := []map[string]any{{"name": "node0", "host": "127.0.0.1", "port": cluster.Port(0), "weight": 0}}
	for i, line := range lines {
		backends = append(backends, map[string]any{"name": fmt.Sprintf("node%d", i+1), "host": "127.0.0.1", "port": line.port(), "weight": 1})
	}
	all := map[string]any{"backends": backends, "routing.balance": "statement", "routing.consistency": "none"}
	for key, value := range settings {
		all[key] = value
	}
	server := howdahtest.Start(t, howdahtest.Options{Settings: all})
	for i := 1; i <= 2; i++ {
		waitForLog(t, server, fmt.Sprintf(`node=node%d from=waiting to="up standby"`, i))
	}
	return server, lines
}

// shareOfSecond is the second standby's part of so many reads.
func shareOfSecond(t *testing.T, conn *pgx.Conn, lines [2]*slowLine, count int) float64 {
	t.Helper()
	first, second := lines[0].reads.Load(), lines[1].reads.Load()
	for range count {
		ask(t, conn, "SELECT n "+slowRead)
	}
	first, second = lines[0].reads.Load()-first, lines[1].reads.Load()-second
	if first+second != int64(count) {
		t.Errorf("the standbys had %d and %d of %d reads", first, second, count)
	}
	return float64(second) / float64(count)
}

// TestFastestLeavesSlowNode: `fastest` sends few reads to a node that answers late, but some,
// so that it finds out when the node is fast again.
func TestFastestLeavesSlowNode(t *testing.T) {
	t.Parallel()
	server, lines := newLines(t, map[string]any{"routing.choice": "fastest"})
	conn, err := pgx.Connect(t.Context(), server.DSN("postgres", "postgres", "default_query_exec_mode=simple_protocol"))
	must(t, err)
	defer conn.Close(t.Context()) //nolint:errcheck // nothing depends on it
	lines[1].delay.Store(int64(10 * time.Millisecond))
	shareOfSecond(t, conn, lines, 1000) // at first it explores much
	slow := shareOfSecond(t, conn, lines, 1000)
	if slow == 0 || slow > 0.2 {
		t.Errorf("a slow node gets %.1f %% of the reads, want some but under 20", 100*slow)
	}
	lines[1].delay.Store(0)
	var recovered float64
	eventually(t, "reads on the node that is fast again", func() error {
		if recovered = shareOfSecond(t, conn, lines, 200); recovered < 0.3 {
			return fmt.Errorf("%.1f %% of them", 100*recovered)
		}
		return nil
	})
	t.Logf("slow: %.1f %% of the reads; fast again: %.1f %%", 100*slow, 100*recovered)
}

// TestSlowNodeByWeight is what `fastest` is for: by weight a slow node gets its part all the same.
func TestSlowNodeByWeight(t *testing.T) {
	t.Parallel()
	server, lines := newLines(t, map[string]any{"routing.choice": "weight"})
	conn, err := pgx.Connect(t.Context(), server.DSN("postgres", "postgres", "default_query_exec_mode=simple_protocol"))
	must(t, err)
	defer conn.Close(t.Context()) //nolint:errcheck // nothing depends on it
	lines[1].delay.Store(int64(time.Millisecond))
	if share := shareOfSecond(t, conn, lines, 400); share < 0.35 || share > 0.65 {
		t.Errorf("a slow node gets %.1f %% of the reads, want its half", 100*share)
	}
}

// TestLeastConnectionsFillsEvenly: sessions spread by the number that each node has, in the
// relation of the weights, also when one answers late or has lost its sessions.
func TestLeastConnectionsFillsEvenly(t *testing.T) {
	t.Parallel()
	server, lines := newLines(t, map[string]any{"routing.choice": "least_connections", "routing.balance": "session",
		"pool.max_age": "1ms"}) // a connection ends with its session
	lines[1].delay.Store(int64(3 * time.Millisecond))
	sessions := [2][]*pgx.Conn{}
	open := func(count int) {
		t.Helper()
		for range count {
			conn := connect(t, server)
			before := lines[1].reads.Load()
			ask(t, conn, "SELECT n "+slowRead)
			i := 0
			if lines[1].reads.Load() > before {
				i = 1
			}
			sessions[i] = append(sessions[i], conn)
		}
	}
	open(20)
	if len(sessions[0]) != 10 || len(sessions[1]) != 10 {
		t.Fatalf("20 sessions are %d and %d, want 10 on each", len(sessions[0]), len(sessions[1]))
	}
	for _, conn := range sessions[0][:8] {
		must(t, conn.Close(t.Context()))
	}
	sessions[0] = sessions[0][8:]
	eventually(t, "8 sessions to leave their standby", func() error {
		got, err := lines[0].cluster.Value(t.Context(), 1, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%"+slowRead+"' AND pid <> pg_backend_pid()")
		if err == nil && got != "2" {
			err = fmt.Errorf("%s are there", got)
		}
		return err
	})
	open(8)
	if len(sessions[0]) != 10 {
		t.Errorf("of 8 new sessions %d went to the emptier node, want all", len(sessions[0])-2)
	}
}
