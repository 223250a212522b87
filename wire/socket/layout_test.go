package socket

import (
	"testing"
	"unsafe"
)

// What a loop needs of a socket is in one line of a processor's cache.
func TestLayout(t *testing.T) {
	const line = 64
	var c Conn
	if size := unsafe.Sizeof(c); size%line != 0 {
		t.Errorf("a Conn has %d bytes, and does not begin where a line does", size)
	}
	if end := unsafe.Offsetof(c.next) + unsafe.Sizeof(c.next); end > line {
		t.Errorf("the part that a loop needs ends at %d", end)
	}
}
