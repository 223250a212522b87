package cluster

import (
	"fmt"
	"time"
)

// bounceWait is how long a standby whose walreceiver was ended, or that was started anew to follow another, has to be back.
const bounceWait = 2 * time.Second

// alive says why the node may be alive, or may be up again soon, or nothing. These are its rules: what answers,
// refuses only the probe, or recovers is alive, but only for so long; what is silent may be; what refuses
// connections is dead, when it has done so for failover.confirm.
func (s *stepping) alive(n *Node) string {
	o := s.seen(n)
	since := s.age(o.since)
	switch o.evidence {
	case evidenceAnswered:
		if o.server.role == RoleStandby {
			if s.age(s.lost) < s.in.settings.shutdownGrace {
				return fmt.Sprintf("%s has become a standby: somebody moves the primary (failover.shutdown_grace)", n.Name)
			}
			return ""
		}
		return fmt.Sprintf("%s answers", n.Name)
	case evidenceLogin:
		return fmt.Sprintf("%s is alive: %s", n.Name, o.why)
	case evidenceStarting:
		if g := s.in.settings.recoveryGrace; g == 0 || since < g {
			return fmt.Sprintf("%s starts, stops or recovers (failover.recovery_grace)", n.Name)
		}
	case evidenceSilent:
		if !o.mute(s.in.settings.silences) {
			return n.Name + " " + o.silence(s.in.settings.silences)
		}
	case evidenceRefused:
		switch {
		case o.stopped && since < s.in.settings.shutdownGrace:
			return fmt.Sprintf("%s was shut down in order and may be back (failover.shutdown_grace)", n.Name)
		case since < s.in.settings.confirm:
			return fmt.Sprintf("%s has not refused connections for long enough (failover.confirm)", n.Name)
		}
	case evidenceNone:
		return fmt.Sprintf("%s has not been probed yet", n.Name)
	}
	return ""
}

// heard says which standby receives from old still, or nothing. Its word is stale if old vanished without
// a farewell: then its walreceiver is ended, and what counts is whether it finds old again. A
// standby that receives from another node says nothing of it.
func (s *stepping) heard(old string) string {
	for i := range s.in.view.Nodes {
		n := &s.in.view.Nodes[i]
		o := s.seen(n)
		if n.Name == old || n.State == StateUnused || n.State == StateQuarantine || o.evidence != evidenceAnswered ||
			o.server.role != RoleStandby || !o.server.receiver.streaming {
			continue
		}
		if from, ok := s.in.settings.address[o.server.receiver.sender]; ok && from != old {
			continue
		}
		a := action{kind: actionBounce, node: n.Name, epoch: s.record.Epoch}
		s.again(a, rebounce)
		switch s.ensure(a, s.in.settings.tries) {
		case pending:
			return fmt.Sprintf("%s says that it receives from %s; its walreceiver is made to connect anew", n.Name, old)
		case failed:
			return fmt.Sprintf("%s says that it receives from %s; whether that is so cannot be found out: %v", n.Name, old, s.state(a).err)
		}
		t := s.state(a)
		if o.asked > t.ended { // asked after the bounce, and it streams: old lives
			return fmt.Sprintf("%s receives from %s, which we cannot reach", n.Name, old)
		}
		return fmt.Sprintf("%s is asked again whether it receives from %s", n.Name, old)
	}
	return s.bouncing(old)
}

// bouncing says which standby has not had the time to find its upstream again, or nothing.
func (s *stepping) bouncing(old string) string {
	for a, t := range s.tasks {
		if a.kind == actionBounce && a.epoch == s.record.Epoch && (t.running || s.age(t.ended) < bounceWait) { // also if it failed, so it seems
			if n := s.node(a.node); n != nil && s.seen(n).evidence == evidenceAnswered {
				return fmt.Sprintf("%s is given time to find %s again", a.node, old)
			}
		}
	}
	return ""
}

// veto says why the primary must not be replaced now, or nothing.
func (s *stepping) veto() string {
	old := s.record.Primary
	if n := s.node(old); n != nil {
		if why := s.alive(n); why != "" {
			return why
		}
	}
	if why := s.heard(old); why != "" {
		if after := s.in.settings.isolatedAfter; after == 0 || s.age(s.lost) < after {
			return why
		}
	}
	return ""
}
