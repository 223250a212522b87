package proxy

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/howdah/howdah/parser"
)

// A session that was told to end is waited for, but not longer than the time that was given, nor than the caller's own statement lasts.
func TestAwaitEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		srv := &Server{context: ctx, registry: registry{sessions: map[uint32]*session{}}}
		caller, target := &session{srv: srv}, &session{}
		caller.cancelled = make(chan struct{})
		if err := errors.Join(srv.registry.add(caller), srv.registry.add(target)); err != nil {
			t.Fatal(err)
		}
		await := func(wait int64) (bool, time.Duration, error) {
			start := time.Now()
			ended, err := caller.awaitEnd(target, parser.Signal{Session: target.pid, Terminate: true, Wait: wait})
			return ended, time.Since(start), err
		}
		if ended, took, err := await(1000); ended || err != nil || took != time.Second {
			t.Errorf("of one that goes on: %v after %s (%v)", ended, took, err)
		}
		time.AfterFunc(time.Second, func() { caller.cancelling.cancel(ctx) })
		if _, took, err := await(1 << 62); err != errCanceled || took != time.Second {
			t.Errorf("a cancel request after a second: %v after %s", err, took)
		}
		time.AfterFunc(time.Second, func() { srv.registry.remove(target) })
		if ended, took, err := await(1 << 62); !ended || err != nil || took > time.Second+awaitEndEvery {
			t.Errorf("of one that ends after a second: %v after %s (%v)", ended, took, err)
		}
		if err := srv.registry.add(target); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, stop)
		if _, took, err := await(1 << 62); err != errStopped || took != time.Second {
			t.Errorf("howdah stops after a second: %v after %s", err, took)
		}
	})
}
