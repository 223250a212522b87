package wire

import (
	"reflect"
	"testing"

	"github.com/howdah/howdah/wire/socket"
)

// What a loop needs of a connection is in few lines of a processor's cache, and these begin where it does.
func TestLayout(t *testing.T) {
	const line = 64
	for _, tc := range []struct {
		typ   reflect.Type
		last  string // the last field that a loop needs
		lines uintptr
	}{
		{reflect.TypeFor[socket.Conn](), "next", 1},
		{reflect.TypeFor[Conn](), "secure", 2},
	} {
		if size := tc.typ.Size(); size%line != 0 {
			t.Errorf("%s has %d bytes, and does not begin where a line does", tc.typ, size)
		}
		f, ok := tc.typ.FieldByName(tc.last)
		if end := f.Offset + f.Type.Size(); !ok || end > tc.lines*line {
			t.Errorf("%s: the part that a loop needs ends at %d", tc.typ, end)
		}
	}
}
