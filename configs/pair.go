package configs

import (
	"fmt"
	"path/filepath"
	"time"
)

// Pair is what two members without a third do when they do not hear each other. With another number of members it does nothing.
// docs/WATCHDOG.md, "Two hosts alone".
type Pair struct {
	// DatabaseLock gives the address to whoever has a lock that the primary keeps, while no member leads.
	DatabaseLock bool `yaml:"database_lock"`
	// OnLoss is what a member does that has lost the other one and the primary, too: wait for an operator; or go on alone,
	// and promote, when a command has turned the others off (fenced), when no commit can have been acknowledged without the
	// standby (synchronous), or when all signs are that the others are dead (unsafe_promote_if_isolated).
	OnLoss string `yaml:"on_loss" enum:"wait,fenced,synchronous,unsafe_promote_if_isolated"`
	// After is how long the other member must have been silent, and the primary lost.
	After time.Duration `yaml:"after" min:"2s"`
	// SelfFenceAfter is when a member stops to write that reaches neither the other one nor a trusted server
	// (unsafe_promote_if_isolated).
	SelfFenceAfter time.Duration `yaml:"self_fence_after" min:"500ms"`
	// Fence turns the other member's host and the primary's off, and says by its exit status whether they are (fenced).
	// It is run without a shell, for at most command_timeout.
	Fence []string `yaml:"fence"`
}

// IsPair says whether there are two members without a third.
func (w *Watchdog) IsPair() bool { return len(w.Peers) == 2 }

// SameRules says whether two members with these sections do the same. Each has its own command.
func (p Pair) SameRules(o Pair) bool {
	return p.DatabaseLock == o.DatabaseLock && p.OnLoss == o.OnLoss && p.After == o.After && p.SelfFenceAfter == o.SelfFenceAfter
}

// routeLimit is longer than a right to write that a member has from the leader lasts in any profile.
var routeLimit = map[string]time.Duration{"lan": 2 * time.Second, "fast": time.Second, "wan": 6 * time.Second}

// validatePair holds each policy against what it rests on.
func validatePair(c *Config, list *faultList) {
	w := &c.Watchdog
	p := &w.Pair
	if len(p.Fence) > 0 && !filepath.IsAbs(p.Fence[0]) {
		list.addAt("watchdog.pair.fence", "does not begin with an absolute path", "write the program and its arguments as a list: [/usr/local/bin/power-off, host2]")
	}
	const key = "watchdog.pair.on_loss"
	if p.OnLoss == "wait" || list.isBad(key) {
		return
	}
	if !w.IsPair() {
		list.addAt(key, fmt.Sprintf("is %s, and watchdog.peers has %d entries", p.OnLoss, len(w.Peers)), "it is for two members without a third: with more, the majority decides. Remove it")
		return
	}
	if w.IsWitness() {
		return
	}
	if c.Failover.Mode == "none" {
		list.addAt(key, "is "+p.OnLoss+", and failover.mode is none", "who goes on alone promotes: set failover.mode to native or command")
	}
	if limit := routeLimit[w.Profile]; p.After < limit {
		list.addAt("watchdog.pair.after", fmt.Sprintf("%s is too short for the profile %s", formatDuration(p.After), w.Profile), "write at least "+formatDuration(limit))
	}
	switch p.OnLoss {
	case "fenced":
		if len(p.Fence) == 0 {
			list.addAt(key, "is fenced, and watchdog.pair.fence is empty", "name the command that turns the other host, and the primary's, off for sure")
		}
		needTrusted(w, key, list)
	case "synchronous":
		if !c.Failover.RequireSync {
			list.addAt(key, "is synchronous, and failover.require_sync is false", "set it to true: only a standby that has all acknowledged commits may be promoted")
		}
		if len(c.Backends) != 2 {
			list.addAt(key, fmt.Sprintf("is synchronous, and there are %d backends", len(c.Backends)), "it is for one primary and one standby: with more, both members could promote, and not the same")
		}
	case "unsafe_promote_if_isolated":
		needTrusted(w, key, list)
		if least := p.SelfFenceAfter + routeLimit[w.Profile]; p.After < least {
			list.addAt("watchdog.pair.after", fmt.Sprintf("%s is too short: the other member stops to write %s after it was cut off", formatDuration(p.After), formatDuration(p.SelfFenceAfter)),
				"write at least "+formatDuration(least)+", or lower watchdog.pair.self_fence_after")
		}
	}
}

func needTrusted(w *Watchdog, key string, list *faultList) {
	if len(w.TrustedServers) == 0 {
		list.addAt(key, "is "+w.Pair.OnLoss+", and watchdog.trusted_servers is empty", "name ports that answer a member that is not cut off, such as the router's")
	}
}
