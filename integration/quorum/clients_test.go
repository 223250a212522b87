package quorum

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/howdah/howdah/integration/history"
	"github.com/howdah/howdah/integration/pgcluster"
)

// The tables of the clients.
const clientsSchema = `CREATE TABLE inserts (id bigint);
	CREATE TABLE registers (key int PRIMARY KEY, value bigint NOT NULL);
	INSERT INTO registers SELECT k, 0 FROM generate_series(1, 3) k;
	CREATE TABLE lists (key int PRIMARY KEY, items text NOT NULL);
	INSERT INTO lists SELECT k, '' FROM generate_series(1, 5) k`

// How many registers and lists there are; few, so that clients meet.
const (
	registers = 3
	lists     = 5
)

// clients are sessions at work, through the floating address and through each howdah's own: they insert numbers, read, write, and
// compare and set registers, and append to lists in serializable transactions.
type clients struct {
	n         *network
	stop      chan struct{}
	running   sync.WaitGroup
	inserts   history.Inserts
	registers *history.Registers
	lists     history.Lists
	done      [3]atomic.Int64 // acknowledged, by kind of work
	mu        sync.Mutex
	errors    map[string]int
}

// patience is how long a client waits for an answer before it gives its connection up, without asking for a cancel: a
// cancelled wait for a synchronous standby would show others what may be lost.
const patience = 25 * time.Second

func (n *network) startClients() *clients {
	c := &clients{n: n, stop: make(chan struct{}), registers: history.NewRegisters(), errors: map[string]int{}}
	addresses := []string{floating, floating}
	for _, h := range n.hosts {
		if !h.witness {
			addresses = append(addresses, h.address)
		}
	}
	work := []func(context.Context, *pgx.Conn, int) error{c.insert, c.register, c.append}
	worker := 0
	for _, address := range addresses {
		for kind := range work {
			worker++
			id := worker
			c.running.Go(func() { c.session(address, kind, work[kind], id) }) // ended by end
		}
	}
	n.t.Cleanup(c.end)
	return c
}

func (c *clients) end() {
	select {
	case <-c.stop:
	default:
		close(c.stop)
	}
	c.running.Wait()
}

// session works until the end, connecting again when it must.
func (c *clients) session(address string, kind int, work func(context.Context, *pgx.Conn, int) error, worker int) {
	var conn *pgx.Conn
	var raw net.Conn
	for {
		select {
		case <-c.stop:
			if raw != nil {
				raw.Close()
			}
			return
		case <-time.After(5 * time.Millisecond): // what is checked must not grow too long
		}
		if conn == nil || conn.IsClosed() {
			var err error
			if conn, raw, err = c.connect(address); err != nil {
				conn = nil
				select {
				case <-c.stop:
				case <-time.After(100 * time.Millisecond):
				}
				continue
			}
		}
		tooLong := time.AfterFunc(patience, func() { raw.Close() })
		stopped := make(chan struct{})
		ended := make(chan struct{})
		go func() { // ends with the statement
			defer close(stopped)
			select {
			case <-c.stop:
				select {
				case <-ended:
				case <-time.After(5 * time.Second):
					raw.Close()
				}
			case <-ended:
			}
		}()
		err := work(context.Background(), conn, worker)
		close(ended)
		<-stopped
		tooLong.Stop()
		if err == nil {
			c.done[kind].Add(1)
			continue
		}
		c.mu.Lock()
		c.errors[sqlState(err)]++
		c.mu.Unlock()
		if sqlState(err) == "" {
			conn.Close(context.Background()) //nolint:errcheck // it is broken
			conn = nil
		} else if conn.PgConn().TxStatus() != 'I' {
			if _, err := conn.Exec(context.Background(), "ROLLBACK"); err != nil {
				conn.Close(context.Background()) //nolint:errcheck // it is broken
			}
		}
	}
}

// connect makes a connection that never asks for a cancel: only the first one can be made.
func (c *clients) connect(address string) (*pgx.Conn, net.Conn, error) {
	config, err := pgx.ParseConfig("host=" + address + " port=9999 user=postgres dbname=postgres sslmode=disable connect_timeout=3")
	if err != nil {
		return nil, nil, err
	}
	var raw net.Conn
	config.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if raw != nil {
			return nil, errors.New("no cancel request")
		}
		err := c.n.inside(c.n.client(), func() (err error) {
			d := net.Dialer{Timeout: time.Second, FallbackDelay: -1}
			raw, err = d.DialContext(ctx, "tcp4", addr)
			return err
		})
		return raw, err
	}
	conn, err := pgx.ConnectConfig(context.Background(), config)
	return conn, raw, err
}

func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// fateOf reads an error: by its SQLSTATE nothing took effect, or perhaps something did.
func fateOf(err error) history.Fate {
	switch code := sqlState(err); {
	case err == nil:
		return history.Done
	case code == "40001", code == "40P01", code == "57P03", code == "25006": // 57P03: it was never sent
		return history.Undone
	}
	return history.Unknown
}

func (c *clients) insert(ctx context.Context, conn *pgx.Conn, _ int) error {
	id := int64(newID())
	_, err := conn.Exec(ctx, "INSERT INTO inserts VALUES ($1)", id)
	c.inserts.Note(id, fateOf(err))
	return err
}

func (c *clients) register(ctx context.Context, conn *pgx.Conn, worker int) error {
	a := history.Access{Key: 1 + rand.IntN(registers), Kind: history.AccessKind(rand.IntN(3)), New: int64(newID())}
	began, result := time.Now(), int64(0)
	var err error
	switch a.Kind {
	case history.Read:
		err = conn.QueryRow(ctx, "/*NO LOAD BALANCE*/ SELECT value FROM registers WHERE key = $1", a.Key).Scan(&result)
	case history.Write:
		_, err = conn.Exec(ctx, "UPDATE registers SET value = $2 WHERE key = $1", a.Key, a.New)
	case history.CompareAndSet:
		// What it compares with is what is there now, mostly.
		readAt := time.Now()
		if err = conn.QueryRow(ctx, "/*NO LOAD BALANCE*/ SELECT value FROM registers WHERE key = $1", a.Key).Scan(&a.Old); err != nil {
			return err
		}
		c.registers.Note(worker, history.Access{Key: a.Key}, readAt, a.Old, history.Done)
		began = time.Now()
		var tag pgconn.CommandTag
		tag, err = conn.Exec(ctx, "UPDATE registers SET value = $2 WHERE key = $1 AND value = $3", a.Key, a.New, a.Old)
		result = tag.RowsAffected()
	}
	c.registers.Note(worker, a, began, result, fateOf(err))
	return err
}

// append reads one list and appends to two.
func (c *clients) append(ctx context.Context, conn *pgx.Conn, _ int) error {
	keys := rand.Perm(lists)
	read, value := 1+keys[0], int64(newID())
	txn := history.Txn{Appends: []history.Append{{Key: 1 + keys[1], Value: value}, {Key: 1 + keys[2], Value: value}}}
	committing := false
	err := func() error {
		if _, err := conn.Exec(ctx, "BEGIN ISOLATION LEVEL SERIALIZABLE"); err != nil {
			return err
		}
		var text string
		if err := conn.QueryRow(ctx, "/*NO LOAD BALANCE*/ SELECT items FROM lists WHERE key = $1", read).Scan(&text); err != nil {
			return err
		}
		list, err := parseList(text)
		if err != nil {
			return err
		}
		txn.Reads = []history.ListRead{{Key: read, List: list}}
		for _, a := range txn.Appends {
			if _, err := conn.Exec(ctx, "UPDATE lists SET items = items || $2::text WHERE key = $1", a.Key, fmt.Sprintf(" %d", a.Value)); err != nil {
				return err
			}
		}
		committing = true
		tag, err := conn.Exec(ctx, "COMMIT")
		if err == nil && tag.String() != "COMMIT" {
			return fmt.Errorf("COMMIT was answered by %s", tag)
		}
		return err
	}()
	txn.Fate = fateOf(err)
	if err != nil && !committing {
		txn.Fate = history.Undone
	}
	c.lists.Note(txn)
	return err
}

func parseList(text string) (list []int64, err error) {
	for field := range strings.FieldsSeq(text) {
		v, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("parse list: %w", err)
		}
		list = append(list, v)
	}
	return list, nil
}

// more waits until clients have done more of each kind.
func (c *clients) more(count int64) {
	c.n.t.Helper()
	var from [3]int64
	for i := range c.done {
		from[i] = c.done[i].Load()
	}
	c.n.within(60*time.Second, func() string {
		for i, kind := range []string{"inserts", "accesses to registers", "appends"} {
			if got := c.done[i].Load() - from[i]; got < count {
				c.mu.Lock()
				defer c.mu.Unlock()
				return fmt.Sprintf("only %d more %s: errors %v", got, kind, c.errors)
			}
		}
		return ""
	})
}

// check holds what the clients saw against what a server has.
func (c *clients) check(t *testing.T, cluster *pgcluster.Cluster, node int) {
	t.Helper()
	c.end()
	conn, err := cluster.Connect(t.Context(), node, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background()) //nolint:errcheck // the test is over
	rows, err := conn.Query(t.Context(), "SELECT id FROM inserts")
	if err != nil {
		t.Fatal(err)
	}
	have, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range c.inserts.Check(have) {
		t.Error(what)
	}
	final := map[int][]int64{}
	for key := 1; key <= lists; key++ {
		var text string
		if err := conn.QueryRow(t.Context(), "SELECT items FROM lists WHERE key = $1", key).Scan(&text); err != nil {
			t.Fatal(err)
		}
		if final[key], err = parseList(text); err != nil {
			t.Fatal(err)
		}
	}
	for _, what := range c.lists.Check(final) {
		t.Error(what)
	}
	if err := c.registers.Check(60 * time.Second); err != nil {
		t.Error(err)
	}
	t.Logf("%d inserts, %d accesses to registers, %d transactions on lists; errors %v", c.inserts.Acked(), c.registers.Len(), c.lists.Len(), c.errors)
}
