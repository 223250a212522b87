package watchdog

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/howdah/howdah/watchdog/core"
)

// healthEvery is how often this member looks at itself, and healthTimeout how long it may
// take. A data path that does not answer in time does not serve.
const (
	healthEvery   = 200 * time.Millisecond
	healthTimeout = time.Second
	gatewayEvery  = time.Second
)

// watchHealth looks at this member's own data path and its way to the trusted servers.
func (w *Watchdog) watchHealth(ctx context.Context) {
	var wait sync.WaitGroup
	defer wait.Wait()
	if len(w.cfg.TrustedServers) > 0 {
		wait.Go(func() { w.watchGateway(ctx) })
	}
	answers := make(chan core.Fitness, 1)
	t := time.NewTicker(healthEvery)
	defer t.Stop()
	asked, pending := w.now(), false
	for {
		if !pending {
			asked, pending = w.now(), true
			wait.Go(func() {
				ctx, cancel := context.WithTimeout(ctx, healthTimeout)
				defer cancel()
				answers <- w.parts.Lifecheck.Fitness(ctx)
			})
		}
		select {
		case <-ctx.Done():
			return
		case f := <-answers:
			pending = false
			w.setHealth(f)
		case <-t.C:
			if pending && w.now()-asked > healthTimeout {
				w.setHealth(core.Fitness{}) // a check that hangs is a data path that hangs
			}
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (w *Watchdog) setHealth(f core.Fitness) {
	f.Gateway, f.Disk, f.Prompt = w.gateway.Load(), w.store.healthy(), w.prompt.Load()
	// For the first election timeout it may not even vote, so nobody should give it leadership.
	if w.fsm.isBehind() != nil || w.now()-w.born < w.timing.Election {
		f.Serves = false
	}
	w.inspect(func(l *loop) { l.fitness = f })
	w.feed(core.Health{Fitness: f})
}

func (w *Watchdog) fitness() (f core.Fitness) {
	w.inspect(func(l *loop) { f = l.fitness })
	return f
}

// say is what this member gossips.
func (w *Watchdog) say() gossiped {
	return gossiped{From: w.self, Fitness: w.fitness(), View: w.parts.Nodes.View()}
}

// watchGateway connects to the trusted servers. A refusal is an answer, too: the network is there.
// That none answers proves nothing of others; it only makes this member less fit.
func (w *Watchdog) watchGateway(ctx context.Context) {
	for {
		reached := make(chan bool, len(w.cfg.TrustedServers))
		for _, address := range w.cfg.TrustedServers {
			go func() { // ends with the dialer's timeout
				d := net.Dialer{Timeout: gatewayEvery}
				conn, err := d.DialContext(ctx, "tcp", address)
				if err == nil {
					conn.Close()
				}
				reached <- err == nil || refused(err)
			}()
		}
		some := false
		for range w.cfg.TrustedServers {
			if some = <-reached || some; some {
				break
			}
		}
		if w.gateway.Swap(some) != some {
			w.log.Warn("the way to the trusted servers changed", "reachable", some)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(gatewayEvery):
		}
	}
}

func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
