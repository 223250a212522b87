package vip_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/vip"
)

// hookManager is a Manager without a guardian whose hook writes down its calls. It needs
// no privilege.
func hookManager(t *testing.T, script string) (m *vip.Manager, calls func() string) {
	t.Helper()
	dir := t.TempDir()
	cfg := configs.Default().VIP
	cfg.Mode, cfg.Addresses, cfg.Guardian = "hook", []string{"10.0.0.100"}, false
	cfg.Hook.Command = configs.Command{"/bin/sh", "-c", "echo $1 >> " + dir + "/calls; " + script, "hook"}
	return vip.New(cfg, configs.Default().Log, slog.New(slog.NewTextHandler(io.Discard, nil))), func() string {
		data, _ := os.ReadFile(filepath.Join(dir, "calls"))
		return strings.Join(strings.Fields(string(data)), " ")
	}
}

// await waits until a State is as wanted.
func await(t *testing.T, m *vip.Manager, what string, ok func(vip.State) bool) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		changed := m.Changed()
		s := m.State()
		if ok(s) {
			return
		}
		select {
		case <-changed:
		case <-time.After(20 * time.Millisecond): // a lease may end without a change
		case <-timeout:
			t.Fatalf("%s: still %+v", what, s)
		}
	}
}

func run(t *testing.T, m *vip.Manager) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	return func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(20 * time.Second):
			t.Fatal("Run does not end")
			return nil
		}
	}
}

func TestManager(t *testing.T) {
	t.Parallel()
	m, calls := hookManager(t, "")
	if s := m.State(); s.Held || s.Wanted || s.Mode != "hook" {
		t.Errorf("before Run: %+v", s)
	}
	stop := run(t, m)
	await(t, m, "down at the start", func(s vip.State) bool { return s.Gone })
	m.Want(vip.Want{Holder: true, Until: time.Now().Add(time.Minute), Epoch: 7})
	await(t, m, "held", func(s vip.State) bool { return s.Held && s.Epoch == 7 && !s.Gone })
	if err := m.Release(t.Context(), 8, "enough"); err != nil {
		t.Fatal(err)
	}
	if s := m.State(); s.Held || !s.Gone || s.Epoch != 8 {
		t.Errorf("after Release: %+v", s)
	}
	// A lease that ends by itself.
	m.Want(vip.Want{Holder: true, Until: time.Now().Add(300 * time.Millisecond), Epoch: 9})
	await(t, m, "held and gone", func(s vip.State) bool { return s.Epoch == 9 && s.Gone && s.Until != 0 })
	// A stop gives up what is held.
	m.Want(vip.Want{Holder: true, Until: time.Now().Add(time.Minute), Epoch: 10})
	await(t, m, "held", func(s vip.State) bool { return s.Held && s.Epoch == 10 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if s := m.State(); s.Held || !s.Gone {
		t.Errorf("after Run: %+v", s)
	}
	if got, want := calls(), "down up down up down up down"; got != want {
		t.Errorf("calls: %s, want %s", got, want)
	}
	if err := m.Release(t.Context(), 11, ""); !errors.Is(err, vip.ErrStopped) {
		t.Errorf("Release after the end: %v", err)
	}
}

// A lease that is over when it arrives holds nothing.
func TestManagerLateLease(t *testing.T) {
	t.Parallel()
	m, calls := hookManager(t, "")
	stop := run(t, m)
	await(t, m, "down at the start", func(s vip.State) bool { return s.Gone })
	m.Want(vip.Want{Holder: true, Until: time.Now(), Epoch: 7})
	await(t, m, "the order arrives", func(s vip.State) bool { return s.Epoch == 7 })
	if err := stop(); err != nil || calls() != "down" {
		t.Errorf("calls: %s, %v", calls(), err)
	}
}

// Release waits no longer than its context, and says what is in the way.
func TestManagerReleaseFails(t *testing.T) {
	t.Parallel()
	allowed := filepath.Join(t.TempDir(), "allowed")
	m, _ := hookManager(t, `[ "$1" = up ] || [ -e `+allowed+` ]`)
	stop := run(t, m)
	m.Want(vip.Want{Holder: true, Until: time.Now().Add(time.Minute)})
	await(t, m, "held", func(s vip.State) bool { return s.Held })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := m.Release(ctx, 1, "enough")
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "remove failed: /bin/sh: exit status 1") {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(allowed, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestConnectionsNeedNoPrivilege(t *testing.T) {
	t.Parallel()
	if _, err := vip.Connections([]netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}, 10); err != nil {
		t.Error(err)
	}
}
