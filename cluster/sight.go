package cluster

import (
	"fmt"
	"time"
)

// Sight is what a howdah can say when others ask it whether a node is dead.
type Sight uint8

const (
	// SightNone: it cannot tell.
	SightNone Sight = iota
	// SightAlive: it answers, or a standby still receives from it, or it may be back soon.
	SightAlive
	// SightDead: all there is says that it does not serve.
	SightDead
)

// Sight is what this howdah knows of a node's life, and what that rests on. Pgpool-II's watchdog counts who
// reported a failure; here each is asked, and one that knows better is believed.
func (c *Cluster) Sight(node string) (Sight, string) {
	p := c.current.Load()
	want := c.settings()
	now := Now()
	for i := range p.view.Nodes {
		n := &p.view.Nodes[i]
		if n.Name != node || n.State == StateUnused {
			continue
		}
		o := &p.known[i]
		if s, why := o.sight(now, &want); s != SightDead {
			return s, why
		}
		if why := heardBy(p, want.addresses(), node); why != "" {
			if after := want.failover.IsolatedAfter; after == 0 || time.Duration(now-o.since) < after {
				return SightAlive, why
			}
		}
		return SightDead, o.why
	}
	return SightNone, "it is not configured here"
}

// sight judges a node by its own answers, by the same rules as the failover machine (see loss.go).
func (o *observation) sight(now int64, want *wanted) (Sight, string) {
	f := &want.failover
	since := time.Duration(now - o.since)
	switch o.evidence {
	case evidenceAnswered:
		if o.server.role == RoleStandby {
			return SightDead, "it is a standby now"
		}
		return SightAlive, "it answers"
	case evidenceLogin:
		return SightAlive, o.why
	case evidenceStarting:
		if f.RecoveryGrace == 0 || since < f.RecoveryGrace {
			return SightAlive, "it starts, stops or recovers"
		}
	case evidenceSilent:
		if o.misses >= want.check.Silences && !o.mute(want.check.Silences) {
			return SightAlive, "it " + o.silence(want.check.Silences)
		}
		if !o.mute(want.check.Silences) {
			return SightNone, "it " + o.silence(want.check.Silences)
		}
	case evidenceRefused:
		if o.stopped && since < f.ShutdownGrace {
			return SightAlive, "it was shut down in order and may be back"
		}
	default:
		return SightNone, "it has not been probed yet"
	}
	return SightDead, o.why
}

// heardBy says which standby receives from the node still, or nothing.
func heardBy(p *published, addresses map[string]string, node string) string {
	for i := range p.view.Nodes {
		n, o := &p.view.Nodes[i], &p.known[i]
		if n.Name == node || n.State == StateUnused || n.State == StateQuarantine || o.evidence != evidenceAnswered ||
			o.server.role != RoleStandby || !o.server.receiver.streaming {
			continue
		}
		if from, ok := addresses[o.server.receiver.sender]; ok && from != node {
			continue
		}
		return fmt.Sprintf("%s receives from it", n.Name)
	}
	return ""
}

// addresses says which node is meant by host:port, as walreceivers give it.
func (w *wanted) addresses() map[string]string {
	all := make(map[string]string, len(w.backends))
	for _, b := range w.backends {
		host, port := replicationAddress(b)
		all[fmt.Sprintf("%s:%d", host, port)] = b.Name
	}
	return all
}

// SeesPrimary reports whether any server answers this howdah as a primary, whether it may be used or not.
func (c *Cluster) SeesPrimary() bool {
	for _, o := range c.current.Load().known {
		if o.evidence == evidenceAnswered && o.server.role == RolePrimary {
			return true
		}
	}
	return false
}
