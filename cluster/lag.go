package cluster

import (
	"fmt"
	"time"

	"github.com/howdah/howdah/configs"
)

// Lag is how far a standby's replay was behind the primary's log at the last
// samples of both. Both measures are 0 when replay has reached the primary's
// sampled position, however long ago the last commit was. The zero value is unknown.
type Lag struct {
	// Known: the standby is on the primary's timeline, and both positions are known.
	Known bool
	// Bytes is how much of the primary's log is not replayed yet; the other
	// fields say nothing if it is not Known.
	Bytes uint64
	// Since is the latest time (see Now) of which the standby is known to show
	// everything, although it does not show the latest: what it lacks is not older. 0
	// if it lacks nothing, and sinceEver if no such time is known.
	Since int64
}

// sinceEver: the standby has not come near any sample of the primary yet.
const sinceEver = -1

// Time is the lag in time at now, at most; false if it is not known. It errs by an
// interval of the samples on the long side.
func (l Lag) Time(now int64) (time.Duration, bool) {
	switch {
	case !l.Known || l.Since == sinceEver:
		return 0, false
	case l.Since == 0:
		return 0, true
	}
	return time.Duration(max(now-l.Since, 0)), true
}

// Less is whether a lags less than b: first by bytes, then by time. An
// unknown lag is more than any other.
func (l Lag) Less(b Lag) bool {
	switch {
	case !l.Known || !b.Known:
		return l.Known && !b.Known
	case l.Bytes != b.Bytes:
		return l.Bytes < b.Bytes
	}
	return l.Since > b.Since
}

// over says why a lag is over a limit of check at now, or nothing. Bytes are looked
// at before time, as time says little where the primary writes in bursts.
func (l Lag) over(check *configs.ReplicationCheck, now int64) string {
	if check.MaxLagBytes == 0 && check.MaxLag == 0 {
		return ""
	}
	if !l.Known {
		return "lag is not known"
	}
	if limit := uint64(check.MaxLagBytes); limit > 0 && l.Bytes > limit {
		return fmt.Sprintf("%d bytes behind, over replication_check.max_lag_bytes (%d)", l.Bytes, limit)
	}
	if check.MaxLag > 0 {
		behind, known := l.Time(now)
		switch {
		case !known:
			return "lag in time is not known"
		case behind > check.MaxLag:
			return fmt.Sprintf("%s behind, over replication_check.max_lag (%s)", behind.Round(time.Millisecond), check.MaxLag)
		}
	}
	return ""
}

// lag is how far the standby is behind the latest sample.
func (h *horizons) lag(n *Node) Lag {
	if h.primary == NoNode || n.Timeline == 0 || n.Timeline != h.timeline || len(h.samples) == 0 || int(n.ID) >= len(h.reached) {
		return Lag{}
	}
	r := &h.reached[n.ID]
	if r.lsn == 0 {
		return Lag{}
	}
	last := h.samples[len(h.samples)-1]
	switch {
	case r.lsn >= last.lsn:
		return Lag{Known: true}
	case r.horizon == 0:
		return Lag{Known: true, Bytes: uint64(last.lsn - r.lsn), Since: sinceEver}
	}
	return Lag{Known: true, Bytes: uint64(last.lsn - r.lsn), Since: r.horizon}
}

// showLag fills in the standbys' lags, and which of them are over a limit.
func (h *horizons) showLag(v *View, check *configs.ReplicationCheck, now int64) {
	for i := range v.Nodes {
		n := &v.Nodes[i]
		n.Behind, n.Lagging = Lag{}, ""
		if n.State != StateUp || n.Role != RoleStandby {
			continue
		}
		n.Behind = h.lag(n)
		n.Lagging = n.Behind.over(check, now)
	}
}
