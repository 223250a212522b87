package watchdog

import (
	"bytes"
	"testing"

	"github.com/howdah/howdah/watchdog/core"
)

// FuzzReadFrame: what another member sends is read within its limit or refused.
func FuzzReadFrame(f *testing.F) {
	var b bytes.Buffer
	for _, q := range []request{{Status: true}, {Poll: &core.Poll{ID: 1, Node: "d1"}}, {Route: &routeRequest{Ask: core.RouteAsk{From: "p1"}}}} {
		b.Reset()
		if err := writeFrame(&b, q); err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Clone(b.Bytes()))
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, text []byte) {
		var q request
		if err := readFrame(bytes.NewReader(text), &q); err != nil {
			return
		}
		var again bytes.Buffer
		if err := writeFrame(&again, q); err != nil {
			t.Fatal(err)
		}
		if err := readFrame(&again, &q); err != nil {
			t.Fatal(err)
		}
	})
}
