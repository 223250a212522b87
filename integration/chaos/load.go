package chaos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/lib/pq"

	"github.com/howdah/howdah/integration/history"
	"github.com/howdah/howdah/integration/pgcluster"
)

// waitTimeout bounds what a test waits for, and a statement.
const waitTimeout = 60 * time.Second

// schema is what clients and tests write to; what a test writes by itself goes into tests, as inserts are held against the clients' history.
const schema = `CREATE ROLE prober SUPERUSER LOGIN;
	CREATE TABLE inserts (id bigint PRIMARY KEY);
	CREATE TABLE tests (id bigint PRIMARY KEY);
	CREATE TABLE own (worker int PRIMARY KEY, value bigint NOT NULL);
	CREATE TABLE registers (key int PRIMARY KEY, value bigint NOT NULL);
	INSERT INTO registers SELECT k, 0 FROM generate_series(1, 3) k;
	INSERT INTO own SELECT w, 0 FROM generate_series(1, 100) w`

// registers is how many there are; few, so that clients meet.
const registers = 3

// client is one session, by one of several drivers.
type client interface {
	exec(ctx context.Context, sql string, args ...any) error
	value(ctx context.Context, sql string, args ...any) (int64, error)
	closed() bool
	close()
}

// fateOf reads an error: by its SQLSTATE nothing took effect, or perhaps something did.
func fateOf(err error) history.Fate {
	if err == nil {
		return history.Done
	}
	switch code := sqlState(err); {
	case code == "40001", code == "57P03": // 57P03: it was never sent
		return history.Undone
	}
	return history.Unknown
}

func sqlState(err error) string {
	var fromPgx *pgconn.PgError
	var fromPq *pq.Error
	switch {
	case errors.As(err, &fromPgx):
		return fromPgx.Code
	case errors.As(err, &fromPq):
		return string(fromPq.Code)
	}
	return scriptState(err)
}

// load is clients at work.
type load struct {
	t       *testing.T
	running sync.WaitGroup
	stop    chan struct{}
	next    atomic.Int64
	readers int // how many were started
	start   time.Time
	// inserts and accesses (to registers) are what the clients were told; it is checked in the end.
	inserts  history.Inserts
	accesses *history.Registers
	waits    *waits

	mu      sync.Mutex
	reads   int
	errors  map[string]int // by SQLSTATE
	said    []string       // what the first of some was
	last    time.Time      // of an acknowledged write
	pause   time.Duration  // the longest between two
	readAt  time.Time
	noReads time.Duration // the longest time without an answered read
	broken  []string      // what must not be
	allowed string        // an SQLSTATE of the server's own that a client may get
}

// open connects as the worker's driver: pgx with prepared statements, pgx with simple queries, lib/pq, psycopg 3, or node-postgres.
func open(ctx context.Context, dsn string, driver int) (client, error) {
	if driver >= goDrivers {
		return openScript(scripts[driver-goDrivers], dsn)
	}
	if driver == 2 {
		db, err := sql.Open("postgres", dsn)
		if err != nil {
			return nil, err
		}
		conn, err := db.Conn(ctx)
		if err != nil {
			return nil, err
		}
		return &pqClient{db: db, conn: conn}, nil
	}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	if driver == 1 {
		config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return &pgxClient{conn}, nil
}

type pgxClient struct{ conn *pgx.Conn }

func (c *pgxClient) exec(ctx context.Context, sql string, args ...any) error {
	_, err := c.conn.Exec(ctx, sql, args...)
	return err
}

func (c *pgxClient) value(ctx context.Context, sql string, args ...any) (v int64, err error) {
	err = c.conn.QueryRow(ctx, sql, args...).Scan(&v)
	return v, err
}
func (c *pgxClient) closed() bool { return c.conn.IsClosed() }
func (c *pgxClient) close()       { c.conn.Close(context.Background()) } //nolint:errcheck // the test is over

// pqClient gives a connection up at SQLSTATEs of class 08 or 57, as drivers may; it connects anew then.
type pqClient struct {
	db   *sql.DB
	conn *sql.Conn
}

func (c *pqClient) again(ctx context.Context) error {
	if c.conn.PingContext(ctx) == nil {
		return nil
	}
	c.conn.Close() //nolint:errcheck // it is gone
	conn, err := c.db.Conn(ctx)
	if err == nil {
		c.conn = conn
	}
	return err
}

func (c *pqClient) exec(ctx context.Context, sql string, args ...any) error {
	_, err := c.conn.ExecContext(ctx, sql, args...)
	if err != nil {
		c.again(ctx) //nolint:errcheck // the next statement fails then
	}
	return err
}

func (c *pqClient) value(ctx context.Context, sql string, args ...any) (v int64, err error) {
	err = c.conn.QueryRowContext(ctx, sql, args...).Scan(&v)
	if err != nil {
		c.again(ctx) //nolint:errcheck // as above
	}
	return v, err
}
func (c *pqClient) closed() bool { return false }
func (c *pqClient) close()       { c.conn.Close(); c.db.Close() } //nolint:errcheck // the test is over

// goDrivers are the drivers in this process; everyDriver are all.
const goDrivers = 3

var everyDriver = goDrivers + len(scripts)

// startLoad starts inserters, users of registers, and clients who read what they wrote themselves: one of each for each of so many
// drivers.
func startLoad(t *testing.T, dsn string, drivers int) *load {
	t.Helper()
	l := &load{t: t, stop: make(chan struct{}), start: time.Now(), accesses: history.NewRegisters(), waits: newWaits(), errors: map[string]int{}, allowed: "40001", last: time.Now(), readAt: time.Now()}
	for worker := range 3 * drivers {
		c, err := open(t.Context(), dsn, worker%drivers)
		if err != nil {
			t.Fatal(err)
		}
		work := []func(client, int){l.insert, l.register, l.readOwn}[worker/drivers]
		l.repeat(c, fmt.Sprintf("worker %d", worker), 0, func() { work(c, worker) })
	}
	return l
}

// repeat has a client do its work again and again, pausing each time, until the end.
func (l *load) repeat(c client, name string, pause time.Duration, work func()) {
	l.running.Go(func() { // ends with end
		defer c.close()
		for {
			select {
			case <-l.stop:
				return
			default:
			}
			time.Sleep(pause)
			work()
			if c.closed() {
				l.wrong("the session of %s was closed", name)
				return
			}
		}
	})
}

func (l *load) wrong(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = append(l.broken, fmt.Sprintf("%.3fs: ", time.Since(l.start).Seconds())+fmt.Sprintf(format, args...))
}

// wrote keeps what became of a write.
func (l *load) wrote(err error) history.Fate {
	f := fateOf(err)
	l.mu.Lock()
	defer l.mu.Unlock()
	if f == history.Done {
		l.pause = max(l.pause, time.Since(l.last))
		l.last = time.Now()
		return f
	}
	code := sqlState(err)
	if code == "" {
		code = err.Error()
	}
	l.errors[code]++
	return f
}

// noteError counts an error that no history is kept of, and keeps what the first of its kind was.
func (l *load) noteError(code string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.errors[code]++; l.errors[code] == 1 {
		l.said = append(l.said, fmt.Sprintf("%.3fs: %s: %v", time.Since(l.start).Seconds(), code, err))
	}
}

func statementTimeout() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), waitTimeout)
}

// insert writes numbers that nobody else writes: by themselves, or in a block.
func (l *load) insert(c client, _ int) {
	ctx, cancel := statementTimeout()
	defer cancel()
	id := l.next.Add(1)
	var err error
	committing := true
	if id%4 == 0 {
		committing = false
		if err = c.exec(ctx, "BEGIN"); err == nil {
			err = c.exec(ctx, "INSERT INTO inserts VALUES ($1)", id)
		}
		if err == nil {
			committing = true
			err = c.exec(ctx, "COMMIT")
		}
		if err != nil && !c.closed() {
			c.exec(ctx, "ROLLBACK") //nolint:errcheck // there may be nothing left to roll back
		}
	} else {
		err = c.exec(ctx, "INSERT INTO inserts VALUES ($1)", id)
	}
	f := l.wrote(err)
	if f == history.Unknown && !committing {
		f = history.Undone
	}
	l.inserts.Note(id, f)
}

// register writes or reads one of few registers on the primary.
func (l *load) register(c client, worker int) {
	ctx, cancel := statementTimeout()
	defer cancel()
	a, began := history.Access{Key: 1 + rand.IntN(registers), Kind: history.AccessKind(rand.IntN(2))}, time.Now()
	if a.Kind == history.Write {
		a.New = l.next.Add(1)
		f := l.wrote(c.exec(ctx, "UPDATE registers SET value = $2 WHERE key = $1", a.Key, a.New))
		l.accesses.Note(worker, a, began, 0, f)
		return
	}
	v, err := c.value(ctx, "/*NO LOAD BALANCE*/ SELECT value FROM registers WHERE key = $1", a.Key)
	if err != nil {
		l.wrote(err)
		return
	}
	l.accesses.Note(worker, a, began, v, history.Done)
}

// readOwn writes a growing number now and then, and reads on a standby that it is there.
func (l *load) readOwn(c client, worker int) {
	ctx, cancel := statementTimeout()
	defer cancel()
	low := int64(0)
	if rand.IntN(5) == 0 {
		v := l.next.Add(1)
		if l.wrote(c.exec(ctx, "UPDATE own SET value = $2 WHERE worker = $1", worker, v)) == history.Done {
			low = v
		}
	}
	for range 4 {
		l.waits.begin(worker)
		v, err := c.value(ctx, "SELECT value FROM own WHERE worker = $1", worker)
		if err == nil {
			l.waits.end(worker)
		}
		switch {
		case err != nil:
			l.noteError("read "+sqlState(err), err)
		case v < low:
			l.wrong("worker %d reads %d after it wrote %d", worker, v, low)
		default:
			low = v
			l.mu.Lock()
			l.reads++
			l.noReads = max(l.noReads, time.Since(l.readAt))
			l.readAt = time.Now()
			l.mu.Unlock()
		}
	}
}

func (l *load) writes() int { return l.inserts.Acked() }

// more waits until so many more inserts are acknowledged.
func (l *load) more(n int) {
	l.t.Helper()
	from := l.writes()
	eventually(l.t, fmt.Sprintf("%d more writes", n), func() error {
		if got := l.writes() - from; got < n {
			return fmt.Errorf("only %d", got)
		}
		return nil
	})
}

// forget begins to measure pauses anew.
func (l *load) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pause, l.noReads, l.last, l.readAt = 0, 0, time.Now(), time.Now()
}

// end stops the clients and holds what they saw against node i, the primary.
func (l *load) end(cluster *pgcluster.Cluster, i int) {
	l.t.Helper()
	close(l.stop)
	l.running.Wait()
	conn, err := cluster.Connect(l.t.Context(), i, "postgres")
	if err != nil {
		l.t.Fatal(err)
	}
	defer conn.Close(context.Background()) //nolint:errcheck // the test is over
	rows, err := conn.Query(l.t.Context(), "SELECT id FROM inserts")
	if err != nil {
		l.t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		l.t.Fatal(err)
	}
	for _, what := range l.inserts.Check(ids) {
		l.t.Error(what)
	}
	for _, what := range l.broken {
		l.t.Error(what)
	}
	for code := range l.errors {
		if !slices.Contains([]string{"40001", "08007", "57P01", "57P02", l.allowed}, strings.TrimPrefix(code, "read ")) {
			l.t.Errorf("a client got error %q %d times", code, l.errors[code])
		}
	}
	if err := l.accesses.Check(waitTimeout); err != nil {
		l.t.Error(err)
	}
	l.t.Logf("%d inserts and %d operations on registers, %d reads; errors %v %q; longest pause of writes %v, of reads %v",
		l.inserts.Acked(), l.accesses.Len(), l.reads, l.errors, l.said, l.pause.Round(time.Millisecond), l.noReads.Round(time.Millisecond))
}

// eventually waits until ok has nothing to say.
func eventually(t *testing.T, what string, ok func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(waitTimeout); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = ok(); err == nil {
			return
		}
	}
	t.Fatalf("waited in vain for %s: %v", what, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
