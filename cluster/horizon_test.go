package cluster

import (
	"math/rand/v2"
	"testing"
)

func newRandom(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func at(timeline uint32, lsn LSN) *server { return &server{timeline: timeline, lsn: lsn} }

func TestHorizon(t *testing.T) {
	type step struct {
		sample  bool // of node primary at time at, else a standby's position
		primary NodeID
		at      int64
		server  *server
		want    int64 // the standby's horizon
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"no sample yet", []step{{server: at(1, 500)}}},
		{"reaches the samples one by one", []step{
			{sample: true, at: 10, server: at(1, 100)}, {sample: true, at: 20, server: at(1, 200)},
			{server: at(1, 99)}, {server: at(1, 100), want: 10}, {server: at(1, 199), want: 10}, {server: at(1, 200), want: 20},
		}},
		{"idle: the newest sample of the same position counts", []step{
			{sample: true, at: 10, server: at(1, 100)}, {server: at(1, 100), want: 10},
			{sample: true, at: 20, server: at(1, 100)}, {server: at(1, 100), want: 20},
		}},
		{"a position that went back (a crash lost what nobody was told of)", []step{
			{sample: true, at: 10, server: at(1, 100)}, {sample: true, at: 20, server: at(1, 90)}, {server: at(1, 95), want: 20},
		}},
		{"a standby that went back", []step{
			{sample: true, at: 10, server: at(1, 100)}, {sample: true, at: 20, server: at(1, 200)}, {server: at(1, 200), want: 20},
			{server: at(1, 150), want: 10}, {server: at(1, 50)},
		}},
		{"another timeline's position means nothing", []step{
			{sample: true, at: 10, server: at(2, 100)}, {server: at(1, 500)}, {server: at(2, 500), want: 10},
		}},
		{"an unknown timeline's neither", []step{
			{sample: true, at: 10, server: at(0, 100)}, {server: at(0, 500)},
		}},
		{"a promotion starts again", []step{
			{sample: true, at: 10, server: at(1, 100)}, {server: at(1, 100), want: 10},
			{sample: true, primary: 2, at: 20, server: at(2, 110)}, {server: at(1, 120)}, {server: at(2, 120), want: 20},
		}},
		{"a sample that came late is dropped", []step{
			{sample: true, at: 20, server: at(1, 100)}, {sample: true, at: 10, server: at(1, 300)}, {server: at(1, 100), want: 20},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := newHorizons()
			for i, s := range test.steps {
				if s.sample {
					h.sampled(s.primary, s.server, s.at)
				} else if got := h.replayed(1, s.server); got != s.want {
					t.Errorf("step %d: horizon %d, want %d", i, got, s.want)
				}
			}
		})
	}
}

// The truth is a log: at each time its length. A horizon h is right if the
// standby has all of the log as it was at h. It must be right for any lag, and
// not lie further behind than the thinning explains.
func TestHorizonIsNeverTooYoung(t *testing.T) {
	r := newRandom(t)
	h := newHorizons()
	var length []LSN // by time
	now := LSN(1000)
	for range 5000 {
		length = append(length, now)
		if r.IntN(3) > 0 {
			now += LSN(r.IntN(100))
		}
	}
	replayed, reached := LSN(0), 0
	for t0 := 1; t0 < len(length)-5; t0 += 1 + r.IntN(3) {
		// The position is asked at t0 and read a little later.
		h.sampled(0, at(1, length[t0+r.IntN(5)]), int64(t0))
		if len(h.samples) > maxSamples {
			t.Fatalf("%d samples are kept", len(h.samples))
		}
		behind := r.IntN(3000)
		if t0 > behind {
			replayed = max(replayed, length[t0-behind])
		}
		got := h.replayed(1, at(1, replayed))
		if got > 0 {
			reached++
			if replayed < length[got] {
				t.Fatalf("at %d: horizon %d needs position %d, the standby has %d", t0, got, length[got], replayed)
			}
		}
	}
	if reached == 0 {
		t.Fatal("no horizon was ever reached")
	}
}

func TestSamplesResolveHours(t *testing.T) {
	h := newHorizons()
	const steps = 2 * 3600 * 10 // two hours at ten a second
	for i := range int64(steps) {
		h.sampled(0, at(1, LSN(i+1)), i+1)
	}
	if oldest := h.samples[0].at; oldest != 1 {
		t.Errorf("the oldest sample is of step %d, want 1", oldest)
	}
	for i := 1; i < len(h.samples); i++ {
		gap, age := h.samples[i].at-h.samples[i-1].at, steps-h.samples[i-1].at
		if gap > max(1, age/resolution) {
			t.Errorf("samples %d steps ago are %d steps apart", age, gap)
		}
	}
	t.Logf("%d samples", len(h.samples))
}

// Samples too far apart to be thinned out are still bounded.
func TestSamplesAreBounded(t *testing.T) {
	h := newHorizons()
	for i := range int64(60) {
		for j := range int64(100) { // each time as far from the one before as from the start
			h.sampled(0, at(1, LSN(i*100+j+1)), 1<<i+j)
			if len(h.samples) > maxSamples {
				t.Fatalf("%d samples are kept", len(h.samples))
			}
		}
	}
}

func TestRecordEnd(t *testing.T) {
	const page, segment = 8192, 16 << 20
	tests := []struct{ insert, want LSN }{
		{0x3000028, 0x3000000},       // first page of a segment
		{0x3002018, 0x3002000},       // any other page
		{0x3000018, 0x3000018},       // within the long header: cannot be
		{0x3002028, 0x3002028},       // 40 bytes into a page: an ordinary record's end
		{0x3002020, 0x3002020},       //
		{0x3002000, 0x3002000},       // exactly at a page's start
		{0x5_00000028, 0x5_00000000}, // beyond 4 GB
		{segment + 5*page + 24, segment + 5*page},
	}
	for _, test := range tests {
		if got := recordEnd(test.insert, page, segment); got != test.want {
			t.Errorf("recordEnd(%v) = %v, want %v", test.insert, got, test.want)
		}
	}
	if got := recordEnd(0x3000028, 0, 0); got != 0x3000028 {
		t.Errorf("with unknown sizes: %v", got)
	}
}
