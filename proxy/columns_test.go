package proxy

import (
	"encoding/binary"
	"testing"

	"github.com/howdah/howdah/wire"
)

func rowDescription(fields ...field) []byte {
	body := binary.BigEndian.AppendUint16(nil, uint16(len(fields)))
	for _, f := range fields {
		body = append(append(body, f.name...), 0)
		body = binary.BigEndian.AppendUint32(body, f.table)
		body = append(body, 0, 1)
		body = binary.BigEndian.AppendUint32(body, f.typ)
		body = append(body, 0, 4)
		body = binary.BigEndian.AppendUint32(body, f.modifier)
		body = append(body, 0, f.format)
	}
	return wire.AppendMessage(nil, wire.RowDescription, string(body))
}

type field struct {
	name                 string
	table, typ, modifier uint32
	format               byte
}

func TestColumnsOf(t *testing.T) {
	a, b := field{name: "a", table: 7, typ: 23}, field{name: "b", table: 7, typ: 25}
	one := columnsOf(rowDescription(a, b))
	if one <= noColumns {
		t.Fatalf("two columns are %d", one)
	}
	moved, binary := a, a
	moved.table, binary.format = 8, 1
	for _, same := range []field{a, moved, binary} {
		if columnsOf(rowDescription(same, b)) != one {
			t.Errorf("%+v is another column than %+v", same, a)
		}
	}
	renamed, retyped, longer := a, a, a
	renamed.name, retyped.typ, longer.modifier = "x", 20, 12
	for _, other := range [][]field{{renamed, b}, {retyped, b}, {longer, b}, {a}, {b, a}, {a, b, b}, {}} {
		if columnsOf(rowDescription(other...)) == one {
			t.Errorf("%+v are the same columns", other)
		}
	}
	if whole := rowDescription(a, b); columnsOf(whole[:len(whole)-1]) != 0 {
		t.Error("half a message is understood")
	}
}

// What the client was told of last counts, whichever way it was told.
func TestNoteRow(t *testing.T) {
	one, two := rowDescription(field{name: "a", typ: 23}), rowDescription(field{name: "b", typ: 25})
	l, p := &lease{}, &prepared{}
	for i, step := range []struct {
		fast bool
		msg  []byte
	}{{true, one}, {true, one}, {false, two}, {true, one}, {true, two}, {false, one}, {true, one}} {
		if step.fast {
			l.noteRow(p, step.msg)
		} else {
			l.noteColumns(&expected{stmt: p}, columnsOf(step.msg))
		}
		if p.told != columnsOf(step.msg) {
			t.Errorf("step %d: the client was told other columns", i)
		}
	}
}
