package vip

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/howdah/howdah/configs"
)

// actuator puts an address on this host and takes it off it, one way or another. All
// must be right to call again, and right to call when there is nothing to do.
type actuator interface {
	add(ctx context.Context, p netip.Prefix, epoch uint64) error
	renew(p netip.Prefix) error
	remove(ctx context.Context, p netip.Prefix, epoch uint64) error
	// announce tells the neighbours. It may take a while if slow says so.
	announce(ctx context.Context, p netip.Prefix, epoch uint64) error
	// slow is whether add, remove and announce run other programs: then they are not
	// called on the engine's goroutine.
	slow() bool
}

// netlinkActuator talks to the kernel, and sends frames of its own.
type netlinkActuator struct {
	kernel   *kernel
	lifetime time.Duration
	frames   *frames
}

func (n *netlinkActuator) add(_ context.Context, p netip.Prefix, _ uint64) error {
	return n.kernel.put(p, n.lifetime)
}
func (n *netlinkActuator) renew(p netip.Prefix) error { return n.kernel.put(p, n.lifetime) }
func (n *netlinkActuator) remove(_ context.Context, p netip.Prefix, _ uint64) error {
	return n.kernel.remove(p)
}
func (n *netlinkActuator) announce(_ context.Context, p netip.Prefix, _ uint64) error {
	return n.frames.announce(p.Addr())
}
func (n *netlinkActuator) slow() bool { return false }

// commandActuator runs Pgpool-II's three commands.
type commandActuator struct {
	commands configs.VIPCommands
	device   string
	log      *slog.Logger
}

func (c *commandActuator) add(ctx context.Context, p netip.Prefix, epoch uint64) error {
	return c.run(ctx, "up", c.commands.Up, p, epoch)
}
func (c *commandActuator) renew(netip.Prefix) error { return nil }
func (c *commandActuator) remove(ctx context.Context, p netip.Prefix, epoch uint64) error {
	return c.run(ctx, "down", c.commands.Down, p, epoch)
}
func (c *commandActuator) announce(ctx context.Context, p netip.Prefix, epoch uint64) error {
	if len(c.commands.Announce) == 0 {
		return nil
	}
	return c.run(ctx, "announce", c.commands.Announce, p, epoch)
}
func (c *commandActuator) slow() bool { return true }

func (c *commandActuator) run(ctx context.Context, what string, command configs.Command, p netip.Prefix, epoch uint64) error {
	return runLogged(ctx, c.log, what, commandLine(command, p), commandEnvironment(p, c.device, epoch), c.commands.Timeout)
}

// hookActuator runs one command with up or down, for clouds, where the network has to
// be told. The command sees the epoch, so that it can refuse an older one.
type hookActuator struct {
	hook   configs.VIPHook
	device string
	log    *slog.Logger
}

func (h *hookActuator) add(ctx context.Context, p netip.Prefix, epoch uint64) error {
	return h.run(ctx, "up", p, epoch)
}
func (h *hookActuator) renew(netip.Prefix) error { return nil }
func (h *hookActuator) remove(ctx context.Context, p netip.Prefix, epoch uint64) error {
	return h.run(ctx, "down", p, epoch)
}
func (h *hookActuator) announce(context.Context, netip.Prefix, uint64) error { return nil }
func (h *hookActuator) slow() bool                                           { return true }

func (h *hookActuator) run(ctx context.Context, what string, p netip.Prefix, epoch uint64) error {
	line := append(commandLine(h.hook.Command, p), what, p.String(), h.device)
	return runLogged(ctx, h.log, what, line, commandEnvironment(p, h.device, epoch), h.hook.Timeout)
}

func runLogged(ctx context.Context, log *slog.Logger, what string, line, environment []string, timeout time.Duration) error {
	started := time.Now()
	output, err := runCommand(ctx, line, environment, timeout)
	attrs := []any{"command", what, "program", line[0], "took", time.Since(started).Round(time.Millisecond), "output", output}
	if err != nil {
		log.Warn("address command failed", append(attrs, "error", err)...)
	} else {
		log.Info("address command ran", attrs...)
	}
	return err
}

// noActuator does nothing: howdah moves no address, but its members still agree on who
// would hold it.
type noActuator struct{}

func (noActuator) add(context.Context, netip.Prefix, uint64) error      { return nil }
func (noActuator) renew(netip.Prefix) error                             { return nil }
func (noActuator) remove(context.Context, netip.Prefix, uint64) error   { return nil }
func (noActuator) announce(context.Context, netip.Prefix, uint64) error { return nil }
func (noActuator) slow() bool                                           { return false }
