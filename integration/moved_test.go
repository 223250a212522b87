package integration_test

import (
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// address is where a server is said to be: what connects is led to whatever server it is turned to at that time.
type address struct {
	l    net.Listener
	port atomic.Int64

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func newAddress(t *testing.T, port int) *address {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	a := &address{l: l, conns: map[net.Conn]bool{}}
	a.port.Store(int64(port))
	var running sync.WaitGroup
	running.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { a.lead(from) })
		}
	})
	t.Cleanup(func() {
		l.Close() //nolint:errcheck // its end is wanted
		a.cut()
		running.Wait()
	})
	return a
}

// lead passes on what comes and goes, until either side ends.
func (a *address) lead(from net.Conn) {
	defer from.Close() //nolint:errcheck // a test's connection
	to, err := net.Dial("tcp4", net.JoinHostPort("127.0.0.1", strconv.FormatInt(a.port.Load(), 10)))
	if err != nil {
		return
	}
	defer to.Close() //nolint:errcheck // likewise
	a.mu.Lock()
	a.conns[from], a.conns[to] = true, true
	a.mu.Unlock()
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
		go func() { // ends with the connections, of which neither outlives the other
			io.Copy(pair[0], pair[1]) //nolint:errcheck // its end is all that counts
			from.Close()              //nolint:errcheck // likewise
			to.Close()                //nolint:errcheck // likewise
			done <- struct{}{}
		}()
	}
	<-done
	<-done
	a.mu.Lock()
	delete(a.conns, from)
	delete(a.conns, to)
	a.mu.Unlock()
}

// turn leads those who connect from now on to another server; who is connected stays where he is.
func (a *address) turn(port int) { a.port.Store(int64(port)) }

// cut ends what is connected.
func (a *address) cut() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for c := range a.conns {
		c.Close() //nolint:errcheck // its end is wanted
	}
}

// backend describes the address as a node.
func (a *address) backend(name string, weight float64) map[string]any {
	return map[string]any{"name": name, "host": "127.0.0.1", "port": a.l.Addr().(*net.TCPAddr).Port, "weight": weight}
}

// connectAs connects with an application_name of its own, so that it gets a server connection of its own.
func connectAs(t *testing.T, server *howdahtest.Server, name string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.DSN("postgres", "postgres", "application_name="+name))
	must(t, err)
	t.Cleanup(func() { conn.Close(t.Context()) }) //nolint:errcheck // may be closed by the test
	return conn
}

// wantPets fails unless server i itself has so many.
func wantPets(t *testing.T, cluster *pgcluster.Cluster, i int, want string) {
	t.Helper()
	got, err := cluster.Value(t.Context(), i, "postgres", "SELECT count(*) FROM pets")
	must(t, err)
	if got != want {
		t.Errorf("server %d has %s pets, want %s", i, got, want)
	}
}

// insert runs an INSERT that may have to wait for a primary.
func insert(t *testing.T, conn *pgx.Conn, id int) <-chan error {
	t.Helper()
	ended := make(chan error, 1)
	go func() { // ends with the statement, which failover.hold bounds
		_, err := conn.Exec(t.Context(), "INSERT INTO pets VALUES ($1)", id)
		ended <- err
	}()
	return ended
}

func logSays(t *testing.T, server *howdahtest.Server, pattern string) {
	t.Helper()
	eventually(t, "the log to say "+pattern, func() error {
		if !regexp.MustCompile(pattern).MatchString(server.Log()) {
			return fmt.Errorf("it does not")
		}
		return nil
	})
}

// A standby is found at the primary's address: nobody writes there, and who is still connected to the server that was there does
// not write to that either. It is seen at the login of a new connection, by in_hot_standby, although the probe's old connection leads
// to the primary; before PostgreSQL 14, which does not report it, by the next fresh connection of the probe.
func TestStandbyAtThePrimarysAddress(t *testing.T) {
	t.Parallel()
	cluster, options := nodes(t, time.Minute)
	major, err := cluster.Major(t.Context())
	must(t, err)
	moving := newAddress(t, cluster.Port(0))
	options.Cluster = nil
	options.Settings["backends"] = []map[string]any{moving.backend("node0", 0),
		{"name": "node1", "host": "127.0.0.1", "port": cluster.Port(1), "weight": 1}}
	options.Settings["replication_check.fresh_interval"] = "0s"
	if major < 14 {
		options.Settings["replication_check.fresh_interval"] = "300ms"
	}
	server := howdahtest.Start(t, options)
	early := connectAs(t, server, "early")
	_, err = early.Exec(t.Context(), "INSERT INTO pets VALUES (2)")
	must(t, err)

	moving.turn(cluster.Port(1))
	var ended []<-chan error
	if major >= 14 {
		ended = append(ended, insert(t, connectAs(t, server, "late"), 3))
	}
	logSays(t, server, `primary changed.*from=node0 to=none`)
	ended = append(ended, insert(t, early, 4))
	logSays(t, server, `another run of the server, or another server.*node=node0`)
	wantCount(t, connectAs(t, server, "reader"), 2)
	wantPets(t, cluster, 0, "2")

	moving.turn(cluster.Port(0))
	moving.cut()
	for _, e := range ended {
		if err := <-e; err != nil {
			t.Errorf("a write that waited ends with %v", err)
		}
	}
	wantPets(t, cluster, 0, strconv.Itoa(2+len(ended)))
}

// The address of the primary is moved to a standby that was promoted, and the old primary lives on: who was connected to that
// writes to the new one, all the same.
func TestAddressMovesToAnotherPrimary(t *testing.T) {
	t.Parallel()
	cluster, options := nodes(t, time.Minute)
	moving := newAddress(t, cluster.Port(0))
	options.Cluster = nil
	options.Settings["backends"] = []map[string]any{moving.backend("main", 1)}
	options.Settings["replication_check.fresh_interval"] = "300ms"
	server := howdahtest.Start(t, options)
	idle, busy := connect(t, server), connect(t, server)
	_, err := idle.Exec(t.Context(), "INSERT INTO pets VALUES (2)")
	must(t, err)
	must(t, cluster.WaitReplay(t.Context(), 0))
	for _, sql := range []string{"BEGIN", "INSERT INTO pets VALUES (3)"} {
		_, err = busy.Exec(t.Context(), sql)
		must(t, err)
	}

	must(t, cluster.Promote(t.Context(), 1))
	moving.turn(cluster.Port(1))
	logSays(t, server, `another run of the server, or another server.*node=main`)
	_, err = idle.Exec(t.Context(), "INSERT INTO pets VALUES (4)")
	must(t, err)
	if _, err := busy.Exec(t.Context(), "COMMIT"); sqlState(err) != "40001" {
		t.Errorf("a transaction that the old primary had ends with %v, want 40001", err)
	}
	for _, sql := range []string{"ROLLBACK", "INSERT INTO pets VALUES (5)"} {
		_, err = busy.Exec(t.Context(), sql)
		must(t, err)
	}
	wantPets(t, cluster, 0, "2")
	wantPets(t, cluster, 1, "4")
}

// A standby tells the sessions that read there that it has been promoted, long before the next probe.
func TestPromotionIsReportedByItsServer(t *testing.T) {
	t.Parallel()
	cluster := pgcluster.ForTest(t, pgcluster.Options{Standbys: 1})
	major, err := cluster.Major(t.Context())
	must(t, err)
	if major < 14 {
		return // it does not report it
	}
	must(t, cluster.WaitReplay(t.Context(), 0))
	server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster, Weights: []float64{0, 1}, Settings: map[string]any{
		"replication_check.interval": "10m", "replication_check.idle_interval": "10m", "replication_check.fresh_interval": "0s"}})
	conn := connect(t, server)
	read := func() {
		_, err := conn.Exec(t.Context(), "SELECT relname FROM pg_class")
		must(t, err)
	}
	eventually(t, "the session to read on the standby", func() error {
		read()
		got, err := cluster.Value(t.Context(), 1, "postgres", "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT relname FROM pg_class'")
		if err == nil && got == "0" {
			err = fmt.Errorf("it reads elsewhere")
		}
		return err
	})
	must(t, cluster.Promote(t.Context(), 1))
	eventually(t, "the promoted server to be followed", func() error {
		read()
		if !strings.Contains(server.Log(), "from=node0 to=node1") {
			return fmt.Errorf("it is not")
		}
		return nil
	})
}

// A reload gives a node another address: who was connected to the old one writes to the new one.
func TestReloadMovesANode(t *testing.T) {
	t.Parallel()
	cluster, options := nodes(t, time.Minute)
	options.Cluster = nil
	at := func(i int) {
		options.Settings["backends"] = []map[string]any{{"name": "main", "host": "127.0.0.1", "port": cluster.Port(i)}}
	}
	at(0)
	server := howdahtest.Start(t, options)
	conn := connect(t, server)
	_, err := conn.Exec(t.Context(), "INSERT INTO pets VALUES (2)")
	must(t, err)
	must(t, cluster.WaitReplay(t.Context(), 0))
	must(t, cluster.Promote(t.Context(), 1))
	at(1)
	must(t, server.Reload(options))
	logSays(t, server, `another run of the server, or another server.*node=main`)
	_, err = conn.Exec(t.Context(), "INSERT INTO pets VALUES (3)")
	must(t, err)
	wantPets(t, cluster, 0, "2")
	wantPets(t, cluster, 1, "3")
}
