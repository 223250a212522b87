package proxy

import "testing"

func TestRelease(t *testing.T) {
	var r release
	step := func(rests int, want bool) {
		t.Helper()
		if got := r.isDue(rests); got != want {
			t.Errorf("%d more rest: %t, want %t", rests, got, want)
		}
	}
	step(releaseAfter-1, false)
	step(0, false) // too few
	step(1, false) // more may come
	step(0, true)
	step(2*releaseAfter, false)
	for range releasePause - 2 {
		step(0, false) // too soon
	}
	step(0, true)
	step(0, false)
}
