package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"syscall"
	"time"

	"github.com/howdah/howdah/configs"
	"github.com/howdah/howdah/logs"
	"github.com/howdah/howdah/vip"
)

const (
	// vipLease is how long the operator's hold lasts without a renewal, and vipRenewal how
	// often it is renewed: about what a watchdog does.
	vipLease   = time.Second
	vipRenewal = 250 * time.Millisecond
	// vipSlack is added to the commands' timeout when taking the address off.
	vipSlack = 10 * time.Second
)

// runVIP lets an operator try out the floating address without a watchdog: up holds
// it as a leader would, until SIGINT or SIGTERM; down takes off what is left of it.
func runVIP(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 || args[0] != "up" && args[0] != "down" {
		return &usageError{"vip", "say up or down"}
	}
	flags := newFlags("vip")
	path := configFlag(flags)
	if err := parseFlags(flags, args[1:]); err != nil {
		return err
	}
	if err := requireConfig("vip", *path); err != nil {
		return err
	}
	c, err := configs.Load(*path)
	if err != nil {
		return err
	}
	if c.VIP.Mode == "none" {
		if args[0] == "down" { // a service manager calls it after every end
			return nil
		}
		return errors.New("vip.mode is none: there is no address to hold")
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	options := &slog.HandlerOptions{Level: logs.Level(c.Log.Level)}
	log := slog.New(slog.NewTextHandler(stderr, options))
	if args[0] == "up" {
		return vipUp(ctx, vip.New(c.VIP, c.Log, log), stdout)
	}
	c.VIP.Guardian = false // there is nothing to guard
	return vipDown(ctx, vip.New(c.VIP, c.Log, log), c.VIP, stdout)
}

// vipUp holds the addresses until ctx ends. Another host that is up as well is heard of
// in the log.
func vipUp(ctx context.Context, m *vip.Manager, stdout io.Writer) error {
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }() // received below
	renew := time.NewTicker(vipRenewal)
	defer renew.Stop()
	var told []vip.AddressState
	for {
		if ctx.Err() == nil {
			m.Want(vip.Want{Holder: true, Until: time.Now().Add(vipLease), Reason: "howdah vip up ends"})
		}
		changed := m.Changed()
		told = tellVIP(stdout, m.State(), told)
		select {
		case err := <-ended:
			tellVIP(stdout, m.State(), told)
			return err
		case <-changed:
		case <-renew.C:
		}
	}
}

// tellVIP prints what has changed since before.
func tellVIP(stdout io.Writer, s vip.State, before []vip.AddressState) []vip.AddressState {
	now := make([]vip.AddressState, len(s.Addresses))
	for i, a := range s.Addresses {
		now[i] = a.State
		if a.State != vip.Unknown && (before == nil || before[i] != a.State) {
			fmt.Fprintf(stdout, "%s is %s: %s\n", a.Address, a.State, a.Reason)
		}
	}
	return now
}

// vipDown takes the addresses off, if howdah put them here.
func vipDown(ctx context.Context, m *vip.Manager, c configs.VIP, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 2*max(c.Commands.Timeout, c.Hook.Timeout)+vipSlack)
	defer cancel()
	running, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(running) }() // received below
	err := m.Release(ctx, 0, "howdah vip down")
	stop()
	if runErr := <-ended; err == nil {
		err = runErr
	}
	if err != nil {
		return err
	}
	for _, a := range m.State().Addresses {
		if a.State == vip.Blocked {
			fmt.Fprintf(stdout, "%s stays: %s\n", a.Address, a.Reason)
		} else {
			fmt.Fprintf(stdout, "%s is not here\n", a.Address)
		}
	}
	return nil
}
