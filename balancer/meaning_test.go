package balancer

import "testing"

// Every reason that can decide is explained.
func TestMeanings(t *testing.T) {
	t.Parallel()
	for r := ReasonNone + 1; r < reasons; r++ {
		if Meaning(r.String()) == "" {
			t.Errorf("%v has no meaning", r)
		}
	}
	if Meaning("nonsense") != "" || Meaning("none") != "" {
		t.Error("what is no reason has a meaning")
	}
}
