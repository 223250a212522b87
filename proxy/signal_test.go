package proxy

import (
	"testing"

	"github.com/howdah/howdah/parser"
)

func TestBoundInt4(t *testing.T) {
	for body, want := range map[string]int32{
		"\x00\x00\x00\x00\x00\x01\x00\x00\x00\x074194305\x00\x00":                          4194305, // text by default
		"p\x00s\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x09 4194305 \x00\x01\x00\x01":      4194305, // as text
		"\x00\x00\x00\x01\x00\x01\x00\x01\x00\x00\x00\x04\x00\x40\x00\x01\x00\x00":         4194305, // in binary
		"\x00\x00\x00\x00\x00\x01\x00\x00\x00\x07x194305\x00\x00":                          0,
		"\x00\x00\x00\x00\x00\x01\x00\x00\x00\x0a4294967296\x00\x00":                       0, // no int4
		"\x00\x00\x00\x00\x00\x01\xff\xff\xff\xff\x00\x00":                                 0, // NULL
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00":                                         0, // none
		"\x00\x00\x00\x00\x00\x02\x00\x00\x00\x0142\x00\x00\x00\x011\x00\x00":              0, // two
		"\x00\x00\x00\x01\x00\x01\x00\x01\x00\x00\x00\x08\x00\x00\x00\x00\x00\x40\x00\x01": 0, // an int8
		"\x00\x00\x00\x00\x00\x01\x00\x00\x00\x074":                                        0, // cut short
		"": 0,
	} {
		if got := boundInt4([]byte(body)); got != want {
			t.Errorf("%q: got %d, want %d", body, got, want)
		}
	}
}

func FuzzBoundInt4(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x00\x01\x00\x00\x00\x074194305\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x01\x00\x01\x00\x01\x00\x00\x00\x04\x00\x40\x00\x01\x00\x00"))
	f.Fuzz(func(_ *testing.T, body []byte) { boundInt4(body) })
}

// A statement whose parameter has another type than int4 is the server's, which knows no such function.
func TestTakesSignal(t *testing.T) {
	v := parser.Classify("SELECT pg_terminate_backend($1)")
	for types, want := range map[string]bool{
		"\x00\x00":                 true,
		"\x00\x01\x00\x00\x00\x00": true,
		"\x00\x01\x00\x00\x00\x17": true,
		"\x00\x01\x00\x00\x00\x14": false, // int8
		"\x00\x01\x00\x00":         false,
		"\x00\x02\x00\x00\x00\x17": false,
		"":                         false,
	} {
		p := &prepared{parse: []byte("P\x00\x00\x00\x00s\x00SELECT pg_terminate_backend($1)\x00" + types), verdict: v}
		if got := takesSignal(p); got != want {
			t.Errorf("%q: got %v", types, got)
		}
	}
	if takesSignal(&prepared{verdict: v}) || takesSignal(&prepared{parse: []byte("P\x00\x00\x00\x00s\x00SELECT 1\x00\x00\x00"), verdict: parser.Classify("SELECT 1")}) {
		t.Error("a statement that is not known, or is another")
	}
}
