package proxy

import (
	"encoding/binary"
	"fmt"

	"github.com/howdah/howdah/cluster"
)

// This file tells several howdahs of each other's writes (routing.consistency: cluster). Their clocks cannot be compared, so
// a write counts here from when this howdah heard of it, which is after it took place.

// TracksWrites reports whether writes are known by relation at all.
func (srv *Server) TracksWrites() bool { return srv.settings.Load().tracksWrites() }

// Written are the places that were written since the last call, for NoteWritten at another howdah: how many places
// there are, and the number of each that was written, 4 bytes each. One goroutine calls it.
func (srv *Server) Written() []byte {
	t := srv.writes
	if t.told == nil {
		t.told = make([]int64, len(t.slots))
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(len(t.slots)))
	for i := range t.slots {
		if at := t.slots[i].at.Load(); at > t.told[i] {
			t.told[i] = at
			b = binary.BigEndian.AppendUint32(b, uint32(i))
		}
	}
	return b
}

// NoteWritten takes in what another howdah's Written answered.
func (srv *Server) NoteWritten(b []byte) error {
	t := srv.writes
	if len(b) < 4 || len(b)%4 != 0 {
		return fmt.Errorf("a list of writes has %d bytes", len(b))
	}
	if places := binary.BigEndian.Uint32(b); int(places) != len(t.slots) {
		srv.DoubtWrites()
		return fmt.Errorf("there are %d places of relations there and %d here: make routing.tracked_relations the same", places, len(t.slots))
	}
	now := cluster.Now()
	for b = b[4:]; len(b) > 0; b = b[4:] {
		if i := binary.BigEndian.Uint32(b); int(i) < len(t.slots) {
			raise(&t.slots[i].heard, now) // not told on: who wrote tells all
		}
	}
	return nil
}

// DoubtWrites says that others may have written anything until now.
func (srv *Server) DoubtWrites() {
	raise(&srv.writes.since, cluster.Now())
}
