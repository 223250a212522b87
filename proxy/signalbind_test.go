package proxy

import (
	"slices"
	"testing"

	"github.com/howdah/howdah/parser"
)

func TestBoundInts(t *testing.T) {
	one := []uint32{parser.Int4OID}
	for body, want := range map[string]int64{
		"\x00\x00\x00\x00\x00\x01\x00\x00\x00\x074194305\x00\x00":                          4194305, // text by default
		"p\x00s\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x09 4194305 \x00\x01\x00\x01":      4194305, // as text
		"\x00\x00\x00\x01\x00\x01\x00\x01\x00\x00\x00\x04\x00\x40\x00\x01\x00\x00":         4194305, // in binary
		"\x00\x00\x00\x00\x00\x01\x00\x00\x00\x07x194305\x00\x00":                          0,
		"\x00\x00\x00\x00\x00\x01\x00\x00\x00\x0a4294967296\x00\x00":                       0, // no int4
		"\x00\x00\x00\x00\x00\x01\xff\xff\xff\xff\x00\x00":                                 0, // NULL
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00":                                         0, // none
		"\x00\x00\x00\x00\x00\x02\x00\x00\x00\x0142\x00\x00\x00\x011\x00\x00":              0, // two
		"\x00\x00\x00\x01\x00\x01\x00\x01\x00\x00\x00\x08\x00\x00\x00\x00\x00\x40\x00\x01": 0, // an int8
		"\x00\x00\x00\x02\x00\x01\x00\x01\x00\x01\x00\x00\x00\x04\x00\x40\x00\x01":         0, // two formats
		"\x00\x00\x00\x00\x00\x01\x00\x00\x00\x074":                                        0, // cut short
		"": 0,
	} {
		got := []int64{0}
		if ok := boundInts([]byte(body), one, got); ok != (want != 0) || ok && got[0] != want {
			t.Errorf("%q: got %d, %v, want %d", body, got, ok, want)
		}
	}
	const text, inBinary = "\x00\x00\x00\x074194305", "\x00\x00\x00\x04\x00\x40\x00\x01"
	for _, row := range []struct {
		wait   uint32
		values string // formats and values
		want   int64  // the second one; 0: they cannot be read
	}{
		{parser.Int8OID, "\x00\x00\x00\x02" + text + "\x00\x00\x00\x0230", 30},
		{parser.Int8OID, "\x00\x01\x00\x01\x00\x02" + inBinary + "\x00\x00\x00\x08\xff\xff\xff\xff\xff\xff\xff\xfe", -2},
		{parser.Int4OID, "\x00\x02\x00\x00\x00\x01\x00\x02" + text + "\x00\x00\x00\x04\x00\x00\x01\x00", 256},
		{parser.Int2OID, "\x00\x02\x00\x01\x00\x01\x00\x02" + inBinary + "\x00\x00\x00\x02\xff\xff", -1},
		{parser.Int4OID, "\x00\x01\x00\x01\x00\x02" + inBinary + "\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x02", 0},
		{parser.Int2OID, "\x00\x00\x00\x02" + text + "\x00\x00\x00\x0532768", 0},
		{parser.Int8OID, "\x00\x00\x00\x02" + text + "\xff\xff\xff\xff", 0},
		{parser.Int8OID, "\x00\x00\x00\x01" + text, 0},
		{parser.Int8OID, "\x00\x00\x00\x02" + text, 0},
		{parser.Int8OID, "\x00\x03\x00\x00\x00\x00\x00\x00\x00\x02" + text + "\x00\x00\x00\x0230", 0},
	} {
		got := []int64{0, 0}
		ok := boundInts([]byte("\x00\x00"+row.values+"\x00\x00"), []uint32{parser.Int4OID, row.wait}, got)
		if ok != (row.want != 0) || ok && !slices.Equal(got, []int64{4194305, row.want}) {
			t.Errorf("type %d, %q: got %d, %v, want %d", row.wait, row.values, got, ok, row.want)
		}
	}
}

func FuzzBoundInts(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x00\x01\x00\x00\x00\x074194305\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x01\x00\x01\x00\x01\x00\x00\x00\x04\x00\x40\x00\x01\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x01\x00\x01\x00\x02\x00\x00\x00\x04\x00\x40\x00\x01\x00\x00\x00\x02\x00\x01\x00\x00"))
	f.Fuzz(func(_ *testing.T, body []byte) {
		boundInts(body, []uint32{parser.Int4OID}, make([]int64, 1))
		boundInts(body, []uint32{parser.Int4OID, parser.Int2OID}, make([]int64, 2))
	})
}

// A statement whose first parameter has another type than int4 is the server's, which knows no such function.
func TestSignalTypes(t *testing.T) {
	const id, wait = "SELECT pg_terminate_backend($1)", "SELECT pg_terminate_backend($1, $2::int)"
	for _, row := range []struct {
		sql, types string
		want       []uint32
	}{
		{id, "\x00\x00", []uint32{23}},
		{id, "\x00\x01\x00\x00\x00\x00", []uint32{23}},
		{id, "\x00\x01\x00\x00\x00\x17", []uint32{23}},
		{id, "\x00\x01\x00\x00\x00\x14", nil}, // int8
		{id, "\x00\x01\x00\x00", nil},
		{id, "\x00\x02\x00\x00\x00\x17\x00\x00\x00\x17", nil},
		{id, "", nil},
		{wait, "\x00\x00", []uint32{23, 23}},
		{wait, "\x00\x01\x00\x00\x00\x17", []uint32{23, 23}},
		{wait, "\x00\x02\x00\x00\x00\x00\x00\x00\x00\x14", []uint32{23, 20}},
		{wait, "\x00\x02\x00\x00\x00\x17\x00\x00\x00\x15", []uint32{23, 21}},
		{wait, "\x00\x02\x00\x00\x00\x14\x00\x00\x00\x14", nil},
		{wait, "\x00\x02\x00\x00\x00\x17\x00\x00\x00\x19", nil}, // text
		{"SELECT pg_terminate_backend($1, $2)", "\x00\x00", []uint32{23, 20}},
	} {
		p := &prepared{parse: []byte("P\x00\x00\x00\x00s\x00" + row.sql + "\x00" + row.types), verdict: parser.Classify(row.sql)}
		if got := signalTypes(p); !slices.Equal(got, row.want) {
			t.Errorf("%s, %q: got %v, want %v", row.sql, row.types, got, row.want)
		}
	}
	if signalTypes(&prepared{verdict: parser.Classify(id)}) != nil ||
		signalTypes(&prepared{parse: []byte("P\x00\x00\x00\x00s\x00SELECT 1\x00\x00\x00"), verdict: parser.Classify("SELECT 1")}) != nil {
		t.Error("a statement that is not known, or is another")
	}
}
