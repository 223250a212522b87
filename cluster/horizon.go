package cluster

const (
	// maxSamples bounds the samples kept. When that many are there they are
	// thinned out, so that a lag of hours is still resolved.
	maxSamples = 1024
	// resolution is how fine the past is known at least: a sample may be that
	// part of its age away from its neighbour.
	resolution = 64
)

// sample says that the primary's log had grown to lsn at the latest when the
// question asked at the time at was answered: all that the primary had
// acknowledged, or shown to anybody, before at is at positions below lsn.
type sample struct {
	at  int64 // Now
	lsn LSN
}

// horizons knows for each standby up to what time it has caught up with the
// primary. A standby that has replayed to a sample's position shows everything
// that the primary had acknowledged before the sample's time.
//
// Invariant: samples ascend strictly in both fields. An older sample at the
// same or a higher position says less than the newer one and is dropped; so an idle primary has one.
type horizons struct {
	primary  NodeID
	timeline uint32
	samples  []sample
	reached  []reach // by NodeID
}

// reach is how far a standby was last seen.
type reach struct {
	lsn     LSN
	horizon int64
}

func newHorizons() *horizons {
	return &horizons{primary: NoNode, samples: make([]sample, 0, maxSamples)}
}

// sampled takes in a position of the primary. A position of another server or
// timeline says nothing of the ones before: all starts again, the standbys' horizons too.
func (h *horizons) sampled(primary NodeID, s *server, at int64) {
	if primary != h.primary || s.timeline != h.timeline {
		h.primary, h.timeline = primary, s.timeline
		h.samples = h.samples[:0]
		clear(h.reached)
	}
	lsn := recordEnd(s.lsn, s.walPage, s.walSegment)
	n := len(h.samples)
	if n > 0 && h.samples[n-1].at >= at {
		return
	}
	for n > 0 && h.samples[n-1].lsn >= lsn {
		n--
	}
	h.samples = h.samples[:n]
	if n == maxSamples {
		h.thin()
	}
	h.samples = append(h.samples, sample{at: at, lsn: lsn})
}

// thin drops the samples whose neighbours are near enough for their age, or else the oldest.
func (h *horizons) thin() {
	old := h.samples
	last := len(old) - 1
	kept := old[:1]
	for i := 1; i < last; i++ {
		if old[i+1].at-kept[len(kept)-1].at > (old[last].at-old[i].at)/resolution {
			kept = append(kept, old[i])
		}
	}
	kept = append(kept, old[last])
	if len(kept) == len(old) {
		kept = append(kept[:0], kept[1:]...)
	}
	h.samples = kept
}

// replayed takes in a standby's position and returns its horizon; 0 is none.
// Without the certainty of being on the primary's timeline its position means nothing
// and the horizon stays. A position that went back (the server was started again and
// recovers less far than it had shown) takes the horizon back.
func (h *horizons) replayed(id NodeID, s *server) int64 {
	for len(h.reached) <= int(id) {
		h.reached = append(h.reached, reach{})
	}
	r := &h.reached[id]
	if s.lsn < r.lsn {
		r.horizon = 0
	}
	r.lsn = s.lsn
	if h.primary == NoNode || s.timeline == 0 || s.timeline != h.timeline {
		return r.horizon
	}
	// Samples near the end are looked for most: search from there.
	for i := len(h.samples) - 1; i >= 0; i-- {
		if h.samples[i].lsn <= s.lsn {
			r.horizon = max(r.horizon, h.samples[i].at)
			break
		}
	}
	return r.horizon
}

// forget drops what is known of a node: it is another server now.
func (h *horizons) forget(id NodeID) {
	if int(id) < len(h.reached) {
		h.reached[id] = reach{}
	}
	if id == h.primary {
		h.primary = NoNode
	}
}

// show fills in the standbys' horizons.
func (h *horizons) show(v *View) {
	for i := range v.Nodes {
		n := &v.Nodes[i]
		if n.ID == v.Primary {
			continue
		}
		n.Horizon = 0
		if i < len(h.reached) {
			n.Horizon = h.reached[i].horizon
		}
	}
}

// recordEnd is the end of the last record before an insert position. The two
// are the same but at the start of a page, where the server gives the
// insert position behind the page's header (24 bytes; 40 on the first page of
// a segment), while a standby that replayed everything is still at the page's start.
// No record ends at these offsets, as there is none between header and offset.
func recordEnd(insert LSN, page, segment uint64) LSN {
	const shortHeader, longHeader = 24, 40
	switch {
	case page == 0 || segment == 0:
		return insert
	case uint64(insert)%segment == longHeader:
		return insert - longHeader
	case uint64(insert)%page == shortHeader && uint64(insert)%segment != shortHeader:
		return insert - shortHeader
	}
	return insert
}
