package history

import (
	"strings"
	"testing"
	"time"
)

func TestInserts(t *testing.T) {
	var i Inserts
	i.Note(1, Done)
	i.Note(2, Undone)
	i.Note(3, Unknown)
	i.Note(4, Unknown)
	if wrong := i.Check([]int64{1, 3}); len(wrong) != 0 {
		t.Errorf("all is well, and it says %v", wrong)
	}
	for want, have := range map[string][]int64{"1 was acknowledged and is lost": {3}, "2 is there, and was said": {1, 2}, "3 is there twice": {1, 3, 3}, "5 is there, and nobody": {1, 5}} {
		if wrong := i.Check(have); len(wrong) != 1 || !strings.Contains(wrong[0], want) {
			t.Errorf("want %q, got %v", want, wrong)
		}
	}
}

func TestRegisters(t *testing.T) {
	at := func(r *Registers, ms int) time.Time { return r.start.Add(time.Duration(ms) * time.Millisecond) }
	// Operations one after the other; each begins when the one before has ended.
	play := func(results ...int64) error {
		r := NewRegisters()
		for i, a := range []Access{{1, Write, 0, 5}, {1, Read, 0, 0}, {1, CompareAndSet, 5, 6}, {1, CompareAndSet, 5, 7}, {1, Read, 0, 0}} {
			r.start = r.start.Add(-10 * time.Millisecond)
			r.Note(i, a, at(r, 10*i+5), results[i], Done)
		}
		return r.Check(time.Second)
	}
	if err := play(0, 5, 1, 0, 6); err != nil {
		t.Error(err)
	}
	for _, results := range [][]int64{{0, 0, 1, 0, 6}, {0, 5, 1, 1, 6}, {0, 5, 0, 0, 5}, {0, 5, 1, 0, 5}} {
		if play(results...) == nil {
			t.Errorf("%v is taken for linearizable", results)
		}
	}
	// A write of unknown fate may take effect late, or never.
	r := NewRegisters()
	r.Note(1, Access{1, Write, 0, 5}, r.start, 0, Unknown)
	for i, read := range []int64{0, 5, 5} {
		began := time.Now()
		time.Sleep(time.Millisecond)
		r.Note(2+i, Access{Key: 1}, began, read, Done)
	}
	if err := r.Check(time.Second); err != nil {
		t.Error(err)
	}
	began := time.Now()
	time.Sleep(time.Millisecond)
	r.Note(9, Access{Key: 1}, began, 0, Done)
	if r.Check(time.Second) == nil {
		t.Error("a write that is undone is taken for linearizable")
	}
}

func TestLists(t *testing.T) {
	read := func(key int, list ...int64) ListRead { return ListRead{key, list} }
	for _, c := range []struct {
		name  string
		txns  []Txn
		final map[int][]int64
		want  string // empty if all is well
	}{
		{"one after the other", []Txn{{Appends: []Append{{1, 10}, {2, 20}}}, {Reads: []ListRead{read(1, 10)}, Appends: []Append{{2, 21}}}, {Reads: []ListRead{read(1, 10), read(2, 20, 21)}}},
			map[int][]int64{1: {10}, 2: {20, 21}}, ""},
		{"unknown, and without effect", []Txn{{Appends: []Append{{1, 10}}, Fate: Unknown}}, map[int][]int64{}, ""},
		{"unknown, and with effect", []Txn{{Appends: []Append{{1, 10}, {2, 20}}, Fate: Unknown}}, map[int][]int64{1: {10}, 2: {20}}, ""},
		{"unknown, and with half of its effect", []Txn{{Appends: []Append{{1, 10}, {2, 20}}, Fate: Unknown}}, map[int][]int64{1: {10}}, "list 2 lacks 20"},
		{"lost", []Txn{{Appends: []Append{{1, 10}}}}, map[int][]int64{}, "list 1 lacks 10"},
		{"undone, and there", []Txn{{Appends: []Append{{1, 10}}, Fate: Undone}}, map[int][]int64{1: {10}}, "no effect"},
		{"twice", []Txn{{Appends: []Append{{1, 10}}}}, map[int][]int64{1: {10, 10}}, "has 10 twice"},
		{"nobody's", nil, map[int][]int64{1: {10}}, "nobody appended"},
		{"read and then gone", []Txn{{Reads: []ListRead{read(1, 10)}}, {Appends: []Append{{1, 10}}, Fate: Unknown}}, map[int][]int64{}, "no beginning"},
		{"another order", []Txn{{Appends: []Append{{1, 10}}}, {Appends: []Append{{1, 11}}}, {Reads: []ListRead{read(1, 11)}}}, map[int][]int64{1: {10, 11}}, "no beginning"},
		{"two orders of two writes (G0)", []Txn{{Appends: []Append{{1, 10}, {2, 20}}}, {Appends: []Append{{1, 11}, {2, 21}}}}, map[int][]int64{1: {10, 11}, 2: {21, 20}}, "not serializable"},
		{"each reads the other's (G1c)", []Txn{{Appends: []Append{{1, 10}}, Reads: []ListRead{read(2, 20)}}, {Appends: []Append{{2, 20}}, Reads: []ListRead{read(1, 10)}}},
			map[int][]int64{1: {10}, 2: {20}}, "not serializable"},
		{"half of a transaction is read (G-single)", []Txn{{Appends: []Append{{1, 10}, {2, 20}}}, {Reads: []ListRead{read(1, 10), read(2)}}}, map[int][]int64{1: {10}, 2: {20}}, "not serializable"},
		{"neither reads the other's (G2)", []Txn{{Appends: []Append{{1, 10}}, Reads: []ListRead{read(2)}}, {Appends: []Append{{2, 20}}, Reads: []ListRead{read(1)}}},
			map[int][]int64{1: {10}, 2: {20}}, "not serializable"},
	} {
		var l Lists
		for _, txn := range c.txns {
			l.Note(txn)
		}
		wrong := l.Check(c.final)
		if c.want == "" && len(wrong) > 0 || c.want != "" && (len(wrong) == 0 || !strings.Contains(wrong[0], c.want)) {
			t.Errorf("%s: want %q, got %v", c.name, c.want, wrong)
		}
	}
}
