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
