package integration_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/howdah/howdah/integration/howdahtest"
	"github.com/howdah/howdah/integration/pgcluster"
)

// TestOneAmongMany: with three connections to the server, fifty sessions of one user do not hold up the single one of another.
func TestOneAmongMany(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"session", "transaction"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			cluster := pgcluster.ForTest(t, pgcluster.Options{})
			must(t, cluster.Exec(t.Context(), 0, "postgres", "CREATE ROLE many LOGIN; CREATE ROLE one LOGIN"))
			server := howdahtest.Start(t, howdahtest.Options{Cluster: cluster,
				Settings: map[string]any{"pool.mode": mode, "pool.max_per_node": 3}})
			c := &crowd{server: server, keeps: mode == "transaction"}
			c.crowds(t, 50)
			const transactions = 20
			before := c.transactions.Load()
			must(t, c.session(t.Context(), "one", func(i int) bool { return i < transactions }))
			// In the order of arrival alone each would have waited for some fifty.
			if passed := c.transactions.Load() - before; passed > transactions*25 {
				t.Errorf("%d transactions of the many ended during %d of the one", passed, transactions)
			}
		})
	}
}

// crowd are sessions that want a connection all the time.
type crowd struct {
	server       *howdahtest.Server
	keeps        bool // each client its session, for many transactions
	transactions atomic.Int64
}

// crowds keeps so many sessions of the user many busy to the test's end, and waits until all have had a turn.
func (c *crowd) crowds(t *testing.T, sessions int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running, begun sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	begun.Add(sessions)
	for range sessions {
		running.Go(func() {
			began := sync.OnceFunc(begun.Done)
			defer began()
			err := c.session(ctx, "many", func(i int) bool {
				if i == 1 {
					began()
				}
				if i > 0 {
					c.transactions.Add(1)
				}
				return ctx.Err() == nil
			})
			if err != nil && ctx.Err() == nil {
				t.Errorf("one of the many: %v", err)
			}
		})
	}
	begun.Wait()
}

// session runs transactions of 20 ms while more says so of their number.
func (c *crowd) session(ctx context.Context, user string, more func(int) bool) error {
	var conn *pgx.Conn
	defer func() {
		if conn != nil {
			conn.Close(context.Background()) //nolint:errcheck // it has done its work
		}
	}()
	for i := 0; more(i); i++ {
		if conn == nil || !c.keeps {
			if conn != nil {
				conn.Close(ctx) //nolint:errcheck // the next one tells
			}
			var err error
			if conn, err = pgx.Connect(ctx, c.server.DSN(user, "postgres")); err != nil {
				return err
			}
		}
		if _, err := conn.Exec(ctx, "SELECT pg_sleep(0.02), txid_current()"); err != nil {
			return err
		}
	}
	return nil
}
