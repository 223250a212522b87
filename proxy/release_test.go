package proxy

import "testing"

func TestRelease(t *testing.T) {
	var r release
	busy := false
	step := func(rests int, want bool) {
		t.Helper()
		if got := r.isDue(rests, busy); got != want {
			t.Errorf("%d more rest: %t, want %t", rests, got, want)
		}
	}
	step(releaseAfter-1, false)
	step(0, false) // too few
	step(1, false) // more may come
	busy = true
	step(0, false) // there is better to do
	busy = false
	step(0, true)
	step(2*releaseAfter, false)
	for range releasePause - 2 {
		step(0, false) // too soon
	}
	step(0, true)
	step(0, false)
}

// Rests of many sessions take no more than a thousandth of a busy howdah's time, and are not put off if it is idle.
func TestRestsOfARound(t *testing.T) {
	for busy, want := range map[bool]int{true: restsWhenBusy, false: 10_000} {
		r := rests{busy: busy}
		for i := range 10_000 {
			if r.mayBe() {
				r.note(i%2 == 0)
			}
		}
		if r.told != want || r.first != want/2 {
			t.Errorf("busy: %t: %d rest, %d for the first time, want %d and half of them", busy, r.told, r.first, want)
		}
	}
}

func TestWorkload(t *testing.T) {
	var w workload
	w.isBusy()
	if w.isBusy() {
		t.Error("it is busy from one moment to the next")
	}
	var before workload
	before.isBusy()
	for now := before; now.used < before.used+upkeepEvery/2; {
		now.isBusy()
	}
	if !w.isBusy() {
		t.Error("it is not busy")
	}
}
