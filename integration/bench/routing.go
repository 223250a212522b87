package main

import (
	"context"
	"fmt"
	"time"
)

const (
	routingSeconds = 2
	// routingLook is when, after the start of the run, the servers are asked;
	// then all clients are in and busy.
	routingLook = 1200 * time.Millisecond
)

// routed says at which nodes a contender's sessions read, the primary first. It
// shows that the "routing" contenders do route, and how evenly.
type routed struct {
	name     string
	sessions []int
}

// lookRouting runs a load that is not measured and asks every node in the
// middle how many sessions it reads for.
func (m measurer) lookRouting(ctx context.Context, c running, l load, readers func(context.Context) ([]int, error)) (routed, error) {
	type answer struct {
		sessions []int
		err      error
	}
	asked := make(chan answer, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends by itself or with ctx; joined below
		select {
		case <-ctx.Done():
			asked <- answer{err: ctx.Err()}
		case <-time.After(routingLook):
			s, err := readers(ctx)
			asked <- answer{sessions: s, err: err}
		}
	}()
	bench := m.bench
	bench.seconds = routingSeconds
	// Here, not in the goroutine: children are started by the main goroutine.
	_, _, _, err := bench.run(ctx, c.port, l, nil)
	if err != nil {
		cancel()
	}
	a := <-asked
	if err != nil {
		return routed{}, c.explain(err)
	}
	if a.err != nil {
		return routed{}, fmt.Errorf("ask where %s reads: %w", c.name, a.err)
	}
	return routed{name: c.name, sessions: a.sessions}, nil
}
