package integration_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

const (
	rudeClients  = 1000
	rudeTogether = 40
)

// rudeness is one way to leave. It gets a connection that has logged in, unless
// early is set.
type rudeness struct {
	name  string
	early bool
	leave func(r *raw) error
}

func rudenesses() []rudeness {
	return []rudeness{
		{"says nothing", true, func(r *raw) error { return r.Close() }},
		{"in the middle of startup", true, func(r *raw) error {
			_, err := io.WriteString(r, packet(100, version3+"user\x00po"))
			return errors.Join(err, r.reset())
		}},
		{"right after startup", true, func(r *raw) error {
			body := version3 + "user\x00postgres\x00application_name\x00rude\x00\x00"
			_, err := io.WriteString(r, packet(4+len(body), body))
			return errors.Join(err, r.reset())
		}},
		{"idle", false, func(r *raw) error { return r.reset() }},
		{"in the middle of a query", false, func(r *raw) error {
			return errors.Join(r.query("SELECT pg_sleep(1000)"), r.reset())
		}},
		{"in the middle of a read", false, func(r *raw) error {
			return errors.Join(r.query("SELECT count(*) FROM pets, generate_series(1, 100000) a, generate_series(1, 100000) b"), r.reset())
		}},
		{"in the middle of an answer", false, func(r *raw) error {
			err := r.query("SELECT repeat('x', 1000) FROM generate_series(1, 100000)")
			return errors.Join(err, r.until('D'), r.reset())
		}},
		{"in the middle of copying in", false, func(r *raw) error {
			err := errors.Join(r.query("COPY pets FROM STDIN"), r.until('G'))
			r.front.Send(&pgproto3.CopyData{Data: []byte("1\n2\n")})
			return errors.Join(err, r.front.Flush(), r.reset())
		}},
		{"in the middle of copying out", false, func(r *raw) error {
			err := r.query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 100000)) TO STDOUT")
			return errors.Join(err, r.until('H'), r.reset())
		}},
		{"in a transaction", false, func(r *raw) error {
			return errors.Join(r.query("BEGIN; INSERT INTO pets VALUES (1)"), r.until('Z'), r.reset())
		}},
		{"with a lock", false, func(r *raw) error {
			return errors.Join(r.query("BEGIN; LOCK TABLE pets IN SHARE MODE"), r.reset())
		}},
		{"in the middle of a pipeline", false, func(r *raw) error {
			for range 10 {
				r.front.Send(&pgproto3.Parse{Query: "SELECT pg_sleep(0.01)"})
				r.front.Send(&pgproto3.Bind{})
				r.front.Send(&pgproto3.Execute{})
				r.front.Send(&pgproto3.Sync{})
			}
			return errors.Join(r.front.Flush(), r.reset())
		}},
		{"without a Sync", false, func(r *raw) error {
			r.front.Send(&pgproto3.Parse{Query: "SELECT 1"})
			r.front.Send(&pgproto3.Bind{})
			r.front.Send(&pgproto3.Execute{})
			return errors.Join(r.front.Flush(), r.Close())
		}},
		{"in the middle of a message", false, func(r *raw) error {
			_, err := io.WriteString(r, "Q\x00\x00\x10\x00SELECT")
			return errors.Join(err, r.Close())
		}},
		{"with garbage", false, func(r *raw) error {
			_, err := io.WriteString(r, "\xff\x00\x01\x02garbage")
			return errors.Join(err, r.Close())
		}},
		{"with things of its own", false, func(r *raw) error {
			err := errors.Join(r.query("LISTEN rude; CREATE TEMP TABLE mine (a int); SET TimeZone = 'Asia/Tokyo'; SELECT pg_try_advisory_lock(1)"), r.until('Z'))
			return errors.Join(err, r.reset())
		}},
	}
}

// TestRudeClients lets a thousand clients leave without a word. Afterwards no
// server runs or keeps anything of theirs, and howdah has the descriptors it began
// with: a goroutine that is left waits on a descriptor.
func TestRudeClients(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{Standbys: 2})
	must(t, cluster.Exec(t.Context(), 0, "postgres", "CREATE TABLE pets (id int); INSERT INTO pets VALUES (1)"))
	must(t, cluster.WaitReplay(t.Context(), 0))
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Weights: []float64{0, 1, 1},
		Settings: map[string]any{"pool.idle_timeout": "1s", "timeouts.auth": "5s",
			"replication_check.timeout": "20s"}})
	// All servers are known once a session has been through.
	first, err := login(server.Address(), map[string]string{"user": "postgres"})
	must(t, err)
	must(t, errors.Join(first.query("SELECT count(*) FROM pets"), first.until('Z'), first.Close()))
	eventually(t, "the pool to be empty", func() error { return rudeLeft(t.Context(), cluster) })
	descriptors, err := server.Descriptors()
	must(t, err)
	threads := threadCount(t, server)

	// Half-open clients hang on all the while.
	var halfOpen []*raw
	for range 50 {
		r, err := login(server.Address(), map[string]string{"user": "postgres", "application_name": "rude"})
		must(t, err)
		halfOpen = append(halfOpen, r)
	}
	beRude(t, server.Address())
	must(t, halfOpen[0].SetDeadline(time.Now().Add(waitTimeout)))
	must(t, errors.Join(halfOpen[0].query("SELECT count(*) FROM pets"), halfOpen[0].until('Z')))
	for _, r := range halfOpen {
		must(t, r.reset())
	}

	eventually(t, "the servers to be rid of the rude", func() error { return rudeLeft(t.Context(), cluster) })
	eventually(t, "howdah to be rid of the rude", func() error {
		now, err := server.Descriptors()
		if err != nil || now > descriptors {
			return errors.Join(fmt.Errorf("%d descriptors, %d before them", now, descriptors), err)
		}
		return nil
	})
	if now := threadCount(t, server); now > threads+20 {
		t.Errorf("howdah has %d threads, %d before the rude", now, threads)
	}
	polite, err := login(server.Address(), map[string]string{"user": "postgres"})
	must(t, err)
	must(t, errors.Join(polite.query("SELECT count(*) FROM pets; INSERT INTO pets VALUES (2)"), polite.until('Z'), polite.Close()))
	if got, err := cluster.Value(t.Context(), 0, "postgres", "SELECT count(*) FROM pets"); err != nil || got != "2" {
		t.Errorf("the table has %s rows (%v), want 2: what the rude wrote was never committed", got, err)
	}
}

// beRude lets all clients come and go, some at a time.
func beRude(t *testing.T, address string) {
	t.Helper()
	ways := rudenesses()
	var group sync.WaitGroup
	places := make(chan struct{}, rudeTogether)
	for i := range rudeClients {
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			way := ways[i%len(ways)]
			var r *raw
			var err error
			if way.early {
				r, err = dialRaw(address)
			} else {
				r, err = login(address, map[string]string{"user": "postgres", "application_name": "rude"})
			}
			if err == nil {
				err = way.leave(r)
			}
			if err != nil {
				t.Errorf("client %d, %s: %v", i, way.name, err)
			}
		})
	}
	group.Wait()
}

// rudeLeft is an error if a server has a connection of a client.
func rudeLeft(ctx context.Context, cluster *pgcluster.Cluster) error {
	for i := range cluster.Nodes() {
		conn, err := cluster.Connect(ctx, i, "postgres")
		if err != nil {
			return err
		}
		var left, active int
		var example *string
		err = conn.QueryRow(ctx, `SELECT count(*), count(*) FILTER (WHERE state <> 'idle'), min(state || ': ' || query) FROM pg_stat_activity
			WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND query ~ 'pets|pg_sleep|repeat|rude|DISCARD|LISTEN|SELECT 1$'`).Scan(&left, &active, &example)
		if err := errors.Join(err, conn.Close(ctx)); err != nil {
			return err
		}
		if left > 0 {
			return fmt.Errorf("node %d has %d connections, %d of them at work, such as %q", i, left, active, *example)
		}
	}
	return nil
}

func threadCount(t *testing.T, server *howdahtest.Server) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", server.Pid()))
	must(t, err)
	_, rest, _ := strings.Cut(string(status), "Threads:")
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.Atoi(strings.TrimSpace(line))
	must(t, err)
	return n
}
