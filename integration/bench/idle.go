package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"time"
)

const (
	// loginsAtOnce bounds the logins under way together, below any listen queue.
	loginsAtOnce = 64
	settlePoll   = 500 * time.Millisecond
	// settleSpan readings within settleShare of each other count as at rest:
	// 3 s without change, time enough for a collection and for the memory it
	// freed to be given back.
	settleSpan    = 6
	settleShare   = 0.005
	settleTimeout = 20 * time.Second
)

// idleResult is the memory of one contender with idle clients, per client and
// above what it has with none, and how many server connections they hold.
type idleResult struct {
	name    string
	clients int
	empty   int64 // bytes with no client, after one has been served
	// loggedIn: logged in and nothing else.
	loggedIn      float64 // bytes for each
	loggedInHolds int
	// served: that many of the clients ran one query since.
	served      int
	servedMore  float64 // bytes for each of them, on top of loggedIn; NaN if none
	servedHolds int
}

// idleMeasurer measures contenders which it starts afresh, so that no memory
// left from the load hides what the clients cost.
type idleMeasurer struct {
	launcher launcher
	proc     procfs
	clients  int
	served   int
	// serverConnections counts connections of the database at all nodes.
	serverConnections func(context.Context) (int, error)
	progress          io.Writer
}

func (m idleMeasurer) measure(ctx context.Context, c contender) (idleResult, error) {
	// One for the first client, some in case it is still leaving.
	r, err := m.launcher.start(ctx, c, c.name+"-idle", m.clients+16)
	if err != nil {
		return idleResult{}, err
	}
	defer r.stop()
	res, err := m.measureRunning(ctx, r)
	if err != nil {
		return idleResult{}, r.explain(err)
	}
	return res, nil
}

func (m idleMeasurer) measureRunning(ctx context.Context, r running) (res idleResult, err error) {
	res = idleResult{name: r.name, clients: m.clients, served: min(m.served, m.clients), servedMore: math.NaN()}
	if err := m.first(ctx, r); err != nil {
		return res, err
	}
	held, err := m.serverConnections(ctx)
	if err != nil {
		return res, err
	}
	if res.empty, err = m.settledRSS(ctx, r); err != nil {
		return res, err
	}

	clients, err := m.loginAll(ctx, r.port)
	defer func() {
		for _, c := range clients {
			c.leave()
		}
	}()
	if err != nil {
		return res, err
	}
	full, err := m.settledRSS(ctx, r)
	if err != nil {
		return res, err
	}
	res.loggedIn = float64(full-res.empty) / float64(m.clients)
	now, err := m.serverConnections(ctx)
	if err != nil {
		return res, err
	}
	res.loggedInHolds = now - held
	fmt.Fprintf(m.progress, "%-10s %d idle clients: %s kB each, %d server connections more\n",
		r.name, m.clients, number(res.loggedIn/1024, 1), res.loggedInHolds)
	return m.serve(ctx, r, clients, full, held, res)
}

// serve lets some of the clients run a query and go idle again.
func (m idleMeasurer) serve(ctx context.Context, r running, clients []client, full int64, held int, res idleResult) (idleResult, error) {
	if res.served == 0 {
		return res, nil
	}
	for _, c := range clients[:res.served] {
		if err := c.query(idleQuery); err != nil {
			return res, err
		}
	}
	after, err := m.settledRSS(ctx, r)
	if err != nil {
		return res, err
	}
	now, err := m.serverConnections(ctx)
	if err != nil {
		return res, err
	}
	res.servedMore = float64(after-full) / float64(res.served)
	res.servedHolds = now - held
	return res, nil
}

const idleQuery = "SELECT abalance FROM pgbench_accounts WHERE aid = 1"

// first serves one client, so that what every process needs once is there.
func (m idleMeasurer) first(ctx context.Context, r running) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c, err := login(r.port, m.launcher.user, m.launcher.database)
	if err != nil {
		return err
	}
	defer c.leave()
	return c.query(idleQuery)
}

// loginAll returns the clients that are in also when one failed.
func (m idleMeasurer) loginAll(ctx context.Context, port int) ([]client, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		in    []client
		slots = make(chan struct{}, loginsAtOnce)
	)
	for range m.clients {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			c, err := login(port, m.launcher.user, m.launcher.database)
			if err != nil {
				cancel(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			in = append(in, c)
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return in, fmt.Errorf("after %d idle clients: %w", len(in), context.Cause(ctx))
	}
	return in, nil
}

// settledRSS waits until the resident memory rests, at most settleTimeout, and
// returns it.
func (m idleMeasurer) settledRSS(ctx context.Context, r running) (int64, error) {
	var readings []int64
	for range int(settleTimeout / settlePoll) {
		rss, err := m.proc.rss(r.proc.pid())
		if err != nil {
			return 0, err
		}
		readings = append(readings, rss)
		if settled(readings) {
			break
		}
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-time.After(settlePoll):
		}
	}
	return readings[len(readings)-1], nil
}

// settled reports whether the last settleSpan readings agree.
func settled(readings []int64) bool {
	if len(readings) < settleSpan {
		return false
	}
	last := readings[len(readings)-settleSpan:]
	low, high := slices.Min(last), slices.Max(last)
	return float64(high-low) <= settleShare*float64(high)
}
