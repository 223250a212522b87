package wire

import "testing"

func TestSizing(t *testing.T) {
	type step struct{ n, size, times, want int }
	for name, tc := range map[string]struct {
		least int32
		steps []step
	}{
		"short requests keep the short buffer": {shortBuffer, []step{{100, shortBuffer, 100, shortBuffer}}},
		"a longer one gets more at once":       {shortBuffer, []step{{shortBuffer, shortBuffer, 1, smallBuffer}, {2000, smallBuffer, 100, smallBuffer}}},
		"it stays for a while":                 {shortBuffer, []step{{shortBuffer, shortBuffer, 1, smallBuffer}, {100, smallBuffer, patience - 1, smallBuffer}, {2000, smallBuffer, 1, smallBuffer}, {100, smallBuffer, patience - 1, smallBuffer}}},
		"and gives way":                        {shortBuffer, []step{{shortBuffer, shortBuffer, 1, smallBuffer}, {100, smallBuffer, patience, shortBuffer}}},
		"a stream gets the large one":          {shortBuffer, []step{{shortBuffer, shortBuffer, 1, smallBuffer}, {smallBuffer, smallBuffer, 1, largeBuffer}, {largeBuffer, largeBuffer, 9, largeBuffer}}},
		"which becomes less by steps":          {shortBuffer, []step{{smallBuffer, smallBuffer, 1, largeBuffer}, {100, largeBuffer, patience, smallBuffer}, {100, smallBuffer, patience, shortBuffer}}},
		"but not less than the least":          {smallBuffer, []step{{smallBuffer, smallBuffer, 1, largeBuffer}, {100, largeBuffer, patience, smallBuffer}, {100, smallBuffer, 100, smallBuffer}}},
		"what was made for a long message":     {smallBuffer, []step{{1 << 20, 1 << 20, 1, largeBuffer}, {100, largeBuffer, patience, smallBuffer}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := sizing{want: tc.least, least: tc.least}
			for i, st := range tc.steps {
				for range st.times {
					s.filled(st.n, st.size)
				}
				if int(s.want) != st.want {
					t.Errorf("step %d: a buffer of %d is to be taken, want %d", i, s.want, st.want)
				}
			}
		})
	}
}
