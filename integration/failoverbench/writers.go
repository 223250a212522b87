package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/howdah/howdah/integration/pgcluster"
)

// writeTimeout bounds one write; a client that waits for longer connects anew.
const writeTimeout = 60 * time.Second

// writers insert numbers, each its own, in autocommit, and connect anew if they must.
type writers struct {
	running sync.WaitGroup
	cancel  context.CancelFunc
	next    atomic.Int64

	mu           sync.Mutex
	acked        []int64
	errors       int
	disconnected int
	last         time.Time
	pause        time.Duration // the longest between two acknowledgements since begin
}

func startWriters(ctx context.Context, dsn string, clients int) *writers {
	w := &writers{last: time.Now()}
	ctx, w.cancel = context.WithCancel(ctx)
	for range clients {
		w.running.Go(func() { w.work(ctx, dsn) }) // ends with finish
	}
	return w
}

func (w *writers) work(ctx context.Context, dsn string) {
	var conn *pgx.Conn
	for ctx.Err() == nil {
		if conn == nil {
			c, err := pgx.Connect(ctx, dsn)
			if err != nil {
				time.Sleep(10 * time.Millisecond)
				continue
			}
			conn = c
		}
		id := w.next.Add(1)
		bounded, cancel := context.WithTimeout(ctx, writeTimeout)
		_, err := conn.Exec(bounded, "INSERT INTO inserts VALUES ($1)", id)
		cancel()
		w.note(id, err, conn.IsClosed() && ctx.Err() == nil)
		if conn.IsClosed() {
			conn = nil
		}
	}
	if conn != nil {
		conn.Close(context.Background()) //nolint:errcheck // it is over
	}
}

func (w *writers) note(id int64, err error, gone bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if gone {
		w.disconnected++
	}
	if err != nil {
		w.errors++
		return
	}
	w.acked = append(w.acked, id)
	now := time.Now()
	w.pause = max(w.pause, now.Sub(w.last))
	w.last = now
}

// settle waits until so many more writes are acknowledged, but no longer than the limit.
func (w *writers) settle(ctx context.Context, n int, limit time.Duration) error {
	w.mu.Lock()
	from := len(w.acked)
	w.mu.Unlock()
	for end := time.Now().Add(limit); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		w.mu.Lock()
		now := len(w.acked)
		w.mu.Unlock()
		if now >= from+n {
			return nil
		}
	}
	return errors.Join(errors.New("too few writes"), ctx.Err())
}

// begin begins to measure, end says how long the longest pause was.
func (w *writers) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pause, w.last = 0, time.Now()
}

func (w *writers) end() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pause
}

// stop ends the writers.
func (w *writers) stop() {
	w.cancel()
	w.running.Wait()
}

// finish stops the writers and looks what of the acknowledged writes the primary has.
func (w *writers) finish(ctx context.Context, cluster *pgcluster.Cluster, primary int, o *outcome) error {
	w.stop()
	conn, err := cluster.Connect(ctx, primary, "postgres")
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // it is over
	rows, err := conn.Query(ctx, "SELECT id FROM inserts")
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	have := make(map[int64]bool, len(ids))
	for _, id := range ids {
		have[id] = true
	}
	for _, id := range w.acked {
		if !have[id] {
			o.lost++
		}
	}
	o.writes, o.errors, o.disconnected = len(w.acked), w.errors, w.disconnected
	return nil
}
