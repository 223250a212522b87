package socket

import (
	"strings"
	"testing"
)

// Time is measured from one reading of the monotonic clock: a step of the host's clock changes nothing.
func TestNowIsMonotonic(t *testing.T) {
	if !strings.Contains(epoch.String(), " m=") {
		t.Error("the zero of Now has no monotonic reading")
	}
	if a, b := Now(), Now(); a <= 0 || b < a {
		t.Errorf("Now went from %d to %d", a, b)
	}
}
