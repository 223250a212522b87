package wire

import (
	"testing"
	"unsafe"
)

// What every request needs of a connection is in two lines of a processor's cache.
func TestLayout(t *testing.T) {
	const line = 64
	var c Conn
	if size := unsafe.Sizeof(c); size%line != 0 {
		t.Errorf("a Conn has %d bytes, and does not begin where a line does", size)
	}
	if end := unsafe.Offsetof(c.secure) + unsafe.Sizeof(c.secure); end > 2*line {
		t.Errorf("the part that a request needs ends at %d", end)
	}
}
