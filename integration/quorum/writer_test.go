package quorum

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/howdah/howdah/integration/pgcluster"
)

// writer inserts numbers through an address, in autocommit, connecting again when it must.
type writer struct {
	n       *network
	address string
	from    string // the namespace it connects from; empty for the clients'
	stop    chan struct{}
	running sync.WaitGroup

	mu    sync.Mutex
	acked []int
	last  time.Time     // of an acknowledgement
	pause time.Duration // the longest between two
	errs  map[string]int
}

// writeTo starts a writer through a host's own address, or the floating one.
func (n *network) writeTo(address string) *writer {
	w := &writer{n: n, address: address, stop: make(chan struct{}), errs: map[string]int{}}
	w.running.Go(w.run)
	n.t.Cleanup(w.end)
	return w
}

var nextID struct {
	sync.Mutex
	id int
}

func newID() int {
	nextID.Lock()
	defer nextID.Unlock()
	nextID.id++
	return nextID.id
}

func (w *writer) connect(ctx context.Context) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig("host=" + w.address + " port=9999 user=postgres dbname=postgres sslmode=disable connect_timeout=2")
	if err != nil {
		return nil, err
	}
	from := w.from
	if from == "" {
		from = w.n.client()
	}
	config.DialFunc = func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
		err = w.n.inside(from, func() (err error) {
			d := net.Dialer{Timeout: time.Second, FallbackDelay: -1}
			conn, err = d.DialContext(ctx, "tcp4", addr)
			return err
		})
		return conn, err
	}
	return pgx.ConnectConfig(ctx, config)
}

func (w *writer) run() {
	var conn *pgx.Conn
	for {
		select {
		case <-w.stop:
			if conn != nil {
				conn.Close(context.Background())
			}
			return
		default:
		}
		err := func() (err error) {
			ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
			defer cancel()
			if conn == nil || conn.IsClosed() {
				if conn, err = w.connect(ctx); err != nil {
					conn = nil
					return err
				}
			}
			id := newID()
			// A client that waits for a host that is gone gives up soon.
			ctx2, cancel2 := context.WithTimeout(ctx, 22*time.Second)
			defer cancel2()
			if _, err = conn.Exec(ctx2, "INSERT INTO pets VALUES ($1)", id); err != nil {
				return err
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			if !w.last.IsZero() {
				w.pause = max(w.pause, time.Since(w.last))
			}
			w.acked, w.last = append(w.acked, id), time.Now()
			return nil
		}()
		if err != nil {
			state := "connect"
			var pg *pgconn.PgError
			if errors.As(err, &pg) {
				state = pg.Code
			}
			w.mu.Lock()
			w.errs[state]++
			w.mu.Unlock()
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func (w *writer) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acked)
}

func (w *writer) end() {
	select {
	case <-w.stop:
	default:
		close(w.stop)
	}
	w.running.Wait()
}

// more waits for more acknowledged writes and returns when the first of them came.
func (w *writer) more(count int) time.Time {
	w.n.t.Helper()
	from := w.count()
	var first time.Time
	w.n.eventually(func() string {
		w.mu.Lock()
		defer w.mu.Unlock()
		if first.IsZero() && len(w.acked) > from {
			first = w.last
		}
		if got := len(w.acked) - from; got < count {
			return fmt.Sprintf("only %d more writes through %s: %v", got, w.address, w.errs)
		}
		return ""
	})
	return first
}

// lost are the acknowledged writes, from the one of that number on, that a server does not have.
func (w *writer) lost(c *pgcluster.Cluster, node, from int) (lost []int) {
	w.n.t.Helper()
	got, err := c.Value(w.n.t.Context(), node, "postgres", "SELECT coalesce(string_agg(id::text, ','), '') FROM pets")
	if err != nil {
		w.n.t.Fatal(err)
	}
	have := map[string]bool{}
	for id := range strings.SplitSeq(got, ",") {
		have[id] = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range w.acked[from:] {
		if !have[fmt.Sprint(id)] {
			lost = append(lost, id)
		}
	}
	return lost
}
