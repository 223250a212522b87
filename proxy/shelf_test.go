package proxy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// A shelf is held against a list that does the same slowly.
func TestShelf(t *testing.T) {
	type entry struct {
		name        string
		definitions uint64
	}
	r := rand.New(rand.NewPCG(1, 2))
	var sh shelf
	var list []entry // the least recently used first
	const limit = 5
	for step := range 20_000 {
		name, definitions := fmt.Sprint(r.IntN(8)), uint64(1+r.IntN(3))
		at := slices.IndexFunc(list, func(e entry) bool { return e.name == name })
		switch has := at >= 0 && list[at].definitions >= definitions; r.IntN(5) {
		case 0:
			sh.drop(name)
			if at >= 0 {
				list = slices.Delete(list, at, at+1)
			}
		case 1:
			sh.spoil(name)
			if at >= 0 {
				list[at].definitions = 0
			}
		default:
			if got := sh.has(name, definitions); got != has {
				t.Fatalf("step %d: has %v, want %v", step, got, has)
			}
			if has {
				used := list[at]
				list = append(slices.Delete(list, at, at+1), used)
				continue
			}
			want := ""
			if at < 0 && len(list) == limit {
				at = 0
			}
			if at >= 0 {
				want = list[at].name
				list = slices.Delete(list, at, at+1)
			}
			got := ""
			if e := sh.put(name, definitions, limit); e != nil {
				got = e.name
			}
			if got != want {
				t.Fatalf("step %d: %q gives way, want %q", step, got, want)
			}
			list = append(list, entry{name, definitions})
		}
		if len(sh.byName) != len(list) {
			t.Fatalf("step %d: %d statements, want %d", step, len(sh.byName), len(list))
		}
	}
}
