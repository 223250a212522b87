package cluster

// Succession is what a howdah that does not lead can say of who would replace the primary, should it come to lead alone. Texts
// are what is in the way, and empty if nothing is.
type Succession struct {
	// Primary is the one that it is about.
	Primary string
	// Lacks is why no standby could be promoted.
	Lacks string
	// Unconfirmed is why commits may have been acknowledged that no standby in reach has.
	Unconfirmed string
}

// Succession is what is known while the primary is not there.
func (c *Cluster) Succession() Succession { return c.failover.Load().Succession }

// foresee looks who would be promoted, by the same rules as a failover.
func (k *conductor) foresee() Succession {
	p := k.cluster.current.Load()
	r := &k.machine.record
	f := Succession{Primary: r.Primary}
	if p.view.Node(p.view.Primary) != nil && !r.underWay() {
		f.Lacks = "the primary is there"
		return f
	}
	s := &stepping{machine: k.machine.copy(), in: &input{now: Now(), view: p.view, known: p.known, settings: &k.set}}
	if !r.underWay() {
		s.lookBack()
		s.record.Kind, s.record.Target = KindFailover, ""
	}
	f.Unconfirmed = s.unconfirmed()
	switch {
	case k.set.mode == modeNone:
		f.Lacks = "failover.mode is none"
	case r.Paused:
		f.Lacks = "automatic failover is paused"
	case r.Phase == PhasePromote: // it may be one by now; who leads looks
	default:
		_, f.Lacks = s.candidate()
	}
	return f
}

// unconfirmed is why commits may have been acknowledged without a standby in reach. What was agreed on, and what this howdah
// itself saw last of the old primary, must both say that they were not.
func (s *stepping) unconfirmed() string {
	if !s.in.settings.requireSync {
		return "failover.require_sync is false"
	}
	if len(s.record.Sync) == 0 {
		return "no standby had to confirm commits when the primary was seen last (synchronous_standby_names)"
	}
	if n := s.node(s.record.Old); n != nil {
		if d := &s.seen(n).server.detail; s.seen(n).server.role == RolePrimary && d.syncKnown && !d.syncAsked {
			return "this howdah saw the primary without synchronous standbys"
		}
	}
	_, why := s.confirmed()
	return why
}
