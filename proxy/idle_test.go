package proxy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/wire"
)

// A client that is silent for too long is sent away, however often the session is interrupted meanwhile: by new settings, to
// rest. One that speaks is not.
func TestIdleLimit(t *testing.T) {
	const limit = 2 * time.Second // longer than it takes to be told to rest
	config := configs.Default()
	h := start(t, func(c *configs.Config) { c.Timeouts.ClientIdle = limit; config = *c }, newFake(t, "primary", false))
	silent, talks := connectAs(t, h.addr, "u"), connectAs(t, h.addr, "u")
	began := time.Now()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(limit / 20):
				if err := h.proxy.Reconfigure(&config); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	over := make(chan string, 1)
	go func() {
		typ, msg, err := silent.Next(1 << 16)
		if err != nil {
			over <- err.Error()
			return
		}
		over <- show(typ, msg[wire.HeaderSize:])
	}()
	for waiting := true; waiting; {
		select {
		case got := <-over:
			if waiting = false; got != "E(FATAL 57P05)" {
				t.Errorf("the silent client got %s", got)
			}
			if took := time.Since(began); took < limit*9/10 {
				t.Errorf("it was sent away after %s, the limit is %s", took, limit)
			}
		case <-time.After(limit / 10):
			if got := talks.query("INSERT INTO x DEFAULT VALUES"); !strings.HasSuffix(got, "Z(I)") {
				t.Fatalf("the client that speaks got %s", got)
			}
		}
	}
	close(stop)
	<-stopped
}
