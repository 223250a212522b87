package watchdog

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
)

// A full disk can be read, which does not make it well.
func TestDiskThatCanOnlyBeRead(t *testing.T) {
	s, err := openStore(t.TempDir(), slog.New(slog.DiscardHandler), boottime)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	var room atomic.Bool
	written := make(chan struct{})
	go func() { // ends when there is room
		defer close(written)
		s.retry(&s.writes, "write", func() error {
			if room.Load() {
				return nil
			}
			return errors.New("no space left on device")
		})
	}()
	eventually(t, func() string {
		if s.healthy() {
			return "it is healthy"
		}
		return ""
	})
	s.retry(&s.reads, "read", func() error { return nil })
	if s.healthy() {
		t.Error("it is healthy as it can be read")
	}
	room.Store(true)
	<-written
	if !s.healthy() {
		t.Error("it is not healthy again")
	}
}
